//! A credential in a text.

use std::ops::Range;

/// A credential, or what may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Whether people would call it a credential without knowing more. What is not certain is kept out of tags,
    /// and otherwise left alone.
    pub is_certain: bool,
    /// What it looks like, for people.
    pub what: &'static str,
}

impl Found {
    pub(super) fn certain(range: Range<usize>, what: &'static str) -> Self {
        Self {
            range,
            is_certain: true,
            what,
        }
    }

    pub(super) fn doubtful(range: Range<usize>) -> Self {
        Self {
            range,
            is_certain: false,
            what: "text random",
        }
    }
}
