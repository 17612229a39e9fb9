//! Kills a build at random moments and resumes it: the index is always the same.

use crate::crash_points::{Crash, crash, lead_up};
use crate::kill_fixture::{BuildVariant, KillFixture};
use crate::running_build::{RunningBuild, Step, signal};
use crate::world::Dice;
use crate::world::count;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Supervisor,
    Worker,
    Both,
}

pub const VICTIMS: [Victim; 3] = [Victim::Supervisor, Victim::Worker, Victim::Both];

/// When a kill falls: after a time, or after so much of the record of steps. The second hits short
/// phases as often as long ones, and as often on a busy machine.
#[derive(Clone, Copy, Debug)]
enum Moment {
    After(Duration),
    At(u64),
}

/// Where a process was, by the last place that it reached.
fn phase(steps: &[Step], pid: u32, supervisor: u32) -> &'static str {
    let last = steps
        .iter()
        .rev()
        .find(|s| s.pid == pid && s.point != "held");
    phase_of(
        last.map_or("", |step| step.point.as_str()),
        pid == supervisor,
    )
}

fn phase_of(point: &str, is_supervisor: bool) -> &'static str {
    match point {
        "" | "lock::wait" => "starting",
        "build::scan" | "scan::list" => "scanning",
        // It compares a finished shard with its inputs.
        "scan::read" if is_supervisor => "scanning",
        "build::planned" | "segment::check" => "supervising",
        "worker::start" => "opening encoders",
        "encode::device" | "encode::patience" | "worker::pool" => "opening encoders",
        "segment::reopen" | "segment::forgot" => "reopening a segment",
        "segment::open" | "segment::clear" | "segment::create" | "segment::opened" => {
            "opening a segment"
        }
        "worker::prepare" | "scan::read" | "scan::opened" => "encoding",
        "scan::piece" | "worker::encode" | "encode::run" | "encode::text" => "encoding",
        "sink::group" | "sink::commit" | "sink::committed" => "encoding",
        "sink::finish" | "sink::finished" => "encoding",
        "publish::load" | "publish::index" | "publish::seal" | "publish::rename" => "publishing",
        "publish::renamed" | "publish::register" => "registering",
        "publish::registered" | "publish::deleted" => "deleting segments",
        "build::deliver" | "build::delivered" => "delivering",
        "build::conclude" | "build::cleaned" => "concluding",
        "manifest::rename" | "manifest::renamed" => "concluding",
        other => panic!("no phase for {other}"),
    }
}

/// Waits for the moment and kills. The processes that were alive until then; none when the build was
/// over before.
fn strike(live: &mut RunningBuild, moment: Moment, victim: Victim) -> Vec<u32> {
    let began = Instant::now();
    live.wait("the moment", |live| {
        let due = match moment {
            Moment::After(time) => began.elapsed() >= time,
            Moment::At(distance) => live.distance() >= distance,
        };
        (due || live.has_ended()).then_some(())
    });
    if live.has_ended() {
        return Vec::new();
    }
    let workers = live.workers();
    let mut killed = Vec::new();
    if matches!(victim, Victim::Supervisor | Victim::Both) {
        killed.push(live.pid());
    }
    if matches!(victim, Victim::Worker | Victim::Both) {
        killed.extend(&workers);
    }
    for pid in &killed {
        signal(*pid, Signal::KILL);
    }
    killed
}

