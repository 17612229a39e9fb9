//! One request to a server, repeated until it succeeds, cannot succeed, or patience ends.

use super::key;
use crate::batch::EncoderKind;
use crate::credential::{self, Style};
use crate::encode::error::EncodeError;
use crate::failpoint;
use crate::http;
use crate::profile::server_address::ServerAddress;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

/// Longest time for one request, the model's work included: 32 texts of 512 tokens took a model of BERT's size half a
/// minute on one core.
const REQUEST: Duration = Duration::from_secs(120);

/// The same for a request that a person waits for: servers may have to load the model first.
const SHORTEST_REQUEST: Duration = Duration::from_secs(10);

/// Wait after the first failed try; doubled after each other one, up to the longest.
const BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Tries of what fails by itself: an error inside the server, an answer that is no answer.
const TRIES: u32 = 5;

/// Most bytes of an answer: 32 vectors of 8,192 numbers take 4 MB as text.
const MOST_BYTES: u64 = 256 << 20;

/// Most characters of a server's own words in a message.
const MOST_WORDS: usize = 200;

/// Sends requests to one server.
pub(super) struct Caller {
    pub kind: EncoderKind,
    pub address: ServerAddress,
    agent: Agent,
    limits: Limits,
}

/// Times of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Longest time that a request is repeated.
    pub patience: Duration,
    /// Longest time for one try.
    pub request: Duration,
    /// Wait after the first failed try.
    pub backoff: Duration,
}

impl Limits {
    pub fn of(patience: Duration) -> Self {
        let patience = failpoint::duration("encode::server_patience", patience);
        Self {
            patience,
            request: failpoint::duration("encode::server_request", REQUEST)
                .min(patience.max(SHORTEST_REQUEST)),
            backoff: failpoint::duration("encode::server_backoff", BACKOFF),
        }
    }
}

/// Why a request failed for good.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server does not accept the content: a text is too long, or there are too many.
    Content(String),
    /// The server fails on it, though it was asked again and again.
    Broken(String),
    /// There is no such path.
    Missing,
    For(EncodeError),
}

/// How long a request is repeated whose answer is an error inside the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Some tries: the content may be the cause.
    Few,
    /// As long as patience lasts: the content is known to be good.
    Long,
}

/// Why one try failed.
enum Trouble {
    /// No connection, no answer, or one that breaks off.
    Network(String),
    /// The server is busy or not ready, and may say how long to wait.
    Busy(String, Option<Duration>),
    /// An error inside the server.
    Inside(String),
    /// An answer of another form.
    Garbled(String),
    Final(Failed),
}

impl Caller {
    pub fn new(kind: EncoderKind, address: &ServerAddress, limits: Limits) -> Self {
        let request = limits.request;
        let mut config = http::config(request).timeout_global(Some(request));
        if address.is_loopback() {
            // A proxy would look for the server on its own machine.
            config = config.proxy(None);
        }
        Self {
            kind,
            address: address.clone(),
            agent: Agent::new_with_config(config.build()),
            limits,
        }
    }

    pub fn set_patience(&mut self, patience: Duration) {
        self.limits.patience = patience;
    }

