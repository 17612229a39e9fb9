//! Names of the definitions around each chunk.
//!
//! Values and arithmetic on them. [`super::outline`], [`super::markdown`] and [`super::indentation`] find the definitions.

use super::is_space;
use std::ops::Range;

/// A named part of a text: a definition with its comments and attributes, or a section with its heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub range: Range<usize>,
    pub name: String,
}

/// Most bytes of a name; longer ones are cut.
const NAME_BYTES: usize = 80;

/// Most names of a chunk, the innermost; no program nests definitions deeper, only data does.
const MOST_NAMES: usize = 8;

/// Return a name on one line, of at most 80 bytes, with single blanks; `None` when nothing is left.
pub fn name_of(text: &str) -> Option<String> {
    let mut name = String::new();
    for word in text.split(|c: char| is_space(c) || c.is_control()) {
        if !word.is_empty() {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(word);
        }
        if name.len() > NAME_BYTES {
            name.truncate(name.floor_char_boundary(NAME_BYTES));
            break;
        }
    }
    let name = name.trim_end().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Finds the definitions around ascending ranges of a text.
pub struct Symbols<'a> {
    text: &'a str,
    /// Ascending by start; of equal ones the outer first.
    definitions: &'a [Definition],
    /// Positions in `definitions` of those that begin before the last range and may still be open.
    open: Vec<usize>,
    next: usize,
}

impl<'a> Symbols<'a> {
    pub fn new(text: &'a str, definitions: &'a [Definition]) -> Self {
        Self {
            text,
            definitions,
            open: Vec::new(),
            next: 0,
        }
    }

    /// Return the names of the definitions that hold all of `range`, outermost first. It begins where the last one
    /// did, or later.
    pub fn around(&mut self, range: &Range<usize>) -> Vec<String> {
        while let Some(definition) = self.definitions.get(self.next)
            && definition.range.start <= range.start
        {
            self.open.push(self.next);
            self.next += 1;
        }
        let definitions = self.definitions;
        self.open
            .retain(|number| definitions[*number].range.end > range.start);
        let around = self.open.iter().map(|number| &definitions[*number]);
        // Brackets that close outer blocks belong to no item.
        let end = range.start + without_closers(&self.text[range.clone()]).len();
        let around: Vec<_> = around
            .filter(|definition| definition.range.end >= end)
            .collect();
        let inner = around.len().saturating_sub(MOST_NAMES);
        let names = around[inner..].iter();
        names.map(|definition| definition.name.clone()).collect()
    }
}

/// Return `text` without the brackets and the words `end` that it ends in.
fn without_closers(text: &str) -> &str {
    let mut text = text;
    loop {
        let rest =
            text.trim_end_matches(|c| is_space(c) || matches!(c, '}' | ')' | ']' | ';' | ','));
        let rest = rest
            .strip_suffix("\nend")
            .or(rest.strip_suffix(" end"))
            .unwrap_or(rest);
        if rest.len() == text.len() || rest.is_empty() {
            return text;
        }
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_names_around_it() {
        let text = "mod a {\nfn b() {\n1\n2\n}\nfn c() {}\n}\n";
        let definition = |part: &str, name: &str| {
            let start = text.find(part).expect("a part");
            Definition {
                range: start..start + part.len(),
                name: name.to_owned(),
            }
        };
        let definitions = [
            definition(text.trim_end(), "a"),
            definition("fn b() {\n1\n2\n}", "b"),
            definition("fn c() {}", "c"),
        ];
        let mut symbols = Symbols::new(text, &definitions);
        let mut of = |part: &str| {
            let start = text.find(part).expect("a part");
            symbols.around(&(start..start + part.len())).join(" > ")
        };
        assert_eq!(of("mod a {"), "a");
        assert_eq!(of("fn b() {\n1"), "a > b");
        assert_eq!(of("2\n}\nfn c() {}"), "a");
        assert_eq!(of("fn c() {}"), "a > c");
    }

    #[test]
    fn names_are_short_and_on_one_line() {
        assert_eq!(name_of(" a\n\t b "), Some("a b".to_owned()));
        assert_eq!(
            name_of("\u{e9}".repeat(60).as_str()).map(|n| n.len()),
            Some(80)
        );
        assert_eq!(name_of(" \u{1b} "), None);
    }
}
