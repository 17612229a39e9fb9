//! What a query's text asks the full-text index for.
//!
//! Pure. The tokenizer of the index splits at everything but letters and digits and folds case, so
//! `read_file` lies in it as two adjacent tokens and `parseHeader` as one. [`words`] says what a build adds to
//! these, and how a query takes the same words apart.

use crate::words::{self, Case};
use std::collections::BTreeSet;

/// Terms of a query at most. A pasted page has no more to say than this, and SQLite limits the depth
/// of the routing test, which grows by two with each term, to 1,000.
const MOST_TERMS: usize = 256;

/// Return the terms of `text`, lower case, distinct, in order of first mention: every word, for an
/// identifier or path (`crate::store`, `readFile`, `max_bytes`) also its parts, so that a chunk that
/// writes it otherwise is found too, for a run of Chinese or Japanese its pairs of characters, and the names of
/// languages such as C++. When every term is too short, the short ones are all there is.
pub fn terms(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut known = BTreeSet::new();
    let mut add = |term: &str| {
        let term = term.to_lowercase();
        if !term.is_empty() && known.insert(term.clone()) {
            all.push(term);
        }
    };
    for word in text.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        add(word);
        for piece in words::words(word) {
            add(piece);
            words::parts(piece).into_iter().for_each(&mut add);
        }
    }
    words::names(text, Case::Ignored).for_each(&mut add);
    let is_long =
        |term: &String| term.chars().count() >= words::SHORTEST_WORD || words::is_pair(term);
    if all.iter().any(is_long) {
        all.retain(is_long);
    }
    all.truncate(MOST_TERMS);
    all
}

/// Return a term as an FTS5 string: quoted, so that nothing in it is read as query syntax.
pub fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\"").replace('\0', " "))
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
        assert_eq!(
            terms("支付失败 in C++"),
            ["支付失败", "支付", "付失", "失败", "cpp"]
        );
        assert_eq!(terms("重试"), ["重试"]);
        assert_eq!(terms("a C# service"), ["service", "csharp"]);
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
