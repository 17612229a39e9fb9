//! Builds on a device, simulated by the CPU: everything except the execution provider is the same as on a device.

#[cfg(target_os = "linux")]
use crate::running_build::{RunningBuild, arguments};
use crate::world::{Ran, World, count, finish};
use serde_json::Value;

/// Makes the program take the CPU for a device.
const PRETEND: &str = "encode::device=return(skip)";

/// A build into `out`, on the device if the flags do not say otherwise, where this goes wrong as well.
fn build(world: &World, out: &str, flags: &[&str], failpoints: &str) -> Ran {
    let mut build = world.encoded_build(out).args(flags);
    if !flags.contains(&"--batch-size") {
        // The CPU takes most of its time for rows that fill batches up.
        build = build.args(["--batch-size", "4"]);
    }
    let mut command = build.command();
    command.env("FAILPOINTS", format!("{PRETEND};{failpoints}"));
    finish(command.spawn().expect("starts"))
}

fn on_device(world: &World, out: &str, flags: &[&str], failpoints: &str) -> Value {
    let flags = [&["--device", "cuda"], flags].concat();
    build(world, out, &flags, failpoints).summary()
}

/// What is recorded of a segment's device, in all shards of an index.
fn recorded(world: &World, index: &str) -> Vec<String> {
    let shards = world.run(&["inspect", index, "--json"]).lines();
    let segments = shards.iter().flat_map(|shard| {
        let segments = shard["segments"].as_array().expect("a list").clone();
        segments
            .into_iter()
            .map(|segment| segment["device"].clone())
    });
    let mut devices: Vec<_> = segments
        .map(|device| device.as_str().expect("a name").to_owned())
        .collect();
    devices.sort();
    devices.dedup();
    devices
}

