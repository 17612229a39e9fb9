//! Turns a file's bytes into text.
//!
//! Pure. With [`Chunker::Compat`] it decodes as Python's text mode does: UTF-8, U+FFFD for invalid bytes,
//! universal newlines. With [`Chunker::Ast`] it also reads UTF-16 and byte order marks, and recognises
//! binary files.

use super::{Origin, is_space};
use crate::language::Language;
use crate::profile::recipe::Chunker;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Text(DecodedText),
    /// NUL in the head, so no text ([`Chunker::Ast`] only).
    Binary,
    /// Nothing but white space, or nothing.
    Blank,
    /// Text in no encoding that is known, with what is wrong (standard rules only).
    Undecodable(String),
}

/// The text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedText {
    /// Lines end in `\n` alone; at least one character is not white space.
    pub text: String,
    /// Name of the encoding, as the WHATWG spells it.
    pub encoding: &'static str,
    pub origin: Origin,
    /// Places with U+FFFD instead of bytes that are no characters; 0 with compat rules, which do not count them.
    pub replaced: u32,
    /// Runs of encoded data that were left out.
    pub elided: u32,
    /// `None` when it is not known, and with compat rules.
    pub language: Option<&'static Language>,
}

/// Bytes that are searched for NUL and for UTF-16, as many as git and grep look at.
const HEAD: usize = 8 * 1024;

/// Decode a file. Never fails: invalid bytes become U+FFFD, one for each maximal subpart as Unicode and
/// Python count them.
pub fn decode(bytes: &[u8], chunker: Chunker) -> Decoded {
    let text = match chunker {
        Chunker::Compat => Some(Characters::utf8(bytes, 0)),
        Chunker::Ast => text_of(bytes),
    };
    match text {
        None => Decoded::Binary,
        Some(found) if found.text.chars().all(is_space) => Decoded::Blank,
        Some(found) => Decoded::Text(DecodedText {
            encoding: found.encoding.name(),
            origin: match found.mark {
                Some(mark) => Origin::utf8(mark, &found.text),
                None => Origin::of_lines(),
            },
            text: universal_newlines(found.text),
            replaced: 0,
            elided: 0,
            language: None,
        }),
    }
}

/// The characters of a file, with the line ends that it has.
struct Characters<'a> {
    text: Cow<'a, str>,
    encoding: &'static Encoding,
    /// Bytes before the text, when the rest of the file is the text as it is.
    mark: Option<usize>,
}

impl<'a> Characters<'a> {
    /// Decode what follows `mark` bytes as UTF-8.
    fn utf8(bytes: &'a [u8], mark: usize) -> Self {
        let text = String::from_utf8_lossy(&bytes[mark..]);
        Self {
            mark: matches!(text, Cow::Borrowed(_)).then_some(mark),
            text,
            encoding: UTF_8,
        }
    }

    fn of(encoding: &'static Encoding, text: Cow<'a, str>) -> Self {
        Self {
            text,
            encoding,
            mark: None,
        }
    }
}

/// Return the text of a file; `None` for a binary file.
fn text_of(bytes: &[u8]) -> Option<Characters<'_>> {
    let found = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) if encoding == UTF_8 => Characters::utf8(bytes, mark),
        Some((encoding, mark)) => Characters::of(
            encoding,
            encoding.decode_without_bom_handling(&bytes[mark..]).0,
        ),
        None if !head(bytes).contains(&0) => return Some(Characters::utf8(bytes, 0)),
        None => utf16_without_bom(bytes)?,
    };
    (!head(found.text.as_bytes()).contains(&0)).then_some(found)
}

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD)]
}

