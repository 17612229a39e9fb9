//! Turns the flags that restrict answers into a [`Filter`].

use crate::cli::QueryArgs;
use crate::exit_code::{Exit, ExitCode};
use crate::file;
use crate::language;
use crate::platform;
use crate::profile::literal;
use crate::search::{Filter, PathFilter, Unmatched};
use std::path::{MAIN_SEPARATOR, Path};

/// Return what the flags restrict the answers to.
///
/// # Errors
/// [`ExitCode::Usage`] for a bad pattern.
pub fn filter(args: &QueryArgs) -> anyhow::Result<Filter> {
    let bad = |error| Exit::error(ExitCode::Usage, format!("--path: {error}"));
    let here = std::env::current_dir().ok();
    let here = here.and_then(|here| platform::real_path(&here).ok());
    let path =
        |typed: &String| PathFilter::compile(typed, &absolute(typed, here.as_deref())).map_err(bad);
    let is_named = |name: &&String| !name.trim().is_empty();
    let shards = args.shard.iter().filter(is_named);
    let languages = args.lang.iter().filter(is_named);
    Ok(Filter {
        shards: shards.cloned().collect(),
        languages: languages.map(|name| language_name(name.trim())).collect(),
        paths: args.path.iter().map(path).collect::<Result<_, _>>()?,
    })
}

/// Return the name that the index has of a language: `python` for `Py`.
fn language_name(typed: &str) -> String {
    language::called(typed).map_or_else(|| typed.to_lowercase(), |it| it.name.to_owned())
}

/// Return the warning about path filters that match no file; `None` if each matches one.
pub fn unmatched(unmatched: &Unmatched, args: &QueryArgs) -> Option<String> {
    if unmatched.paths.is_empty() {
        return None;
    }
    let what = match args.shard.is_empty() {
        true => "the index",
        false => "these shards",
    };
    let roots = match unmatched.roots.is_empty() {
        true => String::new(),
        false => format!(
            "; paths count from the root ({}) or from the working directory",
            super::listed(&unmatched.roots)
        ),
    };
    let typed = unmatched.paths.join(", --path ");
    Some(format!("no file in {what} matches --path {typed}{roots}"))
}

/// Return patterns on absolute paths for a path that is typed as hits print it: absolute, or from the working directory.
fn absolute(typed: &str, here: Option<&Path>) -> Vec<String> {
    let mut patterns = Vec::new();
    if let Ok(real) = platform::real_path(Path::new(typed)) {
        patterns.push(literal(&spelled(&real)));
    }
    if Path::new(typed).is_absolute() {
        patterns.push(joined("", typed));
    } else if let Some(here) = here {
        patterns.push(joined(&literal(&spelled(here)), typed));
    }
    patterns.retain(|pattern| !pattern.trim_matches('/').is_empty());
    patterns
}

/// Return a folder as the index spells it, with `/` between folders.
fn spelled(path: &Path) -> String {
    let text = file::root_spelling(path);
    match MAIN_SEPARATOR {
        '/' => text.into_owned(),
        other => text.replace(other, "/"),
    }
}

/// Append `typed` to `folder`, without the components `.` and `..`.
fn joined(folder: &str, typed: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(typed.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_usual_names() {
        for (typed, name) in [
            ("JS", "javascript"),
            ("ts", "typescript"),
            ("py", "python"),
            ("rs", "rust"),
            ("c++", "cpp"),
            ("C#", "csharp"),
            ("sh", "shell"),
            ("C", "c"),
            ("Klingon", "klingon"),
        ] {
            assert_eq!(language_name(typed), name);
        }
    }

    #[test]
    fn paths_are_joined_without_dots() {
        for (folder, typed, path) in [
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "./c/", "/a/b/c"),
            ("/a/b", "../c/*.rs", "/a/c/*.rs"),
            ("", "/x//y/.", "/x/y"),
            ("/a", "../..", "/"),
        ] {
            assert_eq!(joined(folder, typed), path);
        }
    }
}
