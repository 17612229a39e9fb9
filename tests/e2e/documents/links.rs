//! Links between pages, the table of contents, and numbers that stand in several places.

use super::pages::{pages, repository};
use crate::world::files_below;
use helix_build::exit_code::ExitCode;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Targets of the links in a text.
fn links(text: &str) -> Vec<&str> {
    let starts = text.split("](").skip(1);
    starts.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<_, _> = pages
        .iter()
        .map(|page| (repository().join(&page.name), page.anchors()))
        .collect();
    for page in &pages {
        let prose = page.prose();
        for link in links(&prose)
            .into_iter()
            .filter(|link| !link.contains("://"))
        {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => repository().join(&page.name),
                file => page.folder().join(file),
            };
            let path = path.canonicalize();
            let path = path.unwrap_or_else(|error| panic!("{}: {link}: {error}", page.name));
            if !anchor.is_empty() {
                let anchors = anchors
                    .get(&path)
                    .unwrap_or_else(|| panic!("{}: {link}", page.name));
                assert!(
                    anchors.iter().any(|a| a == anchor),
                    "{}: {link}: {anchors:?}",
                    page.name
                );
            }
        }
    }
}

/// Pages name sources as they are seen from `src`, or from the repository.
#[test]
fn every_source_that_a_page_names_exists() {
    let mut missing = Vec::new();
    for page in pages() {
        let code = page.text.split('`').skip(1).step_by(2);
        for name in code.filter(|name| name.ends_with(".rs") && !name.contains(' ')) {
            let folders = ["src", "", "tests/e2e"].map(|folder| repository().join(folder));
            if !folders.iter().any(|folder| folder.join(name).is_file()) {
                missing.push(format!("{}: {name}", page.name));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_table_of_contents_lists_every_page_once() {
    let summary = fs::read_to_string(repository().join("docs/SUMMARY.md")).expect("the contents");
    let mut listed = links(&summary);
    listed.sort_unstable();
    let all = pages().into_iter().map(|page| page.name);
    let docs = all.filter_map(|name| Some(name.strip_prefix("docs/")?.to_owned()));
    let docs: Vec<_> = docs.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed, docs);
}

#[test]
fn the_documents_list_every_exit_code() {
    let page = fs::read_to_string(repository().join("docs/cli.md")).expect("the page");
    let (_, section) = page.split_once("## Exit codes").expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let numbers: BTreeSet<u8> = rows
        .filter_map(|row| row.split(' ').next()?.parse().ok())
        .collect();
    let known: BTreeSet<u8> = ExitCode::ALL.into_iter().map(|code| code as u8).collect();
    assert_eq!(numbers, known);
}

/// The version of ONNX Runtime stands in build.rs; whatever else names it names the same.
#[test]
fn every_mention_of_the_runtime_has_one_version() {
    let build = fs::read_to_string(repository().join("build.rs")).expect("build.rs");
    let (_, rest) = build
        .split_once("const VERSION: &str = \"")
        .expect("the version");
    let version = rest.split('"').next().expect("its end");
    let mut n_mentions = 0;
    let mut check = |name: &str, text: &str| {
        // `onnxruntime==1.2.3`, `onnxruntime-gpu[cuda]==1.2.3`, `libonnxruntime.so.1.2.3`
        for rest in text.split("onnxruntime").skip(1) {
            let word = rest
                .split([' ', '"', '`', '\n', ')'])
                .next()
                .unwrap_or_default();
            let stated = word.split_once("==").or(word.split_once(".so."));
            let stated = stated.map(|(_, stated)| stated.trim_end_matches([',', ';', '\\']));
            if let Some(stated) = stated.filter(|s| s.starts_with(|c: char| c.is_ascii_digit())) {
                n_mentions += 1;
                assert_eq!(stated, version, "{name}");
            }
        }
    };
    for page in pages() {
        check(&page.name, &page.text);
    }
    for name in [
        "build.rs",
        "tests/reference/requirements.txt",
        "tools/gpu_check.py",
        ".github/workflows/release.yml",
    ] {
        check(
            name,
            &fs::read_to_string(repository().join(name)).expect(name),
        );
    }
    assert!(n_mentions >= 5, "{n_mentions}");
}

/// docs/reliability.md names a test for each promise: a module of tests/e2e, or of src.
#[test]
fn every_promise_names_a_test_that_exists() {
    let page = fs::read_to_string(repository().join("docs/reliability.md")).expect("the page");
    let sources = files_below(&repository().join("src"));
    let tests = files_below(&repository().join("tests"));
    let is_there = |name: &str| {
        let path = name.replace("::", "/");
        // The last word may be a function, or a module in its file.
        let outer = path
            .rsplit_once('/')
            .map_or(path.as_str(), |(outer, _)| outer);
        let ends = [
            format!("{path}.rs"),
            format!("{path}/mod.rs"),
            format!("{outer}.rs"),
            format!("{outer}/mod.rs"),
        ];
        let is_end = |file: &String| {
            ends.iter()
                .any(|end| file == end || file.ends_with(&format!("/{end}")))
        };
        sources.iter().any(is_end)
            || tests.contains(&format!("e2e/{path}.rs"))
            || repository().join(name).exists()
    };
    let mut n_named = 0;
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise"))
    {
        let cells: Vec<_> = row.split(" | ").collect();
        if cells.len() != 3 {
            continue;
        }
        for name in cells[1]
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| *name != "promtool")
        {
            n_named += 1;
            assert!(is_there(name), "{name}");
        }
    }
    assert!(n_named > 60, "{n_named}");
}
