//! Any path is read back as it was, and stays below its root; any text is a list of patterns.

use helix_build::file::RelPath;
use helix_build::profile::{Patterns, slug, unique_labels};
use helix_build::scan::{RuleList, secret_pattern};
use std::path::Path;

/// `data` is a path and, behind a NUL, the text of a rule file.
pub fn check(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == 0);
    let (path, rules) = data.split_at(at.unwrap_or(data.len()));
    let text = String::from_utf8_lossy(path);
    let paths = [
        RelPath::try_from(path.to_vec()).ok(),
        RelPath::from_spelling(&text),
        on_disk(path),
    ];
    for path in paths.iter().flatten() {
        sound(path);
        let _ = secret_pattern(path);
    }
    let label = slug(&text);
    assert_eq!(slug(&label), label);
    let labels = unique_labels(&[label.clone(), label.clone(), label]);
    assert!(
        labels
            .iter()
            .all(|label| slug(label) == *label || label.len() > 64)
    );
    patterns(rules, paths[0].as_ref());
}

fn sound(path: &RelPath) {
    let bytes = path.as_bytes();
    let mut names = bytes.split(|byte| *byte == b'/');
    assert!(
        names.all(|name| !matches!(name, b"" | b"." | b"..")),
        "{path:?}"
    );
    assert_eq!(
        RelPath::from_spelling(&path.spelling()).as_ref(),
        Some(path)
    );
    assert!(bytes.ends_with(path.file_name()) && !path.file_name().contains(&b'/'));
    let extension = path.extension();
    assert!(!extension.contains(['.', '/']) && extension == extension.to_ascii_lowercase());
    // Windows has names that mean something else there.
    if cfg!(unix) {
        let root = Path::new("/r");
        assert_eq!(
            RelPath::below(root, &path.on_disk(root)).as_ref(),
            Some(path)
        );
    }
}

/// The path as a walk would find it.
#[cfg(unix)]
fn on_disk(path: &[u8]) -> Option<RelPath> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    RelPath::below(Path::new("/r"), &Path::new("/r").join(path))
}

#[cfg(not(unix))]
fn on_disk(_: &[u8]) -> Option<RelPath> {
    None
}

/// The lines of `rules` as patterns of a profile and as `.gitignore` rules, asked about `path`.
fn patterns(rules: &[u8], path: Option<&RelPath>) {
    let root = Path::new("/r");
    let path = path.map_or_else(|| root.join("a/b.rs"), |path| path.on_disk(root));
    let ignore = RuleList::parse(rules, &root.join(".gitignore"));
    let below = RelPath::below(root, &path).expect("below");
    for is_folder in [false, true] {
        assert_eq!(
            ignore.says(&below, is_folder),
            ignore.says(&below, is_folder)
        );
    }
    let text = String::from_utf8_lossy(rules);
    let lines: Vec<&str> = text.lines().collect();
    if let Ok(patterns) = Patterns::compile(lines.iter().copied()) {
        let below = path.strip_prefix(root).expect("below");
        for found in [patterns.matching(below), patterns.matching_or_above(below)] {
            assert!(
                found.is_none_or(|typed| lines.contains(&typed)),
                "{found:?}"
            );
        }
    }
}
