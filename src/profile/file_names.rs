//! Which files a profile takes by their names: the key `extensions`.

use super::name_lists::COMPAT_EXTENSIONS;
use super::recipe::RuleSet;
use crate::file::RelPath;
use std::collections::BTreeSet;

/// The files that are taken by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileNames {
    /// Whatever the name.
    pub all: bool,
    /// Extensions, in lower case and without the dot.
    pub extensions: BTreeSet<String>,
    /// Whole names, and endings of more than one part such as `d.ts`; in lower case.
    pub names: BTreeSet<String>,
}

impl FileNames {
    /// Return the choice of a rule set.
    pub fn of(set: RuleSet) -> Self {
        let mut names = Self::default();
        names.add_defaults(set);
        names
    }

    /// Return the choice of the entries of `extensions`, in which `defaults` stands for that of the rule set. An entry is an
    /// extension, with or without the dot, or the name of a file.
    pub fn typed(entries: &[String], defaults: &str, set: RuleSet) -> Self {
        let mut names = Self::default();
        for entry in entries {
            if entry == defaults {
                names.add_defaults(set);
            } else {
                let entry = entry.to_lowercase();
                names
                    .extensions
                    .insert(entry.trim_start_matches('.').to_owned());
                names.names.insert(entry);
            }
        }
        names
    }

    fn add_defaults(&mut self, set: RuleSet) {
        match set {
            RuleSet::Standard => self.all = true,
            RuleSet::Compat => {
                let defaults = COMPAT_EXTENSIONS.iter().map(ToString::to_string);
                self.extensions.extend(defaults);
            }
        }
    }

    /// Return whether the file at `path` is taken.
    pub fn take(&self, path: &RelPath) -> bool {
        self.all || self.extensions.contains(&path.extension()) || self.name(path)
    }

    fn name(&self, path: &RelPath) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let name = String::from_utf8_lossy(path.file_name()).to_lowercase();
        let endings = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let mut parts = endings.filter(|ending| ending.contains('.'));
        self.names.contains(&name) || parts.any(|ending| self.names.contains(ending))
    }

    /// Return the entries, extensions first, without repeating names that are extensions as well.
    pub fn entries(&self) -> Vec<&str> {
        let plain = |name: &&String| !self.extensions.contains(name.trim_start_matches('.'));
        let names = self.names.iter().filter(plain);
        self.extensions
            .iter()
            .chain(names)
            .map(String::as_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(entries: &[&str], set: RuleSet, name: &str) -> bool {
        let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
        let path = RelPath::from_spelling(name).expect("a relative path");
        FileNames::typed(&entries, "...", set).take(&path)
    }

    #[test]
    fn entries_are_extensions_or_names() {
        let compat = |entries: &[&str], name: &str| taken(entries, RuleSet::Compat, name);
        for (entry, name) in [
            ("rs", "a/x.RS"),
            (".rs", "x.rs"),
            ("Dockerfile", "a/Dockerfile"),
            ("Dockerfile", "x.dockerfile"),
            ("makefile", "Makefile"),
            ("CMakeLists.txt", "a/CMakeLists.txt"),
            (".bashrc", ".bashrc"),
            ("d.ts", "a/x.d.ts"),
            ("", "LICENSE"),
            ("...", "x.py"),
        ] {
            assert!(compat(&[entry], name), "{entry} {name}");
        }
        for (entry, name) in [
            ("rs", "x.py"),
            ("Dockerfile", "Dockerfile.in"),
            ("CMakeLists.txt", "notes.txt"),
            ("d.ts", "x.ts"),
            ("...", "Dockerfile"),
            ("...", "py"),
            ("...", "x.kt"),
        ] {
            assert!(!compat(&[entry], name), "{entry} {name}");
        }
    }

    #[test]
    fn the_standard_rules_take_any_name_unless_a_list_says_otherwise() {
        for name in ["x.kt", "Dockerfile", "a/b", ".editorconfig"] {
            let path = RelPath::from_spelling(name).expect("a relative path");
            assert!(FileNames::of(RuleSet::Standard).take(&path), "{name}");
            assert!(taken(&["...", "x"], RuleSet::Standard, name), "{name}");
            assert!(!taken(&["rs"], RuleSet::Standard, name), "{name}");
        }
    }
}
