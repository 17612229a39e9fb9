//! The extract of a chunk: its three heaviest sentences or lines (the format's complement).

use super::dictionary::Role;
use super::fields::{append_clean, clean};
use super::lines::{Line, LineKind, body, ends_sentence};
use super::outline::Outline;
use super::terms::Term;
use std::cmp::Reverse;
use std::ops::Range;

const MAX_PARTS: usize = 3;
const MAX_PART_CHARS: usize = 300;
const FALLBACK_CHARS: usize = 500;
const MIN_WORDS: usize = 3;

/// Return up to three parts in text order, separated by spaces; the start of the text when no part has a weight.
pub(super) fn extract(outline: &Outline) -> String {
    // Sorted, heaviest first, so that one pass is enough.
    let mut best: Vec<(Reverse<u32>, usize, Part)> = Vec::with_capacity(MAX_PARTS + 1);
    for (at, part) in parts(outline).into_iter().enumerate() {
        let score = score(outline, &part);
        if score > 0
            && best
                .get(MAX_PARTS - 1)
                .is_none_or(|(last, ..)| score > last.0)
        {
            let place = best.partition_point(|(other, ..)| other.0 >= score);
            best.insert(place, (Reverse(score), at, part));
            best.truncate(MAX_PARTS);
        }
    }
    if best.is_empty() {
        return clean(outline.text, FALLBACK_CHARS);
    }
    best.sort_unstable_by_key(|(_, at, _)| *at);
    let mut text = String::new();
    for (_, _, part) in &best {
        let part = spelled(outline, part);
        if !text.is_empty() && !part.is_empty() {
            text.push(' ');
        }
        text.push_str(&part);
    }
    text
}

/// A line of code, or a sentence that may span lines.
struct Part {
    /// Byte range in the text.
    bytes: Range<usize>,
    lines: Range<usize>,
    words: Range<usize>,
    kind: LineKind,
}

fn parts(outline: &Outline) -> Vec<Part> {
    let mut parts = Vec::with_capacity(outline.lines.len());
    let mut open: Option<Part> = None;
    for (at, line) in outline.lines.iter().enumerate() {
        let is_sentence = is_prose(outline, line);
        if !is_sentence || open.as_ref().is_some_and(|part| !continues(part, line)) {
            parts.extend(open.take());
        }
        if is_sentence {
            sentences(outline, at, line, &mut open, &mut parts);
        } else if !line.words.is_empty() && line.kind != LineKind::Blank {
            parts.push(Part {
                bytes: line.start..line.end,
                lines: at..at + 1,
                words: line.words.clone(),
                kind: line.kind,
            });
        }
    }
    parts.extend(open);
    parts
}

fn is_prose(outline: &Outline, line: &Line) -> bool {
    match line.kind {
        LineKind::Comment | LineKind::Item | LineKind::Step => true,
        LineKind::Plain => !line.is_code && !outline.format.is_config(),
        _ => false,
    }
}

/// Whether the sentence of `part` may continue in `line`.
fn continues(part: &Part, line: &Line) -> bool {
    match line.kind {
        LineKind::Plain => part.kind != LineKind::Comment,
        LineKind::Comment => part.kind == LineKind::Comment,
        _ => false,
    }
}

/// Continue the open sentence of the line above, and cut `line` at full stops.
fn sentences(
    outline: &Outline,
    at: usize,
    line: &Line,
    open: &mut Option<Part>,
    parts: &mut Vec<Part>,
) {
    let bytes = &outline.text.as_bytes()[..line.end];
    if line.words.is_empty() {
        // A comment line without words separates paragraphs.
        parts.extend(open.take());
        return;
    }
    let mut start = line.start;
    let mut word = line.words.start;
    for stop in line.start..line.end {
        let is_end = stop > start && ends_sentence(bytes, stop);
        if !is_end && stop + 1 < line.end {
            continue;
        }
        let first_word = word;
        while word < line.words.end && outline.words[word].start <= stop {
            word += 1;
        }
        let part = open.get_or_insert(Part {
            bytes: start..start,
            lines: at..at,
            words: first_word..first_word,
            kind: line.kind,
        });
        part.bytes.end = stop + 1;
        part.lines.end = at + 1;
        part.words.end = word;
        if is_end {
            parts.extend(open.take());
        }
        start = stop + 1;
    }
}

/// Return the mean weight of the part's words, higher for longer parts, plus a bonus for its kind of line.
fn score(outline: &Outline, part: &Part) -> u32 {
    let words = part.words.len() as u32;
    if part.words.len() < MIN_WORDS && part.kind != LineKind::Definition {
        return 0;
    }
    let mut sum = 0;
    for word in part.words.clone() {
        let term = outline.term(word);
        if term.meaning.is_legal && part.kind == LineKind::Comment {
            return 0;
        }
        sum += weight(term);
    }
    let bonus = match part.kind {
        LineKind::Definition => 40,
        LineKind::Comment => 30,
        LineKind::Heading => 20,
        LineKind::Step | LineKind::Item | LineKind::Section => 10,
        LineKind::Import | LineKind::Blank | LineKind::Plain => 0,
    };
    let density = sum.saturating_mul(16) / (words + 8);
    match (part.kind, sum) {
        (_, 0) => 0,
        (LineKind::Import, _) => density / 4,
        _ => density + bonus,
    }
}

fn weight(term: &Term) -> u32 {
    let is_known =
        term.meaning.is_common || matches!(term.meaning.role, Role::Keyword | Role::Modifier);
    if is_known || !term.shape.has_letter() || term.end - term.start < 3 {
        return 0;
    }
    3 + term.count.min(4) + u32::from(term.meaning.topics[0] != 0)
}

fn spelled(outline: &Outline, part: &Part) -> String {
    if part.kind != LineKind::Comment && part.kind != LineKind::Heading && part.lines.len() == 1 {
        return clean(&outline.text[part.bytes.clone()], MAX_PART_CHARS);
    }
    let mut text = String::new();
    let mut n_chars = 0;
    for line in &outline.lines[part.lines.clone()] {
        let start = line.start.max(part.bytes.start);
        let end = line.end.min(part.bytes.end);
        if start < end {
            append_clean(
                &mut text,
                &mut n_chars,
                body(&outline.text[start..end]),
                MAX_PART_CHARS,
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::tag::format::Format;

    fn of(name: &str, text: &str) -> String {
        let path = RelPath::from_spelling(name).expect("a relative path");
        extract(&Outline::read(text, Format::of(&path)))
    }

    #[test]
    fn sentences_run_over_lines() {
        assert_eq!(
            of(
                "a.rs",
                "/// The marmalade\n/// boils gently. Go on.\nlet x = 1;\n"
            ),
            "The marmalade boils gently."
        );
        assert_eq!(
            of(
                "a.md",
                "It is so. Zeppelins carry\nmarmalade north. It was not."
            ),
            "Zeppelins carry marmalade north."
        );
    }

    #[test]
    fn three_parts_in_text_order() {
        let text = "fn ripen_marmalade() {\n    let x = 5;\n    boil_sugar(marmalade, kettle);\n}\nstruct Kettle {\n}\nfn pour_kettle() {";
        assert_eq!(of("a.rs", text).matches('{').count(), 3);
        assert!(of("a.rs", text).starts_with("fn ripen_marmalade() { struct"));
    }

    #[test]
    fn else_the_start_of_the_text() {
        assert_eq!(of("a.md", "1 2\t3"), "1 2 3");
        assert_eq!(of("a.md", &"7 ".repeat(900)).chars().count(), 499);
    }
}
