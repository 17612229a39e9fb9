//! Files of a corpus: their paths relative to a root, their identity, and what became of them.
//!
//! Values only: `scan` finds files, `worker` reads them, `store` records them.

use crate::ids::FileHash;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// A path below a root: bytes, `/`-separated, never empty, never absolute, without `.` or `..`.
///
/// The order of the bytes is the canonical order of everything that is written. On Unix the bytes
/// are the file name's own; elsewhere they are its UTF-8 (unpaired surrogates as in WTF-8).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>")]
pub struct RelPath(Vec<u8>);

/// Bytes that are no path below a root.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a relative path without `.` and `..`")]
pub struct NotRelative;

impl TryFrom<Vec<u8>> for RelPath {
    type Error = NotRelative;

    fn try_from(bytes: Vec<u8>) -> Result<Self, NotRelative> {
        let sound = bytes
            .split(|b| *b == b'/')
            .all(|name| !name.is_empty() && name != b"." && name != b"..");
        if sound {
            Ok(Self(bytes))
        } else {
            Err(NotRelative)
        }
    }
}

impl RelPath {
    /// The path of `path` below `root`. `None` when it does not lie there.
    pub fn below(root: &Path, path: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        for component in path.strip_prefix(root).ok()?.components() {
            let std::path::Component::Normal(name) = component else {
                return None;
            };
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(name.as_encoded_bytes());
        }
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// Reads a [spelling](Self::spelling) back. `None` for an empty or absolute path, or one with
    /// an empty, `.` or `..` component.
    pub fn from_spelling(text: &str) -> Option<Self> {
        Self::try_from(unescaped(text)).ok()
    }

    /// The path as text, for databases and people. Bytes that are not UTF-8 are written `\xHH`, and
    /// so is a backslash that would otherwise read as such an escape; the spelling is reversible.
    pub fn spelling(&self) -> Cow<'_, str> {
        spelled(&self.0)
    }

    /// The path on this machine, below `root`.
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

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }

    /// Lower-case ASCII extension without the dot; empty when there is none. `.env` has none.
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

/// The path of a root as text, for databases: spelled as [`RelPath::spelling`] does on Unix. Elsewhere
/// backslashes part folders, and names that are no text are not told apart.
pub fn root_spelling(root: &Path) -> Cow<'_, str> {
    #[cfg(unix)]
    return spelled(root.as_os_str().as_encoded_bytes());
    #[cfg(not(unix))]
    return root.to_string_lossy();
}

/// Reads a [`root_spelling`] back, where it can be.
pub fn root_from_spelling(text: &str) -> PathBuf {
    #[cfg(unix)]
    return os_name(&unescaped(text)).into_owned().into();
    #[cfg(not(unix))]
    return text.into();
}

fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut path = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escape_at(bytes, at) {
            Some(byte) => {
                path.push(byte);
                at += 4;
            }
            None => {
                path.push(bytes[at]);
                at += 1;
            }
        }
    }
    path
}

fn spelled(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_escape(bytes) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    let mut at = 0;
    for piece in bytes.utf8_chunks() {
        for (offset, c) in piece.valid().char_indices() {
            if c == '\\' && escape_at(bytes, at + offset).is_some() {
                text.push_str("\\x5C");
            } else {
                text.push(c);
            }
        }
        for byte in piece.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
        at += piece.valid().len() + piece.invalid().len();
    }
    text
}

/// The byte that `\xHH` at `at` stands for, if it stands there.
fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'\\', b'x', high, low] = *bytes.get(at..at + 4)? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn has_escape(bytes: &[u8]) -> bool {
    memchr_backslash(bytes).any(|at| escape_at(bytes, at).is_some())
}

fn memchr_backslash(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes
        .iter()
        .enumerate()
        .filter_map(|(at, byte)| (*byte == b'\\').then_some(at))
}

#[cfg(unix)]
fn os_name(bytes: &[u8]) -> Cow<'_, std::ffi::OsStr> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn os_name(bytes: &[u8]) -> Cow<'_, std::ffi::OsStr> {
    // Names that are not Unicode cannot be reopened without platform calls; the lossy name leads to
    // "vanished", which is listed.
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into())
}

/// An eligible file as the walk saw it: the identity that resume compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: RelPath,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, saturated to the range of `i64`.
    pub mtime_ns: i64,
}

