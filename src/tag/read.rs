//! Reads a chunk into its [`Outline`].
//!
//! Reading is heuristic: it judges a line by how it begins and ends, in the manner of its format, and
//! never parses. A line that tells nothing is a plain line.

use super::definitions;
use super::format::Format;
use super::imports;
use super::lexer::{self, Word};
use super::lines::{self, Line, LineKind};
use super::outline::Outline;
use super::terms;

impl<'a> Outline<'a> {
    pub fn read(text: &'a str, format: Format) -> Self {
        let mut words = lexer::words(text);
        let terms = terms::terms(text, &mut words);
        let mut lines = lines::lines(text, format);
        assign_words(&mut lines, &words);
        let mut outline = Self {
            text,
            format,
            words,
            terms,
            lines,
            definitions: Vec::new(),
            imports: Vec::new(),
        };
        outline.find_definitions_and_imports();
        outline
    }

    /// Mark the lines that define or import, and collect the names.
    fn find_definitions_and_imports(&mut self) {
        let mut found = Vec::new();
        let mut imported = Vec::new();
        for at in 0..self.lines.len() {
            let line = &self.lines[at];
            if line.kind != LineKind::Plain || !line.is_code || line.words.is_empty() {
                continue;
            }
            let kind = if imports::is_import(self, line) {
                imported.extend(imports::module(self, line));
                LineKind::Import
            } else {
                let before = found.len();
                definitions::find(self, line, &mut found);
                if found.len() == before {
                    continue;
                }
                LineKind::Definition
            };
            self.lines[at].kind = kind;
        }
        self.definitions = found;
        self.imports = imported;
    }
}

fn assign_words(lines: &mut [Line], words: &[Word]) {
    let mut word = 0;
    for line in lines {
        let first = word;
        while words.get(word).is_some_and(|w| w.start < line.end) {
            word += 1;
        }
        line.words = first..word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use proptest::prelude::*;

    fn kinds(name: &str, text: &str) -> Vec<LineKind> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        let outline = Outline::read(text, Format::of(&path));
        outline.lines.iter().map(|line| line.kind).collect()
    }

    #[test]
    fn with_standard_rules_quotes_may_close_a_string_of_the_lines_above() {
        use LineKind::{Comment, Definition, Plain};
        let text = "x = f(\"\"\"\nOne\n\"\"\", 2)\ndef f():\n    \"\"\".. note: x\"\"\"";
        let path = RelPath::from_spelling("a.py").expect("a relative path");
        let format = Format::standard(crate::language::of(&path, text));
        let lines = Outline::read(text, format).lines;
        let found: Vec<_> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(found, [Plain, Plain, Comment, Definition, Comment]);
        assert_eq!(
            kinds("a.py", text),
            [Plain, Plain, Comment, Comment, Comment]
        );
    }

    #[test]
    fn lines_of_code() {
        use LineKind::{Blank, Comment, Definition, Import, Plain};
        assert_eq!(
            kinds("a.rs", "use a::b;\n\n/* one\n two */\nfn f() {\n  go();\n}"),
            [Import, Blank, Comment, Comment, Definition, Plain, Plain]
        );
        assert_eq!(
            kinds(
                "a.py",
                "import os\ndef f():\n    \"\"\"One\n    two.\n    \"\"\"\n    return 1"
            ),
            [Import, Definition, Comment, Comment, Comment, Plain]
        );
    }

    #[test]
    fn lines_of_prose_and_settings() {
        use LineKind::{Blank, Comment, Heading, Item, Plain, Section, Step};
        assert_eq!(
            kinds(
                "a.md",
                "Title\n=====\n## Two\n1. a\n- b\n```\n# no\n```\n#tag"
            ),
            [
                Heading, Blank, Heading, Step, Item, Blank, Plain, Blank, Plain
            ]
        );
        assert_eq!(
            kinds("a.toml", "# c\n[a.b]\nk = [1]"),
            [Comment, Section, Plain]
        );
    }

    proptest! {
        #[test]
        fn every_word_is_in_one_line(text in "\\PC{0,40}|[a-z0-9_ \\n\\t#/*\"'`.\\[\\]-]{0,120}") {
            for name in ["a.rs", "a.py", "a.md", "a.toml", "a.sql", "a.html"] {
                let path = RelPath::from_spelling(name).expect("a relative path");
                let outline = Outline::read(&text, Format::of(&path));
                let mut next = 0;
                for line in &outline.lines {
                    prop_assert_eq!(line.words.start, next);
                    next = line.words.end;
                    let spelled = outline.line_text(line);
                    prop_assert_eq!(spelled.trim(), spelled);
                }
                prop_assert_eq!(next, outline.words.len());
            }
        }
    }
}
