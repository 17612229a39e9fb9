//! Properties of random scenarios.

use super::*;
use crate::engine::watchdog::incident::{Scenario, ScriptEvent, ScriptStep};
use crate::engine::watchdog::simulator::{Outcome, Simulator, Target};
use crate::report::{WatchdogEventKind, WatchdogResponse};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn step() -> impl Strategy<Value = ScriptStep> {
    let what = (0usize..12, 0.0f64..1.0).prop_map(|(n, x)| match n {
        0 => (ScriptEvent::Hang, 0.0),
        1 => (ScriptEvent::Crash, 0.0),
        2 => (ScriptEvent::OutOfMemory, 0.0),
        3 => (ScriptEvent::DeviceLost, 0.0),
        4 => (ScriptEvent::ProbeSilent, x.round()),
        5 => (ScriptEvent::OthersTake, x * 12.0),
        6 => (ScriptEvent::SlowBy, 1.0 + x * 20.0),
        7 => (ScriptEvent::Disk, x * 100.0),
        8 => (ScriptEvent::LongChunks, 0.1 + x * 8.0),
        9 => (ScriptEvent::Fill, 0.02 + x * 0.98),
        10 => (ScriptEvent::DriverCrash, 0.0),
        _ => (ScriptEvent::Pause, x * 4000.0),
    });
    (0u64..250, what).prop_map(|(at_batch, (what, value))| ScriptStep {
        at_batch,
        what,
        value,
    })
}

fn config() -> impl Strategy<Value = CrawlConfig> {
    let action = prop::sample::select(vec![
        CrawlAction::Ladder,
        CrawlAction::Ladder,
        CrawlAction::Cpu,
        CrawlAction::Off,
    ]);
    (1.2f64..12.0, 1u32..12, action).prop_map(|(factor, window, action)| CrawlConfig {
        factor,
        window,
        action,
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let card = (0.2f64..5.0, 0.0f64..200.0, 0.0f64..9.0, any::<bool>());
    (
        1u32..4,
        prop::collection::vec(1u64..2500, 1..6),
        card,
        0.02f64..6.0,
        prop::collection::vec(step(), 0..10),
        config(),
    )
        .prop_map(|(workers, shards, card, crawl, mut script, config)| {
            let mut scenario: Scenario = toml::from_str("shards = []").expect("a minimal scenario");
            scenario.workers = workers;
            scenario.shards = shards;
            (
                scenario.card.context_gib,
                scenario.card.growth_mib,
                scenario.card.others_gib,
                scenario.card.release_heals,
            ) = card;
            scenario.encoder.crawl_chunks_per_s = crawl;
            script.sort_by_key(|step| step.at_batch);
            if config.action == CrawlAction::Off {
                // With the watchdog off, a batch that exceeds the supervisor's timeout never ends.
                scenario.encoder.crawl_chunks_per_s = crawl.max(0.5);
                script.retain(|step| {
                    !matches!(step.what, ScriptEvent::SlowBy | ScriptEvent::LongChunks)
                });
            }
            scenario.script = script;
            scenario.with_config(config)
        })
}

/// Check the rungs of any outcome.
fn check_rungs(outcome: &Outcome, config: &CrawlConfig) -> Result<(), TestCaseError> {
    let rearm = u64::from(ladder::rearm_after(config));
    let mut since_respawn = Vec::new();
    let mut has_respawned = false;
    let mut demoted = BTreeSet::new();
    let mut released = BTreeMap::new();
    for (batch, event) in &outcome.events {
        let is_crawl = event.kind == WatchdogEventKind::Crawl;
        prop_assert!(
            event.shard.is_none() || !demoted.contains(&event.shard),
            "{}",
            event
        );
        match event.action {
            WatchdogResponse::None | WatchdogResponse::GiveUpDevice => {}
            WatchdogResponse::ReleaseMemory => {
                prop_assert!(is_crawl && config.action == CrawlAction::Ladder);
                // A shard gets this rung again only after many healthy batches.
                if let Some(before) = released.insert(event.shard.clone(), *batch) {
                    prop_assert!(
                        batch - before >= rearm,
                        "{} after {}",
                        event,
                        batch - before
                    );
                }
            }
            WatchdogResponse::Respawn => {
                let was_released = since_respawn.contains(&WatchdogResponse::ReleaseMemory);
                prop_assert!(!is_crawl || was_released, "skipped a rung: {}", event);
                since_respawn.clear();
                has_respawned = true;
            }
            WatchdogResponse::Cpu => {
                let is_last = has_respawned || config.action == CrawlAction::Cpu;
                prop_assert!(is_last, "skipped a rung: {}", event);
                demoted.insert(event.shard.clone());
            }
        }
        since_respawn.push(event.action);
        if config.action == CrawlAction::Off {
            prop_assert_eq!(event.action, WatchdogResponse::None);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens when, the build ends, and the rungs are taken in order and not too often.
    #[test]
    fn every_build_ends_and_no_rung_is_skipped_or_repeated(scenario in scenario()) {
        let outcome = Simulator::new(&scenario).run().map_err(TestCaseError::fail)?;
        check_rungs(&outcome, &scenario.config())?;
        let shards = scenario.shards.len();
        prop_assert_eq!(outcome.targets.len(), shards);
        // A shard takes three rungs at most; more need many healthy batches, or a failure in the script.
        let rearm = u64::from(ladder::rearm_after(&scenario.config()));
        let counts = outcome.counts;
        let rungs = counts.release_memory + counts.respawn + counts.cpu;
        let most = 3 * (shards as u64 + outcome.batches / rearm) + scenario.script.len() as u64;
        prop_assert!(rungs <= most, "{} rungs, {} batches", rungs, outcome.batches);
        if scenario.config().action == CrawlAction::Off {
            let on_cpu = outcome.targets.values().flatten().any(|target| *target == Target::Cpu);
            prop_assert!(!on_cpu && outcome.respawns == 0);
        }
    }

    /// The watchdog acts on full memory, a hang or a failing device, and on nothing else.
    #[test]
    fn nothing_else_triggers_the_watchdog(
        scenario in scenario(),
        share in 0.0f64..0.9,
    ) {
        let mut scenario = scenario;
        scenario.card.growth_mib = 0.0;
        scenario.card.others_gib = 12.0 * share;
        scenario.card.context_gib = (12.0 * 0.92 - scenario.card.others_gib) / 4.0;
        scenario.script.retain(|step| !matches!(
            step.what,
            ScriptEvent::Hang | ScriptEvent::DriverCrash | ScriptEvent::OutOfMemory | ScriptEvent::DeviceLost | ScriptEvent::OthersTake
        ));
        // A slower batch would rightly exceed its deadline.
        for step in &mut scenario.script {
            if matches!(step.what, ScriptEvent::SlowBy | ScriptEvent::LongChunks) {
                step.value = step.value.min(2.0);
            }
        }
        let outcome = Simulator::new(&scenario).run().map_err(TestCaseError::fail)?;
        let is_of_probe = |kind| matches!(kind, WatchdogEventKind::ProbeSilent | WatchdogEventKind::ProbeBack);
        let tripped = outcome.events.iter().find(|(_, event)| !is_of_probe(event.kind));
        prop_assert!(tripped.is_none(), "{:?}", tripped);
    }
}
