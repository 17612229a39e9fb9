//! Finds where a program's text may be cut: in front of the items of its syntax tree.
//!
//! Only nodes too large for one chunk are entered, so that whatever fits stays whole. Gives no
//! boundaries (and [`super::pack`] then cuts at paragraphs and lines) for texts that are too large
//! or whose parsing takes more work than any real program needs.

use super::chars::CharIndex;
use super::grammar::Grammar;
use super::is_space;
use super::pack::{Boundary, Rank};
use super::parse::parse;
use tree_sitter::TreeCursor;

/// Larger texts are data, not programs, and a parse may need 1,000 times its text in memory.
const MAX_BYTES: usize = 512 * 1024;

/// Levels of the tree that are entered. Real programs stay below 100 even when their large nodes
/// alone are counted; deeper items would be cut at lines anyway.
const MAX_DEPTH: u8 = 100;

/// Boundaries in ascending order.
pub fn boundaries(chars: &CharIndex, grammar: Grammar, limit: usize) -> Vec<Boundary> {
    // Grammars' own scanners take NUL for the end of the text.
    if chars.text.len() > MAX_BYTES || chars.text.contains('\0') {
        return Vec::new();
    }
    match parse(&grammar.language(), chars.text) {
        Some(tree) => Walk::new(chars, grammar, limit).run(tree.walk()),
        None => Vec::new(),
    }
}

/// What stands before a node among its siblings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing but its parent's own tokens: a cut here would part a head from its body.
    Head,
    /// A comment or attribute that may belong to it.
    Introduction,
    Item,
}

struct Walk<'a> {
    chars: &'a CharIndex<'a>,
    grammar: Grammar,
    limit: usize,
    /// One entry for each level entered.
    before: Vec<Before>,
    boundaries: Vec<Boundary>,
}

impl<'a> Walk<'a> {
    fn new(chars: &'a CharIndex<'a>, grammar: Grammar, limit: usize) -> Self {
        Self {
            chars,
            grammar,
            limit,
            before: vec![Before::Head],
            boundaries: Vec::new(),
        }
    }

    fn run(mut self, mut cursor: TreeCursor) -> Vec<Boundary> {
        if !cursor.goto_first_child() {
            return self.boundaries;
        }
        loop {
            self.visit(&cursor);
            if self.is_entered(&cursor) && cursor.goto_first_child() {
                self.before.push(Before::Head);
                continue;
            }
            while !cursor.goto_next_sibling() {
                self.before.pop();
                if self.before.is_empty() || !cursor.goto_parent() {
                    return self.boundaries;
                }
            }
        }
    }

    fn is_entered(&self, cursor: &TreeCursor) -> bool {
        let range = cursor.node().byte_range();
        range.len() > self.limit
            && self.before.len() < usize::from(MAX_DEPTH)
            && self.chars.count(range) > self.limit
    }

    /// Notes a boundary in front of the node, if there is one.
    fn visit(&mut self, cursor: &TreeCursor) {
        let node = cursor.node();
        // Anonymous nodes are punctuation. Nodes with a field name are their parent's parts (name,
        // body), not items of a list; only Lua's grammar names the local functions of a block so.
        let is_part = cursor.field_id().is_some() && self.grammar != Grammar::Lua;
        if !node.is_named() || is_part {
            return;
        }
        let Some(before) = self.before.last().copied() else {
            return;
        };
        let introduces = introduces(node.kind());
        let newlines = match before {
            Before::Head => 0,
            _ => newlines_before(self.chars.text, node.start_byte()),
        };
        let is_trailing_comment = introduces && newlines == 0 && before == Before::Item;
        let rank = match (before, newlines) {
            (Before::Head, _) | (Before::Introduction, 0 | 1) => None,
            (Before::Item, 0) => Some(Rank::WITHIN_LINE),
            (_, newlines) => Some(Rank::item(self.before.len() - 1, newlines > 1)),
        };
        if let Some(rank) = rank {
            self.note(node.start_byte(), rank);
        }
        if let Some(before) = self.before.last_mut()
            && !is_trailing_comment
        {
            *before = if introduces { Before::Introduction } else { Before::Item };
        }
    }

    fn note(&mut self, at: usize, rank: Rank) {
        let last = self.boundaries.last().map_or(0, |boundary| boundary.at);
        if at > last && self.chars.text.is_char_boundary(at) {
            self.boundaries.push(Boundary { at, rank });
        }
    }
}

/// Whether a node of the kind belongs to the one after it.
fn introduces(kind: &str) -> bool {
    ["comment", "attribute", "decorator", "annotation", "marginalia"]
        .iter()
        .any(|word| kind.contains(word))
}

/// Newlines in the white space that ends at `at`, counted to 2.
fn newlines_before(text: &str, at: usize) -> usize {
    let is_newline = |c: &char| *c == '\n';
    let space = text[..at].chars().rev().take_while(|c| is_space(*c));
    space.filter(is_newline).take(2).count()
}
