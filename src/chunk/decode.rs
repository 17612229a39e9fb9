//! Turns a file's bytes into text.
//!
//! Pure. With [`Chunker::Compat`] exactly as Python's text mode does (UTF-8, U+FFFD for what is not,
//! universal newlines); with [`Chunker::Ast`] also UTF-16 and byte order marks, and files that are no
//! text are told apart.

use super::is_space;
use crate::profile::recipe::Chunker;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Lines end in `\n` alone; at least one character is not white space.
    Text(String),
    /// NUL in the head: not text ([`Chunker::Ast`] only).
    Binary,
    /// Nothing but white space, or nothing.
    Blank,
}

/// Bytes that are searched for NUL, and by which UTF-16 is recognised: what git and grep look at.
const HEAD: usize = 8 * 1024;

/// Decodes a file. Never fails: bytes that are no text in the encoding become U+FFFD, one for each
/// maximal subpart as Unicode (and Python) count them.
pub fn decode(bytes: &[u8], chunker: Chunker) -> Decoded {
    let text = match chunker {
        Chunker::Compat => Some(String::from_utf8_lossy(bytes)),
        Chunker::Ast => text_of(bytes),
    };
    match text {
        None => Decoded::Binary,
        Some(text) if text.chars().all(is_space) => Decoded::Blank,
        Some(text) => Decoded::Text(universal_newlines(text)),
    }
}

/// `None` when it is no text.
fn text_of(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let text = match Encoding::for_bom(bytes) {
        Some((encoding, bom)) if encoding == UTF_8 => String::from_utf8_lossy(&bytes[bom..]),
        Some((encoding, bom)) => encoding.decode_without_bom_handling(&bytes[bom..]).0,
        None if !head(bytes).contains(&0) => return Some(String::from_utf8_lossy(bytes)),
        None => utf16_without_bom(bytes)?,
    };
    (!head(text.as_bytes()).contains(&0)).then_some(text)
}

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD)]
}

/// UTF-16 whose head is mostly Latin, so that one byte of most pairs is zero and the other never is.
/// Anything less clear is binary.
fn utf16_without_bom(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let pairs = head(bytes).as_chunks::<2>().0;
    let zeros = |side: usize| pairs.iter().filter(|pair| pair[side] == 0).count();
    let encoding = match (zeros(0), zeros(1)) {
        (0, high) if high * 4 >= pairs.len() * 3 => UTF_16LE,
        (high, 0) if high * 4 >= pairs.len() * 3 => UTF_16BE,
        _ => return None,
    };
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    let is_text = |c: char| !c.is_control() || is_space(c);
    text.chars().take(HEAD).all(is_text).then_some(text)
}

/// CRLF and CR become LF.
fn universal_newlines(text: Cow<'_, str>) -> String {
    if !text.as_bytes().contains(&b'\r') {
        return text.into_owned();
    }
    let mut lines = String::with_capacity(text.len());
    let mut pieces = text.split('\r');
    lines.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        lines.push('\n');
        lines.push_str(piece.strip_prefix('\n').unwrap_or(piece));
    }
    lines
}
