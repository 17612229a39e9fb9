//! Orders the first chunks of the lexical, sparse and dense arms by what else is known of them.
//!
//! Pure: the caller reads the candidates from an index. A chunk's own score is the weighted sum of its scaled scores in
//! the arms, with a bonus if it defines a name that is asked for and one for names that the question's words are part of.
//! A file's score is that of its best chunk, with less and less of its further chunks, and a bonus for words of the
//! question in its name and folders; files of tests, documents and data count less. Chunks are ordered by it.
//! docs/reference/ranking.md explains each rule.

mod definition;
mod kind;
mod question;
mod stems;
pub mod weights;

pub use definition::shown_at;
pub use kind::Kind;
pub use question::Question;

use serde::Serialize;
use std::collections::BTreeMap;

/// Scores of a chunk in the lexical, sparse and dense arm.
pub type Arms = [Option<f64>; 3];

/// A chunk that some arm found.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// [Scaled](scale).
    pub arms: Arms,
    /// Equal for chunks of one file, and for no others.
    pub file: (usize, String),
    /// Below the root, with `/` between folders.
    pub path: String,
    pub language: Option<String>,
    /// Names of the definitions around the chunk.
    pub around: Vec<String>,
    /// Names of the definitions in it.
    pub defined: Vec<String>,
    pub text: String,
}

/// What each arm and rule gave a hit. The score is `kind` x (the sum of the gains), those of names of the file and its folders
/// times `repeated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Why {
    pub lexical: f64,
    pub sparse: f64,
    pub dense: f64,
    /// Defines a name of the question.
    pub definition: f64,
    /// Words of the question in names of symbols.
    pub symbols: f64,
    /// Further chunks of the file.
    pub further_chunks: f64,
    /// Words of the question in the file's name, and of the name in the question.
    pub file_name: f64,
    /// Words of the question in the names of folders.
    pub folders: f64,
    /// Factor of what the chunk is for: tests, examples, prose, data.
    pub kind: f64,
    /// Factor of `file_name` and `folders`, for a chunk of a file that stands above it already.
    pub repeated: f64,
}

impl Why {
    fn own(&self) -> f64 {
        self.arms() + self.definition + self.symbols
    }

    fn arms(&self) -> f64 {
        self.lexical + self.sparse + self.dense
    }

    /// Return the score that these add up to.
    pub fn score(&self) -> f64 {
        let of_file = (self.file_name + self.folders) * self.repeated;
        (self.own() + self.further_chunks + of_file) * self.kind
    }
}

/// A candidate in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Position among the candidates.
    pub candidate: usize,
    pub why: Why,
}

/// Return the scores of an arm, best first, between 0 for the last one and 1 for the first.
pub fn scale(scores: &[f64]) -> Vec<f64> {
    let (Some(best), Some(last)) = (scores.first(), scores.last()) else {
        return Vec::new();
    };
    let scaled = |score: &f64| match best > last {
        true => (score - last) / (best - last),
        false => 1.0,
    };
    scores.iter().map(scaled).collect()
}

/// Order candidates, best first. Equal scores are in the order of the candidates.
pub fn rank(question: &Question, candidates: &[Candidate]) -> Vec<Placed> {
    let parts = parts_of_arms(candidates);
    let why: Vec<Why> = candidates
        .iter()
        .map(|candidate| own(question, candidate, parts))
        .collect();
    let own: Vec<f64> = why.iter().map(|why| why.own() * why.kind).collect();
    let best = why.iter().map(Why::arms).fold(0.0, f64::max);
    let mut files: BTreeMap<&(usize, String), Vec<usize>> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        files.entry(&candidate.file).or_default().push(at);
    }
    let mut placed = Vec::with_capacity(candidates.len());
    for chunks in files.values_mut() {
        chunks.sort_by(|a, b| own[*b].total_cmp(&own[*a]));
        let first = &candidates[chunks[0]];
        let file = of_file(question, first);
        let arms = chunks.iter().map(|at| why[*at].arms()).fold(0.0, f64::max);
        let trust = match best > 0.0 {
            true => (arms / best).powf(weights::TRUST_IN_NAMES),
            false => 1.0,
        };
        let further = chunks.iter().skip(1).take(weights::MOST_FURTHER_CHUNKS);
        let further = further.zip(1..);
        let most = own[chunks[0]];
        let further_chunks = further.fold(0.0, |sum, (at, k)| {
            let of_most = if most > 0.0 { own[*at] / most } else { 0.0 };
            sum + own[*at] * of_most * weights::FURTHER_CHUNKS.powi(k)
        });
        for (k, at) in (0..).zip(chunks.iter()) {
            let why = Why {
                further_chunks: if k == 0 { further_chunks } else { 0.0 },
                file_name: file.file_name * trust,
                folders: file.folders * trust,
                kind: file.kind * why[*at].kind,
                repeated: weights::REPEATED_FILE.powi(k),
                ..why[*at]
            };
            placed.push(Placed {
                candidate: *at,
                why,
            });
        }
    }
    placed.sort_by(|a, b| {
        let order = b.why.score().total_cmp(&a.why.score());
        order.then(a.candidate.cmp(&b.candidate))
    });
    placed
}

