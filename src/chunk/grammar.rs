//! Which grammar parses which file: by language, or with compat rules by extension. The only place that names a
//! grammar crate.

use crate::language::{self, Cut};
use tree_sitter::Language;

/// How to find a file's structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Tree(Grammar),
    /// Our own line scanner. It is faster than the grammar, and we only need headings and blocks.
    Markdown,
    /// Our scanner of indentation and blank lines, for programs without a grammar.
    Blocks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    Bash,
    C,
    CMake,
    Cpp,
    CSharp,
    Css,
    Dart,
    Elixir,
    Go,
    Graphql,
    Html,
    Java,
    JavaScript,
    Json,
    Lua,
    Make,
    Nix,
    Php,
    PowerShell,
    Proto,
    Python,
    R,
    Ruby,
    Rust,
    Sql,
    Toml,
    Tsx,
    TypeScript,
    Yaml,
    Zig,
}

/// Room of tree-sitter for a scanner's state.
const STATE_BYTES: usize = 1_024;

impl Grammar {
    #[cfg(test)]
    pub const ALL: [Self; 30] = [
        Self::Bash,
        Self::C,
        Self::CMake,
        Self::Cpp,
        Self::CSharp,
        Self::Css,
        Self::Dart,
        Self::Elixir,
        Self::Go,
        Self::Graphql,
        Self::Html,
        Self::Java,
        Self::JavaScript,
        Self::Json,
        Self::Lua,
        Self::Make,
        Self::Nix,
        Self::Php,
        Self::PowerShell,
        Self::Proto,
        Self::Python,
        Self::R,
        Self::Ruby,
        Self::Rust,
        Self::Sql,
        Self::Toml,
        Self::Tsx,
        Self::TypeScript,
        Self::Yaml,
        Self::Zig,
    ];

    /// Whether parsing `text` could end the process. Between tokens, these grammars' own scanners write
    /// their state into a buffer of 1,024 bytes and check its end too late. The counts here are upper
    /// bounds of their state.
    pub fn overflows_on(self, text: &str) -> bool {
        match self {
            // 4 bytes for each of 254 levels. A column begins at most two, an indicator one.
            Self::Yaml => text
                .split(['\n', '\r'])
                .any(|line| indentation(line) > 100 || indicators(line) > 50),
            // 2 bytes for each level, and at most 255 for open strings.
            Self::Python => widest_indentation(text) > 300,
            Self::Ruby => ruby_state(text).is_none_or(|bytes| bytes > STATE_BYTES),
            _ => false,
        }
    }

    pub fn language(self) -> Language {
        match self {
            Self::Bash => tree_sitter_bash::LANGUAGE,
            Self::C => tree_sitter_c::LANGUAGE,
            Self::Cpp => tree_sitter_cpp::LANGUAGE,
            Self::CSharp => tree_sitter_c_sharp::LANGUAGE,
            Self::Go => tree_sitter_go::LANGUAGE,
            Self::Html => tree_sitter_html::LANGUAGE,
            Self::Java => tree_sitter_java::LANGUAGE,
            Self::JavaScript => tree_sitter_javascript::LANGUAGE,
            Self::Json => tree_sitter_json::LANGUAGE,
            Self::Lua => tree_sitter_lua::LANGUAGE,
            Self::Python => tree_sitter_python::LANGUAGE,
            Self::Ruby => tree_sitter_ruby::LANGUAGE,
            Self::Rust => tree_sitter_rust::LANGUAGE,
            Self::Sql => tree_sitter_sequel::LANGUAGE,
            Self::Toml => tree_sitter_toml_ng::LANGUAGE,
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            Self::Yaml => tree_sitter_yaml::LANGUAGE,
            Self::CMake => tree_sitter_cmake::LANGUAGE,
            Self::Css => tree_sitter_css::LANGUAGE,
            Self::Dart => tree_sitter_dart::LANGUAGE,
            Self::Elixir => tree_sitter_elixir::LANGUAGE,
            Self::Graphql => tree_sitter_graphql::LANGUAGE,
            Self::Make => tree_sitter_make::LANGUAGE,
            Self::Nix => tree_sitter_nix::LANGUAGE,
            Self::Php => tree_sitter_php::LANGUAGE_PHP,
            Self::PowerShell => tree_sitter_powershell::LANGUAGE,
            Self::Proto => tree_sitter_proto::LANGUAGE,
            Self::R => tree_sitter_r::LANGUAGE,
            Self::Zig => tree_sitter_zig::LANGUAGE,
        }
        .into()
    }
}

