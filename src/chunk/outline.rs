//! Finds where a program's text may be cut: before the items of its syntax tree.
//!
//! Enters only nodes too large for one chunk, so that items that fit stay whole. When parsing a section
//! takes more work than any real program needs, it and the rest of the text get no boundaries, and
//! [`super::pack`] cuts them at paragraphs and lines.

use super::bash::without_misleading_braces;
use super::chars::CharIndex;
use super::definitions::defined_by;
use super::grammar::Grammar;
use super::indentation;
use super::is_space;
use super::pack::{Boundary, Rank};
use super::parse::parse;
use super::sql::without_dollars;
use super::symbols::Definition;
use std::borrow::Cow;
use tree_sitter::{Node, TreeCursor};

/// Most bytes parsed at once; larger files are parsed in sections. Hostile texts make tree-sitter take time and
/// memory worse than linear in this (16 KiB of `a<` as Java: 1 GB and 1 s; 32 KiB: 2 to 4 GB). With 64 KiB the number
/// of chunks of real files differs by less than 1 %.
const MAX_SECTION: usize = 16 * 1024;

/// Least bytes of a section. A text whose sections of this size could end the process is not parsed.
const MIN_SECTION: usize = 1024;

/// Most bytes parsed of one file. Larger files are data, not programs.
const MAX_PARSED: usize = 1024 * 1024;

/// Most levels of the tree that are entered. Real programs have fewer than 100 levels of large nodes; deeper
/// items would be cut at lines anyway.
const MAX_DEPTH: u8 = 100;

/// Where a text may be cut, and what its parts are called.
#[derive(Debug, Default)]
pub struct Outline {
    /// In ascending order.
    pub boundaries: Vec<Boundary>,
    /// In the order of their starts, the outer first.
    pub(super) definitions: Vec<Definition>,
}

/// Return the outline of a program.
pub fn outline(chars: &CharIndex, grammar: Grammar, limit: usize) -> Outline {
    let text = chars.text;
    let mut outline = Outline::default();
    // The grammars' own scanners treat NUL as the end of the text.
    if text.contains('\0') {
        return outline;
    }
    // Of the same length. Where its characters begin elsewhere, it holds white space.
    let parsed = match grammar {
        Grammar::Bash => without_misleading_braces(text),
        Grammar::Sql => Cow::Owned(without_dollars(text)),
        _ => Cow::Borrowed(text),
    };
    let language = grammar.language();
    let mut cuts = Vec::new();
    let mut start = 0;
    while start < parsed.len().min(MAX_PARSED) {
        // A text that is unsafe here is likely to be unsafe later.
        let Some(end) = parsable_end(&parsed, start, grammar) else {
            break;
        };
        let Some(tree) = parse(&language, &parsed[start..end]) else {
            break;
        };
        let walk = Walk {
            chars,
            grammar,
            limit,
            offset: start,
            before: vec![Before::Head],
            introduction: vec![None],
            named: None,
            outline,
        };
        outline = walk.run(tree.walk());
        if end < parsed.len() && parsed[..end].ends_with("\n\n") {
            let rank = Rank::item(indentation(&parsed[end..]), true);
            outline.boundaries.push(Boundary { at: end, rank });
        }
        start = end;
        cuts.push(end);
    }
    cuts.pop_if(|cut| *cut == text.len());
    add_definitions_across(&cuts, text, &mut outline.definitions);
    outline
}

/// Add the definitions that a section's end cuts: their heads and bodies are in different trees, so they are found
/// by indentation.
fn add_definitions_across(cuts: &[usize], text: &str, definitions: &mut Vec<Definition>) {
    if cuts.is_empty() {
        return;
    }
    let is_cut = |found: &Definition| {
        let next = cuts.partition_point(|cut| *cut <= found.range.start);
        cuts.get(next).is_some_and(|cut| *cut < found.range.end)
    };
    let across: Vec<_> = indentation::definitions(text)
        .into_iter()
        .filter(is_cut)
        .collect();
    // The tree may know the same definition up to the cut, or as far as it could repair the text.
    definitions.retain(|known| !across.iter().any(|found| is_same(known, found, text)));
    definitions.extend(across);
    definitions
        .sort_by_key(|definition| (definition.range.start, usize::MAX - definition.range.end));
}

/// Whether a definition from the tree of a section is the one that was found by indentation. A constructor has the
/// name of its class, but begins behind the line that names the class.
fn is_same(known: &Definition, found: &Definition, text: &str) -> bool {
    let (known_at, found_at) = (known.range.start, found.range.start);
    let between = &text[known_at.min(found_at)..known_at.max(found_at)];
    let is_head =
        |line: &str| !indentation::is_comment(line.trim_start()) && line.contains(&found.name);
    found.name == known.name
        && known_at < found.range.end
        && found_at < known.range.end
        && known.range.end <= found.range.end
        && !between.lines().any(is_head)
}

/// Return the end of the largest section that begins at `start` and is safe to parse.
fn parsable_end(text: &str, start: usize, grammar: Grammar) -> Option<usize> {
    let mut max = MAX_SECTION;
    while max >= MIN_SECTION {
        let end = section_end(text, start, max);
        if !grammar.overflows_on(&text[start..end]) {
            return Some(end);
        }
        max /= 2;
    }
    None
}

