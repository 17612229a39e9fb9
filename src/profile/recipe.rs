//! The choices that determine the output, besides the models.
//!
//! Plain values with defaults. Builds with equal recipes, models and inputs write equal indexes; the fingerprint is a hash of
//! the recipe and the hashes of the models.

use crate::ids::Digest;
use serde::{Deserialize, Serialize};

/// Raise it when chunker, tagger or store write something else for the same input. Older indexes then no longer count as
/// unchanged, and their vectors are not mixed with new ones.
const RULES_VERSION: u32 = 5;

/// The same for what only the standard rules change.
const STANDARD_RULES_VERSION: u32 = 1;

/// Which files are indexed, and how their text is read and cut: the key `rules`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleSet {
    /// Every file that is text by its content, except those that git ignores and those that programs wrote.
    #[default]
    Standard,
    /// The Python builder's lists of extensions and folders, and its limits.
    Compat,
}

impl RuleSet {
    /// The rules of indexes from before there was a choice.
    fn of_old_index() -> Self {
        Self::Compat
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Compat => "compat",
        }
    }
}

/// How a file's text is cut into chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunker {
    /// At syntax boundaries, by tree-sitter, falling back to paragraphs and lines.
    #[default]
    Ast,
    /// By the Python builder's rules, with equal chunk ids.
    Compat,
}

/// Which chunks are not in the hot tier.
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
    /// All of it, in windows of at most the longest run of the model.
    #[default]
    Whole,
    /// The first 1,000 characters and 256 word pieces, as the Python builder does.
    Head,
}

/// What happens to credentials in the text of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsInText {
    /// They are indexed and counted, and left out of tags.
    #[default]
    Keep,
    /// They are replaced before the text is cut into chunks.
    Redact,
    /// Files with credentials are skipped.
    Skip,
}

/// Default of the most characters in a chunk: about one 512-token window of code.
pub const CHUNK_CHARS: u32 = 2_000;

/// What determines the output besides the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Earlier versions did not write it.
    #[serde(default = "RuleSet::of_old_index")]
    pub rules: RuleSet,
    pub chunker: Chunker,
    /// Upper bound of a chunk in Unicode scalar values, for [`Chunker::Ast`].
    pub chunk_chars: u32,
    pub density_gate: DensityGate,
    pub coverage: Coverage,
    /// Earlier versions did not write it.
    #[serde(default)]
    pub secrets_in_text: SecretsInText,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            rules: RuleSet::default(),
            chunker: Chunker::default(),
            chunk_chars: CHUNK_CHARS,
            density_gate: DensityGate::default(),
            coverage: Coverage::default(),
            secrets_in_text: SecretsInText::default(),
        }
    }
}

impl Recipe {
    /// Return the version of the rules that make chunks, tags and rows, as text.
    pub fn rules_version(&self) -> String {
        match self.rules {
            RuleSet::Compat => RULES_VERSION.to_string(),
            RuleSet::Standard => format!("{RULES_VERSION}.{STANDARD_RULES_VERSION}"),
        }
    }

    /// Return the fingerprint of a build: a hash of this recipe, the rules of this version, and the hashes of the models
    /// (sparse, dense; `None` without one).
    pub fn fingerprint(&self, models: [Option<Digest>; 2]) -> Digest {
        let choices = (
            self.chunker,
            self.chunk_chars,
            self.density_gate,
            self.coverage,
        );
        let parts = (RULES_VERSION, choices, models);
        let mut bytes = postcard::to_stdvec(&parts).expect("plain values always encode");
        // What earlier versions did is left out, since fingerprints are older than these choices.
        if self.rules != RuleSet::Compat {
            bytes.extend(STANDARD_RULES_VERSION.to_be_bytes());
            bytes.extend(self.rules.as_str().as_bytes());
        }
        if self.secrets_in_text != SecretsInText::Keep {
            let choice = postcard::to_stdvec(&self.secrets_in_text);
            bytes.extend(choice.expect("plain values always encode"));
        }
        Digest(blake3::hash(&bytes).into())
    }
}

/// Return the fingerprint of the vectors: builds with the same one can reuse each other's vectors. `models` are the hashes of
/// the models (sparse, dense), which include the coverage.
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
                rules: RuleSet::Compat,
                ..recipe.clone()
            }
            .fingerprint([model, None]),
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
        assert_ne!(others[7], others[8]);
    }

    /// The fingerprint from before the choices about rules and credentials in texts.
    #[test]
    fn compat_rules_keep_the_old_fingerprint() {
        let choices = (
            Chunker::Ast,
            CHUNK_CHARS,
            DensityGate::DenyList,
            Coverage::Whole,
        );
        let models: [Option<Digest>; 2] = [Some(Digest([1; 32])), None];
        let bytes = postcard::to_stdvec(&(RULES_VERSION, choices, models)).expect("plain");
        let recipe = Recipe {
            rules: RuleSet::Compat,
            ..Recipe::default()
        };
        assert_eq!(
            recipe.fingerprint(models),
            Digest(blake3::hash(&bytes).into())
        );
    }
}
