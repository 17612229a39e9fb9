//! Kills a build at every failpoint, once or twice, and resumes it: the index is always the same.

use crate::kill_fixture::{BuildVariant, KillFixture};
use crate::kills::{VICTIMS, Victim};
use crate::running_build::{RunningBuild, arguments, signal};
use crate::world::{Dice, Ran, World, count};
use helix_build::store::digest::digest_shard;
use helix_build::store::registered::registered_shards;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::Path;

/// Places in the supervisor, in the order in which a build comes by.
const SUPERVISOR: [&str; 16] = [
    "build::scan",
    "build::planned",
    "publish::load",
    "publish::index",
    "publish::seal",
    "publish::rename",
    "publish::renamed",
    "publish::register",
    "publish::registered",
    "publish::deleted",
    "build::deliver",
    "build::delivered",
    "build::conclude",
    "build::cleaned",
    "manifest::rename",
    "manifest::renamed",
];

/// A place in the supervisor of a run that resumes.
const RESUMING: &str = "segment::check";

/// Places in a worker. The first two are reached in a run that resumes.
const WORKER: [&str; 13] = [
    "segment::reopen",
    "segment::forgot",
    "worker::start",
    "segment::open",
    "segment::clear",
    "segment::create",
    "segment::opened",
    "worker::prepare",
    "worker::encode",
    "sink::commit",
    "sink::committed",
    "sink::finish",
    "sink::finished",
];

/// Where a crash falls: at the place number `after`, counted from 0 in each process.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    pub point: &'static str,
    pub after: u64,
    pub victim: Victim,
}

fn is_workers(point: &str) -> bool {
    WORKER.contains(&point)
}

/// Runs the build and kills at the place. `None` when the build never came by.
pub fn crash(
    ground: &mut KillFixture,
    flavour: BuildVariant,
    crash: Crash,
    context: &str,
) -> Option<Ran> {
    let Crash {
        point,
        after,
        victim,
    } = crash;
    let first = match after {
        0 => String::new(),
        n => format!("{n}*off->"),
    };
    // A transaction for every file, so that a segment is seen in every state.
    let failpoints = format!("sink::group=return(skip);{point}={first}return(hold)");
    let mut live = ground.start(flavour, &failpoints);
    let Some(held) = live.wait_held() else {
        let (ran, _) = live.finish();
        ground.check_summary(flavour, &ran, context);
        return None;
    };
    if matches!(victim, Victim::Worker | Victim::Both) {
        signal(held, Signal::KILL);
    }
    if matches!(victim, Victim::Supervisor | Victim::Both) {
        signal(live.pid(), Signal::KILL);
    }
    // Others may go on, and come by.
    live.go();
    let (ran, _) = live.finish();
    if held_in_worker(point, victim) {
        ground.check_summary(flavour, &ran, context);
    } else {
        assert_eq!(ran.code, None, "{context}: {ran:?}");
    }
    Some(ran)
}

/// Whether the supervisor survives the crash.
fn held_in_worker(point: &str, victim: Victim) -> bool {
    is_workers(point) && victim == Victim::Worker
}

fn places() -> impl Iterator<Item = &'static str> {
    SUPERVISOR.into_iter().chain([RESUMING]).chain(WORKER)
}

fn none_missed(hits: &BTreeMap<&str, u32>) {
    let missed: Vec<_> = places().filter(|p| !hits.contains_key(p)).collect();
    assert!(missed.is_empty(), "no crash fell on {missed:?}");
}

/// Brings the output into a state in which a run comes by `point`: some places are those of a run that
/// resumes, with inputs that changed meanwhile.
pub fn lead_up(ground: &mut KillFixture, flavour: BuildVariant, point: &str, context: &str) {
    if [RESUMING, "segment::reopen", "segment::forgot"].contains(&point) {
        let first = Crash {
            point: "sink::committed",
            after: 3,
            victim: Victim::Both,
        };
        crash(ground, flavour, first, context).expect("commits");
        ground.change_inputs(1 - ground.state());
    }
}

