//! Picks the lines of a hit that say why it is one, and the words in them. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

/// Lines of a snippet. Three show a match with what it belongs to; ten hits of them fit a screen.
const LINES: usize = 3;

/// Shorter words match only as a whole; longer ones also if one begins with the other (`fail`, `failed`).
const SHORTEST_STEM: usize = 4;

/// Words that say nothing about why a text was found.
const FUNCTION_WORDS: [&str; 32] = [
    "a", "about", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from",
    "how", "if", "in", "is", "it", "not", "of", "on", "or", "that", "the", "this", "to", "what",
    "when", "where", "which", "with",
];

/// The words of a query, lower case.
pub struct Words(Vec<String>);

impl Words {
    /// Take the words from the terms of a query. Drops function words, unless there are no others.
    pub fn of(terms: &[String]) -> Self {
        let telling = |term: &&String| !FUNCTION_WORDS.contains(&term.as_str());
        let words: Vec<String> = terms.iter().filter(telling).cloned().collect();
        match words.is_empty() {
            true => Self(terms.to_vec()),
            false => Self(words),
        }
    }

    /// Return where words of the query stand in a line, in order and apart: byte ranges at character boundaries.
    pub fn in_line(&self, line: &str) -> Vec<Range<usize>> {
        self.found(line)
            .into_iter()
            .map(|(range, _)| range)
            .collect()
    }

    /// Return the same ranges, each with the number of its word.
    fn found(&self, line: &str) -> Vec<(Range<usize>, usize)> {
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        for run in runs(line) {
            let text = &line[run.clone()];
            let (whole, parts) = (text.to_lowercase(), parts(text));
            if let Some(word) = self.0.iter().position(|word| *word == whole) {
                found.push((run, word));
                continue;
            }
            for part in parts {
                let lower = text[part.clone()].to_lowercase();
                let is_word = |word: &String| is_same(word, &lower);
                let range = run.start + part.start..run.start + part.end;
                match self.0.iter().position(is_word) {
                    Some(word) => found.push((range, word)),
                    None => self.find_pairs(&text[part], range.start, &mut found),
                }
            }
        }
        found
    }

    /// Find words of scripts without spaces within `text`, which begins at the byte `start` of its line.
    fn find_pairs(&self, text: &str, start: usize, found: &mut Vec<(Range<usize>, usize)>) {
        let letters: Vec<(usize, char)> = text.char_indices().collect();
        let pair_in = |word: &String, pair: &[(usize, char)]| {
            let wanted: String = pair.iter().map(|(_, letter)| letter).collect();
            pair.iter().all(|(_, letter)| has_no_spaces(*letter)) && word.contains(&wanted)
        };
        for pair in letters.windows(2) {
            let Some(word) = self.0.iter().position(|word| pair_in(word, pair)) else {
                continue;
            };
            let range = start + pair[0].0..start + pair[1].0 + pair[1].1.len_utf8();
            match found.last_mut() {
                Some((last, _)) if last.end >= range.start => last.end = range.end,
                _ => found.push((range, word)),
            }
        }
    }

    /// Return the lines to show: a few in a row that begin with a line that has a word of the query, the first of those with
    /// the most letters of distinct words. Without any word, the first lines that are not blank.
    pub fn best_lines(&self, lines: &[&str]) -> Range<usize> {
        let words: Vec<BTreeSet<usize>> = lines
            .iter()
            .map(|line| self.found(line).into_iter().map(|(_, word)| word).collect())
            .collect();
        let weight = |start: usize| -> usize {
            let in_window = words.iter().skip(start).take(LINES).flatten();
            let distinct: BTreeSet<&usize> = in_window.collect();
            distinct
                .into_iter()
                .map(|word| self.0[*word].chars().count())
                .sum()
        };
        let is_blank = |at: &usize| lines[*at].trim().is_empty();
        let starts = (0..lines.len()).filter(|at| !words[*at].is_empty());
        // The first of the best: `max_by_key` returns the last.
        let best = starts.rev().max_by_key(|at| weight(*at));
        let start = best.or_else(|| (0..lines.len()).find(|at| !is_blank(at)));
        lines_from(start.unwrap_or(0), lines)
    }
}

