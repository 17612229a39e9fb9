//! Decides whether encoders are those that an index was built with.
//!
//! Vectors of two encoders do not compare, so a query with other encoders has no meaning, and neither has a check that
//! encodes a text again. Reads the models' files; loads no runtime.

use super::describe::{EncoderInfo, ModelInfo, describe};
use super::error::EncodeError;
use crate::batch::EncoderKind;
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::profile::recipe::Recipe;
use crate::profile::server_address::ServerAddress;

/// The encoders that an index was built with, as its shards record them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltWith {
    /// A kind of which the index has no vectors is `None`.
    pub encoders: EncoderInfo,
    pub recipe: Recipe,
}

/// Why a choice of encoders does not fit an index.
#[derive(Debug, thiserror::Error)]
pub enum MismatchError {
    /// Choose the encoder that the index was built with.
    #[error(transparent)]
    Other(Box<OtherEncoder>),
    /// A chosen model cannot be read.
    #[error(transparent)]
    Unreadable(#[from] EncodeError),
}

/// Another encoder than the index was built with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the index was built with the {kind} encoder {} ({:.12}), not {} ({:.12})",
    .built_with.name, .built_with.hash.to_string(), .given.name, .given.hash.to_string()
)]
pub struct OtherEncoder {
    pub kind: EncoderKind,
    pub built_with: ModelInfo,
    pub given: ModelInfo,
}

impl BuiltWith {
    /// Parse what a shard records: JSON of [`EncoderInfo`] and of [`Recipe`]. `None` for the form of another version.
    pub fn parse(encoder: &str, recipe: &str) -> Option<Self> {
        Some(Self {
            encoders: serde_json::from_str(encoder).ok()?,
            recipe: serde_json::from_str(recipe).ok()?,
        })
    }

    /// Return the encoders of `choice` that encode as those of the index did: with its coverage and precision, and
    /// without the kinds of which it has no vectors. A server on this machine that the index records takes the place of the
    /// embedded model, which is also what a choice without any wish has. A recorded server elsewhere is never asked, since
    /// the index may be somebody else's: the choice has to name it.
    ///
    /// # Errors
    /// [`MismatchError::Other`] when a chosen encoder is not the index's, [`MismatchError::Unreadable`] when its files
    /// cannot be read, or with [`EncodeError::ServerNotNamed`].
    pub fn select(&self, choice: &EncoderChoice) -> Result<EncoderChoice, MismatchError> {
        let mut selected = EncoderChoice {
            coverage: self.recipe.coverage,
            precision: self.encoders.precision(),
            ..choice.clone()
        };
        let EncoderInfo { sparse, dense } = &self.encoders;
        selected.sparse = source(EncoderKind::Sparse, sparse, selected.sparse)?;
        selected.dense = source(EncoderKind::Dense, dense, selected.dense)?;
        let given = describe(&selected)?;
        same(EncoderKind::Sparse, &self.encoders.sparse, given.sparse)?;
        same(EncoderKind::Dense, &self.encoders.dense, given.dense)?;
        Ok(selected)
    }
}

fn source(
    kind: EncoderKind,
    recorded: &Option<ModelInfo>,
    chosen: ModelSource,
) -> Result<ModelSource, EncodeError> {
    let Some(recorded) = recorded else {
        return Ok(ModelSource::None);
    };
    let server = recorded.server.as_ref();
    let address = server.and_then(|server| server.url.parse::<ServerAddress>().ok());
    match (chosen, address) {
        (ModelSource::Embedded, Some(address)) if address.is_loopback() => {
            Ok(ModelSource::Server(Box::new(ServerAddress {
                is_recorded: true,
                ..address
            })))
        }
        (ModelSource::Embedded, Some(address)) => Err(EncodeError::ServerNotNamed {
            kind,
            url: address.to_string(),
        }),
        (chosen, _) => Ok(chosen),
    }
}

fn same(
    kind: EncoderKind,
    built_with: &Option<ModelInfo>,
    given: Option<ModelInfo>,
) -> Result<(), MismatchError> {
    match (built_with, given) {
        (Some(built_with), Some(given)) if built_with.hash != given.hash => {
            Err(MismatchError::Other(Box::new(OtherEncoder {
                kind,
                built_with: built_with.clone(),
                given,
            })))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use crate::profile::recipe::Coverage;

    fn built_with_embedded() -> BuiltWith {
        let recipe = Recipe {
            coverage: Coverage::Head,
            ..Recipe::default()
        };
        let choice = EncoderChoice {
            coverage: Coverage::Head,
            ..EncoderChoice::default()
        };
        BuiltWith {
            encoders: describe(&choice).expect("embedded models"),
            recipe,
        }
    }

    #[test]
    fn the_index_decides_on_coverage() {
        let selected = built_with_embedded()
            .select(&EncoderChoice::default())
            .expect("the same encoders");
        assert_eq!(selected.coverage, Coverage::Head);
    }

    #[test]
    fn another_hash_is_refused() {
        let mut built_with = built_with_embedded();
        let dense = built_with.encoders.dense.as_mut().expect("a dense encoder");
        dense.hash = Digest([7; 32]);
        let refused = built_with.select(&EncoderChoice::default());
        let Err(MismatchError::Other(other)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(other.kind, EncoderKind::Dense);
        assert!(other.to_string().contains("(070707070707), not"), "{other}");
    }

    #[test]
    fn kinds_without_vectors_are_left_out() {
        let mut built_with = built_with_embedded();
        built_with.encoders.dense = None;
        let broken = EncoderChoice {
            dense: ModelSource::Directory("no such folder".into()),
            ..EncoderChoice::default()
        };
        let selected = built_with.select(&broken).expect("never looked at");
        assert_eq!(selected.dense, ModelSource::None);
    }
}
