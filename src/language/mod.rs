//! The language of a file: by its name, its first line, its content.
//!
//! Pure: one table of languages ([`LANGUAGES`]) and how to find the row of a file. `chunk` cuts by it, `tag` reads comments
//! by it, and the index records its name. docs/reference/languages.md shows the table.

mod table;

pub use table::LANGUAGES;

use crate::file::RelPath;

/// A language or file format.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Lower case, of letters and digits.
    pub name: &'static str,
    /// How its text is cut into chunks.
    pub cut: Cut,
    /// How comments and values look.
    pub family: Family,
    /// Lower case, without the dot; separated by blanks, as the next two.
    pub extensions: &'static str,
    /// File names in lower case. One that ends in a dot is the beginning of names: `dockerfile.`.
    pub file_names: &'static str,
    /// Programs of a first line `#!`, without version numbers.
    pub interpreters: &'static str,
}

/// Where a text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the items of its syntax tree.
    Tree,
    /// At headings, then between blocks.
    Headings,
    /// Before blocks, which indentation and blank lines show.
    Blocks,
    /// Between paragraphs.
    Paragraphs,
}

/// How comments and values look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Braces, `//` and `/* */`.
    Brace,
    /// Indentation or keywords, `#` comments.
    Script,
    /// `--` comments.
    Dash,
    /// Keys and values, `#` or `;` comments.
    Config,
    /// JSON: keys and values in quotes.
    Json,
    /// Tags and rules: HTML, XML.
    Markup,
    Prose,
}

/// Bytes of a text that are looked at for signs of its language.
const HEAD: usize = 1_024;

/// Return the language of the file at `path` with this text; `None` when nothing tells it.
///
/// Names come first, then the program that a first line `#!` names, then the content's first characters.
pub fn of(path: &RelPath, text: &str) -> Option<&'static Language> {
    let extension = path.extension();
    let head = &text[..text.floor_char_boundary(HEAD)];
    let name = String::from_utf8_lossy(path.file_name()).to_ascii_lowercase();
    let by_first_line = || by_interpreter(head);
    by_content_of(&extension, text)
        .or_else(|| by_first_line().filter(|_| extension.is_empty()))
        .or_else(|| by_file_name(&name))
        .or_else(|| by_extension(&extension))
        .or_else(by_first_line)
        .or_else(|| by_first_characters(head))
}

/// Return the language with this name.
pub fn named(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name)
}

/// Return the language that people call `name`: by its name, by an extension such as `js` or `c++`, or by `c#` and `f#`.
pub fn called(name: &str) -> Option<&'static Language> {
    let name = name.to_lowercase();
    let spelled = match name.strip_suffix('#') {
        Some(letter) => format!("{letter}sharp"),
        None => name,
    };
    named(&spelled).or_else(|| by_extension(&spelled))
}

/// Extensions that several languages share: the content decides.
fn by_content_of(extension: &str, text: &str) -> Option<&'static Language> {
    let has = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    match extension {
        "h" | "inc" if has(&["\nnamespace ", "\nclass ", "\ntemplate <", "\ntemplate<"]) => {
            named("cpp")
        }
        "h" if has(&["\n@interface ", "\n@protocol ", "\n#import "]) => named("objectivec"),
        "inc" if has(&["<?php"]) => named("php"),
        "m" if has(&["@interface", "@implementation", "#import ", "#include "]) => {
            named("objectivec")
        }
        "v" if has(&["endmodule"]) => named("verilog"),
        "pl" if has(&[":- "]) && !has(&["use strict", "#!"]) => named("prolog"),
        "ts" if text.trim_start().starts_with("<?xml") => named("xml"),
        _ => None,
    }
}

fn by_extension(extension: &str) -> Option<&'static Language> {
    LANGUAGES
        .iter()
        .find(|language| lists(language.extensions, extension))
}

/// Whether `name` is one of `names`, which blanks separate.
fn lists(names: &str, name: &str) -> bool {
    !name.is_empty() && names.split(' ').any(|known| known == name)
}

fn by_file_name(name: &str) -> Option<&'static Language> {
    let is_named = |known: &str| match known.ends_with('.') {
        true => name.starts_with(known),
        false => !name.is_empty() && name == known,
    };
    LANGUAGES
        .iter()
        .find(|language| language.file_names.split(' ').any(is_named))
}

