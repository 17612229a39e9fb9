//! Many texts at once: requests of some texts each, a bounded number of them under way.
//!
//! A request that the server refuses is sent again in smaller parts, so that one text that is too long is cut, and one that
//! cannot be encoded is found.

use super::call::{Failed, Retry};
use super::fetch::heaviest;
use super::pieces::{Piece, cut};
use super::{Sent, Server, Weights};
use crate::encode::characters::first_chars;
use crate::encode::error::EncodeError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Requests under way at a time, of one kind and one process. They hide the way to the server and keep a batch waiting for
/// it; servers put what waits into batches of their own.
pub(super) const IN_FLIGHT: usize = 8;

/// Most characters in a request of several texts.
const MOST_CHARS: usize = 64 << 10;

/// Pieces as short as this are not cut again.
const SHORTEST: usize = 64;

/// A request that is done.
#[derive(Clone, Copy, Debug)]
pub(in crate::encode) struct DoneRequest {
    pub n_texts: usize,
    pub n_chars: usize,
    pub duration: Duration,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(in crate::encode) struct Ask<'a> {
    pub sent: Sent,
    /// Characters of each text that are encoded, as one piece; `None`: all.
    pub head: Option<usize>,
    /// Most terms of a sparse vector.
    pub n_terms: usize,
    /// Called from any thread.
    pub done: &'a (dyn Fn(DoneRequest) + Sync),
}

impl Server {
    /// Return the vectors of texts, in order; the sum of unit vectors of a text in several pieces, each as heavy as it is
    /// long. Empty for a blank text.
    ///
    /// # Errors
    /// `ServerAway`, `ServerBad`, `ServerChanged`, `BadOutput`, and `RunFailed` for a text that the server refuses.
    pub fn encode_dense(&self, texts: &[&str], ask: Ask<'_>) -> Result<Vec<Vec<f32>>, EncodeError> {
        let fetch = |texts: &[&str]| self.fetch_dense(texts, ask.sent, Retry::Few);
        self.encode(texts, ask, &fetch, mean_direction)
    }

    /// The same for sparse vectors, which keep the largest weight of each term.
    ///
    /// # Errors
    /// As [`Self::encode_dense`].
    pub fn encode_sparse(&self, texts: &[&str], ask: Ask<'_>) -> Result<Vec<Weights>, EncodeError> {
        let fetch = |texts: &[&str]| self.fetch_sparse(texts, ask.sent, ask.n_terms, Retry::Few);
        self.encode(texts, ask, &fetch, largest)
    }

