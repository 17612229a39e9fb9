//! A chunk, read once: its words, its lines, what it defines and imports. All tags derive from it.
//!
//! [`read`](super::read) fills it; this module only looks things up.

use super::dictionary::{DefinitionKind, Role};
use super::format::{Family, Format};
use super::lexer::{Shape, Word};
use super::lines::Line;
use super::terms::{Term, Terms};

pub(super) struct Outline<'a> {
    pub text: &'a str,
    pub format: Format,
    pub words: Vec<Word>,
    pub terms: Terms,
    pub lines: Vec<Line>,
    /// In text order.
    pub definitions: Vec<Definition>,
    /// Names of imported modules, as positions in `words`, in text order.
    pub imports: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub kind: DefinitionKind,
    /// Position of its name in [`Outline::words`].
    pub word: usize,
}

impl<'a> Outline<'a> {
    pub fn line_text(&self, line: &Line) -> &'a str {
        &self.text[line.start..line.end]
    }

    pub fn spelling(&self, word: usize) -> &'a str {
        &self.text[self.words[word].start..self.words[word].end]
    }

    pub fn term(&self, word: usize) -> &Term {
        &self.terms[self.words[word].term as usize]
    }

    pub fn term_spelling(&self, term: &Term) -> &'a str {
        &self.text[term.start..term.end]
    }

    /// Return the byte after `word`; 0 at the end of the text.
    pub fn byte_after(&self, word: usize) -> u8 {
        let bytes = self.text.as_bytes();
        bytes.get(self.words[word].end).copied().unwrap_or(0)
    }

    /// Return the byte before `word`; 0 at the start of the text.
    pub fn byte_before(&self, word: usize) -> u8 {
        match self.words[word].start {
            0 => 0,
            start => self.text.as_bytes()[start - 1],
        }
    }

    /// Return the text between `word` and the next word; empty at the end.
    pub fn gap(&self, word: usize) -> &'a str {
        match self.words.get(word + 1) {
            Some(next) => &self.text[self.words[word].end..next.start],
            None => "",
        }
    }

    /// Return what `word` does in code. Keywords count in lower case, in SQL also in upper case.
    pub fn role(&self, word: usize) -> Role {
        let shape = self.words[word].shape;
        let is_sql = self.format.family == Family::Dash;
        match !shape.has(Shape::UPPER) || (is_sql && shape.is_capitals()) {
            true => self.term(word).meaning.role,
            false => Role::None,
        }
    }
}
