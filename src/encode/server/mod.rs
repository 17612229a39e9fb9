//! Encoder servers: connects to one, learns which model it has, and asks it for vectors.
//!
//! Three protocols are spoken ([`api`]). Texts are sent over a bounded number of connections ([`flight`]), each request is
//! repeated until it succeeds or patience ends ([`call`]), and a long text goes in pieces ([`pieces`]). A server has its own
//! tokenizer, so lengths are counted in characters. The key comes from the caller of [`use_key`] and goes nowhere but into
//! the header of a request.
//!
//! The modules are listed from the bottom up: each imports only modules above it in this list; `fetch` and `flight`
//! implement [`Server`].

mod key;

mod call;

mod pieces;

mod wire;

mod api;

mod fetch;

mod flight;

#[cfg(test)]
mod tests;

use super::error::EncodeError;
use crate::batch::EncoderKind;
use crate::profile::server_address::ServerAddress;
use api::{Api, Known};
use call::{Caller, Limits};
pub(super) use flight::{Ask, DoneRequest};
pub use key::use_key;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Patience of a choice that names none: of a person who waits for the answer to a query.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// Longest patience while a server is opened: a worker asks twice before it is ready, for which it has two minutes.
const OPENING_PATIENCE: Duration = Duration::from_secs(50);

/// Texts that show whether a server still has the model that it had.
const CANARIES: [&str; 2] = [
    "The quick brown fox jumps over the lazy dog, twice a day.",
    "fn main() { println!(\"{}\", 6 * 7); }",
];

/// Least cosine of two vectors of the same text: servers add in another order in each batch, many of them in 16 bits.
const MIN_COSINE: f64 = 0.995;

/// What an index records of the server that encoded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Without user info and key.
    pub url: String,
    pub api: String,
    /// As the server names it; `None`: it names none.
    pub revision: Option<String>,
    /// Always `false`: nobody can tell what a server runs.
    pub reproducible: bool,
}

/// A server with a known model.
pub(super) struct Server {
    caller: Caller,
    api: Api,
    known: Known,
    /// Names of term ids; empty for what is no term.
    names: Mutex<HashMap<u32, String>>,
    /// The model's name in the first answer, for protocols whose answers name it.
    answered_as: OnceLock<String>,
    /// Vectors of [`CANARIES`] when it was opened.
    canaries: Canaries,
}

/// The vectors of some texts.
#[derive(Clone, Debug, PartialEq)]
enum Canaries {
    Dense(Vec<Vec<f32>>),
    Sparse(Vec<Weights>),
}

/// Terms with their weights, above 0.
pub(super) type Weights = Vec<(String, f32)>;

/// What texts are sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Query,
    Passage,
}

impl Server {
    /// Connect, and encode some texts.
    ///
    /// # Errors
    /// `ServerAway` when no answer comes in time, `ServerBad` when it cannot be used.
    pub fn open(
        kind: EncoderKind,
        address: &ServerAddress,
        patience_s: u32,
    ) -> Result<Self, EncodeError> {
        let patience = match patience_s {
            0 => SHORT_PATIENCE,
            seconds => Duration::from_secs(seconds.into()),
        };
        Self::open_with(kind, address, Limits::of(patience))
    }

    fn open_with(
        kind: EncoderKind,
        address: &ServerAddress,
        limits: Limits,
    ) -> Result<Self, EncodeError> {
        let opening = Limits {
            patience: limits.patience.min(OPENING_PATIENCE),
            ..limits
        };
        let caller = Caller::new(kind, address, opening);
        let (api, known) = api::look(&caller)?;
        let mut server = Self {
            caller,
            api,
            known,
            names: Mutex::default(),
            answered_as: OnceLock::new(),
            canaries: Canaries::Dense(Vec::new()),
        };
        server.canaries = server.canary_vectors()?;
        server.caller.set_patience(limits.patience);
        Ok(server)
    }

    pub fn kind(&self) -> EncoderKind {
        self.caller.kind
    }

    /// The model's id.
    pub fn model(&self) -> &str {
        &self.known.model
    }

