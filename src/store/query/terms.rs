//! What a query's text asks the full-text index for.
//!
//! Pure. The tokenizer of the index splits at everything but letters and digits and folds case, so
//! `read_file` lies in it as two adjacent tokens and `parseHeader` as one.

use std::collections::BTreeSet;

/// Shorter terms are left out, as servers leave them out; they match nearly every chunk.
const SHORTEST_TERM: usize = 3;

/// Terms of a query at most. A pasted page has no more to say than this, and SQLite limits the depth
/// of the routing test, which grows by two with each term, to 1,000.
const MOST_TERMS: usize = 256;

/// Return the terms of `text`, lower case, distinct, in order of first mention: every word, and for an
/// identifier or path (`crate::store`, `readFile`, `max_bytes`) also its parts, so that a chunk that
/// writes it otherwise is found too. When every term is too short, the short ones are all there is.
pub fn terms(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut known = BTreeSet::new();
    for word in text.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        for term in std::iter::once(word.to_string()).chain(parts(word)) {
            let term = term.to_lowercase();
            if !term.is_empty() && known.insert(term.clone()) {
                all.push(term);
            }
        }
    }
    let long = |term: &String| term.chars().count() >= SHORTEST_TERM;
    if all.iter().any(long) {
        all.retain(long);
    }
    all.truncate(MOST_TERMS);
    all
}

/// Return a term as an FTS5 string: quoted, so that nothing in it is read as query syntax.
pub fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\"").replace('\0', " "))
}

/// Return the pieces of a word between punctuation, and of those the pieces between case changes.
fn parts(word: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for piece in word.split(|c: char| !c.is_alphanumeric()) {
        parts.push(piece.to_string());
        parts.extend(humps(piece));
    }
    parts
}

/// `parseHTTPHeader` -> parse, HTTP, Header. Nothing for a word without a change of case.
fn humps(piece: &str) -> Vec<String> {
    let letters: Vec<char> = piece.chars().collect();
    let mut humps = Vec::new();
    let mut start = 0;
    for at in 1..letters.len() {
        let (before, here) = (letters[at - 1], letters[at]);
        let rises = before.is_lowercase() && here.is_uppercase();
        let last_capital = before.is_uppercase()
            && here.is_uppercase()
            && letters.get(at + 1).is_some_and(|c| c.is_lowercase());
        if rises || last_capital {
            humps.push(letters[start..at].iter().collect());
            start = at;
        }
    }
    if start > 0 {
        humps.push(letters[start..].iter().collect());
    }
    humps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_identifiers_and_paths_become_terms() {
        assert_eq!(
            terms("How does `parseHTTPHeader` work?"),
            [
                "how",
                "does",
                "parsehttpheader",
                "parse",
                "http",
                "header",
                "work"
            ]
        );
        assert_eq!(
            terms("crate::store read_file(x) a-b"),
            [
                "crate::store",
                "crate",
                "store",
                "read_file(x",
                "read",
                "file",
                "a-b"
            ]
        );
        assert_eq!(terms("word WORD Word"), ["word"]);
        assert_eq!(terms("a go"), ["a", "go"]);
        assert!(terms(" ?! ").is_empty());
    }

    #[test]
    fn quoting_leaves_no_syntax() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_full_text_syntax(text in ".{0,40}") {
            let db = rusqlite::Connection::open_in_memory().expect("memory");
            db.execute_batch("CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('a b')")
                .expect("plain SQL");
            for term in terms(&text) {
                let found: Result<i64, _> =
                    db.query_row("SELECT count(*) FROM f WHERE f MATCH ?1", [quoted(&term)], |r| r.get(0));
                prop_assert!(found.is_ok(), "{term:?}: {found:?}");
            }
        }
    }
}
