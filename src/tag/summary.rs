//! One line that describes a chunk, in the author's words where there are any.

use super::fields::{append_clean, clean};
use super::format::Family;
use super::lines::{Line, LineKind, body, ends_sentence};
use super::outline::Outline;

const MAX_CHARS: usize = 200;
/// A comment of fewer words says nothing: `// Types`.
const MIN_WORDS: usize = 3;

/// Return the first of these that exists: the first sentence of a comment (in prose: the first heading with the first
/// sentence), the first definition, the first line with words.
pub(super) fn summary(outline: &Outline) -> String {
    if outline.format.family == Family::Prose {
        return prose(outline);
    }
    let comment = first_sentence(outline, 0, |line| line.kind == LineKind::Comment);
    comment.unwrap_or_else(|| first_line(outline))
}

fn prose(outline: &Outline) -> String {
    let heading = outline
        .lines
        .iter()
        .position(|line| line.kind == LineKind::Heading);
    let is_text = |line: &Line| {
        !line.is_code && matches!(line.kind, LineKind::Plain | LineKind::Item | LineKind::Step)
    };
    let sentence = first_sentence(outline, heading.unwrap_or(0), is_text);
    let heading = heading.map(|at| clean(body(outline.line_text(&outline.lines[at])), MAX_CHARS));
    match (heading, sentence) {
        (Some(heading), Some(sentence)) => clean(&format!("{heading}: {sentence}"), MAX_CHARS),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => first_line(outline),
    }
}

/// Return the first sentence, from line `start`, in the first run of lines of a kind that has enough words and is
/// no licence.
fn first_sentence(
    outline: &Outline,
    start: usize,
    is_kind: impl Fn(&Line) -> bool,
) -> Option<String> {
    let mut run = Run::default();
    for line in &outline.lines[start..] {
        if is_kind(line) && !line.words.is_empty() {
            run.add(outline, line);
            if !run.is_legal && (has_sentence_end(&run.text) || run.n_chars + 1 >= MAX_CHARS) {
                break;
            }
        } else if run.is_legal && line.kind == LineKind::Comment {
            // A blank comment line inside a licence does not end it.
        } else if run.says_something() {
            break;
        } else {
            run = Run::default();
        }
    }
    run.says_something()
        .then(|| clean(sentence(&run.text), MAX_CHARS))
}

/// Consecutive lines of one kind.
#[derive(Default)]
struct Run {
    text: String,
    n_chars: usize,
    n_words: usize,
    is_legal: bool,
}

impl Run {
    fn add(&mut self, outline: &Outline, line: &Line) {
        let content = body(outline.line_text(line));
        let mut words = line.words.clone();
        self.n_words += words.len();
        self.is_legal |= words.any(|word| outline.term(word).meaning.is_legal);
        append_clean(&mut self.text, &mut self.n_chars, content, MAX_CHARS);
    }

    fn says_something(&self) -> bool {
        self.n_words >= MIN_WORDS && !self.is_legal
    }
}

fn has_sentence_end(text: &str) -> bool {
    sentence_end(text).is_some()
}

/// Return `text` up to the end of its first sentence.
fn sentence(text: &str) -> &str {
    sentence_end(text).map_or(text, |end| &text[..end])
}

fn sentence_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let stop = (0..bytes.len()).find(|at| ends_sentence(bytes, *at))?;
    Some(stop + 1)
}

fn first_line(outline: &Outline) -> String {
    let first = |is_kind: &dyn Fn(&Line) -> bool| {
        let mut lines = outline.lines.iter();
        lines.find(|line| !line.words.is_empty() && is_kind(line))
    };
    first(&|line| line.kind == LineKind::Definition)
        .or_else(|| first(&|line| matches!(line.kind, LineKind::Plain | LineKind::Section)))
        .or_else(|| first(&|_| true))
        .map_or(String::new(), |line| {
            clean(outline.line_text(line), MAX_CHARS)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::tag::format::Format;

    fn of(name: &str, text: &str) -> String {
        let path = RelPath::from_spelling(name).expect("a relative path");
        summary(&Outline::read(text, Format::of(&path)))
    }

    #[test]
    fn the_author_is_asked_first() {
        assert_eq!(
            of(
                "a.rs",
                "// Copyright 2020 X.\n//\n// Permission.\n\nuse a;\n/// Drains the ring\n/// slowly. Blocks.\nfn f() {}"
            ),
            "Drains the ring slowly."
        );
        assert_eq!(
            of(
                "a.py",
                "def f():\n    \"\"\"Open the store\n    for reading.\"\"\""
            ),
            "Open the store for reading."
        );
        assert_eq!(
            of("a.md", "# Rings\n\nA ring has\nno end. It turns."),
            "Rings: A ring has no end."
        );
    }

    #[test]
    fn else_the_text_speaks() {
        assert_eq!(
            of("a.rs", "#[x]\npub fn drain(&self) {\n"),
            "pub fn drain(&self) {"
        );
        assert_eq!(of("a.toml", "\n[server]\nport = 1"), "[server]");
        assert_eq!(
            of("a.rs", "// Licensed under MIT."),
            "// Licensed under MIT."
        );
        assert_eq!(of("a.rs", "}}"), "");
        assert_eq!(
            of("a.md", "Seas rise. So do tides.\n## Moons\nTwo moons turn."),
            "Moons: Two moons turn."
        );
    }
}
