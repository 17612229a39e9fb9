//! One request for vectors, in each protocol, and what is checked of its answer.

use super::api::Api;
use super::call::{Failed, Retry};
use super::pieces::CHARS_PER_TOKEN;
use super::wire::{HelixDense, HelixSparse, Number, OpenAiAnswer, TeiTerm};
use super::{CANARIES, Sent, Server, Weights};
use crate::encode::builtin::carries_meaning;
use crate::encode::error::EncodeError;
use serde_json::json;
use std::sync::PoisonError;

impl Server {
    /// Texts of a request.
    pub(super) fn texts_per_request(&self) -> usize {
        self.known.texts
    }

    /// Characters of a piece; `None`: the server cuts texts itself.
    pub(super) fn chars_per_piece(&self) -> Option<usize> {
        self.known.chars
    }

    pub(super) fn dense_canaries(&self) -> Result<Vec<Vec<f32>>, EncodeError> {
        let vectors = self.fetch_dense(&CANARIES, Sent::Passage, Retry::Long);
        let vectors = vectors.map_err(|failed| self.caller.fatal(failed))?;
        match vectors.first().is_some_and(|first| !first.is_empty()) {
            true => Ok(vectors),
            false => Err(self.caller.bad("its vectors are empty")),
        }
    }

    pub(super) fn sparse_canaries(&self) -> Result<Vec<Weights>, EncodeError> {
        let vectors = self.fetch_sparse(&CANARIES, Sent::Passage, CANARY_TERMS, Retry::Long);
        vectors.map_err(|failed| self.caller.fatal(failed))
    }

    /// Ask once for dense vectors.
    pub(super) fn fetch_dense(
        &self,
        texts: &[&str],
        sent: Sent,
        retry: Retry,
    ) -> Result<Vec<Vec<f32>>, Failed> {
        let texts_sent = self.with_prefix(texts, sent);
        let call = &self.caller;
        let vectors: Vec<Vec<Number>> = match self.api {
            Api::Tei => {
                let body = json!({"inputs": texts_sent, "normalize": true, "truncate": false});
                call.call("/embed", Some(&body), retry)?
            }
            Api::OpenAi => {
                let model = &self.known.model;
                let body = json!({"model": model, "input": texts_sent, "encoding_format": "float"});
                let answer: OpenAiAnswer = call.call("/embeddings", Some(&body), retry)?;
                self.in_order(answer)?
            }
            Api::Helix => {
                let body = json!({"texts": texts_sent, "task": task(sent)});
                call.call::<HelixDense>("/encode/dense", Some(&body), retry)?
                    .vectors
            }
        };
        self.check_count(vectors.len(), texts)?;
        let vectors = vectors.into_iter().map(|vector| {
            let numbers: Option<Vec<f32>> = vector.into_iter().collect();
            numbers.filter(|numbers| numbers.iter().all(|n| n.is_finite()))
        });
        let vectors: Option<Vec<Vec<f32>>> = vectors.collect();
        let vectors = vectors.ok_or_else(|| self.not_finite(texts))?;
        let dim = match self.dim() {
            0 => vectors.first().map_or(0, Vec::len),
            known => known,
        };
        match vectors.iter().find(|vector| vector.len() != dim) {
            None => Ok(vectors),
            Some(odd) => {
                let n = odd.len();
                Err(Failed::For(self.changed(format!(
                    "a vector has {n} numbers, and not {dim}"
                ))))
            }
        }
    }

    /// Ask once for sparse vectors of at most `n_terms` terms.
    pub(super) fn fetch_sparse(
        &self,
        texts: &[&str],
        sent: Sent,
        n_terms: usize,
        retry: Retry,
    ) -> Result<Vec<Weights>, Failed> {
        let texts_sent = self.with_prefix(texts, sent);
        let vectors: Vec<Vec<(String, Number)>> = match self.api {
            Api::Tei => {
                let body = json!({"inputs": texts_sent, "truncate": false});
                let vectors: Vec<Vec<TeiTerm>> =
                    self.caller.call("/embed_sparse", Some(&body), retry)?;
                self.learn_names(vectors.iter().flatten().map(|term| term.index))?;
                let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
                let name = |term: TeiTerm| {
                    let name = names.get(&term.index).filter(|name| !name.is_empty())?;
                    Some((name.clone(), term.value))
                };
                let named = |terms: Vec<TeiTerm>| terms.into_iter().filter_map(name).collect();
                vectors.into_iter().map(named).collect()
            }
            Api::Helix => {
                let body = json!({"texts": texts_sent, "task": task(sent), "top_k": n_terms});
                let answer: HelixSparse = self.caller.call("/encode/splade", Some(&body), retry)?;
                let terms = answer.sparse.into_iter();
                terms.map(|terms| terms.into_iter().collect()).collect()
            }
            Api::OpenAi => return Err(Failed::Missing),
        };
        self.check_count(vectors.len(), texts)?;
        let finite = |(term, weight): (String, Number)| {
            let weight = weight.filter(|weight| weight.is_finite())?;
            Some((term, weight))
        };
        let vectors = vectors.into_iter().map(|terms| {
            let terms: Option<Weights> = terms.into_iter().map(finite).collect();
            terms.map(heaviest)
        });
        let vectors: Option<Vec<Weights>> = vectors.collect();
        vectors.ok_or_else(|| self.not_finite(texts))
    }

