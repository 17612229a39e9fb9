//! Decodes a file: byte order mark, UTF-8, UTF-16, what the file declares, else what its bytes look like.
//!
//! The order is from certain to likely. Detection without any sign is `chardetng`'s, made for browsers; it needs some words
//! of text.

use super::declared::declared;
use super::utf16;
use crate::chunk::{Decoded, DecodedText, Origin, is_space, universal_newlines};
use crate::file::RelPath;
use crate::language;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8};
use std::borrow::Cow;

/// Bytes that are searched for NUL, as many as git and grep look at.
const HEAD: usize = 8 * 1024;

/// A text is UTF-8 with damage, rather than another encoding, when it has so many sound characters of several bytes for
/// each place that is not UTF-8. Texts in other encodings have fewer than one in five.
const SOUND_PER_DAMAGE: usize = 2;

/// Control characters of a thousand that a text may have.
const MOST_CONTROLS: usize = 5;

/// Decode a file. A file that is UTF-8 but for a few bytes has U+FFFD there, and they are counted.
pub fn decode(bytes: &[u8], path: &RelPath) -> Decoded {
    let characters = match characters(bytes) {
        Ok(characters) => characters,
        Err(other) => return other,
    };
    if characters.text.chars().all(is_space) {
        return Decoded::Blank;
    }
    let encoding = characters.encoding.name();
    let origin = match characters.mark {
        Some(mark) => Origin::utf8(mark, &characters.text),
        None => Origin::of_lines(),
    };
    let text = universal_newlines(characters.text);
    Decoded::Text(DecodedText {
        language: language::of(path, &text),
        text,
        encoding,
        origin,
        replaced: characters.replaced,
        elided: 0,
    })
}

/// The characters of a file, with the line ends that it has.
struct Characters<'a> {
    text: Cow<'a, str>,
    encoding: &'static Encoding,
    /// Bytes before the text, when the rest of the file is the text as it is.
    mark: Option<usize>,
    /// U+FFFD in place of bytes that are no characters.
    replaced: u32,
}

fn characters(bytes: &[u8]) -> Result<Characters<'_>, Decoded> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let rest = &bytes[mark..];
        let found = if encoding == UTF_8 {
            damaged_utf8(rest, mark)
        } else {
            exactly(encoding, rest).ok_or_else(|| undecodable(bytes, Some(encoding)))?
        };
        let is_text = !head(found.text.as_bytes()).contains(&0);
        return is_text.then_some(found).ok_or(Decoded::Binary);
    }
    if head(bytes).contains(&0) {
        let encoding = utf16::without_mark(bytes).ok_or(Decoded::Binary)?;
        return exactly(encoding, bytes).ok_or(Decoded::Binary);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(iso_2022_jp(bytes).unwrap_or(Characters {
            text: Cow::Borrowed(text),
            encoding: UTF_8,
            mark: Some(0),
            replaced: 0,
        }));
    }
    let declared =
        declared(bytes).filter(|encoding| *encoding != UTF_8 && encoding.is_ascii_compatible());
    if let Some(found) = declared
        .and_then(|encoding| exactly(encoding, bytes))
        .filter(is_text)
    {
        return Ok(found);
    }
    if is_damaged_utf8(bytes) {
        return Ok(damaged_utf8(bytes, 0));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    exactly(guess, bytes)
        .filter(is_text)
        .ok_or_else(|| undecodable(bytes, Some(guess)))
}

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD)]
}

/// Decode bytes that are all characters of `encoding`.
fn exactly<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Characters<'a>> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(Characters {
        text,
        encoding,
        mark: None,
        replaced: 0,
    })
}

/// Decode the Japanese of mails, which is ASCII by its bytes: escapes switch between alphabets.
fn iso_2022_jp(bytes: &[u8]) -> Option<Characters<'_>> {
    let has = |escape: &[u8]| bytes.windows(escape.len()).any(|window| window == escape);
    if !bytes.contains(&0x1b)
        || !(has(b"\x1b$B") || has(b"\x1b$@"))
        || !(has(b"\x1b(B") || has(b"\x1b(J"))
    {
        return None;
    }
    exactly(ISO_2022_JP, bytes)
}

/// Whether most characters beyond ASCII are sound UTF-8. A character that the file's end cuts is no damage.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut sound, mut damaged) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        sound += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        damaged += usize::from(!chunk.invalid().is_empty());
    }
    sound > 0 && sound >= damaged * SOUND_PER_DAMAGE
}

/// Decode UTF-8 with U+FFFD for what is none, and count these.
fn damaged_utf8(bytes: &[u8], mark: usize) -> Characters<'_> {
    let text = String::from_utf8_lossy(bytes);
    let is_sound = matches!(text, Cow::Borrowed(_));
    let damage = bytes
        .utf8_chunks()
        .filter(|chunk| !chunk.invalid().is_empty());
    Characters {
        replaced: damage.count() as u32,
        text,
        encoding: UTF_8,
        mark: is_sound.then_some(mark),
    }
}

/// Whether a decoded file reads like text: next to no control characters.
fn is_text(found: &Characters) -> bool {
    let (mut chars, mut controls) = (0, 0);
    for c in found.text.chars() {
        chars += 1;
        // Terminals' escapes and form feeds occur in texts.
        controls += usize::from(c.is_control() && !is_space(c) && c != '\u{1b}' && c != '\u{8}');
    }
    controls * 1_000 <= chars * MOST_CONTROLS
}

/// What is said of a file in no encoding: the first byte that is not UTF-8, and the likeliest encoding.
fn undecodable(bytes: &[u8], guess: Option<&'static Encoding>) -> Decoded {
    let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    let guess = guess.map_or("", Encoding::name);
    Decoded::Undecodable(format!("line {line}: not UTF-8, and not sound as {guess}"))
}
