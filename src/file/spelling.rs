//! Spells bytes as text, so that they can be read back.

use std::borrow::Cow;

/// Spell `bytes` as text. Bytes that are not UTF-8, and backslashes that would read as an escape, become `\xHH`.
pub(super) fn spell(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_escape(bytes) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

/// Read back what [`spell`] wrote.
pub(super) fn unspell(text: &str) -> Vec<u8> {
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

/// Return the byte of the escape `\xHH` at `at`, if there is one.
fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'\\', b'x', high, low] = *bytes.get(at..at + 4)? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn has_escape(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| escape_at(bytes, at).is_some())
}
