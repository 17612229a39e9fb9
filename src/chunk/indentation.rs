//! Finds the structure of a program by its lines: blocks by indentation, names by keywords.
//!
//! For languages without a grammar, and for definitions too long for one tree. Scans lines once and knows no language.

use super::outline::Outline;
use super::pack::{Boundary, Rank};
use super::symbols::{Definition, name_of};

/// Words that stand before the name of what they define. Sorted.
const KEYWORDS: &[&str] = &[
    "actor",
    "class",
    "component",
    "contract",
    "def",
    "defmacro",
    "defmodule",
    "defn",
    "defp",
    "defun",
    "entity",
    "enum",
    "extension",
    "fn",
    "fun",
    "func",
    "function",
    "impl",
    "instance",
    "interface",
    "lemma",
    "library",
    "macro",
    "message",
    "mixin",
    "module",
    "namespace",
    "object",
    "package",
    "proc",
    "procedure",
    "program",
    "protocol",
    "record",
    "rpc",
    "rule",
    "service",
    "struct",
    "sub",
    "subroutine",
    "table",
    "task",
    "theorem",
    "trait",
    "trigger",
    "type",
    "union",
    "unit",
    "view",
];

/// Words that begin statements with brackets. Sorted.
const STATEMENTS: &[&str] = &[
    "assert", "await", "case", "catch", "defer", "do", "elif", "else", "elseif", "elsif", "except",
    "finally", "for", "foreach", "guard", "if", "import", "lock", "loop", "match", "new", "print",
    "return", "switch", "throw", "try", "typeof", "unless", "until", "using", "when", "while",
    "with", "yield",
];

/// Keywords that name the rest of a file when no block follows. Sorted.
const FILE_NAMES: &[&str] = &[
    "library",
    "module",
    "namespace",
    "package",
    "program",
    "unit",
];

/// Words that continue or close what the lines above began. Sorted.
const CONTINUES: &[&str] = &[
    "and", "begin", "catch", "do", "done", "elif", "else", "elseif", "elsif", "end", "endif",
    "ensure", "esac", "except", "fi", "finally", "in", "or", "rescue", "then", "until", "when",
    "where", "while",
];

/// Words before a keyword at most: `public static final class`.
const MODIFIERS: usize = 5;

/// Columns between tab stops.
const TAB: usize = 8;

/// Return the outline of a program in any language.
pub fn outline(text: &str) -> Outline {
    Outline {
        boundaries: boundaries(text),
        definitions: definitions(text),
    }
}

/// A line that is not blank.
struct Line<'a> {
    at: usize,
    end: usize,
    indent: usize,
    /// Without white space at its ends.
    text: &'a str,
    after_blank: bool,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut end = 0;
    let mut after_blank = false;
    text.split_inclusive('\n').filter_map(move |line| {
        let at = end;
        end += line.len();
        let content = line.trim();
        if content.is_empty() {
            after_blank = true;
            return None;
        }
        let space = line.chars().take_while(|c| c.is_whitespace());
        let indent = space.fold(0, |column, c| match c {
            '\t' => (column / TAB + 1) * TAB,
            _ => column + 1,
        });
        Some(Line {
            at,
            end,
            indent,
            text: content,
            after_blank: std::mem::take(&mut after_blank),
        })
    })
}

/// Return where blocks begin: after blank lines, and after lines that are indented further.
fn boundaries(text: &str) -> Vec<Boundary> {
    let mut boundaries = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut before = 0;
    // Whether the line before closes a block.
    let mut closed = false;
    for line in lines(text) {
        while open.pop_if(|indent| *indent > line.indent).is_some() {}
        if open.last().is_none_or(|indent| *indent < line.indent) {
            open.push(line.indent);
        }
        let ends_block = line.indent < before || (closed && line.indent == before);
        let continues = continues(line.text);
        if (line.after_blank || ends_block) && !continues && line.at > 0 {
            let rank = Rank::item(open.len() - 1, line.after_blank);
            let at = line.at;
            boundaries.push(Boundary { at, rank });
        }
        before = line.indent;
        closed = ends_block && continues;
    }
    boundaries
}

