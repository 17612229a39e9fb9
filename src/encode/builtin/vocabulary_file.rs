//! The compiled-in vocabulary: what `build.rs` writes and [`super::vocabulary`] reads. Both compile this file.
//!
//! All numbers are little-endian. In order:
//!
//! | size | what |
//! |---|---|
//! | 4 bytes | `n`, the number of terms |
//! | 4 x (n + 1) | where each term starts in the text, and where the last one ends |
//! | n bytes | 1 for a term that may appear in a sparse vector |
//! | 2 x [`SLOTS`] | an open-addressing hash table: id + 1, or 0 for an empty slot |
//! | the rest | the text of all terms, in the order of their ids |

/// Slots of the hash table: a power of two, more than twice the terms.
pub(crate) const SLOTS: usize = 1 << 16;

/// Return the first slot to look at for a term. FNV-1a, folded to 16 bits.
pub(crate) fn first_slot(term: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in term {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 16) ^ (hash >> 32) ^ (hash >> 48)) as usize & (SLOTS - 1)
}

/// Whether a term may appear in a sparse vector: it is not a special token, has two characters or more, and a letter or
/// digit.
pub(crate) fn carries_meaning(term: &str) -> bool {
    let bare = term.strip_prefix("##").unwrap_or(term);
    term.chars().nth(1).is_some()
        && bare.chars().any(char::is_alphanumeric)
        && !(term.starts_with('[') && term.ends_with(']'))
}
