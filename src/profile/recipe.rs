//! The choices that shape every byte of the output, apart from the models.
//!
//! Plain values with their defaults. Two builds with equal recipes, models and inputs write equal
//! indexes; the fingerprint is a hash over these and the models' own hashes.

use crate::ids::Digest;
use serde::{Deserialize, Serialize};

/// Raised whenever chunker, tagger or store write something else for the same input: older indexes
/// then no longer count as unchanged, and their vectors are not mixed with new ones.
const RULES_VERSION: u32 = 4;

/// How a file's text is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunker {
    /// At syntax boundaries, by tree-sitter, falling back to paragraphs and lines.
    #[default]
    Ast,
    /// Exactly the Python builder's rules, so that chunk ids equal its own.
    Compat,
}

/// Which chunks are kept out of the hot tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DensityGate {
    /// Only files on the deny list (generated and vendored files) are demoted.
    #[default]
    DenyList,
    /// Also chunks with few tags per character, as the Python builder does.
    Compat,
}

/// How much of a chunk the encoders see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// All of it, in windows of at most the model's length.
    #[default]
    Whole,
    /// The first 1,000 characters and 256 word pieces, as the Python builder does.
    Head,
}

/// What becomes of credentials in the text of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsInText {
    /// Indexed as the text has them, counted, and kept out of tags.
    #[default]
    Keep,
    /// Replaced before the text is cut into chunks.
    Redact,
    /// Files that have any are left out.
    Skip,
}

/// Characters in a chunk at most, by default: about one 512-token window of code.
pub const CHUNK_CHARS: u32 = 2_000;

/// What shapes the output besides the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    pub chunker: Chunker,
    /// Upper bound of a chunk in Unicode scalar values, for [`Chunker::Ast`].
    pub chunk_chars: u32,
    pub density_gate: DensityGate,
    pub coverage: Coverage,
    /// Not there in what earlier versions wrote.
    #[serde(default)]
    pub secrets_in_text: SecretsInText,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            chunker: Chunker::default(),
            chunk_chars: CHUNK_CHARS,
            density_gate: DensityGate::default(),
            coverage: Coverage::default(),
            secrets_in_text: SecretsInText::default(),
        }
    }
}

impl Recipe {
    /// The fingerprint of a build: this recipe, the rules of this version, and the models' own hashes
    /// (sparse, dense; `None` where the build has none).
    pub fn fingerprint(&self, models: [Option<Digest>; 2]) -> Digest {
        let choices = (
            self.chunker,
            self.chunk_chars,
            self.density_gate,
            self.coverage,
        );
        let parts = (RULES_VERSION, choices, models);
        let mut bytes = postcard::to_stdvec(&parts).expect("plain values always encode");
        // The default is not written: fingerprints are older than this choice.
        if self.secrets_in_text != SecretsInText::Keep {
            let choice = postcard::to_stdvec(&self.secrets_in_text);
            bytes.extend(choice.expect("plain values always encode"));
        }
        Digest(blake3::hash(&bytes).into())
    }
}

/// Identifies the vectors alone: those of another build with the same one can be taken over. `models`
/// are the models' own hashes (sparse, dense), which cover the coverage rule as well.
pub fn encoder_fingerprint(models: [Option<Digest>; 2]) -> Digest {
    let bytes = postcard::to_stdvec(&models).expect("plain values always encode");
    Digest(blake3::hash(&bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_changes_the_fingerprint() {
        let recipe = Recipe::default();
        let model = Some(Digest([1; 32]));
        let plain = recipe.fingerprint([model, None]);
        assert_eq!(plain, recipe.clone().fingerprint([model, None]));
        let others = [
            recipe.fingerprint([None, model]),
            recipe.fingerprint([None, None]),
            Recipe {
                chunker: Chunker::Compat,
                ..recipe.clone()
            }
            .fingerprint([model, None]),
            Recipe {
                chunk_chars: 1_999,
                ..recipe.clone()
            }
            .fingerprint([model, None]),
            Recipe {
                density_gate: DensityGate::Compat,
                ..recipe.clone()
            }
            .fingerprint([model, None]),
            Recipe {
                coverage: Coverage::Head,
                ..recipe.clone()
            }
            .fingerprint([model, None]),
            Recipe {
                secrets_in_text: SecretsInText::Redact,
                ..recipe.clone()
            }
            .fingerprint([model, None]),
            Recipe {
                secrets_in_text: SecretsInText::Skip,
                ..recipe
            }
            .fingerprint([model, None]),
        ];
        assert!(others.iter().all(|other| *other != plain));
        assert_ne!(others[6], others[7]);
    }

    /// As it was before there was a choice about secrets in texts.
    #[test]
    fn the_default_has_the_fingerprint_of_old() {
        let choices = (
            Chunker::Ast,
            CHUNK_CHARS,
            DensityGate::DenyList,
            Coverage::Whole,
        );
        let models: [Option<Digest>; 2] = [Some(Digest([1; 32])), None];
        let bytes = postcard::to_stdvec(&(RULES_VERSION, choices, models)).expect("plain");
        assert_eq!(
            Recipe::default().fingerprint(models),
            Digest(blake3::hash(&bytes).into())
        );
    }
}