/// Return the end of the section of at most `max` bytes that begins at `start`. It lies in the second half: before
/// the least indented line that follows a blank line and begins with no closing bracket, else before any line,
/// else anywhere.
fn section_end(text: &str, start: usize, max: usize) -> usize {
    if text.len() - start <= max {
        return text.len();
    }
    let half = text.floor_char_boundary(start + max / 2);
    let end = text.floor_char_boundary(start + max);
    let section = &text[half..end];
    let is_item = |at: &usize| {
        let next = section[*at..]
            .trim_start_matches([' ', '\t'])
            .chars()
            .next();
        next.is_some_and(|c| !matches!(c, '\n' | '}' | ')' | ']'))
    };
    let item = section
        .rmatch_indices("\n\n")
        .map(|(at, blank)| at + blank.len())
        .filter(is_item)
        .min_by_key(|at| indentation(&section[*at..]));
    let newline = || section.rfind('\n').map(|at| at + 1);
    item.or_else(newline).map_or(end, |at| half + at)
}

/// Return the number of spaces and tabs that a line begins with.
fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// The sibling before a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Only its parent's own tokens: a cut here would separate a head from its body.
    Head,
    /// A comment or attribute that may belong to it.
    Introduction,
    Item,
}

struct Walk<'a> {
    chars: &'a CharIndex<'a>,
    grammar: Grammar,
    limit: usize,
    /// Where the tree's text begins in the file's text.
    offset: usize,
    /// One entry for each level entered.
    before: Vec<Before>,
    /// For each level, where the comments and attributes begin that belong to the next item.
    introduction: Vec<Option<usize>>,
    /// The node whose names were added last, by itself or by its wrapper.
    named: Option<usize>,
    outline: Outline,
}

impl Walk<'_> {
    fn run(mut self, mut cursor: TreeCursor) -> Outline {
        if !cursor.goto_first_child() {
            return self.outline;
        }
        loop {
            self.visit(&cursor);
            if self.is_entered(&cursor) && cursor.goto_first_child() {
                self.before.push(Before::Head);
                self.introduction.push(None);
                continue;
            }
            while !cursor.goto_next_sibling() {
                self.before.pop();
                self.introduction.pop();
                if self.before.is_empty() || !cursor.goto_parent() {
                    return self.outline;
                }
            }
        }
    }

    fn is_entered(&self, cursor: &TreeCursor) -> bool {
        let node = cursor.node();
        let range = self.offset + node.start_byte()..self.offset + node.end_byte();
        range.len() > self.limit
            && self.before.len() < usize::from(MAX_DEPTH)
            && self.chars.count(range) > self.limit
    }

    /// Add a boundary before the node, if it may be cut there.
    fn visit(&mut self, cursor: &TreeCursor) {
        let node = cursor.node();
        // Anonymous nodes are punctuation. Nodes with a field name are parts of their parent (name, body), not
        // items of a list, except the local functions of a block in Lua's grammar.
        let is_part = cursor.field_id().is_some() && self.grammar != Grammar::Lua;
        if node.is_named() {
            self.define(node);
        }
        if !node.is_named() || is_part {
            return;
        }
        let Some(before) = self.before.last().copied() else {
            return;
        };
        let at = self.offset + node.start_byte();
        let introduces = introduces(node.kind());
        let newlines = match before {
            Before::Head => 0,
            _ => newlines_before(self.chars.text, at),
        };
        let is_trailing_comment = introduces && newlines == 0 && before == Before::Item;
        let rank = match (before, newlines) {
            (Before::Head, _) | (Before::Introduction, 0 | 1) => None,
            (Before::Item, 0) => Some(Rank::WITHIN_LINE),
            (_, newlines) => Some(Rank::item(self.before.len() - 1, newlines > 1)),
        };
        if let Some(rank) = rank {
            self.note(at, rank);
        }
        if let Some(before) = self.before.last_mut()
            && !is_trailing_comment
        {
            *before = if introduces {
                Before::Introduction
            } else {
                Before::Item
            };
        }
        if let Some(introduction) = self.introduction.last_mut() {
            *introduction = match introduces {
                true if is_trailing_comment => None,
                true => introduction.or(Some(at)),
                false => None,
            };
        }
    }

    /// Add what the node defines, with the comments and attributes before it and the punctuation behind it.
    fn define(&mut self, node: Node) {
        let text = self.chars.text;
        let section = &text[self.offset..];
        let Some((names, named)) = defined_by(node, section) else {
            return;
        };
        // Its wrapper has got the names.
        if self.named.replace(named.id()) == Some(named.id()) {
            return;
        }
        let start = self.offset + node.start_byte();
        let start = self.introduction.last().copied().flatten().unwrap_or(start);
        let end = self.offset + node.end_byte();
        let definition = |name| Definition {
            range: start..end,
            name,
        };
        self.outline
            .definitions
            .extend(names.into_iter().map(definition));
    }

    fn note(&mut self, at: usize, rank: Rank) {
        let boundaries = &mut self.outline.boundaries;
        let last = boundaries.last().map_or(0, |boundary| boundary.at);
        if at > last && self.chars.text.is_char_boundary(at) {
            boundaries.push(Boundary { at, rank });
        }
    }
}

/// Whether a node of this kind belongs to the next one.
fn introduces(kind: &str) -> bool {
    [
        "comment",
        "attribute",
        "decorator",
        "annotation",
        "marginalia",
    ]
    .iter()
    .any(|word| kind.contains(word))
}

/// Count the newlines in the white space that ends at `at`, up to 2.
fn newlines_before(text: &str, at: usize) -> usize {
    let is_newline = |c: &char| *c == '\n';
    let space = text[..at].chars().rev().take_while(|c| is_space(*c));
    space.filter(is_newline).take(2).count()
}
