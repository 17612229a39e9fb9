//! What a file is for, by its path and language. Pure.

/// Folders of tests.
const TEST_FOLDERS: &str = " test tests __tests__ spec specs testing test-utils testdata fixture fixtures __mocks__ mock mocks ";
/// Folders of examples and measurements.
const EXAMPLE_FOLDERS: &str =
    " example examples sample samples demo demos tutorial tutorials bench benchmark benchmarks ";
/// Languages of prose.
const PROSE: &str = " markdown text html man restructuredtext asciidoc org latex texinfo ";
/// Languages of data and settings.
const DATA: &str = " xml json yaml toml ini css template gitignore csv diff gettext subtitles ";

/// What ranks a file lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    pub is_test: bool,
    /// Code of examples or measurements.
    pub is_example: bool,
    pub is_prose: bool,
    pub is_data: bool,
}

impl Kind {
    /// `path` lies below the root, with `/` between folders; `language` is the lower-case name, `None` if none is known.
    pub fn of(path: &str, language: Option<&str>) -> Self {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let is_in = |list: &str| {
            let mut folders = folders.split('/').map(str::to_lowercase);
            folders.any(|folder| !folder.is_empty() && list.contains(&format!(" {folder} ")))
        };
        let is_written_in =
            |list: &str| language.is_some_and(|language| list.contains(&format!(" {language} ")));
        let is_prose = is_written_in(PROSE);
        Self {
            is_test: is_in(TEST_FOLDERS) || is_test_name(name),
            is_example: is_in(EXAMPLE_FOLDERS) && !is_prose,
            is_prose,
            is_data: is_written_in(DATA) || language.is_none(),
        }
    }
}

/// Return whether a chunk lies in a module of tests within a file of code: `around` are the names of the definitions around
/// it. A chunk that holds the module and more does not.
pub fn is_in_test_module(around: &[String], defined: &[String], text: &str) -> bool {
    let is_tests = |name: &String| name == "tests";
    // A function may be called `test`; what is in it is no module.
    let is_test = |name: &String| name == "test";
    let outer = &around[..around.len().saturating_sub(1)];
    around.iter().any(is_tests)
        || outer.iter().any(is_test)
        || around.last().is_some_and(is_test) && text.contains("#[test]")
        || text.trim_start().starts_with("#[cfg(test)]") && defined.iter().any(is_tests)
}

/// Return whether a file is named as tests are. A library's `testing.rs` or `test_functions.hpp` of its own is rare enough.
fn is_test_name(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let ends = ["_test", "_spec", ".test", ".spec", "Test", "Tests"];
    stem.starts_with("test_") || stem == "conftest" || ends.iter().any(|end| stem.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_examples_prose_and_data_are_told_apart() {
        let of = |path, language| {
            let kind = Kind::of(path, language);
            let of_kind = [kind.is_test, kind.is_example, kind.is_prose, kind.is_data];
            let names = ["test", "example", "prose", "data"].into_iter();
            names
                .zip(of_kind)
                .filter(|(_, is)| *is)
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(of("src/router.rs", Some("rust")), none);
        assert_eq!(of("tests/router.rs", Some("rust")), ["test"]);
        assert_eq!(of("src/router_test.go", Some("go")), ["test"]);
        assert_eq!(of("src/RouterTest.java", Some("java")), ["test"]);
        assert_eq!(of("src/latest.rs", Some("rust")), none);
        assert_eq!(of("docs/router.md", Some("markdown")), ["prose"]);
        assert_eq!(of("examples/a.py", Some("python")), ["example"]);
        assert_eq!(of("doc/man_docs.go", Some("go")), none);
        assert_eq!(of("docs/tutorial/a.md", Some("markdown")), ["prose"]);
        assert_eq!(of("doc/router.adoc", Some("asciidoc")), ["prose"]);
        assert_eq!(of("po/de.po", Some("gettext")), ["data"]);
        assert_eq!(of("LICENSE", None), ["data"]);
    }

    #[test]
    fn modules_of_tests_are_told_from_functions() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let is_in =
            |around: &[&str], text| is_in_test_module(&names(around), &names(&["tests"]), text);
        assert!(is_in(&["tests", "a_name"], ""));
        assert!(is_in(&["test", "a_name"], ""));
        assert!(is_in(&["test"], "#[test]\nfn a_name() {}"));
        assert!(is_in(&[], "#[cfg(test)]\nmod tests {"));
        assert!(!is_in(&["Pattern", "test"], "fn test(&self) -> bool {"));
        assert!(!is_in(&[], "fn a() {}\n\n#[cfg(test)]\nmod tests {"));
    }
}
