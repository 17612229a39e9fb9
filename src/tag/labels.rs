//! Short labels for what a chunk does (the format's codons).
//!
//! The set of kinds is closed: `define:Name`, `implement:Name`, `heading:Words`, `section:name`,
//! `import:module`, `set:key`, `call:name`, in this order, each kind in text order.

use super::dictionary::{DefinitionKind, Role};
use super::fields::{append_clean, push_distinct};
use super::lines::{LineKind, body};
use super::outline::Outline;

const MAX_LABELS: usize = 30;
const MAX_CHARS: usize = 80;
/// More calls would hide the other labels.
const MAX_CALLS: usize = 12;

pub(super) fn labels(outline: &Outline, key_values: &[String]) -> Vec<String> {
    let mut labels = Vec::new();
    let mut push = |kind: &str, name: &str| {
        let mut label = String::with_capacity(kind.len() + name.len().min(MAX_CHARS));
        append_clean(&mut label, &mut 0, name, MAX_CHARS - kind.len());
        if !label.is_empty() && labels.len() < MAX_LABELS {
            label.insert_str(0, kind);
            push_distinct(&mut labels, MAX_LABELS, &label);
        }
    };
    for definition in outline.definitions.iter().take(MAX_LABELS) {
        let kind = match definition.kind {
            DefinitionKind::Implementation => "implement:",
            _ => "define:",
        };
        push(kind, outline.spelling(definition.word));
    }
    let titles = outline.lines.iter().filter_map(|line| match line.kind {
        LineKind::Heading => Some(("heading:", body(outline.line_text(line)))),
        LineKind::Section => Some(("section:", outline.line_text(line).trim_matches(['[', ']']))),
        _ => None,
    });
    for (kind, title) in titles.take(MAX_LABELS) {
        push(kind, title);
    }
    for word in outline.imports.iter().take(MAX_LABELS) {
        push("import:", outline.spelling(*word));
    }
    for pair in key_values {
        push("set:", pair.split('=').next().unwrap_or(pair));
    }
    for name in called(outline) {
        push("call:", name);
    }
    labels
}

/// Return the names of the first functions that the chunk calls.
pub(super) fn called<'a>(outline: &Outline<'a>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for line in &outline.lines {
        if !line.is_code || matches!(line.kind, LineKind::Comment | LineKind::Definition) {
            continue;
        }
        for word in line.words.clone() {
            let is_call = outline.byte_after(word) == b'('
                && outline.words[word].end - outline.words[word].start > 2;
            if !is_call
                || matches!(
                    outline.term(word).meaning.role,
                    Role::Keyword | Role::Condition
                )
            {
                continue;
            }
            let name = outline.spelling(word);
            if !names.contains(&name) {
                names.push(name);
                if names.len() == MAX_CALLS {
                    return names;
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::tag::format::Format;

    #[test]
    fn labels_come_in_the_order_of_the_vocabulary() {
        let path = RelPath::from_spelling("a.rs").expect("a relative path");
        let text = "use warp::Body;\nimpl Ring {\n    fn push(&mut self) {\n        self.grow(); if (x) {}\n        grow(1);\n    }\n}";
        let outline = Outline::read(text, Format::of(&path));
        assert_eq!(
            labels(&outline, &["limit=5".to_owned()]),
            [
                "implement:Ring",
                "define:push",
                "import:warp",
                "set:limit",
                "call:grow"
            ]
        );
    }
}
