//! Requests and answers of the encoder protocol. Unknown fields are ignored.

use super::loaded::Loaded;
use crate::encode::{Encoded, ModelInfo, TextRole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most texts of a request. The client sends the chunks of one document at a time.
pub const MOST_TEXTS: usize = 4096;

#[derive(Deserialize)]
pub struct DenseRequest {
    pub texts: Vec<String>,
    #[serde(default = "passage")]
    pub task: Task,
}

#[derive(Deserialize)]
pub struct SparseRequest {
    pub texts: Vec<String>,
    #[serde(default = "all_terms")]
    pub top_k: u32,
    #[serde(default = "query")]
    pub task: Task,
}

/// What the texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Query,
    Passage,
}

impl From<Task> for TextRole {
    fn from(task: Task) -> Self {
        match task {
            Task::Query => Self::Query,
            Task::Passage => Self::Passage,
        }
    }
}

fn passage() -> Task {
    Task::Passage
}

fn query() -> Task {
    Task::Query
}

/// The default of the protocol, and the most that a chunk has.
fn all_terms() -> u32 {
    128
}

#[derive(Serialize)]
pub struct DenseAnswer<'a> {
    pub vectors: Vec<Vec<f32>>,
    pub model: &'a str,
    pub dim: u32,
}

#[derive(Serialize)]
pub struct SparseAnswer {
    pub sparse: Vec<BTreeMap<String, f64>>,
}

/// What is wrong, for people.
#[derive(Serialize)]
pub struct Refusal {
    pub detail: String,
}

#[derive(Serialize)]
pub struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// For builds that encode here.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoders: Option<Served>,
}

/// The models that are served.
#[derive(Serialize)]
struct Served {
    sparse: Option<ServedModel>,
    dense: Option<ServedModel>,
}

#[derive(Serialize)]
struct ServedModel {
    name: String,
    hash: String,
    dim: u32,
    /// Terms of a chunk's sparse vector at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<usize>,
}

impl Readiness {
    pub fn of(loaded: &Loaded) -> Self {
        let model = |info: &Option<ModelInfo>, terms| {
            info.as_ref().map(|info| ServedModel {
                name: info.name.clone(),
                hash: info.hash.to_string(),
                dim: info.dim,
                terms,
            })
        };
        let terms = loaded.sparse.as_ref().map(|lane| lane.document_terms);
        Self {
            ready: true,
            error: None,
            encoders: Some(Served {
                sparse: model(&loaded.info.sparse, terms),
                dense: model(&loaded.info.dense, None),
            }),
        }
    }

    pub fn failed(error: String) -> Self {
        Self {
            ready: false,
            error: Some(error),
            encoders: None,
        }
    }
}

/// Return dense vectors of `dim` values, zeros for a text without a direction: the client takes a vector of another
/// length for a failure.
pub fn dense(encoded: Vec<Encoded>, dim: u32) -> Vec<Vec<f32>> {
    let zeros = || vec![0.0; dim as usize];
    let vectors = encoded.into_iter().map(|text| text.dense);
    vectors
        .map(|vector| vector.map_or_else(zeros, |it| it.0))
        .collect()
}

/// Return sparse vectors as objects.
pub fn sparse(encoded: Vec<Encoded>) -> Vec<BTreeMap<String, f64>> {
    let of_text = |text: Encoded| {
        let terms = text.sparse.unwrap_or_default().0.into_iter();
        terms
            .map(|term| {
                let weight = term.weight();
                (term.term, weight)
            })
            .collect()
    };
    encoded.into_iter().map(of_text).collect()
}
