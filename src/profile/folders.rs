//! Finds the folders that a glob stands for.
//!
//! Reads the folders on the way to them, as a shell does: `*`, `?` and `[ab]` hold within one name and do
//! not match a hidden one unless the pattern begins with its dot; `**` stands for any number of folders,
//! hidden ones and links left out. Names need not be Unicode.

use glob::{MatchOptions, Pattern, PatternError};
use std::path::{Component, Path, PathBuf};

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// One component of a pattern.
enum Step {
    /// To be joined as it is: a plain name, `/`, `..`.
    Plain(PathBuf),
    Wild(Pattern),
    /// `**`
    AnyDepth,
}

/// The folders that match `pattern`, an absolute path, in no order, some perhaps twice. Folders that cannot
/// be listed have none. Fails when the pattern is none.
pub fn matching_folders(pattern: &str) -> Result<Vec<PathBuf>, PatternError> {
    let steps: Vec<Step> = Path::new(pattern)
        .components()
        .map(step)
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    walk(PathBuf::new(), &steps, &mut found);
    Ok(found)
}

fn step(component: Component<'_>) -> Result<Step, PatternError> {
    let name = component.as_os_str().to_string_lossy();
    Ok(match component {
        Component::Normal(_) if name == "**" => Step::AnyDepth,
        Component::Normal(_) if name.contains(['*', '?', '[']) => Step::Wild(Pattern::new(&name)?),
        other => Step::Plain(PathBuf::from(&other)),
    })
}

fn walk(folder: PathBuf, steps: &[Step], found: &mut Vec<PathBuf>) {
    let Some((first, rest)) = steps.split_first() else {
        if folder.is_dir() {
            found.push(folder);
        }
        return;
    };
    match first {
        Step::Plain(name) => walk(folder.join(name), rest, found),
        Step::Wild(pattern) => {
            for entry in entries(&folder) {
                let name = entry.file_name();
                if pattern.matches_with(&name.to_string_lossy(), OPTIONS) {
                    walk(entry.path(), rest, found);
                }
            }
        }
        Step::AnyDepth => {
            for entry in entries(&folder) {
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    walk(entry.path(), steps, found);
                }
            }
            walk(folder, rest, found);
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}
