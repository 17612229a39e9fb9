//! One bad file costs that file: whatever it does to the worker that has it in hand.

use crate::world::{BARE, Ran, World};
use serde_json::Value;

/// Builds `p.toml` into `o` with something going wrong in the program.
fn build(world: &World, failpoints: &str, flags: &[&str]) -> Ran {
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    arguments.extend(flags);
    let mut command = world.command(&arguments);
    command.env("FAILPOINTS", failpoints);
    crate::world::finish(command.spawn().expect("starts"))
}

fn quarantined(summary: &Value) -> Vec<&str> {
    let list = summary["quarantined"].as_array().expect("a list");
    list.iter()
        .map(|entry| entry["path"].as_str().expect("a path"))
        .collect()
}

#[test]
fn a_file_that_aborts_its_worker_is_left_out() {
    let world = World::corpus(2, 12);
    let ran = build(
        &world,
        "worker::prepare=return(abort@dir1/file1)",
        &["--shard-workers", "2"],
    );
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let summary = ran.last_line();
    assert_eq!(summary["files"], 22, "{summary}");
    assert_eq!(quarantined(&summary).len(), 2, "{summary}");
    world.verified("o-sharded/p");
    // Once the cause is gone, so is the gap.
    let healed = world.build("o", &["--rebuild"]);
    assert_eq!(healed["digest"], world.build("f", &[])["digest"]);
}