#[test]
fn killed_at_random_moments_nothing_is_lost() {
    let (mut dice, seed) = Dice::seeded(20_261_120);
    let wanted = count(8, 1_000);
    let mut ground = KillFixture::new(10);
    let mut measured = BTreeMap::new();
    let mut kills: BTreeMap<(Victim, &str), u32> = BTreeMap::new();
    let (mut n_kills, mut rounds, mut changes, mut resumed) = (0, 0, 0, 0);
    while n_kills < wanted {
        rounds += 1;
        ground.clean();
        let flavour = BuildVariant {
            blob: dice.roll(3) == 0,
            encoders: dice.roll(u64::from(count(8, 4))) == 0,
        };
        // How long a whole build takes here and now, in time and in steps.
        let (whole, distance) = *measured.entry(flavour).or_insert_with(|| {
            let began = Instant::now();
            let mut live = ground.start(flavour, GROUPS[0]);
            live.wait("a whole build", |live| live.has_ended().then_some(()));
            let measured = (began.elapsed(), live.distance());
            live.finish();
            ground.clean();
            measured
        });
        let strikes = 1 + dice.roll(4);
        for n in 0..strikes {
            let moment = match dice.roll(8) {
                // The walk is short, and comes first.
                0 => Moment::After(whole.mul_f64(dice.roll(150) as f64 / 1_000.0)),
                1..=3 => Moment::After(whole.mul_f64(dice.roll(1_100) as f64 / 1_000.0)),
                _ => Moment::At(dice.roll(distance)),
            };
            let victim = *dice.pick(&VICTIMS);
            let groups = *dice.pick(&GROUPS);
            let context =
                format!("seed {seed}, round {rounds}.{n}, {flavour:?}, {moment:?}, {victim:?}");
            let mut live = ground.start(flavour, groups);
            let killed = strike(&mut live, moment, victim);
            let supervisor = live.pid();
            let (ran, steps) = live.finish();
            if let Some(pid) = killed.first() {
                n_kills += 1;
                // Whatever it did at that moment: this run went on with what an earlier one had left.
                let resumes = |step: &Step| {
                    ["segment::check", "segment::reopen"].contains(&step.point.as_str())
                };
                resumed += u32::from(steps.iter().any(resumes));
                *kills
                    .entry((victim, phase(&steps, *pid, supervisor)))
                    .or_default() += 1;
            }
            if ran.code == Some(0) {
                // A build survives its workers; and a kill may come when all is done.
                ground.check_summary(flavour, &ran, &context);
                break;
            }
            assert!(
                ran.code.is_none() && killed.contains(&supervisor),
                "{context}: {ran:?}"
            );
            if dice.roll(4) == 0 {
                changes += 1;
                ground.change_inputs(1 - ground.state());
            }
        }
        ground.settle(
            flavour,
            &format!("seed {seed}, round {rounds}, {flavour:?}"),
        );
    }
    let mut phases: BTreeMap<&str, u32> = BTreeMap::new();
    for ((_, phase), n) in &kills {
        *phases.entry(phase).or_default() += n;
    }
    println!(
        "seed {seed}: {n_kills} kills in {rounds} builds, {resumed} while resuming, inputs changed {changes} times: {phases:?}; {kills:?}"
    );
    // Where kills fall by chance is the machine's business too; what chance has left out is aimed at.
    let bare = BuildVariant {
        blob: false,
        encoders: false,
    };
    let mut aim = |point, victim| {
        let context = format!("aimed at {point}");
        ground.clean();
        lead_up(&mut ground, bare, point, &context);
        let at = Crash {
            point,
            after: 0,
            victim,
        };
        let reached = crash(&mut ground, bare, at, &context);
        assert!(reached.is_some(), "no run comes by {point}");
        ground.settle(bare, &context);
    };
    for (point, victim) in AIMS {
        if !phases.contains_key(phase_of(point, victim == Victim::Supervisor)) {
            aim(point, victim);
        }
    }
    if resumed == 0 {
        aim("segment::reopen", Victim::Both);
        aim("segment::check", Victim::Supervisor);
    }
}

/// A place in each phase.
const AIMS: [(&str, Victim); 10] = [
    ("build::scan", Victim::Supervisor),
    ("build::planned", Victim::Supervisor),
    ("worker::start", Victim::Both),
    ("segment::open", Victim::Both),
    ("worker::encode", Victim::Both),
    ("publish::load", Victim::Supervisor),
    ("publish::renamed", Victim::Supervisor),
    ("publish::registered", Victim::Supervisor),
    ("build::deliver", Victim::Supervisor),
    ("build::conclude", Victim::Supervisor),
];

/// Files of a segment are committed together, as usual, or each alone, so that more moments differ.
const GROUPS: [&str; 2] = ["sink::group=return(skip)", ""];