/// Return the definitions in the order of their starts. Each lasts until a line that is indented no further than its
/// first and does not close it.
pub fn definitions(text: &str) -> Vec<Definition> {
    let mut definitions: Vec<Definition> = Vec::new();
    // Number and indentation.
    let mut open: Vec<(usize, usize)> = Vec::new();
    // Where the comments begin that end right before the line.
    let mut introduction: Option<usize> = None;
    let mut end_before = 0;
    let mut lines = lines(text).peekable();
    while let Some(line) = lines.next() {
        if !continues(line.text) {
            while let Some((number, _)) = open.pop_if(|(_, indent)| *indent >= line.indent) {
                definitions[number].range.end = end_before;
            }
        }
        if line.after_blank {
            introduction = None;
        }
        let has_body = lines.peek().is_some_and(|next| {
            next.indent > line.indent || (next.text.starts_with('{') && next.indent == line.indent)
        });
        if is_comment(line.text) {
            introduction = introduction.or(Some(line.at));
        } else {
            let start = introduction.take().unwrap_or(line.at);
            if let Some(name) = defined_name(line.text, has_body).and_then(name_of) {
                open.push((definitions.len(), line.indent));
                let range = start..text.len();
                definitions.push(Definition { range, name });
            }
        }
        end_before = line.end;
    }
    for (number, _) in open {
        definitions[number].range.end = end_before;
    }
    definitions
}

/// Whether a line belongs to the block above although it is indented no further.
fn continues(line: &str) -> bool {
    line.starts_with(['}', ')', ']', '{', '|'])
        || CONTINUES.binary_search(&first_word(line)).is_ok()
}

pub(super) fn is_comment(line: &str) -> bool {
    ["//", "#", "--", ";", "%", "/*", "*", "@", "\"\"\"", "'''"]
        .iter()
        .any(|mark| line.starts_with(mark))
}

