//! The protocols of servers: how one is recognised, and what it tells of its model. `fetch` asks for vectors.
//!
//! - text-embeddings-inference: `GET /info`, `POST /embed`, `/embed_sparse` and `/decode` (for the names of terms)
//! - OpenAI's: `GET /v1/models`, `POST /v1/embeddings`; a URL that ends in `/v1` means it
//! - `helix-build serve --encoders`: `GET /ready`, `POST /encode/dense` and `/encode/splade`

use super::call::{Caller, Failed, Retry};
use super::pieces::CHARS_PER_TOKEN;
use super::wire::{HelixReady, OpenAiModels, TeiInfo};
use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use serde_json::Value;
use std::fmt;

/// Texts of a request to a server that tells no limit; text-embeddings-inference takes so many by default.
const TEXTS: usize = 32;

/// Characters of a piece for a server that tells no limit: twice the default length of a chunk.
const CHARS: usize = 4_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Tei,
    OpenAi,
    Helix,
}

impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tei => "text-embeddings-inference",
            Self::OpenAi => "openai",
            Self::Helix => "helix-build",
        }
    }
}

/// What a server tells of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub model: String,
    pub revision: Option<String>,
    /// Precision and pooling.
    pub variant: String,
    /// Texts of a request.
    pub texts: usize,
    /// Characters of a piece; `None`: the server cuts texts itself.
    pub chars: Option<usize>,
    /// Most terms of a chunk's sparse vector.
    pub terms: Option<usize>,
}

impl Known {
    /// Whether it is the same model. Limits may change.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.model.clone(), it.revision.clone(), it.variant.clone());
        of(self) == of(other)
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model)?;
        match &self.revision {
            Some(revision) => write!(f, " ({revision:.12})"),
            None => Ok(()),
        }
    }
}

/// Ask a server which protocol it speaks and which model it has.
pub(super) fn look(caller: &Caller) -> Result<(Api, Known), EncodeError> {
    let known = |api, known: Result<Known, EncodeError>| known.map(|known| (api, known));
    if caller.address.base.ends_with("/v1") {
        return known(Api::OpenAi, openai(caller));
    }
    match caller.call::<Value>("/info", None, Retry::Long) {
        Ok(info) => {
            if let Ok(info) = serde_json::from_value::<TeiInfo>(info) {
                return known(Api::Tei, tei(caller, info));
            }
        }
        Err(Failed::Missing) => {}
        Err(other) => return Err(caller.fatal(other)),
    }
    match caller.call::<Value>("/ready", None, Retry::Long) {
        Ok(ready) => {
            if let Ok(ready) = serde_json::from_value::<HelixReady>(ready) {
                return known(Api::Helix, helix(caller, ready));
            }
        }
        Err(Failed::Missing) => {}
        Err(other) => return Err(caller.fatal(other)),
    }
    Err(caller.bad(
        "it has neither /info, as text-embeddings-inference, nor /ready, as helix-build serve --encoders; the URL of a \
         server that speaks OpenAI's protocol ends in /v1",
    ))
}

fn tei(caller: &Caller, info: TeiInfo) -> Result<Known, EncodeError> {
    let is_splade = info.pooling() == Some("splade");
    if is_splade != (caller.kind == EncoderKind::Sparse) {
        let is = if is_splade { "sparse" } else { "no sparse" };
        let model = &info.model_id;
        return Err(caller.bad(format!("{model} is {is} encoder: start it with the pooling of the other kind, or name it with the other flag")));
    }
    named(caller, &info.model_id)?;
    Ok(Known {
        variant: format!("{} {}", info.model_dtype, info.model_type),
        model: info.model_id,
        revision: info.model_sha,
        texts: info.max_client_batch_size.unwrap_or(TEXTS).clamp(1, TEXTS),
        chars: Some(
            info.max_input_length
                .map_or(CHARS, |n| (n * CHARS_PER_TOKEN).max(1)),
        ),
        terms: None,
    })
}

fn openai(caller: &Caller) -> Result<Known, EncodeError> {
    if caller.kind == EncoderKind::Sparse {
        return Err(caller.bad(
            "OpenAI's protocol has no sparse vectors: use text-embeddings-inference or helix-build serve --encoders",
        ));
    }
    let models = match caller.call::<OpenAiModels>("/models", None, Retry::Long) {
        Ok(models) => models.data,
        // Not every server lists them.
        Err(Failed::Missing) => Vec::new(),
        Err(other) => return Err(caller.fatal(other)),
    };
    let asked = &caller.address.model;
    let model = match (asked.as_str(), models.as_slice()) {
        ("", [only]) => &only.id,
        ("", []) => return Err(caller.bad("it lists no model: add ?model=NAME to the URL")),
        ("", several) => {
            let names: Vec<&str> = several.iter().take(8).map(|it| it.id.as_str()).collect();
            let names = names.join(", ");
            return Err(caller.bad(format!(
                "it has several models ({names}): add ?model=NAME to the URL"
            )));
        }
        _ => asked,
    };
    let listed = models.iter().find(|it| it.id == *model);
    let tokens = listed.and_then(|it| it.max_model_len);
    Ok(Known {
        model: model.clone(),
        revision: None,
        variant: String::new(),
        texts: TEXTS,
        chars: Some(tokens.map_or(CHARS, |n| (n * CHARS_PER_TOKEN).clamp(1, CHARS))),
        terms: None,
    })
}

fn helix(caller: &Caller, ready: HelixReady) -> Result<Known, EncodeError> {
    let address = &caller.address;
    if !address.query_prefix.is_empty() || !address.passage_prefix.is_empty() {
        return Err(caller.bad("it has the prefixes of its model: leave query_prefix and passage_prefix out of the URL"));
    }
    let Some(encoders) = ready.encoders else {
        return Err(
            caller.bad("it does not tell its models: serve them with this version of helix-build")
        );
    };
    let encoder = match caller.kind {
        EncoderKind::Sparse => encoders.sparse,
        EncoderKind::Dense => encoders.dense,
    };
    let Some(encoder) = encoder else {
        let kind = caller.kind;
        return Err(caller.bad(format!("the index that it serves has no {kind} vectors")));
    };
    named(caller, &encoder.name)?;
    Ok(Known {
        model: encoder.name,
        revision: Some(encoder.hash),
        variant: String::new(),
        texts: TEXTS,
        chars: None,
        terms: encoder.terms,
    })
}

/// Refuse a server of one model that has another than the URL says.
fn named(caller: &Caller, model: &str) -> Result<(), EncodeError> {
    let asked = &caller.address.model;
    match asked.is_empty() || asked == model {
        true => Ok(()),
        false => Err(caller.bad(format!("it has the model {model}, and not {asked}"))),
    }
}
