//! Replays inputs that fuzzing has found (tests/regressions), and some files of the repository, with the checks of the
//! fuzzing targets.

#[path = "../fuzz/checks/mod.rs"]
mod checks;

use std::fs;
use std::path::{Path, PathBuf};

/// Files of the repository that every target is given besides its findings.
const SEEDS: [&str; 5] = [
    "Cargo.toml",
    "profiles/demo.toml",
    "src/chunk/tests/any_text.rs",
    ".ci/run",
    "README.md",
];

fn replay(target: &str, check: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = SEEDS.iter().map(|seed| root.join(seed)).collect();
    let findings = root.join("tests/regressions").join(target);
    if let Ok(entries) = fs::read_dir(findings) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    for file in files {
        // Shown when the check panics; when it ends the process, with --nocapture.
        println!("{target}: {}", file.display());
        check(&fs::read(&file).expect("readable"));
    }
}

/// `check` for every first line or byte that it may be given before a file.
fn with_heads<'a>(
    heads: impl Iterator<Item = Vec<u8>> + Clone + 'a,
    check: fn(&[u8]),
) -> impl Fn(&[u8]) + 'a {
    move |data| {
        check(data);
        for head in heads.clone() {
            check(&[head.as_slice(), data].concat());
        }
    }
}

#[test]
fn any_file_is_decoded_and_cut() {
    let heads = (0..checks::chunker::EXTENSIONS.len() as u8).map(|n| vec![n, 60]);
    replay("chunker", with_heads(heads, checks::chunker::check));
}

#[test]
fn any_bytes_on_a_pipe_are_refused_or_read() {
    replay("frames", checks::frames::check);
}

#[test]
fn any_path_stays_below_its_root() {
    let heads = ["src/a.rs\0", "a\\xFF/\\\\x5C.B\0", "../a\0", "/a//b\0"];
    let odd = b"a\xff/\xf0\x9f\\xFF.\xe9\0".to_vec();
    let heads = heads
        .into_iter()
        .map(|head| head.as_bytes().to_vec())
        .chain([odd]);
    replay("paths", with_heads(heads, checks::paths::check));
}

#[test]
fn any_profile_is_read_or_refused() {
    replay("profile", checks::profile::check);
}

#[test]
fn any_text_is_tagged() {
    let heads = [
        "a.rs\n",
        "b/c.py\n",
        "d.md\n",
        "e.toml\n",
        "f.sh\n",
        "LICENSE\n",
    ];
    let heads = heads.into_iter().map(|head| head.as_bytes().to_vec());
    replay("tagger", with_heads(heads, checks::tagger::check));
}
