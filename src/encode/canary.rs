//! Canary texts: checks that opened encoders encode ordinary texts, reproducibly, in finite time, and to vectors that differ.
//!
//! A model that cannot is an error before any work is done, not a reason to skip every file. Vectors that are all the same
//! are a warning.

use super::encoders::Encoders;
use super::error::EncodeError;
use super::raw::Encoded;
use super::similarity::similarity;
use super::text::TokenizedText;
use super::time_limit::{self, Ended};
use crate::batch::EncoderKind;
use std::sync::Arc;

/// Texts that every model can encode: prose and a line of code.
const CANARIES: [&str; 2] = [
    "The quick brown fox jumps over the lazy dog, twice a day.",
    "fn main() { println!(\"{}\", 6 * 7); }",
];

/// Least cosine of two vectors of the same text where threads or a device may add in another order.
const MIN_COSINE: f64 = 0.999;

const KINDS: [EncoderKind; 2] = [EncoderKind::Sparse, EncoderKind::Dense];

/// How well two vectors of the same text must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Bit for bit.
    Exact,
    WithinRounding,
}

/// Encode ordinary texts, each twice, with a time limit. Return warnings about models that give every text the same vector.
///
/// # Errors
/// `ModelBad` for a model that fails on ordinary texts, is not reproducible or does not end.
pub(super) fn check(
    encoders: &mut Encoders,
    agreement: Agreement,
) -> Result<Vec<EncodeError>, EncodeError> {
    if KINDS
        .iter()
        .all(|kind| encoders.checked_model(*kind).is_none())
    {
        // The built-in encoders are tables of this program.
        return Ok(Vec::new());
    }
    let mut seen = Vec::new();
    for text in CANARIES {
        let (kind, reason) = match encode_twice(encoders, text) {
            Ok([first, second]) => match difference(&first, &second, agreement) {
                None => {
                    seen.push(first);
                    continue;
                }
                Some(kind) => (
                    kind,
                    "it gives other vectors each time it encodes the same text; its graph draws random numbers: \
                     export it for inference, without dropout"
                        .to_owned(),
                ),
            },
            // A tokenizer may refuse words that it does not know. Such texts are refused one by one.
            Err(EncodeError::TextRefused { .. }) => continue,
            Err(EncodeError::BadOutput { kind, .. }) => (
                kind,
                "it gives numbers that are not finite for an ordinary text; \
                 it may be damaged, or exported with too few bits"
                    .to_owned(),
            ),
            Err(EncodeError::RunFailed { kind, reason, .. }) => {
                (kind, format!("it fails on an ordinary text: {reason}"))
            }
            Err(other) => return Err(other),
        };
        return Err(EncodeError::bad(kind, &name_of(encoders, kind), reason));
    }
    constant_kinds(encoders, seen)
}

fn encode_twice(encoders: &mut Encoders, text: &str) -> Result<[Encoded; 2], EncodeError> {
    let text = encoders.tokenizer.tokenize(text);
    Ok([
        encode_limited(encoders, &text)?,
        encode_limited(encoders, &text)?,
    ])
}

/// Encode with a time limit, since nothing is known of the graph yet.
fn encode_limited(encoders: &mut Encoders, text: &TokenizedText) -> Result<Encoded, EncodeError> {
    let sessions = KINDS.map(|kind| encoders.session(kind).map(|session| session.terminator()));
    let terminate = move || sessions.iter().flatten().for_each(|terminate| terminate());
    match time_limit::run_limited(terminate, || encoders.encode(text)) {
        (Err(error), Ended::Late) => {
            let kind = error.kind().unwrap_or(EncoderKind::Dense);
            let name = name_of(encoders, kind);
            Err(EncodeError::bad(kind, &name, time_limit::REASON))
        }
        (encoded, _) => encoded,
    }
}

