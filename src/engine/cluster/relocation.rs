//! Where the paths of a plan are on this machine: `--map OLD=NEW`.
//!
//! Pure. The index keeps the paths of the plan: only what a task opens is mapped.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Replaced beginnings of paths. The longest that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relocation(Vec<(PathBuf, PathBuf)>);

/// A text that is not `OLD=NEW` with absolute paths.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not OLD=NEW with two absolute paths")]
pub struct NotAMapping(pub String);

/// One mapping, `OLD=NEW`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping(PathBuf, PathBuf);

impl FromStr for Mapping {
    type Err = NotAMapping;

    fn from_str(text: &str) -> Result<Self, NotAMapping> {
        let wrong = || NotAMapping(text.to_owned());
        let (old, new) = text.split_once('=').ok_or_else(wrong)?;
        let (old, new) = (PathBuf::from(old), PathBuf::from(new));
        match old.is_absolute() && new.is_absolute() {
            true => Ok(Self(old, new)),
            false => Err(wrong()),
        }
    }
}

impl FromIterator<Mapping> for Relocation {
    fn from_iter<I: IntoIterator<Item = Mapping>>(mappings: I) -> Self {
        let pairs = mappings.into_iter().map(|Mapping(old, new)| (old, new));
        let mut pairs: Vec<_> = pairs.collect();
        // Stable: of equal ones the first counts.
        pairs.sort_by_key(|(old, _)| std::cmp::Reverse(old.components().count()));
        Self(pairs)
    }
}

impl Relocation {
    /// Return where a path of the plan is on this machine.
    pub fn here(&self, path: &Path) -> PathBuf {
        let fitting = self.0.iter().find_map(|(old, new)| {
            let rest = path.strip_prefix(old).ok()?;
            Some(match rest.as_os_str().is_empty() {
                true => new.clone(),
                false => new.join(rest),
            })
        });
        fitting.unwrap_or_else(|| path.to_path_buf())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts() {
        let mappings = ["/data=/mnt/data", "/data/big=/scratch/big", "/data=/other"];
        let relocation: Relocation = mappings
            .iter()
            .map(|it| it.parse().expect("fits"))
            .collect();
        for (path, here) in [
            ("/data", "/mnt/data"),
            ("/data/a/b", "/mnt/data/a/b"),
            ("/data/big/x", "/scratch/big/x"),
            ("/database/x", "/database/x"),
            ("/elsewhere", "/elsewhere"),
        ] {
            assert_eq!(relocation.here(Path::new(path)), Path::new(here));
        }
        for wrong in ["/data", "data=/x", "/data=x", ""] {
            assert!(wrong.parse::<Mapping>().is_err(), "{wrong}");
        }
    }
}
