//! Documents within scripts: `<<EOF`, `<<-'EOT'`, PHP's `<<<EOT`, Ruby's `<<~SQL`.

use super::forms::floor;
use std::ops::Range;

/// How much of a document is looked at.
const MAX_BYTES: usize = 256;

/// Return the first line below, if a document is opened at `at`, where `<<` stands. The mark of its end is in capitals,
/// since streams are written with the same sign.
pub(super) fn first_line(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..floor(text, at + MAX_BYTES)];
    let (opening, below) = rest.split_once('\n')?;
    let label = opening
        .trim_start_matches('<')
        .trim_start_matches(['-', '~', '"', '\'', '\\']);
    let length = label
        .bytes()
        .take_while(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        .count();
    let goes_on = label[length..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if length < 2 || goes_on {
        return None;
    }
    let line = below.lines().next()?;
    let start = at + opening.len() + 1 + (line.len() - line.trim_start().len());
    let line = line.trim();
    (!line.is_empty() && line != &label[..length]).then_some(start..start + line.len())
}
