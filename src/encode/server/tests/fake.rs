//! An encoder server on loopback that speaks all three protocols and fails as servers fail.

use crate::batch::EncoderKind;
use crate::encode::EncodeError;
use crate::encode::server::Server;
use crate::encode::server::call::Limits;
use crate::http::loopback::{Loopback, send, send_part, stall};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong with one request for vectors.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    None,
    /// This status, with a `Retry-After` of 0 seconds.
    Status(u16),
    /// Half of the body, then the end of the connection.
    Short,
    /// Nothing, until the client gives up.
    Stall,
    /// A page of a proxy.
    Page,
    /// One number too few in each vector.
    Narrow,
    /// A vector too few.
    Missing,
    /// A number that is not one.
    NotFinite,
    /// From now on another model answers, under another name or the same one.
    Swap(&'static str),
}

pub struct Fake {
    port: u16,
    pub state: Mutex<State>,
    under_way: AtomicUsize,
    /// Most requests for vectors at a time.
    pub most_under_way: AtomicUsize,
}

pub struct State {
    /// One for each request for vectors; then all goes well.
    pub faults: Vec<Fault>,
    pub model: String,
    pub pooling: &'static str,
    /// Changes all vectors.
    pub seed: u64,
    /// Longest text that is accepted, in characters.
    pub most_chars: usize,
    /// A text that holds this word is answered by 500.
    pub poison: Option<&'static str>,
    /// Paths and bodies of all requests.
    pub seen: Vec<(String, Value)>,
}

