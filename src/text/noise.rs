//! Leaves out encoded data: data URIs, and long runs of base64 and of hexadecimal digits.
//!
//! Nobody searches for them, and one image fills hundreds of chunks. A run is left out when it is at least
//! [`LEAST_RUN`] characters long and of one alphabet:
//! - hexadecimal: digits and letters of one kind, without a blank; a SHA-512 hash is such a run, a SHA-256 hash is not;
//! - base64: letters of both cases and digits, which change kind about every other character. Names and paths change
//!   kind once a word, so they stay, however long.
//!
//! Lines of base64 below each other count as one run. Numbers with commas between them are no runs: tables of constants
//! stay.

use std::ops::Range;

/// Stands for what was left out.
pub const MARK: &str = "[elided]";

/// Least characters of a run: twice a SHA-256 hash in hexadecimal.
const LEAST_RUN: usize = 128;

/// Least characters of the data of a data URI.
const LEAST_URI: usize = 64;

/// Most bytes of the type of a data URI.
const LONGEST_TYPE: usize = 100;

/// Least characters of a line of base64 that goes on below. PEM has 64, MIME 76.
const LEAST_LINE: usize = 56;

/// Least share of neighbours in base64 that are of different kinds, of a hundred. Random base64 has 59, long names 25.
const LEAST_CHANGES: usize = 38;

/// Least distinct digits of a hexadecimal run: fewer are rulers and padding.
const LEAST_DIGITS: usize = 6;

/// A text without encoded data.
#[derive(Debug, PartialEq, Eq)]
pub struct Elided {
    pub text: String,
    /// Runs that were left out.
    pub count: u32,
    /// For each line the line of the text before, from 1.
    pub lines: Vec<u32>,
}

/// Return the text without encoded data; `None` when it holds none.
pub fn without_encoded_data(text: &str) -> Option<Elided> {
    let runs = joined(text, runs(text));
    if runs.is_empty() {
        return None;
    }
    let mut elided = Elided {
        text: String::with_capacity(text.len()),
        count: runs.len() as u32,
        lines: vec![1],
    };
    let mut line = 1;
    let mut end = 0;
    for run in runs {
        elided.copy(&text[end..run.start], &mut line);
        elided.text.push_str(MARK);
        line += text[run.clone()].matches('\n').count() as u32;
        end = run.end;
    }
    elided.copy(&text[end..], &mut line);
    Some(elided)
}

impl Elided {
    fn copy(&mut self, part: &str, line: &mut u32) {
        self.text.push_str(part);
        for _ in part.matches('\n') {
            *line += 1;
            self.lines.push(*line);
        }
    }
}

/// What a run may be part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    /// A line of base64 that may go on in the lines around it.
    Line,
}

/// Return every run in order.
fn runs(text: &str) -> Vec<(Range<usize>, Kind)> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_code(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..]
            .iter()
            .take_while(|byte| is_code(**byte))
            .count();
        let end = at + length;
        if let Some(data) = uri_data(text, at, end) {
            at = data.end;
            runs.push((data, Kind::Whole));
            continue;
        }
        let run = &bytes[at..end];
        if length >= LEAST_RUN && (is_hexadecimal(run) || is_base64(run)) {
            runs.push((at..end, Kind::Whole));
        } else if length >= LEAST_LINE / 2 && is_alone(text, at, end) && is_base64(run) {
            runs.push((at..end, Kind::Line));
        }
        at = end;
    }
    runs
}

/// Join lines of base64 that follow each other, and drop those that are too few.
fn joined(text: &str, runs: Vec<(Range<usize>, Kind)>) -> Vec<Range<usize>> {
    let mut found: Vec<(Range<usize>, Kind)> = Vec::new();
    for (run, kind) in runs {
        if let Some((last, _)) = found.last_mut()
            && text[last.end..run.start].trim_matches([' ', '\t', '"', '\'', '+', '\\', ','])
                == "\n"
            && text[last.clone()]
                .rsplit('\n')
                .next()
                .is_some_and(|line| line.len() >= LEAST_LINE)
        {
            last.end = run.end;
            continue;
        }
        found.push((run, kind));
    }
    let is_long =
        |(run, kind): &(Range<usize>, Kind)| *kind == Kind::Whole || run.len() >= LEAST_RUN;
    found
        .into_iter()
        .filter(is_long)
        .map(|(run, _)| run)
        .collect()
}

/// Whether a byte may be part of base64 in either alphabet.
fn is_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// Whether nothing but quotes and blanks share the line with a run.
fn is_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].trim_end_matches([' ', '\t', '"', '\'']);
    let after = text[end..].trim_start_matches([' ', '\t', '"', '\'', '+', '\\', ',', ';', ')']);
    (before.is_empty() || before.ends_with('\n')) && (after.is_empty() || after.starts_with('\n'))
}

/// Return the data of the data URI whose scheme stands from `at` to `end`.
fn uri_data(text: &str, at: usize, end: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    if &text[at..end] != "data" || !rest[4..].starts_with(':') {
        return None;
    }
    let head = &rest[5..rest.floor_char_boundary(5 + LONGEST_TYPE)];
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '<');
    let head = head.split(ends).next().unwrap_or_default();
    let comma = head.find(',')?;
    let start = at + 5 + comma + 1;
    let is_base64 = head[..comma].ends_with(";base64");
    let is_data = |byte: &u8| match is_base64 {
        true => is_code(*byte) || *byte == b'%',
        // Text in percent notation ends where an attribute or a style does.
        false => byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b')' | b'`'),
    };
    let length = text.as_bytes()[start..]
        .iter()
        .take_while(|byte| is_data(byte))
        .count();
    let least = if is_base64 { LEAST_URI } else { LEAST_RUN };
    (length >= least).then_some(start..start + length)
}

