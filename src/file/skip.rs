//! Why files are not in the index.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a file is not in the index. Every file that is not indexed has one of these reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The extension is not in the profile's list.
    Extension,
    /// Smaller than `min_file_bytes`.
    TooSmall,
    /// Larger than `max_file_bytes`, under the compat rules.
    TooLarge,
    /// Below a folder named in `skip_dirs`.
    SkippedDir,
    /// The file name is on the skip list.
    SkippedName,
    /// A name that is common for keys and credentials.
    Secret,
    /// Excluded by the root's `exclude`, or not matched by its `include`.
    Excluded,
    /// Ignored by git.
    Gitignore,
    /// A symbolic link, with `follow_links = false`.
    Link,
    /// A link that leaves the root, dangles or is part of a loop.
    LinkRefused,
    /// Not a regular file: FIFO, socket, device.
    Special,
    /// A folder or file that could not be listed or read.
    Unreadable,
    /// Deleted, or replaced by something else, between the walk and the reading.
    Vanished,
    /// Holds NUL bytes in its first 8 KiB: not text.
    Binary,
    /// Nothing but white space.
    Blank,
    /// Text in no encoding that is known.
    Undecodable,
    /// Contains what looks like a credential, with `secrets_in_text = "skip"`.
    SecretInText,
    /// Belongs to another root of the profile that lies inside this one.
    OtherRoot,
    /// Crashed its worker repeatedly; skipped so that the rest could be built.
    Quarantined,
    /// Written by this program: an index, its work files, a manifest, metrics or a log.
    Output,
    /// Excluded by a `.helixignore`.
    #[serde(rename = "helixignore")]
    HelixIgnore,
    /// Another working tree of a repository that is indexed already.
    Worktree,
    /// Written by a program from other sources, as its first lines or `.gitattributes` say.
    Generated,
    /// A script or style sheet made small by a program.
    Minified,
    /// Maps minified or compiled scripts to their sources.
    SourceMap,
    /// Copied from another project, as `.gitattributes` or a package manager's files say.
    Vendored,
    /// A lock file of a package manager.
    LockFile,
    /// An image in the form of text, such as SVG.
    Image,
    /// Changed, replaced or deleted between the plan of a build over many machines and the task that read it.
    Changed,
}

impl SkipReason {
    pub const ALL: [Self; 29] = [
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
        Self::Undecodable,
        Self::SecretInText,
        Self::OtherRoot,
        Self::Quarantined,
        Self::Output,
        Self::HelixIgnore,
        Self::Worktree,
        Self::Generated,
        Self::Minified,
        Self::SourceMap,
        Self::Vendored,
        Self::LockFile,
        Self::Image,
        Self::Changed,
    ];

    /// Return the stable spelling in JSON, manifests and databases.
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
            Self::Undecodable => "undecodable",
            Self::SecretInText => "secret_in_text",
            Self::OtherRoot => "other_root",
            Self::Quarantined => "quarantined",
            Self::Output => "output",
            Self::HelixIgnore => "helixignore",
            Self::Worktree => "worktree",
            Self::Generated => "generated",
            Self::Minified => "minified",
            Self::SourceMap => "source_map",
            Self::Vendored => "vendored",
            Self::LockFile => "lock_file",
            Self::Image => "image",
            Self::Changed => "changed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether the input should have been indexed and could not be: the build then exits with 3.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Unreadable | Self::Quarantined | Self::Changed)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