    /// Numbers of a dense vector; 0 for sparse ones, whose vocabulary a server does not tell.
    pub fn dim(&self) -> usize {
        match &self.canaries {
            Canaries::Dense(vectors) => vectors.first().map_or(0, Vec::len),
            Canaries::Sparse(_) => 0,
        }
    }

    /// Terms that a chunk's vector has at most, if the server says so.
    pub fn document_terms(&self) -> Option<usize> {
        self.known.terms
    }

    /// What an index records of it.
    pub fn info(&self) -> ServerInfo {
        ServerInfo {
            url: self.caller.address.to_string(),
            api: self.api.name().to_owned(),
            revision: self.known.revision.clone(),
            reproducible: false,
        }
    }

    /// Everything that tells its vectors from others, in an order that never changes. The URL is not part of it: the same
    /// model may run on several machines.
    pub fn identity(&self) -> [&str; 6] {
        let address = &self.caller.address;
        [
            self.api.name(),
            &self.known.model,
            self.known.revision.as_deref().unwrap_or_default(),
            &self.known.variant,
            &address.query_prefix,
            &address.passage_prefix,
        ]
    }

    /// Whether it gives different texts different vectors.
    pub fn tells_texts_apart(&self) -> bool {
        match &self.canaries {
            Canaries::Dense(vectors) => vectors.first() != vectors.last(),
            Canaries::Sparse(vectors) => vectors.first() != vectors.last(),
        }
    }

    /// Refuse to go on with another model than there was at the beginning. Call it after vectors were made, before they
    /// are used.
    ///
    /// # Errors
    /// `ServerChanged`, and those of [`Self::open`].
    pub fn check_unchanged(&self) -> Result<(), EncodeError> {
        let (api, now) = api::look(&self.caller)?;
        if api != self.api || !now.is_same(&self.known) {
            return Err(self.changed(format!("it had {}, and now has {now}", self.known)));
        }
        let least = match (&self.canaries, &self.canary_vectors()?) {
            (Canaries::Dense(before), Canaries::Dense(now)) => {
                least_cosine(before, now, |a, b| dense_dot(a, b))
            }
            (Canaries::Sparse(before), Canaries::Sparse(now)) => {
                least_cosine(before, now, sparse_dot)
            }
            _ => 0.0,
        };
        match least >= MIN_COSINE {
            true => Ok(()),
            false => Err(self.changed(format!(
                "it gives a text another vector than at the beginning (cosine {least:.3})"
            ))),
        }
    }

    fn canary_vectors(&self) -> Result<Canaries, EncodeError> {
        Ok(match self.kind() {
            EncoderKind::Dense => Canaries::Dense(self.dense_canaries()?),
            EncoderKind::Sparse => Canaries::Sparse(self.sparse_canaries()?),
        })
    }

    fn changed(&self, reason: String) -> EncodeError {
        EncodeError::ServerChanged {
            kind: self.kind(),
            url: self.caller.address.base.clone(),
            reason,
        }
    }
}

fn least_cosine<V>(before: &[V], now: &[V], dot: impl Fn(&V, &V) -> f64) -> f64 {
    let cosine = |(a, b): (&V, &V)| {
        let lengths = (dot(a, a) * dot(b, b)).sqrt();
        match lengths > 0.0 {
            true => dot(a, b) / lengths,
            // Two vectors without any direction are alike.
            false => f64::from(u8::from(dot(a, a) == dot(b, b))),
        }
    };
    let cosines = before.iter().zip(now).map(cosine);
    let least = cosines.fold(1.0, f64::min);
    if before.len() == now.len() {
        least
    } else {
        0.0
    }
}

fn dense_dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
    products.sum()
}

fn sparse_dot(a: &Weights, b: &Weights) -> f64 {
    let other: HashMap<&str, f32> = b.iter().map(|(term, w)| (term.as_str(), *w)).collect();
    let products = a.iter().filter_map(|(term, weight)| {
        Some(f64::from(*weight) * f64::from(*other.get(term.as_str())?))
    });
    products.sum()
}