#[test]
fn a_crash_at_every_failpoint_is_survived() {
    let (mut dice, seed) = Dice::seeded(1_001);
    let mut ground = KillFixture::new(6);
    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    let mut runs = 0;
    for (n, point) in places().enumerate() {
        let is_long = count(0, 1) == 1;
        // A blob has no registration.
        let in_blob = !point.contains("regist") && !point.contains("deliver");
        for blob in [false, true] {
            if blob && (!in_blob || !is_long && n % 3 > 0)
                || !blob && in_blob && !is_long && n % 3 == 0
            {
                continue;
            }
            // In long form at every file and every shard, until the build no longer comes by.
            let places = match is_long {
                true => (0..40).collect(),
                // Whether a resumed run comes by depends on how far the killed one got.
                false => vec![dice.roll(2), 0, 0, 0, 0, 0, 0, 0, 0, 0],
            };
            for after in places {
                let flavour = BuildVariant {
                    blob,
                    encoders: false,
                };
                let victim = match is_workers(point) {
                    true => *dice.pick(&VICTIMS),
                    false => Victim::Supervisor,
                };
                let at = Crash {
                    point,
                    after,
                    victim,
                };
                let context = format!("seed {seed}, {flavour:?}, {at:?}");
                ground.clean();
                ground.change_inputs(0);
                lead_up(&mut ground, flavour, point, &context);
                runs += 1;
                let reached = crash(&mut ground, flavour, at, &context).is_some();
                if reached {
                    check_registered(&ground, flavour, &context);
                    *hits.entry(point).or_default() += 1;
                    ground.settle(flavour, &context);
                }
                // Fast: once is enough. Long: it is not reached that often.
                if reached != is_long {
                    break;
                }
            }
        }
    }
    println!("seed {seed}: {runs} runs, crashes by place {hits:?}");
    none_missed(&hits);
}

/// What servers may find before the next run: every registered shard is there, whole and as registered.
fn check_registered(ground: &KillFixture, flavour: BuildVariant, context: &str) {
    let digest = |path: &Path| {
        let found = digest_shard(path).unwrap_or_else(|error| panic!("{context}: {error}"));
        found.digest
    };
    if flavour.blob {
        let blob = ground.world.path("o/p.db");
        if blob.exists() {
            digest(&blob);
        }
        return;
    }
    let routing = ground.world.path("o-sharded/p/main.genome.db");
    if !routing.exists() {
        return;
    }
    for shard in registered_shards(&routing).unwrap_or_default() {
        let registered = shard.build.expect("ours").digest;
        assert_eq!(digest(&shard.path), registered, "{context}: {}", shard.name);
    }
}

/// Over an index that is there, and over none: an index between two steps is unfinished, not damaged.
#[test]
fn verify_tells_a_crash_from_damage() {
    let mut ground = KillFixture::new(6);
    let flavour = BuildVariant {
        blob: false,
        encoders: false,
    };
    for is_update in [false, true] {
        for (n, point) in SUPERVISOR.into_iter().enumerate() {
            // In the short form each place comes in one of the two.
            if count(0, 1) == 0 && (n % 2 == 0) == is_update {
                continue;
            }
            let context = format!("{point}, update {is_update}");
            ground.clean();
            ground.change_inputs(0);
            if is_update {
                let (ran, _) = ground.start(flavour, "").finish();
                ground.check_summary(flavour, &ran, &context);
                ground.change_inputs(1);
            }
            let at = Crash {
                point,
                after: 0,
                victim: Victim::Supervisor,
            };
            crash(&mut ground, flavour, at, &context).expect(point);
            let ran = ground.world.run(&["verify", "o-sharded/p", "--json"]);
            if !ground.world.path("o-sharded/p/main.genome.db").exists() {
                assert_eq!(ran.code, Some(10), "{context}: {ran:?}");
                continue;
            }
            assert_eq!(ran.code, Some(0), "{context}: {ran:?}");
            let before_and_after = ["build::scan", "build::planned", "build::cleaned"];
            let is_between = !before_and_after.contains(&point);
            assert_eq!(ran.last_line()["unfinished"], is_between, "{context}");
        }
    }
}

#[test]
fn a_crash_while_publishing_costs_no_encoding() {
    let world = World::corpus(1, 12);
    let expected = world.build("whole", &[])["digest"].clone();
    let build = arguments("o", false, &[]);
    for point in SUPERVISOR
        .into_iter()
        .filter(|p| !p.ends_with("scan") && !p.ends_with("planned"))
    {
        let _ = std::fs::remove_dir_all(world.path("o-sharded"));
        let mut live = RunningBuild::start(&world, &build, &format!("{point}=return(hold)"));
        live.wait_held().expect("is reached");
        // Loading may begin before the last file's worker has been heard.
        live.wait("the encoding's end", |live| {
            let steps = live.steps();
            steps
                .iter()
                .any(|s| s.point == "sink::finished")
                .then_some(())
        });
        signal(live.pid(), Signal::KILL);
        live.finish();
        let (ran, steps) = RunningBuild::start(&world, &build, "").finish();
        assert_eq!(ran.summary()["digest"], expected, "{point}");
        let again = steps.iter().find(|s| s.point == "worker::encode");
        assert_eq!(again, None, "{point}");
    }
}