    /// Ask for the names of terms that are not known yet.
    fn learn_names(&self, ids: impl Iterator<Item = u32>) -> Result<(), Failed> {
        let mut unknown: Vec<u32> = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            ids.filter(|id| !names.contains_key(id)).collect()
        };
        unknown.sort_unstable();
        unknown.dedup();
        for ids in unknown.chunks(self.known.texts) {
            let one_each: Vec<[u32; 1]> = ids.iter().map(|id| [*id]).collect();
            let body = json!({"ids": one_each, "skip_special_tokens": true});
            let texts: Vec<String> = match self.caller.call("/decode", Some(&body), Retry::Long) {
                Err(Failed::Missing) => {
                    let reason = "it has no /decode, which tells the names of terms: use a newer text-embeddings-inference";
                    return Err(Failed::For(self.caller.bad(reason)));
                }
                texts => texts?,
            };
            if texts.len() != ids.len() {
                return Err(Failed::For(
                    self.caller.bad("/decode gave another number of names"),
                ));
            }
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, text) in ids.iter().zip(texts) {
                let name = text.trim();
                let name = if carries_meaning(name) { name } else { "" };
                names.insert(*id, name.to_owned());
            }
        }
        Ok(())
    }

    fn with_prefix(&self, texts: &[&str], sent: Sent) -> Vec<String> {
        let prefix = match sent {
            Sent::Query => &self.caller.address.query_prefix,
            Sent::Passage => &self.caller.address.passage_prefix,
        };
        texts.iter().map(|text| format!("{prefix}{text}")).collect()
    }

    fn check_count(&self, n: usize, texts: &[&str]) -> Result<(), Failed> {
        match n == texts.len() {
            true => Ok(()),
            false => {
                let reason = format!("it gave {n} vectors for {} texts", texts.len());
                Err(Failed::For(self.caller.bad(reason)))
            }
        }
    }

    fn not_finite(&self, texts: &[&str]) -> Failed {
        let n_chars: usize = texts.iter().map(|text| text.chars().count()).sum();
        Failed::For(EncodeError::BadOutput {
            kind: self.kind(),
            n_tokens: n_chars.div_ceil(CHARS_PER_TOKEN),
        })
    }

    /// Return the vectors in the order of the texts. An answer that names another model is refused.
    fn in_order(&self, answer: OpenAiAnswer) -> Result<Vec<Vec<Number>>, Failed> {
        let first = self.answered_as.get_or_init(|| answer.model.clone());
        if *first != answer.model {
            let reason = format!("its answers named {first}, and now name {}", answer.model);
            return Err(Failed::For(self.changed(reason)));
        }
        let mut data = answer.data;
        data.sort_by_key(|vector| vector.index);
        if data.iter().enumerate().any(|(n, vector)| vector.index != n) {
            return Err(Failed::For(
                self.caller.bad("its vectors are not numbered from 0"),
            ));
        }
        Ok(data.into_iter().map(|vector| vector.embedding).collect())
    }
}

/// Terms of the texts that tell one model from another.
const CANARY_TERMS: usize = 128;

fn task(sent: Sent) -> &'static str {
    match sent {
        Sent::Query => "query",
        Sent::Passage => "passage",
    }
}

/// Keep each term once, with its largest weight, and drop what is not above 0.
pub(super) fn heaviest(mut terms: Weights) -> Weights {
    terms.retain(|(_, weight)| *weight > 0.0);
    terms.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    terms.dedup_by(|later, first| later.0 == first.0);
    terms
}
