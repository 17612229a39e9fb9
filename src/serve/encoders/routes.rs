//! From a request to its answer.

use super::lane::{Job, Lane};
use super::loaded::Loaded;
use super::room::{Held, Room, Taken};
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
use tokio::time::{Instant, timeout_at};

/// Bytes of a request. A server sends documents of up to 200,000 bytes, each chunk once.
const MOST_BYTES: usize = 16 << 20;

/// Bytes of all requests that are read at a time, and of all answers that are made or sent.
const REQUEST_BYTES: usize = 256 << 20;
const ANSWER_BYTES: usize = 256 << 20;

/// Time for a request, body included, and for the client to read the answer. Clients wait for 10 seconds and a quarter of a
/// second more for each text.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of a value of a dense vector: 4 as a number and about 13 as text.
const DENSE_VALUE_BYTES: usize = 17;

/// Bytes of a term of a sparse vector with its weight, as a value and as text.
const SPARSE_TERM_BYTES: usize = 96;

/// Terms that a text has at most, as far as the room for its answer is concerned.
const MOST_LIKELY_TERMS: usize = 512;

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// The encoders that are served now.
pub struct Service {
    /// The reason why there are none.
    loaded: Mutex<Result<Loaded, String>>,
    requests: Room,
    answers: Room,
}

impl Service {
    pub fn new(loaded: Loaded) -> Self {
        Self {
            loaded: Mutex::new(Ok(loaded)),
            requests: Room::of(REQUEST_BYTES),
            answers: Room::of(ANSWER_BYTES),
        }
    }

    /// Load the encoders of the index at `path` if it is another than before, or could not be used. Meanwhile the earlier
    /// ones answer. Vectors of other encoders than the index's are worse than none, so what cannot be loaded is not served.
    pub fn renew(&self, path: Option<&Path>, choice: &EncoderChoice) {
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
        let deadline = Instant::now() + PATIENCE;
        match self.routed(request, deadline).await {
            Ok(answer) | Err(answer) => answer,
        }
    }

    async fn routed<B>(&self, request: Request<B>, deadline: Instant) -> Result<Answer, Answer>
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
            ("/ready" | "/health", Ok(loaded)) => return Ok(readiness(Ok(&loaded))),
            ("/ready" | "/health", Err(reason)) => return Err(readiness(Err(reason))),
            (_, Err(reason)) => return Err(refused(StatusCode::SERVICE_UNAVAILABLE, reason)),
            (_, Ok(loaded)) => loaded,
        };
        match path.as_str() {
            "/encode/dense" => {
                let (Some(lane), Some(model)) = (&loaded.dense, &loaded.info.dense) else {
                    return Err(lacks("dense", "dense_embedding_enabled"));
                };
                let (asked, taken): (DenseRequest, _) =
                    body(request, &self.requests, deadline).await?;
                let bytes = dense_bytes(asked.texts.len(), model.dim);
                let room = room_for(&self.answers, bytes, deadline).await?;
                let role = asked.task.into();
                let encoded = encode(lane, asked.texts, role, 0, deadline).await?;
                drop(taken);
                let answer = DenseAnswer {
                    vectors: dense(encoded, model.dim),
                    model: &model.name,
                    dim: model.dim,
                };
                Ok(json_in(room, StatusCode::OK, &answer))
            }
            _ => {
                let Some(lane) = &loaded.sparse else {
                    return Err(lacks("sparse", "splade_enabled"));
                };
                let (asked, taken): (SparseRequest, _) =
                    body(request, &self.requests, deadline).await?;
                let n_terms = asked.top_k as usize;
                let bytes = sparse_bytes(asked.texts.len(), n_terms);
                let room = room_for(&self.answers, bytes, deadline).await?;
                let role = asked.task.into();
                let encoded = encode(lane, asked.texts, role, n_terms, deadline).await?;
                drop(taken);
                let sparse = sparse(encoded);
                Ok(json_in(room, StatusCode::OK, &SparseAnswer { sparse }))
            }
        }
    }
}