impl Fake {
    pub fn start() -> Arc<Self> {
        let loopback = Loopback::bind();
        let fake = Arc::new(Self {
            port: loopback.port,
            state: Mutex::new(State {
                faults: Vec::new(),
                model: "one/model".to_owned(),
                pooling: "cls",
                seed: 1,
                most_chars: usize::MAX,
                poison: None,
                seen: Vec::new(),
            }),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        });
        let server = Arc::clone(&fake);
        loopback.serve(move |request, stream| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            server.set(|state| state.seen.push((request.path.clone(), body.clone())));
            server.answer(stream, &request.path, &body)
        });
        fake
    }

    /// Change what happens from now on.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no panic"));
    }

    pub fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    pub fn open(&self, kind: EncoderKind, rest: &str) -> Result<Server, EncodeError> {
        self.open_for(Duration::from_secs(10), kind, rest)
    }

    pub fn open_for(
        &self,
        patience: Duration,
        kind: EncoderKind,
        rest: &str,
    ) -> Result<Server, EncodeError> {
        let address = self.url(rest).parse().expect("an address");
        let limits = Limits {
            patience,
            request: Duration::from_millis(400),
            backoff: Duration::from_millis(1),
        };
        Server::open_with(kind, &address, limits)
    }

    /// Bodies of the requests to a path.
    pub fn asked(&self, path: &str) -> Vec<Value> {
        let state = self.state.lock().expect("no panic");
        let seen = state.seen.iter().filter(|(seen, _)| seen == path);
        seen.map(|(_, body)| body.clone()).collect()
    }

    fn answer(&self, stream: &mut TcpStream, path: &str, body: &Value) -> Option<()> {
        let texts = ["inputs", "input", "texts"]
            .iter()
            .find_map(|name| body.get(name));
        let Some(texts) = texts else {
            let (status, answer) = self.about(path, body);
            return answered(stream, status, &answer.to_string());
        };
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        // Below a prefix, where there is no `/info`.
        let path = path.strip_prefix("/helix").unwrap_or(path);
        let sent = self.vectors(stream, path, texts);
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        sent
    }

    fn vectors(&self, stream: &mut TcpStream, path: &str, texts: &Value) -> Option<()> {
        let texts: Vec<&str> = texts.as_array()?.iter().filter_map(Value::as_str).collect();
        let mut state = self.state.lock().expect("no panic");
        let fault = match state.faults.is_empty() {
            true => Fault::None,
            false => state.faults.remove(0),
        };
        if let Fault::Swap(name) = fault {
            state.model = name.to_owned();
            state.seed += 1;
        }
        let (seed, model) = (state.seed, state.model.clone());
        let is_long = texts
            .iter()
            .any(|text| text.chars().count() > state.most_chars);
        let is_poisoned = state
            .poison
            .is_some_and(|word| texts.iter().any(|it| it.contains(word)));
        drop(state);
        if is_long {
            return answered(stream, 413, "{\"error\": \"too many tokens\"}");
        }
        if is_poisoned {
            return answered(stream, 500, "{}");
        }
        let dense = || -> Vec<Vec<Value>> {
            let mut vectors: Vec<Vec<Value>> = texts.iter().map(|text| dense(text, seed)).collect();
            match fault {
                Fault::Narrow => vectors.iter_mut().for_each(|vector| vector.truncate(3)),
                Fault::Missing => vectors.truncate(texts.len() - 1),
                Fault::NotFinite => vectors[0][0] = Value::Null,
                _ => {}
            }
            vectors
        };
        let answer = match path {
            "/embed" => json!(dense()),
            "/v1/embeddings" => {
                // In any order.
                let vectors = dense().into_iter().enumerate().rev();
                let data = vectors.map(|(n, vector)| json!({"index": n, "embedding": vector}));
                json!({"data": data.collect::<Vec<_>>(), "model": model})
            }
            "/encode/dense" => json!({"vectors": dense()}),
            "/embed_sparse" => json!(texts.iter().map(|text| ids(text)).collect::<Vec<_>>()),
            "/encode/splade" => {
                let terms = texts.iter().map(|text| {
                    let terms = ids(text).into_iter();
                    terms
                        .map(|t| {
                            (
                                name(t["index"].as_u64().expect("an id")),
                                t["value"].clone(),
                            )
                        })
                        .collect::<serde_json::Map<_, _>>()
                });
                json!({"sparse": terms.collect::<Vec<_>>()})
            }
            _ => return answered(stream, 404, "{}"),
        };
        let answer = answer.to_string();
        match fault {
            Fault::Status(status) => answered(stream, status, "{\"error\": \"asked to fail\"}"),
            Fault::Short => {
                let (n, half) = (answer.len(), &answer.as_bytes()[..answer.len() / 2]);
                send_part(stream, 200, HEADERS, half, n)
            }
            Fault::Page => answered(stream, 200, "<html>welcome</html>"),
            Fault::Stall => stall(stream),
            _ => answered(stream, 200, &answer),
        }
    }

    fn about(&self, path: &str, body: &Value) -> (u16, Value) {
        let state = self.state.lock().expect("no panic");
        let answer = match path {
            "/info" => json!({
                "model_id": state.model, "model_sha": "abc", "model_dtype": "float16",
                "model_type": {"embedding": {"pooling": state.pooling}},
                "max_input_length": 512, "max_client_batch_size": 8,
            }),
            "/helix/ready" => json!({"ready": true, "encoders": {
                "dense": {"name": state.model, "hash": "abc", "dim": 4}, "sparse": null,
            }}),
            "/v1/models" => {
                json!({"data": [{"id": "a"}, {"id": state.model, "max_model_len": 100}]})
            }
            "/moved/info" => return (307, Value::Null),
            "/locked/info" => return (401, Value::Null),
            "/decode" => {
                let ids = body["ids"].as_array().expect("a list").iter();
                json!(
                    ids.map(|id| name(id[0].as_u64().expect("an id")))
                        .collect::<Vec<_>>()
                )
            }
            _ => return (404, Value::Null),
        };
        (200, answer)
    }
}

/// A vector by the letters of a text.
fn dense(text: &str, seed: u64) -> Vec<Value> {
    let mut sums = [0.1_f64; 4];
    for (n, byte) in text.bytes().enumerate() {
        let at = (u64::from(byte) * seed + n as u64 * (seed - 1)) % 4;
        sums[at as usize] += 1.0;
    }
    sums.iter().map(|sum| json!(sum)).collect()
}

/// Terms by the words of a text: an id for each length.
fn ids(text: &str) -> Vec<Value> {
    let words = text.split_whitespace();
    words
        .map(|word| json!({"index": word.len(), "value": word.len() as f64 / 10.0}))
        .collect()
}

/// The name of an id: the second is a special token, which is decoded to nothing.
fn name(id: u64) -> String {
    match id {
        2 => String::new(),
        id => format!("w{id}"),
    }
}

const HEADERS: &str = "retry-after: 0\r\ncontent-type: application/json\r\n";

fn answered(stream: &mut TcpStream, status: u16, body: &str) -> Option<()> {
    send(stream, status, HEADERS, body.as_bytes())
}
