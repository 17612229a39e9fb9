//! Imports point downwards, and each outside crate has one door, as in the tables of docs/architecture.md.

use std::fs;
use std::path::Path;

/// Layers from the bottom up. Modules of one layer never import each other, but for those of the two
/// lowest, which are plain values, those of a request and those of the commands. A module of a module is listed where its parts are
/// on layers of their own.
const LAYERS: [&[&str]; 9] = [
    &[
        "batch",
        "credential",
        "device",
        "failpoint",
        "failure",
        "ids",
        "vector",
        "file",
        "language",
        "named_file",
        "platform",
        "random",
        "test_folder",
        "terminal",
        "words",
        "profile",
    ],
    &[
        "plan",
        "artifact",
        "chunk",
        "text",
        "tag",
        "protocol",
        "report",
        "ranking",
        "evaluation",
        "http",
    ],
    &["scan", "gpu", "encode", "store", "progress", "hub"],
    &["search", "verify", "engine::watchdog"],
    &[
        "engine::control",
        "engine::driver",
        "engine::error",
        "engine::output",
        "engine::request",
        "serve",
    ],
    &["engine::supervisor", "engine::worker"],
    &["engine"],
    &["cli", "exit_code", "telemetry", "commands"],
    &["main"],
];

/// Whether modules of this layer may import each other.
fn is_open(layer: usize) -> bool {
    let open = ["commands", "engine::request"];
    layer < 2 || open.iter().any(|module| LAYERS[layer].contains(module))
}

/// Crates and the only modules that may name them.
const DOORS: [(&str, &[&str]); 27] = [
    ("aho_corasick", &["credential"]),
    ("chardetng", &["text"]),
    ("rusqlite", &["store", "verify"]),
    ("half", &["encode"]),
    ("ort", &["encode"]),
    ("tokenizers", &["encode"]),
    ("clap", &["cli"]),
    ("indicatif", &["progress"]),
    ("fail", &["failpoint"]),
    ("nvml_wrapper", &["gpu"]),
    ("tree_sitter", &["chunk"]),
    ("walkdir", &["scan"]),
    ("gix_attributes", &["scan"]),
    ("gix_config", &["profile", "scan"]),
    ("gix_glob", &["scan"]),
    ("gix_hash", &["hub"]),
    ("gix_ignore", &["scan"]),
    ("gix_index", &["scan"]),
    // Opening files without following links is the walk's own craft.
    ("rustix", &["platform", "scan"]),
    ("dunce", &["platform"]),
    ("sysinfo", &["platform"]),
    ("tokio", &["serve"]),
    ("hyper", &["serve"]),
    ("hyper_util", &["serve"]),
    ("http_body_util", &["serve"]),
    ("rmcp", &["serve"]),
    ("ureq", &["encode", "http", "hub"]),
];

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("module {module} is in no layer"))
}

/// The listed module that a path of modules belongs to: `engine::worker::sink` is `engine::worker`'s.
fn listed(path: &str) -> &str {
    let is_in = |module: &str| {
        let rest = path.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let known = LAYERS.iter().copied().flatten().copied();
    let found = known.filter(|module| is_in(module)).max_by_key(|m| m.len());
    found.unwrap_or(path)
}

/// Every source file with the listed module it belongs to.
fn sources() -> Vec<(String, String, String)> {
    fn visit(folder: &Path, module: &str, found: &mut Vec<(String, String, String)>) {
        for entry in fs::read_dir(folder).expect("lists").flatten() {
            let path = entry.path();
            let stem = path.file_stem().expect("named").to_string_lossy();
            let inner = match module {
                "" => stem.into_owned(),
                module => format!("{module}::{stem}"),
            };
            if path.is_dir() {
                visit(&path, &inner, found);
            } else if path.extension().is_some_and(|e| e == "rs") && inner != "lib" {
                let text = fs::read_to_string(&path).expect("text");
                found.push((listed(&inner).to_owned(), path.display().to_string(), text));
            }
        }
    }
    let mut found = Vec::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    visit(&sources, "", &mut found);
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The listed modules that code names as `crate::module` or in `crate::{module, other::Thing}`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        expand("", &code[at + start.len()..], &mut found);
    }
    let mut found: Vec<String> = found.iter().map(|path| listed(path).to_owned()).collect();
    found.retain(|name| !name.is_empty());
    found
}

/// Adds the paths of up to two names that `text` begins with, those of a group one by one.
fn expand(outer: &str, text: &str, found: &mut Vec<String>) {
    if let Some(group) = text.strip_prefix('{') {
        return members(group).for_each(|member| expand(outer, member, found));
    }
    let name = name_at(text);
    let rest = text.trim_start()[name.len()..].strip_prefix("::");
    match (outer, rest) {
        ("", Some(rest)) => expand(name, rest, found),
        ("", None) => found.push(name.to_owned()),
        (outer, _) => found.push(format!("{outer}::{name}")),
    }
}

/// The name at the start of the text.
fn name_at(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// The parts of a group, up to its closing brace, each with what follows it.
fn members(group: &str) -> impl Iterator<Item = &str> {
    let mut starts = vec![0];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts.into_iter().map(|start| &group[start..])
}

#[test]
fn grouped_imports_are_seen() {
    let code =
        "use crate::{gpu, plan::{Mode, Plan},\n    store::query as q};\nlet x = crate::ids::of(1);";
    assert_eq!(imports(code), ["gpu", "plan", "plan", "store", "ids"]);
    let code =
        "use crate::engine::{self, worker, supervisor::{State, child}}; crate::engine::job::task()";
    assert_eq!(
        imports(code),
        ["engine", "engine::worker", "engine::supervisor", "engine"]
    );
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
            let known = LAYERS.iter().any(|layer| layer.contains(&name.as_str()));
            let allowed = known
                && match layer_of(&name) {
                    below if below < layer => true,
                    same if same == layer => is_open(layer),
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
        let top = module.split("::").next().unwrap_or(&module);
        for line in code_lines(&text).filter(|line| line.contains("::")) {
            for (before, _) in line.match_indices("::") {
                let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let name = line[..before].rsplit(|c| !is_of_name(c)).next();
                let door = DOORS.iter().find(|(door, _)| Some(*door) == name);
                if door.is_some_and(|(_, doors)| !doors.contains(&top)) {
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