    fn encode<V: Clone + Default + Send>(
        &self,
        texts: &[&str],
        ask: Ask<'_>,
        fetch: Fetch<'_, V>,
        combine: fn(Vec<(usize, V)>) -> V,
    ) -> Result<Vec<V>, EncodeError> {
        let parts = Parts { fetch, combine };
        let pieces: Vec<Vec<Piece<'_>>> = texts.iter().map(|text| self.cut(text, ask)).collect();
        let flat: Vec<Piece<'_>> = pieces.iter().flatten().copied().collect();
        let groups = self.groups(&flat);
        let next = AtomicUsize::new(0);
        let is_over = AtomicBool::new(false);
        let vectors = Mutex::new(vec![V::default(); flat.len()]);
        let error = Mutex::new(None);
        let work = || {
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let pieces = &flat[group.clone()];
                let began = Instant::now();
                match self.request(pieces, parts) {
                    Ok(made) => {
                        (ask.done)(DoneRequest {
                            n_texts: pieces.len(),
                            n_chars: pieces.iter().map(|piece| piece.n_chars).sum(),
                            duration: began.elapsed(),
                        });
                        let mut vectors = vectors.lock().unwrap_or_else(PoisonError::into_inner);
                        vectors[group.clone()].clone_from_slice(&made);
                    }
                    Err(failed) => {
                        is_over.store(true, Ordering::Relaxed);
                        let mut first = error.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert(failed);
                    }
                }
            }
        };
        match groups.len().min(IN_FLIGHT) {
            0 => {}
            1 => work(),
            n => thread::scope(|scope| {
                for _ in 0..n {
                    scope.spawn(work);
                }
            }),
        }
        if let Some(error) = error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let vectors = vectors.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut vectors = vectors.into_iter();
        let of_text = |pieces: &Vec<Piece<'_>>| match pieces.as_slice() {
            [] => V::default(),
            [_] => vectors.next().unwrap_or_default(),
            several => {
                let lengths = several.iter().map(|piece| piece.n_chars);
                combine(lengths.zip(vectors.by_ref()).collect())
            }
        };
        Ok(pieces.iter().map(of_text).collect())
    }

    fn cut<'t>(&self, text: &'t str, ask: Ask<'_>) -> Vec<Piece<'t>> {
        let text = ask.head.map_or(text, |head| first_chars(text, head));
        if text.trim().is_empty() {
            return Vec::new();
        }
        match (ask.head, self.chars_per_piece()) {
            (Some(_), Some(most)) => vec![Piece::new(first_chars(text, most))],
            (None, Some(most)) => cut(text, most),
            (_, None) => vec![Piece::new(text)],
        }
    }

    /// Return ranges of consecutive pieces, one for each request.
    fn groups(&self, pieces: &[Piece<'_>]) -> Vec<std::ops::Range<usize>> {
        let mut groups = Vec::new();
        let (mut first, mut n_chars) = (0, 0);
        for (n, piece) in pieces.iter().enumerate() {
            let is_full =
                n - first >= self.texts_per_request() || n_chars + piece.n_chars > MOST_CHARS;
            if n > first && is_full {
                groups.push(first..n);
                (first, n_chars) = (n, 0);
            }
            n_chars += piece.n_chars;
        }
        if first < pieces.len() {
            groups.push(first..pieces.len());
        }
        groups
    }

    fn request<V: Clone>(
        &self,
        pieces: &[Piece<'_>],
        parts: Parts<'_, V>,
    ) -> Result<Vec<V>, EncodeError> {
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.text).collect();
        let (reason, is_cut) = match self.attempt(&texts, parts.fetch) {
            Ok(vectors) => return Ok(vectors),
            Err(Failed::Content(reason)) => (reason, true),
            Err(Failed::Broken(reason)) => (reason, false),
            Err(other) => return Err(self.caller.fatal(other)),
        };
        if pieces.len() > 1 {
            let mut vectors = Vec::with_capacity(pieces.len());
            for piece in pieces {
                vectors.extend(self.request(std::slice::from_ref(piece), parts)?);
            }
            return Ok(vectors);
        }
        let [piece] = pieces else {
            return Ok(Vec::new());
        };
        if !is_cut || piece.n_chars <= SHORTEST {
            return Err(EncodeError::RunFailed {
                kind: self.kind(),
                n_tokens: piece.n_chars.div_ceil(super::pieces::CHARS_PER_TOKEN),
                reason: format!("{}: {reason}", self.caller.address.base),
            });
        }
        let mut made = Vec::with_capacity(2);
        for half in cut(piece.text, piece.n_chars.div_ceil(2)) {
            let vector = self.request(std::slice::from_ref(&half), parts)?;
            made.extend(vector.into_iter().map(|vector| (half.n_chars, vector)));
        }
        Ok(vec![(parts.combine)(made)])
    }

    /// Ask; when the server fails inside, wait until it encodes other texts, and ask once more. So an outage is not blamed
    /// on a text.
    fn attempt<V>(&self, texts: &[&str], fetch: Fetch<'_, V>) -> Result<Vec<V>, Failed> {
        match fetch(texts) {
            Err(Failed::Broken(_)) => {
                self.canary_vectors().map_err(Failed::For)?;
                fetch(texts)
            }
            answer => answer,
        }
    }
}

type Fetch<'a, V> = &'a (dyn Fn(&[&str]) -> Result<Vec<V>, Failed> + Sync);

/// How vectors of pieces are made, and how those of one text become one.
struct Parts<'a, V> {
    fetch: Fetch<'a, V>,
    combine: fn(Vec<(usize, V)>) -> V,
}

impl<V> Clone for Parts<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Parts<'_, V> {}

fn mean_direction(parts: Vec<(usize, Vec<f32>)>) -> Vec<f32> {
    let mut sums = Vec::new();
    for (n_chars, vector) in parts {
        sums.resize(vector.len(), 0.0);
        crate::encode::dense::add_direction(&mut sums, &vector, n_chars as f32);
    }
    sums
}

fn largest(parts: Vec<(usize, Weights)>) -> Weights {
    heaviest(parts.into_iter().flat_map(|(_, terms)| terms).collect())
}