/// Return the part of each arm in the chunks' scores: 0 for an arm that found nothing, all together 1.
fn parts_of_arms(candidates: &[Candidate]) -> [f64; 3] {
    let parts: [f64; 3] = std::array::from_fn(|arm| {
        let scores = candidates
            .iter()
            .filter_map(|candidate| candidate.arms[arm]);
        let mut scores: Vec<f64> = scores.collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        match scores.is_empty() {
            true => 0.0,
            false => {
                let third = scores.get(2).copied().unwrap_or_default();
                weights::ARMS[arm] * (weights::SURENESS + 1.0 - third)
            }
        }
    });
    let all: f64 = parts.iter().sum();
    parts.map(|part| if all > 0.0 { part / all } else { 0.0 })
}

/// Return what a chunk has by itself.
fn own(question: &Question, candidate: &Candidate, parts: [f64; 3]) -> Why {
    let [lexical, sparse, dense] =
        std::array::from_fn(|arm| candidate.arms[arm].unwrap_or_default() * parts[arm]);
    let names = question.names.iter();
    let degrees = names.map(|name| definition::degree(name, candidate));
    let weight = match question.is_name {
        true => weights::DEFINITION,
        false => weights::DEFINITION_WITHIN,
    };
    let symbols = stems_of(candidate.around.iter().chain(&candidate.defined));
    Why {
        lexical: lexical + question.signed_share(&candidate.text) * weights::SIGNED,
        sparse,
        dense,
        definition: degrees.fold(0.0, f64::max) * weight,
        symbols: question.share(|stem| has(&symbols, stem)) * weights::SYMBOLS,
        kind: kind_of_chunk(question, candidate),
        ..Why::default()
    }
}

/// Return the factor of a chunk among the others of its file: tests in a file of code.
fn kind_of_chunk(question: &Question, candidate: &Candidate) -> f64 {
    let Candidate {
        around,
        defined,
        text,
        ..
    } = candidate;
    let is_test_file = Kind::of(&candidate.path, candidate.language.as_deref()).is_test;
    let is_test = !is_test_file && kind::is_in_test_module(around, defined, text);
    match is_test && !question.is_about_tests {
        true => weights::TESTS,
        false => 1.0,
    }
}

/// Return what a chunk's file has.
fn of_file(question: &Question, candidate: &Candidate) -> Why {
    let (folders, name) = candidate
        .path
        .rsplit_once('/')
        .unwrap_or(("", &candidate.path));
    // A name that begins with a dot has nothing before it.
    let name = name
        .trim_start_matches('.')
        .split('.')
        .next()
        .unwrap_or_default();
    let in_name = stems_of([name]);
    let in_folders: Vec<String> = stems_of([folders])
        .into_iter()
        .filter(|stem| !has(&in_name, stem))
        .collect();
    let asked_for = in_name
        .iter()
        .filter(|stem| question.asks_for(stem))
        .count();
    let is_namesake = question.is_name
        && question
            .names
            .first()
            .is_some_and(|asked| asked.eq_ignore_ascii_case(name));
    let kind = Kind::of(&candidate.path, candidate.language.as_deref());
    let factor = |applies: bool, factor: f64| if applies { factor } else { 1.0 };
    Why {
        file_name: question.share(|stem| has(&in_name, stem)) * weights::FILE_NAME
            + asked_for as f64 / in_name.len().max(1) as f64 * weights::NAME_ASKED_FOR
            + if is_namesake { weights::NAMESAKE } else { 0.0 },
        folders: question.share(|stem| has(&in_folders, stem)) * weights::FOLDERS,
        kind: factor(kind.is_test && !question.is_about_tests, weights::TESTS)
            * factor(kind.is_example && !question.is_about_use, weights::EXAMPLES)
            * factor(kind.is_prose && !question.is_about_use, weights::PROSE)
            * factor(kind.is_data, weights::DATA),
        ..Why::default()
    }
}

/// Return the stems of all words in names, each once.
fn stems_of(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for name in names {
        for word in stems::of_name(name.as_ref()) {
            let stem = stems::stem(&word);
            if !stems.iter().any(|known| known == stem) {
                stems.push(stem.to_owned());
            }
        }
    }
    stems
}

fn has(stems: &[String], stem: &str) -> bool {
    stems.iter().any(|known| stems::agree(known, stem))
}

#[cfg(test)]
mod tests;
