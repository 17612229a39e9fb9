//! The beginning of a text, counted in characters as coverage and the limits of servers are. Pure.

/// The first `n` Unicode scalar values.
pub(super) fn first_chars(text: &str, n: usize) -> &str {
    match text.char_indices().nth(n) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