/// Return the lines to show that begin with this one.
pub fn lines_from(start: usize, lines: &[&str]) -> Range<usize> {
    start..lines.len().min(start + LINES)
}

fn is_same(word: &str, token: &str) -> bool {
    let is_stem =
        |long: &str, short: &str| short.chars().count() >= SHORTEST_STEM && long.starts_with(short);
    word == token || is_stem(word, token) || is_stem(token, word)
}

/// Return whether a character belongs to a script that writes words without spaces (Chinese, Japanese).
fn has_no_spaces(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Return the runs of letters, digits and `_`.
fn runs(line: &str) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (c.is_alphanumeric() || c == '_', start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                runs.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    runs
}

/// Return the parts of an identifier: `maxRetry_count` has three.
fn parts(run: &str) -> Vec<Range<usize>> {
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for (n, &(at, c)) in letters.iter().enumerate() {
        let before = n.checked_sub(1).map(|n| letters[n].1);
        let after = letters.get(n + 1).map(|(_, c)| *c);
        let rises = before.is_some_and(char::is_lowercase) && c.is_uppercase();
        let is_last_capital = before.is_some_and(char::is_uppercase)
            && c.is_uppercase()
            && after.is_some_and(char::is_lowercase);
        if c == '_' || rises || is_last_capital {
            parts.push(start..at);
            start = if c == '_' { at + 1 } else { at };
        }
    }
    parts.push(start..run.len());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(query: &str) -> Words {
        let terms: Vec<String> = query.split(' ').map(str::to_owned).collect();
        Words::of(&terms)
    }

    fn marked(query: &str, line: &str) -> String {
        let mut shown = String::new();
        let mut at = 0;
        for range in words(query).in_line(line) {
            shown += &format!("{}[{}]", &line[at..range.start], &line[range.clone()]);
            at = range.end;
        }
        shown + &line[at..]
    }

    #[test]
    fn words_are_found_in_identifiers_and_as_stems() {
        for (query, line, expected) in [
            (
                "retry",
                "let maxRetryCount = retry;",
                "let max[Retry]Count = [retry];",
            ),
            (
                "max_retry_count",
                "max_retry_count + 1",
                "[max_retry_count] + 1",
            ),
            (
                "how failed",
                "a fail, Failing, failed",
                "a [fail], Failing, [failed]",
            ),
            ("http", "HTTPServer http2", "[HTTP]Server [http2]"),
            ("the zebra", "the zebra", "the [zebra]"),
            ("the", "the zebra", "[the] zebra"),
            ("支付失败", "如果支付失败了", "如果[支付失败]了"),
            ("zebra", "lion", "lion"),
        ] {
            assert_eq!(marked(query, line), expected, "{query}");
        }
    }

    #[test]
    fn the_lines_with_most_of_the_query_are_shown() {
        let lines = ["", "one", "two zebra", "three", "zebra eats", "", "four"];
        assert_eq!(words("what zebra eats").best_lines(&lines), 2..5);
        assert_eq!(words("nothing").best_lines(&lines), 1..4);
        assert_eq!(words("four").best_lines(&lines), 6..7);
        assert_eq!(words("x").best_lines(&[]), 0..0);
        assert_eq!(words("x").best_lines(&["", ""]), 0..2);
    }

    proptest! {
        #[test]
        fn ranges_are_in_order_and_within_the_line(query in "[a-zA-Z支付_ ]{0,12}", line in "[a-zA-Z_支付 .éß]{0,40}") {
            let mut end = 0;
            for range in words(&query).in_line(&line) {
                prop_assert!(range.start >= end && range.start < range.end, "{:?}", range);
                prop_assert!(line.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
