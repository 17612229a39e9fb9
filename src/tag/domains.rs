//! The domains of a chunk, most specific first: its file, its folder, its language, its topics.

use super::dictionary::topics;
use super::fields::{clean, push_distinct};
use super::lexer::{self, Shape};
use super::outline::Outline;
use super::path::{is_noise_stem, is_noise_token};
use super::{TagInput, dictionary};
use crate::credential::{self, Style};
use std::cmp::Reverse;

const MAX_DOMAINS: usize = 10;
const MAX_CHARS: usize = 60;
const SEPARATORS: [char; 4] = ['_', '-', '.', ' '];
const MAX_TOPICS: usize = 4;
/// A topic needs two words; repeating one word is not enough.
const MIN_HITS: u32 = 2;
const MAX_HITS_PER_WORD: u32 = 4;

pub(super) fn domains(outline: &Outline, input: &TagInput) -> Vec<String> {
    let mut domains = Vec::with_capacity(MAX_DOMAINS);
    let mut push = |domain: &str| push_distinct(&mut domains, MAX_DOMAINS, domain);
    let place = Place::of(input);
    if !is_noise_stem(&place.stem) {
        push(&place.stem);
    }
    push(&place.folder);
    push(outline.format.name);
    for topic in ranked_topics(outline) {
        push(topic);
    }
    if is_noise_stem(&place.stem) {
        push(&place.stem);
    }
    for part in place
        .stem
        .split(SEPARATORS)
        .chain(place.folder.split(SEPARATORS))
    {
        let is_word = part.contains(char::is_alphabetic) && part.chars().nth(2).is_some();
        if is_word && !is_noise_token(part) {
            push(part);
        }
    }
    for word in &outline.imports {
        push(&clean(outline.spelling(*word), MAX_CHARS).to_ascii_lowercase());
    }
    domains
}

/// A file's name and folder, in lower case.
struct Place {
    /// The file name up to its first dot; the whole name when it begins with a dot.
    stem: String,
    /// The nearest folder with a specific name, else the root.
    folder: String,
}

impl Place {
    fn of(input: &TagInput) -> Self {
        let lower = |text: &str| {
            // Nobody searches for a name that is a token.
            match credential::find(text, Style::Any).is_empty() {
                true => clean(&clean(text, MAX_CHARS).to_lowercase(), MAX_CHARS),
                false => String::new(),
            }
        };
        let spelling = input.path.spelling();
        let (folders, name) = spelling.rsplit_once('/').unwrap_or(("", &spelling));
        let stem = match name.split('.').next() {
            Some(stem) if !stem.is_empty() => stem,
            _ => name,
        };
        let telling = folders
            .rsplit('/')
            .map(lower)
            .find(|folder| !folder.is_empty() && !is_noise_token(folder));
        Self {
            stem: lower(stem),
            folder: telling.unwrap_or_else(|| lower(input.root_label)),
        }
    }
}

/// Return the topics with enough hits among the words and their parts, most hits first.
fn ranked_topics(outline: &Outline) -> impl Iterator<Item = &'static str> {
    let mut hits = vec![0_u32; topics().len() + 1];
    let is_code = outline.format.is_code();
    for term in &outline.terms {
        // A licence notice in source code is not its topic.
        if is_code && term.meaning.is_legal {
            continue;
        }
        let weight = term.count.min(MAX_HITS_PER_WORD);
        for topic in term.meaning.topics {
            hits[usize::from(topic)] += weight;
        }
        if term.shape.is_camel() || term.shape.has(Shape::UNDERSCORE) {
            for part in parts(outline.term_spelling(term)) {
                for topic in dictionary::meaning(part, lexer::hash(part)).topics {
                    hits[usize::from(topic)] += weight;
                }
            }
        }
    }
    // Position 0 means no topic.
    let mut ranked: Vec<usize> = (1..hits.len()).filter(|at| hits[*at] >= MIN_HITS).collect();
    ranked.sort_by_key(|at| Reverse(hits[*at]));
    ranked.truncate(MAX_TOPICS);
    ranked.into_iter().map(|at| topics()[at - 1])
}

/// Split a name: `http`, `Server` and `pool` of `httpServer_pool`.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let bytes = name.as_bytes();
    let mut start = 0;
    std::iter::from_fn(move || {
        while bytes.get(start) == Some(&b'_') {
            start += 1;
        }
        let mut end = start;
        while end < bytes.len() && bytes[end] != b'_' && (end == start || !starts_part(bytes, end))
        {
            end += 1;
        }
        let part = name.get(start..end).filter(|part| !part.is_empty());
        start = end;
        part
    })
}

/// Whether a part of a name begins at `at`: a capital after a small letter, or the last of several capitals.
fn starts_part(bytes: &[u8], at: usize) -> bool {
    let is_small = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_lowercase);
    bytes[at].is_ascii_uppercase() && (is_small(bytes.get(at - 1)) || is_small(bytes.get(at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::profile::recipe::RuleSet;
    use crate::tag::Kind;
    use crate::tag::format::Format;

    fn of(path: &str, text: &str) -> Vec<String> {
        let path = RelPath::from_spelling(path).expect("a relative path");
        let input = TagInput {
            text,
            path: &path,
            root_label: "garden",
            sequence: 0,
            around: &[],
            kind: Kind::of(RuleSet::Compat, &path, None),
        };
        domains(&Outline::read(text, Format::of(&path)), &input)
    }

    #[test]
    fn file_and_folder_lead() {
        assert_eq!(
            of("src/net/Retry_Policy.rs", "x"),
            ["retry_policy", "net", "rust", "retry", "policy"]
        );
        assert_eq!(of("src/main.rs", "x"), ["garden", "rust", "main"]);
        assert_eq!(of("notes.txt", "x"), ["notes", "garden", "text"]);
    }

    #[test]
    fn topics_follow_by_hits() {
        let text = "let tcpSocket = socket; lock_mutex(mutex); mutex; thread; parse";
        assert_eq!(of("q.rs", text)[3..], ["concurrency", "network"]);
    }

    #[test]
    fn names_fall_into_parts() {
        let parts = |name| parts(name).collect::<Vec<_>>();
        assert_eq!(parts("httpServer_pool"), ["http", "Server", "pool"]);
        assert_eq!(parts("__HTTPServer2x__"), ["HTTP", "Server2x"]);
        assert_eq!(parts("___"), Vec::<&str>::new());
    }
}
