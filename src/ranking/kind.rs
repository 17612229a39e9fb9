//! What a file is for, by its path and language. Pure.

/// Folders of tests.
const TEST_FOLDERS: &str = " test tests __tests__ spec specs testing test-utils testdata fixture fixtures __mocks__ mock mocks ";
/// Folders of documentation, examples and measurements.
const DOCUMENT_FOLDERS: &str = " doc docs documentation example examples sample samples demo demos tutorial tutorials bench benchmark benchmarks ";
/// Languages of files that are not code.
const NOT_CODE: &str = " markdown text html xml json yaml toml ini css man rst restructuredtext template gitignore csv svg ";

/// What ranks a file lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    pub is_test: bool,
    pub is_document: bool,
    pub is_not_code: bool,
}

impl Kind {
    /// `path` lies below the root, with `/` between folders; `language` is the lower-case name, `None` if none is known.
    pub fn of(path: &str, language: Option<&str>) -> Self {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let is_among = |list: &str| {
            let mut folders = folders.split('/').map(str::to_lowercase);
            folders.any(|folder| !folder.is_empty() && list.contains(&format!(" {folder} ")))
        };
        Self {
            is_test: is_among(TEST_FOLDERS) || is_test_name(name),
            is_document: is_among(DOCUMENT_FOLDERS),
            is_not_code: language
                .is_none_or(|language| NOT_CODE.contains(&format!(" {language} "))),
        }
    }
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
    fn tests_documents_and_data_are_told_apart() {
        let of = |path, language| {
            let kind = Kind::of(path, language);
            (kind.is_test, kind.is_document, kind.is_not_code)
        };
        assert_eq!(of("src/router.rs", Some("rust")), (false, false, false));
        assert_eq!(of("tests/router.rs", Some("rust")), (true, false, false));
        assert_eq!(of("src/router_test.go", Some("go")), (true, false, false));
        assert_eq!(
            of("src/RouterTest.java", Some("java")),
            (true, false, false)
        );
        assert_eq!(of("src/latest.rs", Some("rust")), (false, false, false));
        assert_eq!(of("docs/router.md", Some("markdown")), (false, true, true));
        assert_eq!(of("examples/a.py", Some("python")), (false, true, false));
        assert_eq!(of("LICENSE", None), (false, false, true));
    }
}
