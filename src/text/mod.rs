//! Turns the bytes of a file into the text that is indexed, by the standard rules.
//!
//! Pure. `worker` calls [`decode`], looks for credentials, and calls [`prepare`]; `chunk` cuts the result.
//!
//! ```text
//! encoding: bytes -> characters -> prepare: notebook | markup | as it is -> noise: without encoded data
//! ```
//!
//! No character is lost in silence: bytes that are no text end in [`crate::chunk::Decoded::Undecodable`], and what is replaced or
//! left out is counted.

mod declared;
mod encoding;
mod markup;
mod noise;
mod notebook;
#[cfg(test)]
mod tests;
mod utf16;

pub use encoding::decode;

use crate::chunk::DecodedText;
use notebook::Rewritten;

/// Whether [`prepare`] takes the text apart, so that a value may lose the key beside it.
pub fn is_taken_apart(decoded: &DecodedText) -> bool {
    let language = decoded.language.map(|language| language.name);
    matches!(
        language,
        Some("jupyter" | "html" | "vue" | "svelte" | "astro")
    )
}

/// Make of a decoded text what is indexed: take notebooks and pages apart, and leave out encoded data.
/// The text may be blank then.
pub fn prepare(decoded: DecodedText) -> DecodedText {
    let mut prepared = decoded;
    let language = prepared.language.map(|language| language.name);
    let rewritten = match language {
        Some("jupyter") => notebook::cells(&prepared.text),
        Some("html" | "vue" | "svelte" | "astro") => Some(markup::without_tags(&prepared.text)),
        _ => None,
    };
    if let Some(Rewritten { text, lines }) = rewritten {
        prepared.text = text;
        prepared.origin = prepared.origin.rewritten(Some(lines));
    }
    if let Some(elided) = noise::without_encoded_data(&prepared.text) {
        prepared.text = elided.text;
        prepared.elided = elided.count;
        prepared.origin = prepared.origin.rewritten(Some(elided.lines));
    }
    prepared
}