/// Chunks of the index, picked at random and encoded on the CPU one by one, have the same vectors within rounding.
fn reencodes(world: &World, index: &str, n_chunks: &str) {
    let ran = world.run(&[
        "verify",
        index,
        "--reencode",
        n_chunks,
        "--seed",
        "1",
        "--json",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_build_on_a_device_is_that_of_the_cpu_within_rounding() {
    let world = World::corpus(2, 25);
    let summary = on_device(&world, "o", &[], "");
    assert_eq!(summary["devices"], serde_json::json!(["cuda:0"]));
    assert_eq!(recorded(&world, "o-sharded/p"), ["cuda:0"]);
    let fill = summary["batch_fill"].as_f64().expect("a number");
    assert!(fill > 0.0 && fill < 1.0, "{fill}");
    reencodes(&world, "o-sharded/p", "60");
}

#[test]
fn on_a_device_too_nothing_depends_on_workers_batches_or_deaths() {
    let world = World::corpus(2, 9);
    let digest = |out: &str, flags: &[&str], failpoints: &str, deaths: usize| {
        let flags = [&["--device", "cuda"], flags].concat();
        let ran = build(&world, out, &flags, failpoints);
        assert!(ran.stderr.matches(" died: ").count() >= deaths, "{ran:?}");
        let summary = ran.summary();
        assert_eq!(summary["quarantined"], serde_json::json!([]), "{summary}");
        summary["digest"].clone()
    };
    let one = digest("one", &["--shard-workers", "1"], "", 0);
    for workers in ["3", "2"].into_iter().take(count(1, 2) as usize) {
        let files = ["--shard-workers", workers, "--shard-file-workers", "3"];
        assert_eq!(digest(workers, &files, "", 0), one);
    }
    for batch in ["7", "1", "32"].into_iter().take(count(1, 3) as usize) {
        let out = format!("batch{batch}");
        assert_eq!(
            digest(&out, &["--batch-size", batch], "", 0),
            one,
            "{batch}"
        );
    }
    // Without threads for it, files are prepared one after the other.
    assert_eq!(digest("serial", &[], "worker::pool=return(skip)", 0), one);
    // One transaction a file, and workers that die behind every fourth. What is committed may not have been told.
    let dying = "sink::group=return(skip);sink::committed=3*off->return(abort)";
    assert_eq!(digest("dying", &["--shard-workers", "1"], dying, 3), one);
}

#[test]
fn a_file_that_kills_is_found_among_those_encoded_with_it() {
    let world = World::corpus(1, 9);
    let flags = ["--device", "cuda", "--shard-workers", "1"];
    let killer = "worker::encode=return(abort@file4.js)";
    let one = build(&world, "o", &flags, killer).summary();
    assert_eq!(one["quarantined"][0]["path"], "dir4/file4.js", "{one}");
    assert_eq!(one["quarantined"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["files"], 8);
}

#[test]
fn a_device_that_is_lost_is_no_files_fault() {
    let world = World::corpus(1, 6);
    // Opening takes ten runs.
    let lost = "encode::lost=10*off->return(skip)";
    let ran = build(
        &world,
        "o",
        &["--device", "cuda", "--shard-workers", "1"],
        lost,
    );
    // The ladder ends on the CPU, where the whole shard is done anew.
    let summary = ran.summary();
    assert!(ran.stderr.contains("lost"), "{ran:?}");
    assert_eq!(summary["quarantined"], serde_json::json!([]), "{summary}");
    assert_eq!(summary["files"], 6);
    assert_eq!(recorded(&world, "o-sharded/p"), ["cpu"]);
    world.verified("o-sharded/p");
}

#[test]
fn a_batch_is_halved_without_memory_and_exit_code_13_is_last() {
    let world = World::corpus(1, 20);
    let one = on_device(&world, "one", &[], "");
    let ran = build(
        &world,
        "half",
        &["--device", "cuda"],
        "encode::memory=return(skip@4x512)",
    );
    let half = ran.summary();
    assert!(ran.stderr.contains("halved"), "{ran:?}");
    assert_eq!(half["chunks"], one["chunks"]);
    reencodes(&world, "half-sharded/p", "30");

    let ran = build(
        &world,
        "none",
        &["--device", "cuda"],
        "encode::memory=return(skip@dense)",
    );
    assert_eq!(ran.code, Some(13), "{ran:?}");
    assert!(ran.stderr.contains("no memory left on cuda:0"), "{ran:?}");
}

#[test]
fn each_kind_may_have_its_own_device() {
    let world = World::corpus(1, 12);
    let flags = ["--sparse-device", "cuda:0", "--dense-device", "cpu"];
    let summary = build(&world, "o", &flags, "").summary();
    let name = "sparse cuda:0, dense cpu";
    assert_eq!(summary["devices"], serde_json::json!([name]));
    assert_eq!(recorded(&world, "o-sharded/p"), [name]);
    reencodes(&world, "o-sharded/p", "30");
}

/// Two devices of which one is full, and every run becomes slow: only that one's encoder crawls.
#[cfg(target_os = "linux")]
#[test]
fn each_device_is_watched_by_its_own_memory() {
    const EARLY: usize = 30;
    let world = World::corpus(1, EARLY);
    for n in 0..20 {
        let text = format!("# Late {n}\n\nThe late text {n} comes when all runs are slow.\n");
        world.write(&format!("root0/late/{n}.md"), text.repeat(3));
    }
    // Both encoders learn their pace before the late files come, and the memory of both devices is known then.
    let failpoints = format!(
        "{PRETEND};sink::group=return(skip);worker::prepare=return(hold@late/);encode::took=return(1|150)"
    );
    for (full, encoder) in [("0", "sparse"), ("1", "dense")] {
        let probe = format!(
            "if [ \"$HELIX_DEVICE\" = {full} ]; then echo 12135 12288; else echo 4000 12288; fi"
        );
        let flags = [
            "--sparse-device=cuda:0",
            "--dense-device=cuda:1",
            "--batch-size=2",
            "--shard-workers=1",
            "--vram-probe",
            &probe,
            "--crawl-window=3",
            "--crawl-factor=10",
            "--crawl-action=off",
            "--progress=json",
        ];
        let out = format!("full{full}");
        let mut live = RunningBuild::start(&world, &arguments(&out, true, &flags), &failpoints);
        live.wait("the early files", |live| {
            let steps = live.steps();
            let committed = steps.iter().filter(|s| s.point == "sink::committed");
            (committed.count() >= EARLY).then_some(())
        });
        live.wait("the memory of both devices", |live| {
            let events = live.said().1;
            let is_known = |device: &&str| {
                let named = format!("\"device\":\"{device}\",\"memory\":{{");
                events.contains(&named)
            };
            ["cuda:0", "cuda:1"].iter().all(is_known).then_some(())
        });
        live.go();
        let (ran, _) = live.finish();
        let summary = ran.summary();
        let events = summary["watchdog"].as_array().expect("a list");
        let crawls: Vec<_> = events.iter().filter(|e| e["noticed"] == "crawl").collect();
        assert!(!crawls.is_empty(), "{ran:?}");
        for crawl in crawls {
            assert_eq!(crawl["device"], format!("cuda:{full}"), "{crawl}");
            assert_eq!(crawl["encoder"], encoder, "{crawl}");
        }
    }
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_profile() {
    let world = World::corpus(1, 2);
    let devices = |flags: &[&str], environment: &[(&str, &str)]| -> Vec<(String, String)> {
        let arguments = [&["plan", "--profile", "p.toml", "--json"], flags].concat();
        let mut command = world.command(&arguments);
        command.env("FAILPOINTS", PRETEND);
        command.envs(environment.iter().copied());
        let plan = finish(command.spawn().expect("starts")).last_line();
        let settings = plan["settings"].as_array().expect("a list").clone();
        let named = |name: &str| {
            let found = settings.iter().find(|s| s["name"] == name);
            let found = found.unwrap_or_else(|| panic!("no {name}"));
            let text = |key: &str| found[key].as_str().expect("text").to_owned();
            (text("value"), text("origin"))
        };
        vec![named("sparse-device"), named("dense-device")]
    };
    let pairs = |sparse: (&str, &str), dense: (&str, &str)| {
        let owned = |(value, origin): (&str, &str)| (value.to_owned(), origin.to_owned());
        vec![owned(sparse), owned(dense)]
    };
    assert_eq!(
        devices(&[], &[]),
        pairs(("cpu", "default"), ("cpu", "default"))
    );
    let profile = "roots = ['root0']\n[encoders]\ndevice = 'cuda'\ndense_device = 'cpu'\n";
    world.write("p.toml", profile);
    assert_eq!(
        devices(&[], &[]),
        pairs(("cuda:0", "profile"), ("cpu", "profile"))
    );
    let environment = [("HELIX_BUILD_SPARSE_DEVICE", "cuda:2")];
    assert_eq!(
        devices(&[], &environment),
        pairs(("cuda:2", "given"), ("cpu", "profile"))
    );
    assert_eq!(
        devices(&["--sparse-device", "cuda:3"], &environment),
        pairs(("cuda:3", "given"), ("cpu", "profile"))
    );
    // A flag for both is nearer than the profile's word on one.
    assert_eq!(
        devices(&["--device", "cuda:1"], &[]),
        pairs(("cuda:1", "given"), ("cuda:1", "given"))
    );
}

#[test]
fn a_device_that_is_not_there_is_13_and_says_what_is_missing() {
    let world = World::corpus(1, 2);
    let fails = |flags: &[&str], part: &str| {
        let ran = world.run(&[&["--profile", "p.toml"], flags].concat());
        assert_eq!(ran.code, Some(13), "{ran:?}");
        assert!(ran.stderr.contains(part), "{ran:?}");
    };
    world.write("lib.so", "text");
    fails(
        &["--device", "cuda", "--ort-lib", "lib.so"],
        "built for the CPU alone",
    );
    fails(
        &["--dense-device", "cuda", "--ort-lib", "lib.so"],
        "--device cpu",
    );
    let ran = world.run(&["--profile", "p.toml", "--dense-device", "tpu"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--dense-device"), "{ran:?}");
}

#[test]
fn a_precision_without_a_device_is_an_error_and_changes_nothing() {
    let world = World::corpus(1, 2);
    let fails = |flags: &[&str], code: i32, part: &str| {
        let ran = world.run(&[&["--profile", "p.toml"], flags].concat());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(part), "{ran:?}");
    };
    fails(&["--precision", "fp8"], 2, "fp32, tf32, fp16");
    fails(&["--precision", "fp16"], 2, "--precision fp16");
    assert!(!world.path("genomes-sharded").exists());
    let ran = world.run(&["--profile", "p.toml", "--precision", "fp32"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn an_index_of_another_precision_is_queried_and_checked_on_the_cpu() {
    let world = World::corpus(1, 4);
    for (file, bytes) in [
        (
            "model.onnx",
            &include_bytes!("../../assets/models/helix-sparse-mini.onnx")[..],
        ),
        (
            "tokenizer.json",
            &include_bytes!("../../assets/models/tokenizer.json")[..],
        ),
    ] {
        world.write(&format!("m/{file}"), bytes);
    }
    let models = ["--sparse-model", "m", "--dense-model", "none"];
    let built = |precision: &str| {
        let flags = ["--device", "cuda", "--precision", precision];
        build(&world, "o", &[&models[..], &flags].concat(), "")
    };
    let first = built("tf32");
    assert_eq!(first.code, Some(0), "{first:?}");
    // Another precision is another fingerprint.
    let other = built("fp32");
    assert_eq!(other.code, Some(12), "{other:?}");
    assert!(other.stderr.contains("precision tf32 -> fp32"), "{other:?}");
    let query = ["query", "o-sharded/p", "text", "--mode", "sparse"];
    let found = world.run(&[&query[..], &models].concat());
    assert_eq!(found.code, Some(0), "{found:?}");
    let verify = ["verify", "o-sharded/p", "--reencode", "10"];
    let checked = world.run(&[&verify[..], &models].concat());
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
