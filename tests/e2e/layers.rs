//! Imports point downwards, and each outside crate has one door. The table is that of
//! docs/architecture.md.

use std::fs;
use std::path::Path;

/// Layers from the bottom up. Modules of one layer never import each other, but for those of the two
/// lowest, which are plain values.
const LAYERS: [&[&str]; 6] = [
    &[
        "credential",
        "failpoint",
        "ids",
        "vector",
        "file",
        "named_file",
        "platform",
        "terminal",
        "profile",
    ],
    &["plan", "watchdog", "chunk", "tag", "protocol", "report"],
    &["scan", "gpu", "encode", "store", "progress"],
    &["supervisor", "worker", "publish"],
    &["cli", "exit_code", "telemetry", "commands"],
    &["main"],
];

/// Crates and the only modules that may name them.
const DOORS: [(&str, &[&str]); 14] = [
    ("aho_corasick", &["credential"]),
    ("rusqlite", &["store"]),
    ("half", &["encode"]),
    ("ort", &["encode"]),
    ("tokenizers", &["encode"]),
    ("clap", &["cli"]),
    ("indicatif", &["progress"]),
    ("fail", &["failpoint"]),
    ("nvml_wrapper", &["gpu"]),
    ("tree_sitter", &["chunk"]),
    ("walkdir", &["scan"]),
    // Opening files without following links is the walk's own craft.
    ("rustix", &["platform", "scan"]),
    ("dunce", &["platform"]),
    ("sysinfo", &["platform"]),
];

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("module {module} is in no layer"))
}

/// Every source file with the top-level module it belongs to.
fn sources() -> Vec<(String, String, String)> {
    fn visit(folder: &Path, module: Option<&str>, found: &mut Vec<(String, String, String)>) {
        for entry in fs::read_dir(folder).expect("lists").flatten() {
            let path = entry.path();
            let stem = path
                .file_stem()
                .expect("named")
                .to_string_lossy()
                .into_owned();
            let module = module.unwrap_or(&stem);
            if path.is_dir() {
                visit(&path, Some(module), found);
            } else if path.extension().is_some_and(|e| e == "rs") && stem != "lib" {
                let text = fs::read_to_string(&path).expect("text");
                found.push((module.to_owned(), path.display().to_string(), text));
            }
        }
    }
    let mut found = Vec::new();
    visit(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        None,
        &mut found,
    );
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The top-level modules that code names as `crate::module` or in `crate::{module, other::Thing}`.
fn imports(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            None => found.push(name_at(rest)),
            Some(group) => found.extend(members(group)),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The name at the start of the text.
fn name_at(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// The names at the start of each part of a group, up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let mut names = vec![name_at(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name_at(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

#[test]
fn grouped_imports_are_seen() {
    let code =
        "use crate::{gpu, plan::{Mode, Plan},\n    store::query as q};\nlet x = crate::ids::of(1);";
    assert_eq!(imports(code), ["gpu", "plan", "store", "ids"]);
    assert_eq!(
        imports("pub(crate) fn f() {} use crate::{self_named,};"),
        ["self_named"]
    );
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn imports_point_downwards() {
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        let layer = layer_of(&module);
        let code = code_lines(&text).collect::<Vec<_>>().join("\n");
        for name in imports(&code).into_iter().filter(|name| *name != module) {
            let known = LAYERS.iter().any(|layer| layer.contains(&name));
            let allowed = known
                && match layer_of(name) {
                    below if below < layer => true,
                    same if same == layer => layer < 2 || layer == 4,
                    _ => false,
                };
            if !allowed {
                wrong.push(format!("{path}: crate::{name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_outside_crate_has_one_door() {
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        for line in code_lines(&text) {
            for (name, doors) in DOORS {
                let used = line
                    .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .any(|w| w == name);
                let is_path = line.contains(&format!("{name}::"));
                if used && is_path && !doors.contains(&module.as_str()) {
                    wrong.push(format!("{path}: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, _, text)| !text.starts_with("//!"))
        .map(|(_, path, _)| path)
        .filter(|path| !path.ends_with("tests.rs"))
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}