fn is_hexadecimal(run: &[u8]) -> bool {
    let mut digits = [false; 256];
    let mut cases = [false; 2];
    for byte in run {
        if !byte.is_ascii_hexdigit() {
            return false;
        }
        digits[usize::from(*byte)] = true;
        if byte.is_ascii_alphabetic() {
            cases[usize::from(byte.is_ascii_lowercase())] = true;
        }
    }
    cases != [true; 2] && digits.iter().filter(|seen| **seen).count() >= LEAST_DIGITS
}

/// Whether a run reads like random letters of both cases and digits.
fn is_base64(run: &[u8]) -> bool {
    let kind = |byte: &u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let mut counts = [0; 4];
    for byte in run {
        counts[kind(byte)] += 1;
    }
    let changes = run
        .windows(2)
        .filter(|pair| kind(&pair[0]) != kind(&pair[1]))
        .count();
    let least = run.len() / 20;
    counts[..3].iter().all(|count| *count > least) && changes * 100 >= run.len() * LEAST_CHANGES
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Base64 as an image has it.
    fn base64(length: usize, mut seed: u64) -> String {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(alphabet[(seed >> 58) as usize])
        };
        (0..length).map(|_| next()).collect()
    }

    fn elided(text: &str) -> (String, u32) {
        without_encoded_data(text).map_or((text.to_owned(), 0), |found| (found.text, found.count))
    }

    #[test]
    fn data_uris_and_long_runs_are_left_out() {
        let image = base64(6_000, 1);
        let hex = "0123456789abcdef".repeat(10);
        for (text, expected) in [
            (
                format!("![x](data:image/png;base64,{image}) more"),
                "![x](data:image/png;base64,[elided]) more",
            ),
            (
                format!(
                    "url(\"data:image/svg+xml,%3Csvg {0}{0}\")",
                    "x='y'".repeat(3)
                ),
                "",
            ),
            (
                format!("key = \"{}\"", base64(200, 2)),
                "key = \"[elided]\"",
            ),
            (format!("digest {hex} end"), "digest [elided] end"),
        ] {
            if !expected.is_empty() {
                assert_eq!(elided(&text), (expected.to_owned(), 1));
            }
        }
    }

    #[test]
    fn lines_of_base64_are_one_run() {
        let lines: Vec<String> = (0..9).map(|n| base64(64, n)).collect();
        let text = format!(
            "-----BEGIN CERTIFICATE-----\n{}\nAb1=\n-----END CERTIFICATE-----\nlast\n",
            lines.join("\n")
        );
        let found = without_encoded_data(&text).expect("a run");
        assert_eq!(found.count, 1);
        assert!(
            found
                .text
                .starts_with("-----BEGIN CERTIFICATE-----\n[elided]\n"),
            "{}",
            found.text
        );
        assert_eq!(found.text.lines().last(), Some("last"));
        // Where the last line stood.
        assert_eq!(found.lines[found.text.lines().count() - 1], 13);
    }

    #[test]
    fn hashes_identifiers_paths_and_tables_stay() {
        let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let integrity = format!("sha512-{}==", base64(86, 3));
        let path = "src/main/java/org/example/very/long/package/names/that/go/on/".repeat(4);
        let camel = "HasAuthorizationServerMetadataEndpointConfiguration".repeat(6);
        let table = "0x1F2E3D4C, 0xA1B2C3D4, ".repeat(200);
        let ruler = "-".repeat(400);
        for text in [
            sha256,
            &integrity,
            &path,
            &camel,
            &table,
            &ruler,
            &"0".repeat(300),
            &"_".repeat(300),
        ] {
            assert_eq!(elided(text), (text.to_owned(), 0));
        }
    }

    proptest! {
        /// Words, code and punctuation, in any arrangement, are no data.
        #[test]
        fn ordinary_text_is_untouched(words in proptest::collection::vec("[a-zA-Z_]{1,20}|[0-9]{1,12}|0x[0-9a-fA-F]{8,64}|[-+*/=(){};:.,'\"<> \n\t]{1,4}|\\PC{1,6}", 0..80)) {
            let text = words.join(" ");
            prop_assert_eq!(without_encoded_data(&text), None);
        }

        /// Nothing else is lost, and nothing is left to find.
        #[test]
        fn only_the_run_goes(before in "[a-z \n]{0,40}", after in "[a-z \n]{0,40}", length in 200usize..2_000, seed in any::<u64>()) {
            let text = format!("{before} {} {after}", base64(length, seed));
            let found = without_encoded_data(&text).expect("a run");
            prop_assert_eq!(&found.text, &format!("{before} {MARK} {after}"));
            prop_assert_eq!(found.lines.len(), found.text.matches('\n').count() + 1);
            prop_assert_eq!(without_encoded_data(&found.text), None);
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,200}|(data:[a-z/;,\u{e9}]{0,20}){0,20}") {
            without_encoded_data(&text);
        }
    }
}