/// Return the columns of white space that a line begins with; a tab counts as 8, as in Python.
fn indentation(line: &str) -> usize {
    let space = line.bytes().take_while(u8::is_ascii_whitespace);
    space.map(|byte| if byte == b'\t' { 8 } else { 1 }).sum()
}

/// Return the widest indentation of all lines. A line that a backslash continues adds to the next one's.
fn widest_indentation(text: &str) -> usize {
    let mut widest = 0;
    let mut before = 0;
    for line in text.split('\n') {
        let columns = before + indentation(line);
        widest = widest.max(columns);
        before = if line.trim_ascii() == "\\" {
            columns
        } else {
            0
        };
    }
    widest
}

/// Return the size of the state of Ruby's scanner in bytes: 5 for each open literal, and 4 for each open heredoc
/// plus the word that ends it. `None` when such a word is longer than the scanner can store.
fn ruby_state(text: &str) -> Option<usize> {
    let mut heredocs = 0;
    for (at, arrows) in text.as_bytes().windows(2).enumerate() {
        if arrows == b"<<" {
            let word = heredoc_word(&text.as_bytes()[at + 2..])?;
            heredocs += if word > 0 { 4 + word } else { 0 };
        }
    }
    if heredocs == 0 {
        // The scanner checks the buffer for literals.
        return Some(0);
    }
    let opens = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b'/' | b'%');
    let literals = text.bytes().filter(opens).count();
    Some(2 + 5 * literals + heredocs)
}

/// Return the bytes of the word that ends a heredoc, given the text after `<<`; 0 when it opens none, `None` when
/// there are more than 255.
fn heredoc_word(text: &[u8]) -> Option<usize> {
    let text = text
        .strip_prefix(b"-")
        .or(text.strip_prefix(b"~"))
        .unwrap_or(text);
    let length = match text.first() {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            let word = &text[1..];
            word.iter()
                .position(|byte| byte == quote)
                .unwrap_or(word.len())
        }
        _ => {
            // Letters beyond ASCII depend on the C library.
            let is_word =
                |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte > 127;
            text.iter().take_while(is_word).count()
        }
    };
    (length <= usize::from(u8::MAX)).then_some(length)
}

/// Count YAML's `- `, `? ` and `: ` in a line.
fn indicators(line: &str) -> usize {
    let bytes = line.bytes();
    let next = line.bytes().skip(1).chain([b' ']);
    bytes
        .zip(next)
        .filter(|(byte, next)| matches!(byte, b'-' | b'?' | b':') && next.is_ascii_whitespace())
        .count()
}

/// Return the syntax of a file by its lower-case extension. The text of a header decides between C and C++.
pub fn syntax_of(extension: &str, text: &str) -> Option<Syntax> {
    Some(Syntax::Tree(match extension {
        "bash" | "ksh" | "sh" | "zsh" => Grammar::Bash,
        "h" if is_cpp(text) => Grammar::Cpp,
        "c" | "h" => Grammar::C,
        "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" => Grammar::Cpp,
        "cs" => Grammar::CSharp,
        "go" => Grammar::Go,
        "htm" | "html" | "xhtml" => Grammar::Html,
        "java" => Grammar::Java,
        "cjs" | "js" | "jsx" | "mjs" => Grammar::JavaScript,
        "geojson" | "ipynb" | "json" | "jsonc" => Grammar::Json,
        "lua" => Grammar::Lua,
        "py" | "pyi" | "pyw" => Grammar::Python,
        "gemspec" | "rake" | "rb" => Grammar::Ruby,
        "rs" => Grammar::Rust,
        "sql" => Grammar::Sql,
        "toml" => Grammar::Toml,
        "tsx" => Grammar::Tsx,
        "cts" | "mts" | "ts" => Grammar::TypeScript,
        "yaml" | "yml" => Grammar::Yaml,
        "markdown" | "md" | "mdx" => return Some(Syntax::Markdown),
        _ => return None,
    }))
}

