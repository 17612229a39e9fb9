//! Vectors of texts that a server encodes.

use super::error::EncodeError;
use super::route_words::heaviest_words;
use super::server::{Ask, DoneRequest, Sent, Server, Weights};
use super::session::{BatchEvent, RunCost};
use super::sparse::{SparseText, units};
use super::text::{TokenizedText, estimated_tokens};
use super::tokenizer::Word;
use crate::batch::Batch;
use crate::vector::{DenseVector, SparseTerm, SparseVector};
use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

/// One of the two ways of asking.
type Encode<V> = fn(&Server, &[&str], Ask<'_>) -> Result<Vec<V>, EncodeError>;

/// A server that encodes one kind of vectors.
pub(super) struct ServerEncoder {
    server: Server,
    /// Characters of a text that are encoded; `None`: all.
    head: Option<usize>,
    cost: RunCost,
}

impl ServerEncoder {
    pub fn new(server: Server, head: Option<usize>) -> Self {
        Self {
            server,
            head,
            cost: RunCost::default(),
        }
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Return the cost since the last call.
    pub fn take_cost(&mut self) -> RunCost {
        std::mem::take(&mut self.cost)
    }

    /// Return one vector for each text; `None` for a text without a direction.
    pub fn dense(
        &mut self,
        texts: &[&TokenizedText],
        sent: Sent,
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<Vec<Option<DenseVector>>, EncodeError> {
        let vectors = self.encode(texts, (sent, 0), observe, Server::encode_dense)?;
        let dim = self.server.dim();
        let unit = |vector| DenseVector::normalized(vector, dim);
        Ok(vectors.into_iter().map(unit).collect())
    }

    /// Return one vector of at most `n_terms` terms and the routing words for each text.
    pub fn sparse(
        &mut self,
        texts: &[&TokenizedText],
        (sent, n_terms): (Sent, usize),
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<Vec<SparseText>, EncodeError> {
        let vectors = self.encode(texts, (sent, n_terms), observe, Server::encode_sparse)?;
        let texts = texts.iter().zip(vectors);
        Ok(texts
            .map(|(text, weights)| (selected(&weights, n_terms), route_words(text, &weights)))
            .collect())
    }

    fn encode<V>(
        &mut self,
        texts: &[&TokenizedText],
        (sent, n_terms): (Sent, usize),
        observe: &(dyn Fn(BatchEvent) + Sync),
        encode: Encode<V>,
    ) -> Result<Vec<V>, EncodeError> {
        let kind = self.server.kind();
        let began = Instant::now();
        let done = |request: DoneRequest| {
            let n_tokens = estimated_tokens(request.n_chars) as u64;
            observe(BatchEvent::Text(Batch {
                encoder: kind,
                n_tokens,
                n_slots: n_tokens,
                n_windows: request.n_texts as u64,
                duration: request.duration,
            }));
        };
        let ask = Ask {
            sent,
            head: self.head.filter(|_| sent == Sent::Passage),
            n_terms,
            done: &done,
        };
        let bare: Vec<&str> = texts.iter().map(|text| &*text.text).collect();
        let vectors = encode(&self.server, &bare, ask)?;
        if sent == Sent::Passage && !bare.is_empty() {
            self.server.check_unchanged()?;
        }
        let n_tokens: usize = texts.iter().map(|text| text.estimated_tokens()).sum();
        self.cost.busy += began.elapsed();
        self.cost.run_tokens += n_tokens as u64;
        self.cost.padded_tokens += n_tokens as u64;
        Ok(vectors)
    }
}

/// Return the heaviest terms.
fn selected(weights: &Weights, limit: usize) -> SparseVector {
    let terms = weights.iter().map(|(term, weight)| SparseTerm {
        term: term.clone(),
        weight_e4: units(*weight),
    });
    let terms = terms.filter(|term| term.weight_e4 > 0).collect();
    let mut vector = SparseVector::new(terms);
    vector.0.truncate(limit);
    vector
}

/// Return the routing words of a text, by the weights of the terms that spell them.
fn route_words(text: &TokenizedText, weights: &Weights) -> Vec<String> {
    let weights: HashMap<&str, u32> = weights
        .iter()
        .map(|(term, weight)| (term.as_str(), units(*weight)))
        .collect();
    let words = words(&text.text);
    let scores: Vec<u32> = words
        .iter()
        .map(|word| {
            let range = word.text.start as usize..word.text.end as usize;
            score(&text.text[range].to_lowercase(), &weights)
        })
        .collect();
    heaviest_words(&text.text, &words, &scores)
}

/// Add up the longest terms that a word begins and goes on with, as WordPiece cuts words.
fn score(word: &str, weights: &HashMap<&str, u32>) -> u32 {
    let mut sum: u32 = 0;
    let mut start = 0;
    let mut term = String::new();
    while start < word.len() {
        let ends = word[start..]
            .char_indices()
            .map(|(at, c)| start + at + c.len_utf8());
        let ends: Vec<usize> = ends.collect();
        let mut longest = |end: &usize| {
            term.clear();
            term.push_str(if start > 0 { "##" } else { "" });
            term.push_str(&word[start..*end]);
            weights.get(term.as_str()).map(|weight| (*end, *weight))
        };
        match ends.iter().rev().find_map(&mut longest) {
            Some((end, weight)) => {
                sum = sum.saturating_add(weight);
                start = end;
            }
            None => start = ends.first().copied().unwrap_or(word.len()),
        }
    }
    sum
}

/// Return the runs of letters and digits of a text.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut begun: Option<usize> = None;
    let mut add = |range: Range<usize>| {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        words.push(Word {
            text: narrow(range.start)..narrow(range.end),
            pieces: 0..0,
        });
    };
    for (at, c) in text.char_indices() {
        match (c.is_alphanumeric(), begun) {
            (true, None) => begun = Some(at),
            (false, Some(start)) => {
                add(start..at);
                begun = None;
            }
            _ => {}
        }
    }
    if let Some(start) = begun {
        add(start..text.len());
    }
    words
}

/// Return the warning about a server that gives every text the same vector.
pub(super) fn nothing_told_apart(encoder: &ServerEncoder) -> Option<EncodeError> {
    let server = encoder.server();
    let reason = "it gives every text the same vector; look at the model that the server has";
    (!server.tells_texts_apart()).then(|| EncodeError::bad(server.kind(), server.model(), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_score_by_the_terms_that_spell_them() {
        let weights = HashMap::from([("parse", 5), ("par", 9), ("##r", 2), ("##config", 7)]);
        assert_eq!(score("parser", &weights), 7);
        assert_eq!(score("parserxconfig", &weights), 14);
        assert_eq!(score("config", &weights), 0);
        assert_eq!(score("größe", &weights), 2);
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let text = "let größe_2 = f(x);";
        let found = words(text);
        let found = found
            .iter()
            .map(|w| &text[w.text.start as usize..w.text.end as usize]);
        assert_eq!(found.collect::<Vec<_>>(), ["let", "größe", "2", "f", "x"]);
    }

    #[test]
    fn the_heaviest_terms_are_kept() {
        let weights = vec![
            ("a".to_owned(), 0.5),
            ("b".to_owned(), 0.7),
            ("c".to_owned(), 0.000_01),
        ];
        let vector = selected(&weights, 1);
        assert_eq!((vector.0.len(), &*vector.0[0].term), (1, "b"));
        assert_eq!(selected(&weights, 9).0.len(), 2);
    }
}
