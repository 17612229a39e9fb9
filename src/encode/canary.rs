//! Tries models out when they are opened: whether they encode ordinary texts, the same way each time, in finite time,
//! and whether their vectors say anything.
//!
//! What cannot be used is an error before any work is done, and not a reason to leave out every file. Vectors that say
//! nothing are a fault that the caller tells of.

use super::endless::{self, Ended};
use super::error::EncodeError;
use super::prepare::Prepared;
use super::{Encoded, Encoders, trial};
use crate::batch::EncoderKind;
use std::sync::Arc;

/// Texts that every model can encode: prose, and a line of code.
const CANARIES: [&str; 2] = [
    "The quick brown fox jumps over the lazy dog, twice a day.",
    "fn main() { println!(\"{}\", 6 * 7); }",
];

/// Least cosine of two vectors of the same text, where threads or a device may add up in another order.
const LEAST_SAME: f64 = 0.999;

impl Encoders {
    /// Encodes two ordinary texts, each twice, so that a model that cannot is an error before any work is done, and
    /// not a reason to leave out every file. `exact`: the second vectors must be the first, bit for bit.
    pub(super) fn try_out(&mut self, exact: bool) -> Result<(), EncodeError> {
        let mut seen = Vec::new();
        for text in CANARIES {
            let (kind, reason) = match self.encode_twice(text) {
                Ok([first, second]) => match first.differs_in(&second, exact) {
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
                // A tokenizer may refuse words that it does not know; others are refused one by one.
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
            return Err(EncodeError::bad(kind, &self.name_of(kind), reason));
        }
        self.faults = self.sameness(seen)?;
        Ok(())
    }

    /// With an end to each run: the first time, nothing is known of the graph.
    fn encode_twice(&mut self, text: &str) -> Result<[Encoded; 2], EncodeError> {
        let prepared = self.preparer.prepare(text);
        Ok([
            self.encode_within_patience(&prepared)?,
            self.encode_within_patience(&prepared)?,
        ])
    }

    fn encode_within_patience(&mut self, prepared: &Prepared) -> Result<Encoded, EncodeError> {
        let sessions = [
            self.sparse.as_ref().map(|e| e.session.terminator()),
            self.dense.as_ref().map(|e| e.session.terminator()),
        ];
        let terminate = move || sessions.iter().flatten().for_each(|terminate| terminate());
        match endless::watched(terminate, || self.encode(prepared)) {
            (Err(error), Ended::Late) => {
                let kind = error.kind().unwrap_or(EncoderKind::Dense);
                Err(EncodeError::bad(kind, &self.name_of(kind), endless::REASON))
            }
            (encoded, _) => encoded,
        }
    }

    /// What is wrong with vectors that say nothing of their texts, of each kind of which that is so. Words of the
    /// model's own are tried then: a vocabulary may know nothing of English.
    fn sameness(&mut self, mut seen: Vec<Encoded>) -> Result<Vec<EncodeError>, EncodeError> {
        let given = [
            self.sparse.as_ref().map(|_| EncoderKind::Sparse),
            self.dense.as_ref().map(|_| EncoderKind::Dense),
        ];
        let kinds = || given.into_iter().flatten();
        let preparer = Arc::clone(&self.preparer);
        for kind in kinds()
            .filter(|kind| sameness(&seen, *kind).is_some())
            .collect::<Vec<_>>()
        {
            let tokenizer = match kind {
                EncoderKind::Sparse => preparer.sparse_tokenizer(),
                EncoderKind::Dense => preparer.dense_tokenizer(),
            };
            for text in tokenizer.map_or_else(Vec::new, |t| own_words(&t.vocabulary())) {
                match self.encode_text(&text) {
                    Ok(encoded) => seen.push(encoded),
                    Err(EncodeError::TextRefused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let fault = |kind| {
            let reason = sameness(&seen, kind)?;
            Some(EncodeError::bad(kind, &self.name_of(kind), reason))
        };
        Ok(kinds().filter_map(fault).collect())
    }

    /// Models that can be used and whose vectors say nothing: each text has the same.
    pub fn faults(&self) -> &[EncodeError] {
        &self.faults
    }

    pub(super) fn take_fault(&mut self) -> Option<EncodeError> {
        self.faults.pop()
    }

    fn name_of(&self, kind: EncoderKind) -> String {
        let name = match kind {
            EncoderKind::Sparse => self.sparse.as_ref().map(|e| e.session.name()),
            EncoderKind::Dense => self.dense.as_ref().map(|e| e.session.name()),
        };
        name.unwrap_or_default().to_owned()
    }
}

/// Words of a model's own vocabulary that are tried where ordinary texts say nothing to it.
const OWN_WORDS: usize = 8;

/// Some words of a vocabulary, from all over it, for texts that a model knows whatever its language is.
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

/// Why the vectors of one kind, of which there are two or more, say nothing of their texts, if that is so.
fn sameness(seen: &[Encoded], kind: EncoderKind) -> Option<&'static str> {
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

impl Encoded {
    /// The kind in which the vectors of one text, made twice, are not the same.
    fn differs_in(&self, other: &Self, exact: bool) -> Option<EncoderKind> {
        if exact {
            let sparse = self.sparse != other.sparse;
            let dense = self.dense != other.dense;
            return sparse
                .then_some(EncoderKind::Sparse)
                .or(dense.then_some(EncoderKind::Dense));
        }
        let only = |encoded: &Self, kind| match kind {
            EncoderKind::Sparse => Self {
                sparse: encoded.sparse.clone(),
                ..Self::default()
            },
            EncoderKind::Dense => Self {
                dense: encoded.dense.clone(),
                ..Self::default()
            },
        };
        [EncoderKind::Sparse, EncoderKind::Dense]
            .into_iter()
            .find(|kind| {
                let (one, two) = (only(self, *kind), only(other, *kind));
                one != two && trial::similarity(&one, &two) < LEAST_SAME
            })
    }
}
