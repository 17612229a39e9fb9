//! The names in a chunk: those it defines, then those it mentions.
//!
//! Servers match entities exactly, so they are single names as people type them.

use super::dictionary::{DefinitionKind, Role};
use super::fields::push_distinct;
use super::format::Family;
use super::lexer::Shape;
use super::lines::{Line, LineKind};
use super::outline::Outline;
use super::terms::Term;
use crate::credential::is_random;
use std::cmp::Reverse;

const MAX_ENTITIES: usize = 15;
/// Longer names are generated; nobody searches for them.
const MAX_CHARS: usize = 80;

/// Return definitions, headings and keys in text order, then the other names by weight.
pub(super) fn entities(outline: &Outline) -> Vec<String> {
    let mut entities = Vec::new();
    for definition in &outline.definitions {
        let term = outline.term(definition.word);
        let is_plain = !term.shape.is_camel() && !term.shape.is_snake();
        let is_function = definition.kind == DefinitionKind::Function;
        let is_noise = term.meaning.role == Role::Keyword
            || (term.meaning.is_common && is_plain && is_function);
        if !is_noise {
            push(&mut entities, outline.spelling(definition.word));
        }
    }
    let outermost = outermost_indent(outline);
    for line in &outline.lines {
        match line.kind {
            LineKind::Heading | LineKind::Section => {
                for word in line.words.clone() {
                    push_salient(&mut entities, outline, word);
                }
            }
            LineKind::Plain if outermost == Some(line.indent) && !line.words.is_empty() => {
                push_key(&mut entities, outline, line);
            }
            _ => {}
        }
        if entities.len() == MAX_ENTITIES {
            return entities;
        }
    }
    for at in ranked(outline) {
        push(&mut entities, outline.term_spelling(&outline.terms[at]));
        if entities.len() == MAX_ENTITIES {
            break;
        }
    }
    entities
}

fn push(entities: &mut Vec<String>, name: &str) {
    let is_short = name.chars().nth(1).is_none();
    let is_long = name.len() > MAX_CHARS && name.chars().nth(MAX_CHARS).is_some();
    if !is_short && !is_long && !is_random(name) {
        push_distinct(entities, MAX_ENTITIES, name);
    }
}

fn push_salient(entities: &mut Vec<String>, outline: &Outline, word: usize) {
    let term = outline.term(word);
    let is_known = term.meaning.is_common || term.meaning.role == Role::Keyword;
    if !is_known && term.shape.has_letter() && term.end - term.start > 2 {
        push(entities, outline.spelling(word));
    }
}

/// Return the indentation of the outermost keys of a configuration file; `None` for other files.
fn outermost_indent(outline: &Outline) -> Option<usize> {
    if !outline.format.is_config() {
        return None;
    }
    let keys = outline
        .lines
        .iter()
        .filter(|line| is_key_line(outline, line));
    keys.map(|line| line.indent).min()
}

/// Whether the line is `"key": ..`, `key: ..` or `key = ..`.
fn is_key_line(outline: &Outline, line: &Line) -> bool {
    if line.kind != LineKind::Plain || line.words.is_empty() {
        return false;
    }
    let word = &outline.words[line.words.start];
    let is_json = outline.format.family == Family::Json;
    let starts_line = word.start == line.start + usize::from(is_json);
    starts_line && outline.text[word.end..line.end].contains([':', '='])
}

fn push_key(entities: &mut Vec<String>, outline: &Outline, line: &Line) {
    if is_key_line(outline, line) {
        push_salient(entities, outline, line.words.start);
    }
}

/// Return the names that are not definitions, heaviest first, as positions of terms.
fn ranked(outline: &Outline) -> Vec<usize> {
    let is_proper = proper_nouns(outline);
    let mut candidates: Vec<(u32, usize)> = Vec::new();
    for (at, term) in outline.terms.iter().enumerate() {
        let weight = weight(term, is_proper[at]);
        if weight > 0 {
            candidates.push((weight, at));
        }
    }
    candidates.sort_unstable_by_key(|(weight, at)| (Reverse(*weight), *at));
    candidates.into_iter().map(|(_, at)| at).collect()
}

/// Return how likely somebody searches for the name; 0 when the term does not look like one.
fn weight(term: &Term, is_proper: bool) -> u32 {
    let length = term.end - term.start;
    let is_known = term.meaning.is_common || term.meaning.role == Role::Keyword;
    if is_known || length < 3 || !term.shape.has_letter() || term.shape.has(Shape::STARTS_DIGIT) {
        return 0;
    }
    let shape = if term.shape.is_camel() {
        6
    } else if term.shape.is_snake() {
        5
    } else if term.shape.is_capitals() {
        4
    } else if is_proper {
        3
    } else {
        return 0;
    };
    shape + 3 * term.count.min(8) + (length.min(20) / 2) as u32
}

/// Return for each term whether it is capitalised inside a sentence.
fn proper_nouns(outline: &Outline) -> Vec<bool> {
    let bytes = outline.text.as_bytes();
    let mut proper = vec![false; outline.terms.len()];
    for line in &outline.lines {
        let is_code = line.is_code && line.kind != LineKind::Comment;
        for word in &outline.words[line.words.clone()] {
            if !word.shape.is_capitalised() {
                continue;
            }
            let before = &bytes[line.start..word.start];
            let is_inside =
                matches!(before, [.., b, b' '] if b.is_ascii_alphanumeric() || *b == b',');
            proper[word.term as usize] |= is_code || is_inside;
        }
    }
    proper
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::tag::format::Format;

    fn of(name: &str, text: &str) -> Vec<String> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        entities(&Outline::read(text, Format::of(&path)))
    }

    #[test]
    fn definitions_lead() {
        assert_eq!(
            of(
                "a.rs",
                "use mio::Reactor;\nfn flush_pages(p: PageTable) {}\nstruct Ring;"
            ),
            ["flush_pages", "Ring", "PageTable", "Reactor"]
        );
    }

    #[test]
    fn prose_names_are_told_from_first_words() {
        assert_eq!(
            of(
                "a.md",
                "Gladly, the Bosporus was crossed. Boats, said Ovid, sink."
            ),
            ["Bosporus", "Ovid"]
        );
    }

    #[test]
    fn settings_give_sections_and_outermost_keys() {
        assert_eq!(
            of("a.toml", "[tool.ruff]\nfoobar = 1\n[profile.dev]"),
            ["ruff", "foobar", "profile"]
        );
        assert_eq!(
            of(
                "a.json",
                "{\n  \"scripts\": {\n    \"lintify\": 1\n  },\n  \"eslint\": 2\n}"
            ),
            ["eslint"]
        );
    }
}