    /// Send `body`, or ask without one, and read the answer.
    pub fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&Value>,
        retry: Retry,
    ) -> Result<T, Failed> {
        let began = Instant::now();
        let body = body.map(Value::to_string);
        for tries in 1_u32.. {
            let answer = self.once(path, body.as_deref()).and_then(|bytes| {
                serde_json::from_slice(&bytes).map_err(|error| Trouble::Garbled(error.to_string()))
            });
            let (reason, wait) = match answer {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(failed)) => return Err(failed),
                Err(Trouble::Inside(reason)) if retry == Retry::Few && tries >= TRIES => {
                    return Err(Failed::Broken(reason));
                }
                Err(Trouble::Garbled(reason)) if tries >= TRIES => {
                    let reason =
                        format!("its answer to {path} is not what the protocol says: {reason}");
                    return Err(Failed::For(self.bad(reason)));
                }
                Err(Trouble::Busy(reason, wait)) => (reason, wait),
                Err(
                    Trouble::Network(reason) | Trouble::Inside(reason) | Trouble::Garbled(reason),
                ) => (reason, None),
            };
            let backoff = self.limits.backoff * 2_u32.saturating_pow(tries - 1);
            let wait = wait.unwrap_or_default().max(backoff.min(LONGEST_BACKOFF));
            if began.elapsed() + wait > self.limits.patience {
                return Err(self.away(began.elapsed(), reason));
            }
            tracing::debug!("{}{path}, try {tries}: {reason}", self.address.base);
            thread::sleep(wait);
        }
        unreachable!("the loop has no end")
    }

    fn once(&self, path: &str, body: Option<&str>) -> Result<Vec<u8>, Trouble> {
        let network = |error: ureq::Error| Trouble::Network(error.to_string());
        let url = format!("{}{path}", self.address.base);
        // An index names servers too, perhaps somebody else's.
        let key = key::authorization().filter(|_| !self.address.is_recorded);
        let has_key = key.is_some();
        let sent = match body {
            None => {
                let request = self.agent.get(&url);
                match key {
                    Some(key) => request.header("authorization", key),
                    None => request,
                }
                .call()
            }
            Some(body) => {
                let request = self.agent.post(&url);
                match key {
                    Some(key) => request.header("authorization", key),
                    None => request,
                }
                .header("content-type", "application/json")
                .send(body)
            }
        };
        let (head, mut body) = sent.map_err(network)?.into_parts();
        let status = head.status;
        if status.as_u16() == 200 {
            return body
                .with_config()
                .limit(MOST_BYTES)
                .read_to_vec()
                .map_err(network);
        }
        let words = body.with_config().limit(1 << 16).read_to_vec();
        let says = format!(
            "it answers {status}{}",
            own_words(&words.unwrap_or_default())
        );
        let bad = |reason| Trouble::Final(Failed::For(self.bad(reason)));
        Err(match status.as_u16() {
            400 | 413 | 422 => Trouble::Final(Failed::Content(says)),
            401 | 403 => bad(format!("{says}; {}", self.advice(has_key))),
            404 | 405 => Trouble::Final(Failed::Missing),
            408 | 425 | 429 | 503 => {
                Trouble::Busy(says, http::retry_after(&head.headers, self.limits.patience))
            }
            // 424: what is behind the server failed.
            424 | 500..=599 => Trouble::Inside(says),
            300..=399 => bad(format!("{says}: name the address that it leads to")),
            _ => bad(says),
        })
    }

    fn advice(&self, has_key: bool) -> String {
        match (has_key, self.address.is_recorded) {
            (true, _) => "the key in HELIX_BUILD_ENCODER_KEY is not good for it".to_owned(),
            (false, true) => format!(
                "a key is only sent to a server that you name: pass --{}-model {}",
                self.kind, self.address
            ),
            (false, false) => "put its key into HELIX_BUILD_ENCODER_KEY".to_owned(),
        }
    }

    /// The server cannot be used as it is.
    pub fn bad(&self, reason: impl Into<String>) -> EncodeError {
        EncodeError::ServerBad {
            kind: self.kind,
            url: self.address.base.clone(),
            reason: reason.into(),
        }
    }

    fn away(&self, waited: Duration, reason: String) -> Failed {
        Failed::For(EncodeError::ServerAway {
            kind: self.kind,
            url: self.address.base.clone(),
            waited_s: waited.as_secs(),
            reason,
        })
    }

    /// Return the error for a request that has to succeed.
    pub fn fatal(&self, failed: Failed) -> EncodeError {
        match failed {
            Failed::For(error) => error,
            Failed::Content(reason) | Failed::Broken(reason) => self.bad(reason),
            Failed::Missing => self.bad("it lacks a path of its protocol"),
        }
    }
}

/// Return what a server says of an error, on one line and without what looks like a credential.
fn own_words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let (text, _) = credential::redact(&joined, Style::Any);
    let text: String = text.chars().take(MOST_WORDS).collect();
    match text.is_empty() {
        true => text,
        false => format!(" ({text})"),
    }
}