/// `#!/usr/bin/env -S python3.11 -u`, and what editors are told: `-*- mode: ruby -*-`.
fn by_interpreter(head: &str) -> Option<&'static Language> {
    let line = head.lines().next().unwrap_or_default();
    if let Some(command) = line.strip_prefix("#!") {
        let words = command
            .split_whitespace()
            .filter(|word| !word.starts_with('-') && !word.contains('='));
        let mut programs = words.map(|word| word.rsplit('/').next().unwrap_or(word));
        let program = programs.find(|program| *program != "env")?;
        let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        return LANGUAGES
            .iter()
            .find(|language| lists(language.interpreters, program));
    }
    let mode = line.split("-*-").nth(1)?.trim();
    let mode = mode
        .split(';')
        .find_map(|part| part.trim().strip_prefix("mode:"))
        .unwrap_or(mode);
    let mode = mode.trim().to_ascii_lowercase();
    named(&mode).or(match mode.as_str() {
        "c++" => named("cpp"),
        "shell-script" | "sh" => named("shell"),
        _ => None,
    })
}

fn by_first_characters(head: &str) -> Option<&'static Language> {
    let text = head.trim_start();
    let lower = text
        .get(..20.min(text.len()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    if text.starts_with("<?php") {
        named("php")
    } else if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        named("html")
    } else if text.starts_with("<?xml") {
        named("xml")
    } else if text.starts_with("{\"")
        || text.starts_with("{\n") && text[1..].trim_start().starts_with('"')
    {
        named("json")
    } else if text.starts_with("%YAML")
        || text.starts_with("---\n")
            && text[4..]
                .lines()
                .next()
                .is_some_and(|line| line.contains(": "))
    {
        named("yaml")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(name: &str, text: &str) -> Option<&'static str> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        of(&path, text).map(|language| language.name)
    }

    #[test]
    fn names_tell_the_language() {
        for (name, expected) in [
            ("a/b.RS", "rust"),
            ("a.pyx", "python"),
            ("a.mts", "typescript"),
            ("a.hxx", "cpp"),
            ("a.inc", "c"),
            ("Dockerfile", "dockerfile"),
            ("deploy/Dockerfile.prod", "dockerfile"),
            ("GNUmakefile", "makefile"),
            ("CMakeLists.txt", "cmake"),
            ("Gemfile", "ruby"),
            ("Jenkinsfile", "groovy"),
            ("BUILD.bazel", "starlark"),
            (".bashrc", "shell"),
            ("go.mod", "gomod"),
            ("a.ipynb", "jupyter"),
            ("a.vue", "vue"),
        ] {
            assert_eq!(language(name, ""), Some(expected), "{name}");
        }
        assert_eq!(language("a.unknown", "text"), None);
    }

    #[test]
    fn content_tells_the_language_of_other_files() {
        for (name, text, expected) in [
            ("run", "#!/usr/bin/env python3.11\nx = 1\n", "python"),
            ("run", "#!/bin/bash -e\n", "shell"),
            ("run", "#!/usr/bin/env -S node --flag\n", "javascript"),
            ("run", "# -*- mode: ruby -*-\n", "ruby"),
            ("run", "// -*- C++ -*-\n", "cpp"),
            ("page", "<?php echo 1;\n", "php"),
            ("page", "\n<!DOCTYPE html>\n", "html"),
            ("feed", "<?xml version=\"1.0\"?>\n", "xml"),
            ("state", "{\n  \"a\": 1\n}\n", "json"),
            ("a.h", "#pragma once\nclass A;\n", "cpp"),
            ("a.h", "int a;\n", "c"),
            ("a.m", "@implementation A\n", "objectivec"),
            ("a.m", "x = 1;\n", "matlab"),
        ] {
            assert_eq!(language(name, text), Some(expected), "{name}: {text}");
        }
    }

    #[test]
    fn no_two_languages_claim_one_name() {
        let mut seen = std::collections::BTreeSet::new();
        for language in LANGUAGES {
            for name in language.extensions.split_whitespace() {
                assert!(seen.insert((0, name)), "{name} twice");
                assert_eq!(name, name.to_ascii_lowercase());
            }
            for name in language.file_names.split_whitespace() {
                assert!(seen.insert((1, name)), "{name} twice");
            }
            for name in language.interpreters.split_whitespace() {
                assert!(seen.insert((2, name)), "{name} twice");
            }
            assert!(seen.insert((3, language.name)), "{} twice", language.name);
        }
    }

    #[test]
    fn the_documents_have_the_table() {
        let page = include_str!("../../docs/reference/languages.md");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .skip_while(|line| !line.starts_with("| language |"))
            .skip(2)
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows.len(), LANGUAGES.len());
        for (row, language) in rows.iter().zip(LANGUAGES) {
            let cut = match language.cut {
                Cut::Tree => "syntax tree",
                Cut::Headings => "headings, then blocks",
                Cut::Blocks => "indentation and blank lines",
                Cut::Paragraphs => "paragraphs",
            };
            let names = [
                language.extensions,
                language.file_names,
                language.interpreters,
            ];
            assert_eq!(row[..2], [language.name, cut]);
            assert_eq!(row[3..], names, "{}", language.name);
            let has_size = row[2].replace(',', "").parse::<u64>().is_ok();
            assert_eq!(has_size, language.cut == Cut::Tree, "{}", language.name);
        }
    }
}
