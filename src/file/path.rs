//! Paths of files below a root, and how they are spelled as text.

use super::spelling::{spell, unspell};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// A path below a root: bytes, `/`-separated, never empty, never absolute, without `.` or `..`.
///
/// The order of the bytes is the canonical order of all output. On Unix the bytes are those of the file
/// name; elsewhere they are its UTF-8 (WTF-8 with unpaired surrogates).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>")]
pub struct RelPath(Vec<u8>);

/// The bytes are not a path below a root.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a relative path without `.` and `..`")]
pub struct NotRelative;

impl TryFrom<Vec<u8>> for RelPath {
    type Error = NotRelative;

    fn try_from(bytes: Vec<u8>) -> Result<Self, NotRelative> {
        match is_relative(&bytes) {
            true => Ok(Self(bytes)),
            false => Err(NotRelative),
        }
    }
}

impl RelPath {
    /// Return the path of `path` below `root`; `None` when it does not lie there.
    pub fn below(root: &Path, path: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        for component in path.strip_prefix(root).ok()?.components() {
            let Component::Normal(name) = component else {
                return None;
            };
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(name.as_encoded_bytes());
        }
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// Parse a [spelling](Self::spelling). Return `None` for an empty or absolute path, or one with
    /// an empty, `.` or `..` component.
    pub fn from_spelling(text: &str) -> Option<Self> {
        Self::try_from(unspell(text)).ok()
    }

    /// Return the path as text, for databases and people. Spells bytes that are not UTF-8 as `\xHH`, and
    /// so a backslash that would otherwise read as such an escape. [`Self::from_spelling`] reverses it.
    pub fn spelling(&self) -> Cow<'_, str> {
        spell(&self.0)
    }

    /// Return the path on this machine, below `root`.
    pub fn on_disk(&self, root: &Path) -> PathBuf {
        let mut path = root.to_path_buf();
        for name in self.0.split(|b| *b == b'/') {
            path.push(os_name(name));
        }
        path
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Return the last component.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }

    /// Return the extension without the dot, ASCII letters in lower case; empty when there is none. `.env` has none.
    pub fn extension(&self) -> String {
        let name = self.file_name();
        match name.iter().rposition(|b| *b == b'.') {
            Some(dot) if dot > 0 => String::from_utf8_lossy(&name[dot + 1..]).to_ascii_lowercase(),
            _ => String::new(),
        }
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.spelling())
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling())
    }
}

/// Return the path of a root as text, for databases, spelled as by [`RelPath::spelling`] on Unix. Elsewhere
/// backslashes separate folders, and names that are not Unicode may be spelled alike.
pub fn root_spelling(root: &Path) -> Cow<'_, str> {
    #[cfg(unix)]
    return spell(root.as_os_str().as_encoded_bytes());
    #[cfg(not(unix))]
    return root.to_string_lossy();
}

/// Parse a [`root_spelling`], as far as it is reversible.
pub fn root_from_spelling(text: &str) -> PathBuf {
    #[cfg(unix)]
    return os_name(&unspell(text)).into_owned().into();
    #[cfg(not(unix))]
    return text.into();
}

fn is_relative(path: &[u8]) -> bool {
    path.split(|b| *b == b'/')
        .all(|name| !name.is_empty() && name != b"." && name != b"..")
}

#[cfg(unix)]
fn os_name(bytes: &[u8]) -> Cow<'_, OsStr> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn os_name(bytes: &[u8]) -> Cow<'_, OsStr> {
    // Only platform calls could open names that are not Unicode. The lossy name is not found, so the file
    // is listed as vanished.
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(bytes: &[u8]) -> RelPath {
        RelPath(bytes.to_vec())
    }

    #[test]
    fn a_plain_path_is_spelled_as_it_is() {
        let root = Path::new("/r");
        let path = RelPath::below(root, Path::new("/r/src/Main.RS")).expect("below");
        assert_eq!(path.spelling(), "src/Main.RS");
        assert_eq!(path.extension(), "rs");
        assert_eq!(path.file_name(), b"Main.RS");
        assert_eq!(path.on_disk(root), Path::new("/r/src/Main.RS"));
    }

    #[test]
    fn paths_that_leave_the_root_are_no_paths() {
        let root = Path::new("/r");
        assert_eq!(RelPath::below(root, Path::new("/r")), None);
        assert_eq!(RelPath::below(root, Path::new("/other/x")), None);
        assert_eq!(RelPath::below(root, Path::new("/r/../etc/passwd")), None);
        for bad in ["", "/etc", "a/../b", "a//b", "./a", "a/"] {
            assert_eq!(RelPath::from_spelling(bad), None, "{bad}");
            let sent = postcard::to_stdvec(&path(bad.as_bytes())).expect("plain");
            assert!(postcard::from_bytes::<RelPath>(&sent).is_err(), "{bad}");
        }
        let sent = postcard::to_stdvec(&path(b"a/\xff")).expect("plain");
        assert_eq!(postcard::from_bytes(&sent), Ok(path(b"a/\xff")));
    }

    #[test]
    fn bytes_that_are_not_utf8_and_lookalikes_are_told_apart() {
        assert_eq!(path(b"a\xff.txt").spelling(), "a\\xFF.txt");
        assert_eq!(path(b"a\\xFF.txt").spelling(), "a\\x5CxFF.txt");
        assert_eq!(path(b"a\\b.txt").spelling(), "a\\b.txt");
    }

    /// Names put together from what could be taken for each other.
    fn tricky_path() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(1u8.., 1..4),
            "\\\\x[0-9a-fA-F]{0,2}".prop_map(String::into_bytes),
            "[\\\\x5cC/]{1,5}".prop_map(String::into_bytes),
            "\\PC{1,3}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Bytes to spelling and back, and no two paths under one spelling.
        #[test]
        fn spellings_are_reversible(one in tricky_path(), other in tricky_path()) {
            prop_assume!(is_relative(&one) && is_relative(&other));
            let (one, other) = (path(&one), path(&other));
            let read = RelPath::from_spelling(&one.spelling());
            prop_assert_eq!(read, Some(one.clone()));
            prop_assert_eq!(one == other, one.spelling() == other.spelling());
        }

        #[test]
        fn every_name_reads_back(name in proptest::collection::vec(1u8.., 1..40)) {
            let name: Vec<u8> = name.into_iter().map(|b| if b == b'/' { b'x' } else { b }).collect();
            prop_assume!(name != b"." && name != b"..");
            let path = path(&name);
            prop_assert_eq!(RelPath::from_spelling(&path.spelling()), Some(path));
        }

        #[test]
        fn lookalike_names_read_back(name in "[\\\\x5Ca-f0-9]{1,12}") {
            let path = path(name.as_bytes());
            prop_assert_eq!(RelPath::from_spelling(&path.spelling()), Some(path));
        }
    }
}
