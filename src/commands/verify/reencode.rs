//! `verify --reencode`: encodes chunks of an index again and compares the vectors.
//!
//! The model flags name the encoders; they must be those that the index was built with.

use crate::cli::{ModelFlags, Reencode};
use crate::commands::settings;
use crate::encode::{BuiltWith, EncodeError, Encoders, MismatchError};
use crate::exit_code::{Exit, ExitCode};
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::store::index::Index;
use crate::verify::{Agreement, Faults, Sampler, TextVectors};
use serde::Serialize;
use std::time::SystemTime;

/// Encoders ready to check an index with.
pub struct Reencoder {
    sampler: Sampler,
    encoders: Encoders,
    kinds: Kinds,
}

/// What is compared: the kinds of vectors that the index has and that are not left out.
#[derive(Clone, Copy)]
struct Kinds {
    sparse: bool,
    dense: bool,
}

/// What came out, as printed.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub seed: u64,
    pub chunks: u64,
    pub exact: u64,
    pub close: u64,
    pub different: u64,
}

impl Reencoder {
    /// Find and load the encoders. `None` when no shard can be read, which is a fault of each.
    ///
    /// # Errors
    /// Exit code 12 when other encoders are given than the index was built with, 13 when they cannot
    /// be used, 2 when there is nothing to compare.
    pub fn open(
        index: &Index,
        flags: &ModelFlags,
        faults: &mut Faults,
    ) -> anyhow::Result<Option<Self>> {
        let sampler = Sampler::open(index, faults);
        let Some(recorded) = sampler.recorded() else {
            return Ok(None);
        };
        let built_with = BuiltWith::parse(&recorded.encoder, &recorded.recipe).ok_or_else(|| {
            let text = "the index does not record its encoders in a form that this version reads: build the index again, or leave out --reencode";
            Exit::error(ExitCode::FingerprintMismatch, text)
        })?;
        let choice = settings::encoder_choice(flags)?;
        let choice = built_with.select(&choice).map_err(mismatch)?;
        let kinds = Kinds::of(&choice)?;
        let encoders = Encoders::open(&choice).map_err(unavailable)?;
        Ok(Some(Self {
            sampler,
            encoders,
            kinds,
        }))
    }

    /// Encode the chunks that the seed picks and compare them. Without a given seed every check takes another one, so
    /// that repeated checks cover more of the index.
    pub fn run(mut self, asked: &Reencode, faults: &mut Faults) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome {
            seed: asked.seed.unwrap_or_else(seed_of_now),
            chunks: 0,
            exact: 0,
            close: 0,
            different: 0,
        };
        let (tokenizer, kinds) = (self.encoders.tokenizer(), self.kinds);
        let n = asked.reencode.unwrap_or(0);
        self.sampler
            .pick(n, outcome.seed, faults, |chunk, faults| {
                let encoded = self.encoders.encode(&tokenizer.tokenize(&chunk.text));
                let encoded = encoded.map_err(unavailable)?;
                let again = TextVectors {
                    sparse: kinds.sparse.then(|| {
                        let words = distinct(encoded.route_words);
                        (encoded.sparse.unwrap_or_default(), words)
                    }),
                    dense: kinds.dense.then_some(encoded.dense),
                };
                outcome.chunks += 1;
                match chunk.compare(&again, asked.exact, faults) {
                    Agreement::Exact => outcome.exact += 1,
                    Agreement::Close => outcome.close += 1,
                    Agreement::Different => outcome.different += 1,
                }
                anyhow::Ok(())
            })?;
        Ok(outcome)
    }
}

impl Kinds {
    /// # Errors
    /// Exit code 2 when there is nothing to compare.
    fn of(selected: &EncoderChoice) -> anyhow::Result<Self> {
        let kinds = Self {
            sparse: selected.sparse != ModelSource::None,
            dense: selected.dense != ModelSource::None,
        };
        if !kinds.sparse && !kinds.dense {
            let text = "--reencode has nothing to compare: the index has no vectors, or `none` is given for the model of each kind that it has";
            return Err(Exit::error(ExitCode::Usage, text));
        }
        Ok(kinds)
    }
}

fn mismatch(error: MismatchError) -> anyhow::Error {
    match error {
        MismatchError::Other(other) => {
            let kind = other.kind;
            let text = format!(
                "{other}: name its directory with --{kind}-model, or leave the kind out with --{kind}-model none"
            );
            Exit::error(ExitCode::FingerprintMismatch, text)
        }
        MismatchError::Unreadable(error) => unavailable(error),
    }
}

fn unavailable(error: EncodeError) -> anyhow::Error {
    let text = format!(
        "{error}; --reencode needs the encoders that the index was built with: name them with --sparse-model and --dense-model, or leave a kind out with `none`"
    );
    Exit::error(ExitCode::Unavailable, text)
}

/// Each word once, ASCII case aside, as they are stored.
fn distinct(words: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if !kept.iter().any(|known| known.eq_ignore_ascii_case(&word)) {
            kept.push(word);
        }
    }
    kept
}

/// Six digits are easy to type again.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::from(now.subsec_nanos()) / 1000)
}