/// Decode UTF-16 whose head is mostly Latin, so that one byte of most pairs is zero and the other never is.
/// Other files with NUL are binary.
fn utf16_without_bom(bytes: &[u8]) -> Option<Characters<'_>> {
    let pairs = head(bytes).as_chunks::<2>().0;
    let zeros = |side: usize| pairs.iter().filter(|pair| pair[side] == 0).count();
    let encoding = match (zeros(0), zeros(1)) {
        (0, high) if high * 4 >= pairs.len() * 3 => UTF_16LE,
        (high, 0) if high * 4 >= pairs.len() * 3 => UTF_16BE,
        _ => return None,
    };
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    let is_text = |c: char| !c.is_control() || is_space(c);
    text.chars()
        .take(HEAD)
        .all(is_text)
        .then(|| Characters::of(encoding, text))
}

/// Replace CRLF and CR by LF.
pub fn universal_newlines(text: Cow<'_, str>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], chunker: Chunker) -> String {
        match decode(bytes, chunker) {
            Decoded::Text(decoded) => decoded.text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn lines_end_in_lf() {
        for chunker in [Chunker::Ast, Chunker::Compat] {
            assert_eq!(
                text(b"a\r\nb\rc\r\r\nd\n\re\r", chunker),
                "a\nb\nc\n\nd\n\ne\n"
            );
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_as_python_does() {
        // Left: bytes; right: U+FFFD in the result, counted with CPython 3.11.
        let cases: [(&[u8], usize); 7] = [
            (b"x\xff", 1),
            (b"x\xe2\x82", 1),
            (b"x\xf0\x9f\x98y", 1),
            (b"x\xed\xa0\x80", 3),
            (b"x\xf4\x90\x80\x80", 4),
            (b"x\xc0\xaf", 2),
            (b"x\xf0\x80\x80\x80", 4),
        ];
        for (bytes, replaced) in cases {
            let text = text(bytes, Chunker::Compat);
            assert_eq!(text.matches('\u{fffd}').count(), replaced, "{bytes:x?}");
        }
    }

    #[test]
    fn byte_order_marks_are_honoured_by_ast_alone() {
        assert_eq!(text(b"\xef\xbb\xbfa", Chunker::Ast), "a");
        assert_eq!(text(b"\xef\xbb\xbfa", Chunker::Compat), "\u{feff}a");
        assert_eq!(text(b"\xff\xfea\0\xe9\0", Chunker::Ast), "a\u{e9}");
        assert_eq!(text(b"\xfe\xff\0a\0\xe9", Chunker::Ast), "a\u{e9}");
    }

    #[test]
    fn clear_utf16_is_read_without_a_mark() {
        let little: Vec<u8> = "some text\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let big: Vec<u8> = "some text\n"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(text(&little, Chunker::Ast), "some text\n");
        assert_eq!(text(&big, Chunker::Ast), "some text\n");
        // Small numbers, as in a table, are not text.
        assert_eq!(
            decode(b"\x01\0\x02\0\x03\0\x04\0", Chunker::Ast),
            Decoded::Binary
        );
    }

    #[test]
    fn nul_in_the_head_is_binary_for_ast_alone() {
        assert_eq!(decode(b"abc\0def", Chunker::Ast), Decoded::Binary);
        assert_eq!(text(b"abc\0def", Chunker::Compat), "abc\0def");
        assert_eq!(
            decode(b"\xff\xfe\0\0a\0\0\0", Chunker::Ast),
            Decoded::Binary
        );
        let late = ["a".repeat(HEAD).as_bytes(), b"\0"].concat();
        assert_eq!(text(&late, Chunker::Ast).len(), HEAD + 1);
    }

    #[test]
    fn white_space_is_blank() {
        for chunker in [Chunker::Ast, Chunker::Compat] {
            for blank in ["", " \r\n\t", "\u{a0}\u{2028}\u{1c}\u{85}"] {
                assert_eq!(decode(blank.as_bytes(), chunker), Decoded::Blank);
            }
        }
        assert_eq!(decode(b"\xef\xbb\xbf \n", Chunker::Ast), Decoded::Blank);
    }
}