/// Why a file is not in the index. A closed set: every file that is not indexed has one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The extension is not in the profile's list.
    Extension,
    /// Smaller than `min_file_bytes`.
    TooSmall,
    /// Larger than `max_file_bytes`.
    TooLarge,
    /// Below a folder named in `skip_dirs`.
    SkippedDir,
    /// The file name is on the skip list (lock files, minified scripts).
    SkippedName,
    /// A name under which keys and credentials are kept.
    Secret,
    /// Excluded by the root's `exclude`, or not matched by its `include`.
    Excluded,
    /// Excluded by a `.gitignore`.
    Gitignore,
    /// A symbolic link, with `follow_links = false`.
    Link,
    /// A link that leaves the root, dangles or runs in a circle.
    LinkRefused,
    /// Not a regular file: FIFO, socket, device.
    Special,
    /// A folder or file that could not be listed or read.
    Unreadable,
    /// Gone, or turned into something else, between the walk and the reading.
    Vanished,
    /// Holds NUL bytes in its first 8 KiB: not text.
    Binary,
    /// Nothing but white space.
    Blank,
    /// Holds what looks like a credential, with `secrets_in_text = "skip"`.
    SecretInText,
    /// Belongs to another root of the profile that lies inside this one.
    OtherRoot,
    /// Killed its worker repeatedly; left out so that the rest could be built.
    Quarantined,
    /// Written by this program: an index, its work files, a manifest, metrics or a log.
    Output,
}

impl SkipReason {
    pub const ALL: [Self; 19] = [
        Self::Extension,
        Self::TooSmall,
        Self::TooLarge,
        Self::SkippedDir,
        Self::SkippedName,
        Self::Secret,
        Self::Excluded,
        Self::Gitignore,
        Self::Link,
        Self::LinkRefused,
        Self::Special,
        Self::Unreadable,
        Self::Vanished,
        Self::Binary,
        Self::Blank,
        Self::SecretInText,
        Self::OtherRoot,
        Self::Quarantined,
        Self::Output,
    ];

    /// The stable spelling in JSON, manifests and databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::TooSmall => "too_small",
            Self::TooLarge => "too_large",
            Self::SkippedDir => "skipped_dir",
            Self::SkippedName => "skipped_name",
            Self::Secret => "secret",
            Self::Excluded => "excluded",
            Self::Gitignore => "gitignore",
            Self::Link => "link",
            Self::LinkRefused => "link_refused",
            Self::Special => "special",
            Self::Unreadable => "unreadable",
            Self::Vanished => "vanished",
            Self::Binary => "binary",
            Self::Blank => "blank",
            Self::SecretInText => "secret_in_text",
            Self::OtherRoot => "other_root",
            Self::Quarantined => "quarantined",
            Self::Output => "output",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether the input was meant to be indexed and could not be: the build then exits 3.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Unreadable | Self::Quarantined)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of an eligible file, with the identity it had when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    pub entry: FileEntry,
    /// BLAKE3 of the bytes read; `None` when they could not be read.
    pub hash: Option<FileHash>,
    pub outcome: FileOutcome,
}

impl FileRecord {
    /// Why it could not be read, when that may be otherwise by now: size and time are then those of
    /// the walk, and say nothing about what was there when it was to be read.
    pub fn read_failure(&self) -> Option<SkipReason> {
        match self.outcome {
            FileOutcome::Skipped { reason, .. }
                if self.hash.is_none() && reason != SkipReason::Quarantined =>
            {
                Some(reason)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileOutcome {
    Indexed {
        chunks: u32,
        /// Values in its text that look like credentials: kept or redacted, as the recipe says.
        credentials: u32,
    },
    Skipped {
        reason: SkipReason,
        /// For people; may be empty.
        detail: String,
    },
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

    #[test]
    fn reasons_parse_what_they_print() {
        for reason in SkipReason::ALL {
            assert_eq!(SkipReason::parse(reason.as_str()), Some(reason));
            assert_eq!(
                serde_json::to_string(&reason).expect("plain"),
                format!("\"{reason}\"")
            );
        }
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

    fn is_sound(path: &[u8]) -> bool {
        path.split(|b| *b == b'/')
            .all(|name| !name.is_empty() && name != b"." && name != b"..")
    }

    proptest! {
        /// Bytes to spelling and back, and no two paths under one spelling.
        #[test]
        fn spellings_are_reversible(one in tricky_path(), other in tricky_path()) {
            prop_assume!(is_sound(&one) && is_sound(&other));
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