/// Return the syntax of a file in a language of the table; `None` for paragraphs.
pub fn syntax_in(language: &language::Language) -> Option<Syntax> {
    match language.cut {
        Cut::Tree => Some(grammar_of(language.name).map_or(Syntax::Blocks, Syntax::Tree)),
        Cut::Headings => Some(Syntax::Markdown),
        Cut::Blocks => Some(Syntax::Blocks),
        Cut::Paragraphs => None,
    }
}

fn grammar_of(language: &str) -> Option<Grammar> {
    Some(match language {
        "shell" => Grammar::Bash,
        "c" => Grammar::C,
        "cmake" => Grammar::CMake,
        "cpp" => Grammar::Cpp,
        "csharp" => Grammar::CSharp,
        "css" => Grammar::Css,
        "dart" => Grammar::Dart,
        "elixir" => Grammar::Elixir,
        "go" => Grammar::Go,
        "graphql" => Grammar::Graphql,
        "java" => Grammar::Java,
        "javascript" => Grammar::JavaScript,
        "json" => Grammar::Json,
        "lua" => Grammar::Lua,
        "makefile" => Grammar::Make,
        "nix" => Grammar::Nix,
        "php" => Grammar::Php,
        "powershell" => Grammar::PowerShell,
        "protobuf" => Grammar::Proto,
        "python" => Grammar::Python,
        "r" => Grammar::R,
        "ruby" => Grammar::Ruby,
        "rust" => Grammar::Rust,
        "sql" => Grammar::Sql,
        "toml" => Grammar::Toml,
        "tsx" => Grammar::Tsx,
        "typescript" => Grammar::TypeScript,
        "yaml" => Grammar::Yaml,
        "zig" => Grammar::Zig,
        _ => return None,
    })
}

fn is_cpp(header: &str) -> bool {
    ["\nnamespace ", "\nclass ", "\ntemplate <", "\ntemplate<"]
        .iter()
        .any(|mark| header.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grammar_parses_with_this_tree_sitter() {
        for grammar in Grammar::ALL {
            let tree = crate::chunk::parse::parse(&grammar.language(), "a\n");
            assert!(tree.is_some(), "{grammar:?}");
        }
    }

    #[test]
    fn every_language_with_a_tree_has_a_grammar() {
        for language in language::LANGUAGES {
            let has_grammar = grammar_of(language.name).is_some();
            assert_eq!(has_grammar, language.cut == Cut::Tree, "{}", language.name);
        }
    }

    #[test]
    fn nesting_that_would_end_the_process_is_seen() {
        let steps = |n: usize| (0..n).map(|i| " ".repeat(i) + "a:\n").collect::<String>();
        assert!(Grammar::Yaml.overflows_on(&"- ".repeat(300)));
        assert!(Grammar::Yaml.overflows_on(&steps(300)));
        assert!(!Grammar::Yaml.overflows_on(&steps(50)));
        assert!(Grammar::Python.overflows_on(&steps(600)));
        assert!(!Grammar::Python.overflows_on(&steps(200)));
        let continued = format!("{0}\\\n{0}\\\n{0}a", " ".repeat(150));
        assert!(Grammar::Python.overflows_on(&continued));
        assert!(!Grammar::Python.overflows_on(&continued.replace('\\', "b")));
    }

    #[test]
    fn heredocs_that_would_end_the_process_are_seen() {
        let overflows = |text: &str| Grammar::Ruby.overflows_on(text);
        let long = "A".repeat(256);
        assert!(overflows(&format!("a = <<{long}\n")));
        assert!(overflows(&format!("a = <<~\"{long}\"\n")));
        assert!(overflows(&"<<A,".repeat(300)));
        assert!(overflows(&format!("{} <<AAAA", "\"#{".repeat(203))));
        assert!(!overflows(&"\"#{".repeat(203)));
        assert!(!overflows(&format!("a = <<-{}\n", &long[1..])));
        assert!(!overflows(&"a <<~SQL, 'b'\n".repeat(50)));
        assert!(!overflows(&"class << self; a << 'b'\n".repeat(300)));
    }

    #[test]
    fn headers_say_which_language_they_are_in() {
        let syntax = |text| syntax_of("h", text);
        assert_eq!(syntax("int a;\n"), Some(Syntax::Tree(Grammar::C)));
        assert_eq!(
            syntax("#pragma once\nclass A;\n"),
            Some(Syntax::Tree(Grammar::Cpp))
        );
        assert_eq!(syntax_of("unknown", ""), None);
    }
}
