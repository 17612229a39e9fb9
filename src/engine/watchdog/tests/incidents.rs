//! Incidents from files have the outcome that each file states.

use crate::engine::watchdog::incident::Scenario;
use crate::engine::watchdog::simulator::{Outcome, Simulator};
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> Scenario {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn show(path: &Path, scenario: &Scenario, outcome: &Outcome) -> String {
    let events = outcome.events.iter();
    let events: Vec<_> = events
        .map(|(batch, event)| format!("  batch {batch}, {:.0} s: {event}\n", event.at_s))
        .collect();
    let hours = outcome.took.as_secs_f64() / 3600.0;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "{name}\n{}\n  {} batches, {hours:.2} hours\n{}",
        scenario.about.trim(),
        outcome.batches,
        events.concat()
    )
}

/// Every file of `tests/incidents`, and the one that `HELIX_TEST_INCIDENT` names.
#[test]
fn incidents_have_the_stated_outcome() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/incidents");
    let entries = fs::read_dir(&folder).expect("the incidents").flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    assert!(paths.len() >= 20, "{}", paths.len());
    paths.extend(std::env::var_os("HELIX_TEST_INCIDENT").map(PathBuf::from));
    let mut wrong = Vec::new();
    for path in paths {
        let scenario = read(&path);
        match Simulator::new(&scenario).run() {
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
            Ok(outcome) => {
                println!("{}", show(&path, &scenario, &outcome));
                if let Err(error) = scenario.expect.check(&outcome) {
                    wrong.push(format!("{}\n{error}", show(&path, &scenario, &outcome)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