/// Return a warning for each kind whose vectors are all the same. Before that, encode words of the model's own vocabulary,
/// since the model may know no English.
fn constant_kinds(
    encoders: &mut Encoders,
    mut seen: Vec<Encoded>,
) -> Result<Vec<EncodeError>, EncodeError> {
    let kinds = KINDS.into_iter();
    let kinds: Vec<EncoderKind> = kinds
        .filter(|kind| encoders.checked_model(*kind).is_some())
        .collect();
    let tokenizer = Arc::clone(&encoders.tokenizer);
    let suspects = kinds.iter().copied();
    let suspects: Vec<_> = suspects
        .filter(|kind| why_constant(&seen, *kind).is_some())
        .collect();
    for kind in suspects {
        let vocabulary = tokenizer.of(kind).map(|tokenizer| tokenizer.vocabulary());
        for text in own_words(&vocabulary.unwrap_or_default()) {
            match encoders.encode_text(&text) {
                Ok(encoded) => seen.push(encoded),
                Err(EncodeError::TextRefused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let warning = |kind| {
        let reason = why_constant(&seen, kind)?;
        Some(EncodeError::bad(kind, &name_of(encoders, kind), reason))
    };
    Ok(kinds.into_iter().filter_map(warning).collect())
}

fn name_of(encoders: &Encoders, kind: EncoderKind) -> String {
    let name = encoders.checked_model(kind);
    name.unwrap_or_default().to_owned()
}

/// Words of a model's vocabulary to encode where ordinary texts mean nothing to it.
const OWN_WORDS: usize = 8;

/// Pick words from all over a vocabulary, as texts in the model's own language.
fn own_words(vocabulary: &[String]) -> Vec<String> {
    let is_word = |text: &&str| text.chars().count() > 2 && text.chars().all(char::is_alphabetic);
    let words: Vec<&str> = vocabulary
        .iter()
        .map(|entry| entry.trim_start_matches(['\u{2581}', '\u{120}']))
        .filter(is_word)
        .collect();
    let step = (words.len() / OWN_WORDS).max(1);
    let picked = words.into_iter().step_by(step).take(OWN_WORDS);
    picked.map(str::to_owned).collect()
}

/// Return what is wrong if two or more texts all have the same vector of this kind.
fn why_constant(seen: &[Encoded], kind: EncoderKind) -> Option<&'static str> {
    if seen.len() < 2 {
        return None;
    }
    let is_same = match kind {
        EncoderKind::Sparse => seen.iter().all(|e| e.sparse == seen[0].sparse),
        EncoderKind::Dense => seen.iter().all(|e| e.dense == seen[0].dense),
    };
    if !is_same {
        return None;
    }
    match kind {
        EncoderKind::Sparse if seen[0].sparse.as_ref()?.0.is_empty() => Some(
            "it gives no term for any text: its output is zero or negative throughout; export it again",
        ),
        EncoderKind::Sparse => Some(
            "it gives every text the same terms: its output does not depend on its input; export it again",
        ),
        EncoderKind::Dense if seen[0].dense.is_none() => {
            Some("it gives every text a vector of zeros; export it again")
        }
        EncoderKind::Dense => Some(
            "it gives every text the same vector: its output does not depend on its input; export it again",
        ),
    }
}

/// Return the kind in which two encodings of one text differ.
fn difference(one: &Encoded, other: &Encoded, agreement: Agreement) -> Option<EncoderKind> {
    KINDS.into_iter().find(|kind| {
        let (one, other) = (only(one, *kind), only(other, *kind));
        let is_close = || similarity(&one, &other) >= MIN_COSINE;
        one != other && (agreement == Agreement::Exact || !is_close())
    })
}

fn only(encoded: &Encoded, kind: EncoderKind) -> Encoded {
    match kind {
        EncoderKind::Sparse => Encoded {
            sparse: encoded.sparse.clone(),
            ..Encoded::default()
        },
        EncoderKind::Dense => Encoded {
            dense: encoded.dense.clone(),
            ..Encoded::default()
        },
    }
}