/// Return the bytes of an answer with one vector for each of `n_texts`, and of the vectors that it is made of.
fn dense_bytes(n_texts: usize, dim: u32) -> usize {
    n_texts.saturating_mul(dim as usize * DENSE_VALUE_BYTES)
}

/// Return the bytes of an answer with sparse vectors of `n_terms`. No text has more than a few hundred.
fn sparse_bytes(n_texts: usize, n_terms: usize) -> usize {
    n_texts.saturating_mul(n_terms.min(MOST_LIKELY_TERMS) * SPARSE_TERM_BYTES)
}

/// Wait for room for an answer of `bytes`.
async fn room_for(room: &Room, bytes: usize, deadline: Instant) -> Result<Taken, Answer> {
    timeout_at(deadline, room.take(bytes)).await.map_err(|_| {
        let text = "too many large requests and answers at a time; try again later".to_owned();
        refused(StatusCode::SERVICE_UNAVAILABLE, text)
    })
}

/// Read a request's JSON, and return it with the room that it takes.
async fn body<T: DeserializeOwned, B>(
    request: Request<B>,
    room: &Room,
    deadline: Instant,
) -> Result<(T, Taken), Answer>
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
    let too_large = || {
        let text = format!("a request has at most {MOST_BYTES} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let size = request.body().size_hint();
    if size.lower() > MOST_BYTES as u64 {
        return Err(too_large());
    }
    // A request without a length may have any.
    let bytes = size.exact().unwrap_or(MOST_BYTES as u64) as usize;
    let taken = room_for(room, bytes, deadline).await?;
    let read = Limited::new(request.into_body(), MOST_BYTES).collect();
    let Ok(read) = timeout_at(deadline, read).await else {
        let text = format!("no whole request within {} seconds", PATIENCE.as_secs());
        return Err(refused(StatusCode::REQUEST_TIMEOUT, text));
    };
    let bytes = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => too_large(),
        false => refused(
            StatusCode::BAD_REQUEST,
            format!("reading the request: {error}"),
        ),
    })?;
    let asked = serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    Ok((asked, taken))
}

async fn encode(
    lane: &Lane,
    texts: Vec<String>,
    role: TextRole,
    n_terms: usize,
    deadline: Instant,
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
    let Ok(received) = timeout_at(deadline, receiver).await else {
        let text = format!("no answer within {} seconds", PATIENCE.as_secs());
        return Err(refused(StatusCode::INTERNAL_SERVER_ERROR, text));
    };
    match received {
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

fn readiness(loaded: Result<&Loaded, String>) -> Answer {
    match loaded {
        Ok(loaded) => json(StatusCode::OK, &Readiness::of(loaded)),
        Err(error) => json(StatusCode::SERVICE_UNAVAILABLE, &Readiness::failed(error)),
    }
}

fn refused(status: StatusCode, detail: String) -> Answer {
    json(status, &Refusal { detail })
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    json_in(Taken::default(), status, value)
}

/// Return an answer that holds its room until it has been sent.
fn json_in(taken: Taken, status: StatusCode, value: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(value).expect("numbers and texts are always JSON");
    let held = Bytes::from_owner(Held::new(bytes, taken));
    let mut answer = Response::new(Full::new(held));
    *answer.status_mut() = status;
    let kind = "application/json".parse().expect("a header value");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A body of which nothing comes.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[test]
    fn slow_requests_and_those_without_room_are_refused() {
        let runtime = crate::serve::runtime::runtime().expect("a runtime");
        runtime.block_on(async {
            let ask = || {
                let request = Request::post("/").header(CONTENT_TYPE, "application/json");
                request.body(Silent).expect("a request")
            };
            let soon = || Instant::now() + Duration::from_millis(10);
            let room = Room::of(MOST_BYTES);
            let read = body::<DenseRequest, _>(ask(), &room, soon()).await;
            let status = read.err().expect("refused").status();
            assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
            let _taken = room.take(MOST_BYTES).await;
            let read = body::<DenseRequest, _>(ask(), &room, soon()).await;
            let status = read.err().expect("refused").status();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        });
    }
}