#[test]
fn a_second_crash_while_resuming_is_survived() {
    let (mut dice, seed) = Dice::seeded(2_002);
    let mut ground = KillFixture::new(6);
    let all: Vec<_> = places().collect();
    let mut pairs: Vec<_> = all
        .iter()
        .flat_map(|a| all.iter().map(move |b| (*a, *b)))
        .collect();
    let n_pairs = pairs.len() as u32;
    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    let mut both = 0;
    // In long form all pairs, in one mode and then in the other.
    let wanted = count(8, 2 * n_pairs);
    for n in 0..wanted {
        let is_long = wanted > n_pairs;
        let (blob, (a, b)) = match is_long {
            true => (n >= n_pairs, pairs[(n % n_pairs) as usize]),
            false => {
                let pair = dice.roll(pairs.len() as u64) as usize;
                (n % 2 == 1, pairs.swap_remove(pair))
            }
        };
        let flavour = BuildVariant {
            blob,
            encoders: false,
        };
        let mut context = format!("seed {seed}, pair {n}, {flavour:?}");
        ground.clean();
        ground.change_inputs(dice.roll(2) as usize);
        lead_up(&mut ground, flavour, a, &context);
        let mut n_hit = 0;
        for point in [a, b] {
            let often = ["sink::", "worker::prepare", "worker::encode"];
            let is_often = often.iter().any(|name| point.starts_with(name));
            let at = Crash {
                point,
                after: if is_often { dice.roll(3) } else { 0 },
                // A worker alone is replaced in the same run; here the build shall be cut short.
                victim: *dice.pick(&[Victim::Supervisor, Victim::Both]),
            };
            context.push_str(&format!(", {at:?}, inputs {}", ground.state()));
            if crash(&mut ground, flavour, at, &context).is_some() {
                n_hit += 1;
                *hits.entry(point).or_default() += 1;
            }
            // Also so that there is work for the second run.
            if is_workers(b) || dice.roll(3) == 0 {
                ground.change_inputs(1 - ground.state());
            }
        }
        both += u32::from(n_hit == 2);
        ground.settle(flavour, &context);
    }
    println!("seed {seed}: {wanted} pairs, {both} with both crashes, by place {hits:?}");
    assert!(both >= wanted / 2, "only {both} of {wanted} pairs");
    if wanted > n_pairs {
        none_missed(&hits);
    }
}

/// The places named here are the ones that the program has.
#[test]
fn every_failpoint_is_covered() {
    let mut known: Vec<_> = places().collect();
    known.extend(["scan::read", "scan::opened", "scan::piece", "scan::list"]);
    known.extend([
        "sink::group",
        "supervisor::kill",
        "worker::in_hand",
        "lock::wait",
    ]);
    // Tasks on other machines: tests/e2e/cluster_faults.rs.
    known.extend([
        "cluster::scratch",
        "cluster::keep",
        "cluster::deliver",
        "cluster::delivered",
    ]);
    // A system that starts no thread: tests/e2e/devices.rs and verify.rs.
    known.extend(["worker::pool", "verify::pool"]);
    // What a device would do, played on the CPU: tests/e2e/devices.rs.
    known.extend([
        "encode::device",
        "encode::memory",
        "encode::lost",
        "encode::run",
        "encode::text",
    ]);
    // Of another command: tests/e2e/relocate.rs.
    known.extend([
        "relocate::begun",
        "relocate::copied",
        "relocate::rename",
        "relocate::renamed",
        "relocate::routed",
        "relocate::noted",
        "relocate::remembered",
    ]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut unknown = Vec::new();
    for name in crate::world::files_below(&folder) {
        let text = std::fs::read_to_string(folder.join(&name)).expect("text");
        for (at, _) in text.match_indices("failpoint!(") {
            let arguments = text[at..].trim_start_matches("failpoint!(").trim_start();
            let point = arguments.split('"').nth(1).unwrap_or_default();
            if arguments.starts_with('"') && !known.contains(&point) {
                unknown.push(format!("{name}: {point}"));
            }
        }
    }
    assert!(unknown.is_empty(), "no crash is tried at {unknown:?}");
}
