//! Finds the file of the rules that a user has for all repositories: git's `core.excludesFile`.
//!
//! Reads the configuration of the user and of the system, and files that they include without a condition.

use super::expand::Env;
use crate::named_file;
use gix_config::File;
use std::path::{Path, PathBuf};

/// Bytes of a configuration file at most.
const MOST_BYTES: u64 = 1 << 20;

/// How deep includes may be nested; git's limit is 10.
const MAX_DEPTH: usize = 10;

/// Return the file that holds the rules; by default it is `git/ignore` beside the user's configuration. `None` without a home
/// folder. The file need not exist.
pub fn global_excludes(env: Env<'_>) -> Option<PathBuf> {
    let variable = |name: &str| {
        env(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = variable("HOME").or_else(|| variable("USERPROFILE"));
    let of_user = variable("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let mut files = Vec::new();
    // The last that says something wins.
    if variable("GIT_CONFIG_NOSYSTEM").is_none() {
        files.push(variable("GIT_CONFIG_SYSTEM").unwrap_or_else(|| "/etc/gitconfig".into()));
    }
    match variable("GIT_CONFIG_GLOBAL") {
        Some(file) => files.push(file),
        None => {
            files.extend(of_user.as_ref().map(|folder| folder.join("git/config")));
            files.extend(home.as_ref().map(|home| home.join(".gitconfig")));
        }
    }
    let home = home.as_deref();
    let mut said = files.iter().filter_map(|file| excludes_file(file, home, 0));
    said.next_back()
        .or_else(|| Some(of_user?.join("git/ignore")))
}

/// Return what one configuration file says, with the files that it includes.
fn excludes_file(file: &Path, home: Option<&Path>, depth: usize) -> Option<PathBuf> {
    let bytes = named_file::read(file, MOST_BYTES).ok()?;
    let meta = gix_config::file::Metadata::api();
    let config = File::from_bytes_no_includes(&bytes, meta, Default::default()).ok()?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let path = |typed: &[u8]| {
        let typed = String::from_utf8_lossy(typed);
        match (typed.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => home.join(below),
            _ => folder.join(typed.as_ref()),
        }
    };
    let included = config.strings("include.path").unwrap_or_default();
    let included = included.iter().filter(|_| depth < MAX_DEPTH);
    let mut included = included.filter_map(|typed| excludes_file(&path(typed), home, depth + 1));
    let own = config.string("core.excludesFile");
    // An included file counts where it is named, mostly at the end.
    included
        .next_back()
        .or_else(|| own.map(|typed| path(&typed)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_configuration_says_where_the_rules_are() {
        let folder = crate::test_folder::create();
        let home = folder.path().to_path_buf();
        let env = |name: &str| match name {
            "HOME" => home.to_str().map(str::to_owned),
            "GIT_CONFIG_NOSYSTEM" => Some("1".to_owned()),
            _ => None,
        };
        assert_eq!(global_excludes(&env), Some(home.join(".config/git/ignore")));
        fs::write(home.join(".gitconfig"), "[core]\n\texcludesFile = ~/mine\n").expect("written");
        assert_eq!(global_excludes(&env), Some(home.join("mine")));
        fs::write(home.join(".gitconfig"), "[include]\n\tpath = more\n").expect("written");
        fs::write(
            home.join("more"),
            "[core]\n\texcludesfile = \"a b\" ; why\n",
        )
        .expect("written");
        assert_eq!(global_excludes(&env), Some(home.join("a b")));
    }
}
