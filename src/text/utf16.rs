//! Recognises UTF-16 without a byte order mark.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// Bytes that are looked at.
const HEAD: usize = 8 * 1024;

/// Least characters of a text that is no Latin: fewer prove nothing.
const LEAST_CHARS: usize = 8;

/// Characters of a hundred that must be common in texts; in random pairs of bytes about half are.
const LEAST_COMMON: usize = 95;

/// Return the encoding of a file that holds NUL bytes, if it is UTF-16.
///
/// The byte that is zero in most characters of Latin text, and in blanks and newlines of any text, tells the order.
pub fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    if bytes.len() % 2 == 1 {
        return None;
    }
    let pairs = bytes[..bytes.len().min(HEAD)].as_chunks::<2>().0;
    let common = |unit: &dyn Fn([u8; 2]) -> u16| {
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        let chars: Vec<_> = char::decode_utf16(units).collect();
        let common = chars
            .iter()
            .filter(|c| c.as_ref().is_ok_and(|c| is_common(*c)))
            .count();
        let latin = chars
            .iter()
            .filter(|c| c.as_ref().is_ok_and(char::is_ascii))
            .count();
        let is_text = common * 100 >= chars.len() * LEAST_COMMON;
        let is_long = chars.len() >= LEAST_CHARS || latin == chars.len();
        (is_text && is_long && latin > 0).then_some(common)
    };
    let little = common(&u16::from_le_bytes);
    let big = common(&u16::from_be_bytes);
    match little.cmp(&big) {
        std::cmp::Ordering::Greater => Some(UTF_16LE),
        std::cmp::Ordering::Less => Some(UTF_16BE),
        std::cmp::Ordering::Equal => None,
    }
}

/// Whether a character is common in some language's texts.
fn is_common(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{c}' | ' '..='~'
        | '\u{a0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{590}'..='\u{6ff}' | '\u{900}'..='\u{97f}' | '\u{e00}'..='\u{e7f}'
        | '\u{1e00}'..='\u{1eff}' | '\u{2010}'..='\u{203a}' | '\u{20ac}' | '\u{2190}'..='\u{21ff}' | '\u{2500}'..='\u{257f}'
        | '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff01}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}')
}
