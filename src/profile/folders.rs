//! Finds the folders that match a glob.
//!
//! Lists the folders on the way to them, as a shell does: `*`, `?` and `[ab]` match within one name, and match a hidden one
//! only if the pattern starts with the dot; `**` matches any number of folders except hidden ones and links. Names need not be
//! Unicode.

use glob::{MatchOptions, Pattern, PatternError};
use std::path::{Component, Path, PathBuf};

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// One component of a pattern.
enum Step {
    /// Joined as it is: a plain name, `/`, `..`.
    Plain(PathBuf),
    Wild(Pattern),
    /// `**`
    AnyDepth,
}

/// Return the folders that match `pattern`, an absolute path, in no order, some perhaps twice. Folders that cannot be listed
/// are skipped.
///
/// # Errors
/// If the pattern is invalid.
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
