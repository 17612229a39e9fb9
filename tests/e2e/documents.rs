//! Compares the documentation with the program: JSON fields, command lines, profiles, links, numbers.

mod commands;
mod links;
pub mod pages;

use crate::world::{BARE, World};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Names of fields, of objects inside as well, but for those under keys that are data.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, inside) in object {
                found.insert(name.clone());
                // Reasons by number of files; the documents list reasons elsewhere.
                if name != "skipped" && name != "ranks" {
                    fields(inside, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        _ => {}
    }
}

/// Otherwise the first command of the README ends with a missing root wherever nothing else has fetched the crate.
#[test]
fn the_crates_of_the_demo_are_fetched_by_building_the_program() {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let read = |name: &str| fs::read_to_string(format!("{manifest}/{name}")).expect("readable");
    let (profile, lock) = (read("profiles/demo.toml"), read("Cargo.lock"));
    let roots = profile.split("/registry/src/*/").skip(1);
    let crates: Vec<&str> = roots.filter_map(|root| root.split('"').next()).collect();
    assert_eq!(crates.len(), 8);
    for pattern in crates {
        let (name, version) = pattern.rsplit_once('-').expect("a name and a version");
        let version = version.strip_suffix('*').expect("any of a version");
        let wanted = format!("name = \"{name}\"\nversion = \"{version}");
        assert!(lock.contains(&wanted), "{pattern} is not in Cargo.lock");
    }
}

#[test]
fn every_field_of_a_json_line_is_documented() {
    let world = World::corpus(2, 20);
    world.write("root0/.env", "SECRET=1\n".repeat(20));
    // Profile keys are fields of `profile check`.
    let page = |name: &str| {
        let path = pages::repository().join("docs/reference").join(name);
        fs::read_to_string(path).expect("the document")
    };
    let text: &'static str = (page("json.md") + &page("profile.md")).leak();
    // What stands between backticks.
    let code = text.split('`').skip(1).step_by(2);
    let words = |code: &'static str| code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names: BTreeSet<&str> = code.flat_map(words).collect();
    let flags = ["--profile", "p.toml", "--out-dir", "o", "--json"];
    let build = [&flags[..], &BARE].concat();
    let mut lines = world.run(&[&["plan"], &build[..]].concat()).lines();
    let ran = world.run(&[&build[..], &["--progress", "json"]].concat());
    lines.extend(ran.lines());
    lines.extend(
        ran.stderr
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON")),
    );
    lines.extend(
        world
            .run(&["query", "o", "gadget", "--mode", "lexical", "--json"])
            .lines(),
    );
    for more in [["--files"].as_slice(), &["--context", "3"]] {
        let query = ["query", "o", "gadget", "--mode", "lexical", "--json"];
        lines.extend(world.run(&[&query, more].concat()).lines());
    }
    lines.extend(world.run(&["encode", "gadget", "--json"]).lines());
    lines.extend(world.run(&["init", "root0", "--json"]).lines());
    lines.extend(world.run(&["verify", "o", "--json"]).lines());
    lines.extend(world.run(&["verify", "nowhere", "--json"]).lines());
    lines.extend(world.run(&["version", "--json"]).lines());
    lines.extend(world.run(&["profile", "check", "p.toml", "--json"]).lines());
    let types: BTreeSet<_> = lines.iter().map(|l| l["type"].to_string()).collect();
    assert!(types.len() >= 14, "{types:?}");
    let mut found = BTreeSet::new();
    lines.iter().for_each(|line| fields(line, &mut found));
    let missing: Vec<_> = found
        .iter()
        .filter(|f| !names.contains(f.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/reference/json.md: {missing:?}"
    );
}

#[test]
fn each_command_has_a_manual_page() {
    let world = World::new();
    let page = world.run(&["man", "models", "prepare"]);
    assert_eq!(page.code, Some(0), "{page:?}");
    assert!(page.stdout.contains("quantize"), "{page:?}");
    assert!(page.stdout.contains("EXIT STATUS"), "{page:?}");
    let none = world.run(&["man", "nothing"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("no command `nothing`"), "{none:?}");
}