fn first_word(line: &str) -> &str {
    let end = line.find(|c: char| !is_word(c)).unwrap_or(line.len());
    &line[..end]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Return the name that a line defines: the one behind a keyword, or that of a function whose body follows.
fn defined_name(line: &str, has_body: bool) -> Option<&str> {
    let mut rest = line;
    for _ in 0..=MODIFIERS {
        let word = first_word(rest);
        if word.is_empty() {
            break;
        }
        let after = &rest[word.len()..];
        // `case class` and `new void` define.
        if STATEMENTS.binary_search(&word).is_ok() && !matches!(word, "case" | "new") {
            return None;
        }
        if KEYWORDS.binary_search(&word).is_ok() {
            let name = match word {
                "impl" => implemented(after),
                _ => after.trim_start_matches([' ', '\t', '"', '*', '!']),
            };
            let second = first_word(name);
            // `fn new(`, `def view(`
            let is_called = name[second.len()..].starts_with(['(', '<']);
            // `package struct`, `fun interface`: the first keyword is a modifier.
            if is_called || KEYWORDS.binary_search(&second).is_err() {
                let names_file = FILE_NAMES.binary_search(&word).is_ok() && !has_body;
                return (name.len() < after.len() && !names_file)
                    .then(|| qualified(name))
                    .filter(|name| !name.is_empty() && (is_called || !is_keyword(name)));
            }
        }
        rest = after.trim_start();
        if rest.len() == after.len() {
            break;
        }
    }
    let bracket = line.find('(')?;
    let head = line[..bracket].trim_end();
    let is_part = |c: char| is_word(c) || matches!(c, ':' | '.' | '$' | '~');
    let name = &head[head.trim_end_matches(is_part).len()..];
    let opens = line.ends_with(['{', ')', ':']) || line.ends_with("do");
    let parameters = &line[bracket..];
    let is_open = parameters.matches('(').count() > parameters.matches(')').count();
    let is_call = head.contains(['=', '(', '"', '\'', '!'])
        || name.contains('.')
        || is_open
        || parameters.starts_with("(\"");
    let is_statement = is_keyword(first_word(line)) || is_keyword(name);
    let is_function = has_body && opens && !is_statement && !is_call;
    (is_function && name.starts_with(|c: char| c.is_alphabetic() || c == '_')).then_some(name)
}

/// Whether a name is a word of a language: of a definition or a statement.
fn is_keyword(name: &str) -> bool {
    [KEYWORDS, STATEMENTS]
        .iter()
        .any(|words| words.binary_search(&name).is_ok())
}

/// Return what follows `impl`, from the name of the type on.
fn implemented(after: &str) -> &str {
    match after.find(" for ") {
        Some(at) => after[at + " for ".len()..].trim_start(),
        None => after.trim_start(),
    }
}

/// Return the name at the start of `text`, with what qualifies it.
fn qualified(text: &str) -> &str {
    let is_part = |c: char| is_word(c) || matches!(c, '.' | ':' | '$' | '-' | '\'' | '?' | '!');
    let name = &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())];
    name.trim_end_matches([':', '.', '-', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<(&str, String)> {
        let definitions = definitions(text).into_iter();
        definitions
            .map(|found| (text[found.range].trim(), found.name))
            .collect()
    }

    #[test]
    fn keywords_and_calls_are_no_names() {
        let names = |text: &str| {
            let names: Vec<_> = named(text).into_iter().map(|(_, name)| name).collect();
            names.join(" ")
        };
        for (text, expected) in [
            ("package struct Point {\n  x\n}\n", "Point"),
            ("package func go() {\n  x\n}\n", "go"),
            ("fun interface Job {\n  x\n}\n", "Job"),
            ("package object util {\n  x\n}\n", "util"),
            ("enum class Color {\n  x\n}\n", "Color"),
            ("impl Read for File {\n  x\n}\n", "File"),
            ("package kotlinx.coroutines\n\nclass A {\n  x\n}\n", "A"),
            ("module github.com/a/b\n\ngo 1.2\n", ""),
            ("module Tools\n  x\nend\n", "Tools"),
            ("fn main() {\n  a\n} else if (b) {\n  c\n}\n", "main"),
            ("retry@ while (true) {\n  c\n}\n", ""),
            ("fatal(\"no {s}\", .{\n  c\n});\n", ""),
            ("run(a, .{\n  c\n});\n", ""),
            ("pub fn new(a: A) {\n  c\n}\n", "new"),
            ("case class Point(a: Int) {\n  c\n}\n", "Point"),
            ("void run(int a) {\n  c\n}\n", "run"),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_is_a_keyword(words in proptest::collection::vec(
            proptest::sample::select([KEYWORDS, STATEMENTS, &["a", "(b) {", "}", "\n", "\n  ", "x.y"]].concat()),
            0..40,
        )) {
            for found in definitions(&words.join(" ")) {
                proptest::prop_assert!(!is_keyword(&found.name), "{}", found.name);
            }
        }
    }

    fn cuts(text: &str) -> Vec<&str> {
        let line = |boundary: &Boundary| text[boundary.at..].lines().next().unwrap_or_default();
        boundaries(text).iter().map(line).collect()
    }

    #[test]
    fn word_lists_are_sorted() {
        assert!(
            [KEYWORDS, STATEMENTS, FILE_NAMES, CONTINUES]
                .iter()
                .all(|words| words.is_sorted())
        );
    }

    #[test]
    fn blocks_begin_after_blank_lines_and_where_indentation_ends() {
        let text = "use A\nsub a {\n  b\n\n  c\n}\n# d\nsub e {\n  f\n} else {\n  g\n}\nh\n";
        assert_eq!(cuts(text), ["  c", "# d", "h"]);
    }

    #[test]
    fn definitions_are_found_by_keywords_and_indentation() {
        let text = "public class Foo extends Bar {\n  // Adds.\n  int add(int a) {\n    return a\n  }\n\n  x = f(1)\n}\n\nsub go {\n  1\n}\n";
        let add = "// Adds.\n  int add(int a) {\n    return a\n  }";
        assert_eq!(
            named(text),
            [
                (
                    text[..text.find("\n\nsub").expect("there")].trim(),
                    "Foo".to_owned()
                ),
                (add, "add".to_owned()),
                ("sub go {\n  1\n}", "go".to_owned()),
            ]
        );
    }

    #[test]
    fn statements_define_nothing() {
        for text in [
            "if (a) {\n  b\n}\n",
            "x = f(a) {\n  b\n}\n",
            "print(a)\n  b\n",
            "f(a)\n",
        ] {
            assert_eq!(named(text), [], "{text}");
        }
    }
}
