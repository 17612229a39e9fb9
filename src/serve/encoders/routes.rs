//! From a request to its answer.

use super::lane::{Job, Lane};
use super::loaded::Loaded;
use super::wire::{
    DenseAnswer, DenseRequest, MOST_TEXTS, Readiness, Refusal, SparseAnswer, SparseRequest, dense,
    sparse,
};
use crate::encode::{Encoded, TextRole};
use crate::profile::encoders::EncoderChoice;
use crate::serve::error::ServeError;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bytes of a request. A server sends documents of up to 200,000 bytes, each chunk once.
const MOST_BYTES: usize = 16 << 20;

/// Time for a request, body included. Clients wait for 10 seconds and a quarter of a second more for each text.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// The encoders that are served now.
pub struct Service {
    /// The reason why there are none.
    loaded: Mutex<Result<Loaded, String>>,
}

impl Service {
    pub fn new(loaded: Loaded) -> Self {
        Self {
            loaded: Mutex::new(Ok(loaded)),
        }
    }

    /// Load the encoders of the index at `path` if it is another than before, or could not be used. Meanwhile the earlier
    /// ones answer. Vectors of other encoders than the index's are worse than none, so what cannot be loaded is not served.
    pub fn renew(&self, path: &Path, choice: &EncoderChoice) {
        let earlier = self.loaded();
        if earlier.as_ref().is_ok_and(|loaded| !loaded.is_outdated()) {
            return;
        }
        let before = earlier.as_ref().err().cloned();
        let renewed = Loaded::load(path, choice, earlier.ok());
        let renewed = renewed.map_err(|error: ServeError| error.to_string());
        match &renewed {
            Err(reason) if before.as_ref() != Some(reason) => {
                tracing::warn!("the index cannot be served any more: {reason}");
            }
            Err(_) => {}
            Ok(_) => tracing::info!("serving the encoders of the rebuilt index"),
        }
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    fn loaded(&self) -> Result<Loaded, String> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.clone()
    }

    /// Answer a request. What is wrong with it becomes an answer, too.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        match timeout(PATIENCE, self.routed(request)).await {
            Ok(Ok(answer) | Err(answer)) => answer,
            Err(_) => {
                let text = format!("no answer within {} seconds", PATIENCE.as_secs());
                refused(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    async fn routed<B>(&self, request: Request<B>) -> Result<Answer, Answer>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let allowed = match request.uri().path() {
            "/ready" | "/health" => Method::GET,
            "/encode/dense" | "/encode/splade" => Method::POST,
            other => {
                let text = format!(
                    "no such path: {other}; there are /ready, /encode/dense and /encode/splade"
                );
                return Err(refused(StatusCode::NOT_FOUND, text));
            }
        };
        if request.method() != allowed {
            let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}"));
            let value = allowed
                .as_str()
                .parse()
                .expect("a method is a header value");
            answer.headers_mut().insert(ALLOW, value);
            return Err(answer);
        }
        let loaded = self.loaded();
        let path = request.uri().path().to_owned();
        let loaded = match (path.as_str(), loaded) {
            ("/ready" | "/health", Ok(_)) => return Ok(readiness(None)),
            ("/ready" | "/health", Err(reason)) => return Err(readiness(Some(reason))),
            (_, Err(reason)) => return Err(refused(StatusCode::SERVICE_UNAVAILABLE, reason)),
            (_, Ok(loaded)) => loaded,
        };
        match path.as_str() {
            "/encode/dense" => {
                let (Some(lane), Some(model)) = (&loaded.dense, &loaded.info.dense) else {
                    return Err(lacks("dense", "dense_embedding_enabled"));
                };
                let asked: DenseRequest = body(request).await?;
                let encoded = encode(lane, asked.texts, asked.task.into(), 0).await?;
                Ok(json(
                    StatusCode::OK,
                    &DenseAnswer {
                        vectors: dense(encoded, model.dim),
                        model: &model.name,
                        dim: model.dim,
                    },
                ))
            }
            _ => {
                let Some(lane) = &loaded.sparse else {
                    return Err(lacks("sparse", "splade_enabled"));
                };
                let asked: SparseRequest = body(request).await?;
                let n_terms = asked.top_k as usize;
                let encoded = encode(lane, asked.texts, asked.task.into(), n_terms).await?;
                let sparse = sparse(encoded);
                Ok(json(StatusCode::OK, &SparseAnswer { sparse }))
            }
        }
    }
}

/// Read a request's JSON.
async fn body<T: DeserializeOwned, B>(request: Request<B>) -> Result<T, Answer>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // A web page of another origin cannot send this type without asking first, and nobody answers that question.
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("application/json")
    {
        let text = "the content type must be application/json".to_owned();
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let read = Limited::new(request.into_body(), MOST_BYTES)
        .collect()
        .await;
    let bytes = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request has at most {MOST_BYTES} bytes"),
        ),
        false => refused(
            StatusCode::BAD_REQUEST,
            format!("reading the request: {error}"),
        ),
    })?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

async fn encode(
    lane: &Lane,
    texts: Vec<String>,
    role: TextRole,
    n_terms: usize,
) -> Result<Vec<Encoded>, Answer> {
    if texts.len() > MOST_TEXTS {
        let text = format!("a request has at most {MOST_TEXTS} texts");
        return Err(refused(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let (sender, receiver) = oneshot::channel();
    let job = Job {
        texts,
        role,
        n_terms,
        answer: sender,
    };
    if !lane.send(job) {
        let text = "the encoder is overloaded or has ended".to_owned();
        return Err(refused(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    match receiver.await {
        Ok(Ok(encoded)) => Ok(encoded),
        Ok(Err(error)) => Err(refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("encoding failed: {error}"),
        )),
        Err(_) => Err(refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the encoder ended".to_owned(),
        )),
    }
}

/// The answer to a request for vectors that the index does not have.
fn lacks(kind: &str, setting: &str) -> Answer {
    let text = format!("the index has no {kind} vectors: set {setting} = false");
    refused(StatusCode::NOT_IMPLEMENTED, text)
}

fn readiness(error: Option<String>) -> Answer {
    let status = match error {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let ready = error.is_none();
    json(status, &Readiness { ready, error })
}

fn refused(status: StatusCode, detail: String) -> Answer {
    json(status, &Refusal { detail })
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(value).expect("numbers and texts are always JSON");
    let mut answer = Response::new(Full::new(Bytes::from(bytes)));
    *answer.status_mut() = status;
    let kind = "application/json".parse().expect("a header value");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
