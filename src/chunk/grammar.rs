//! The grammars we know, by file extension.
//!
//! The only place that names a grammar crate.

use tree_sitter::Language;

/// How a file's structure is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Tree(Grammar),
    /// By our own line scanner: faster than its grammar, and what we need of it is headings.
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    Bash,
    C,
    Cpp,
    CSharp,
    Go,
    Html,
    Java,
    JavaScript,
    Json,
    Lua,
    Python,
    Ruby,
    Rust,
    Sql,
    Toml,
    Tsx,
    TypeScript,
    Yaml,
}

impl Grammar {
    #[cfg(test)]
    pub const ALL: [Self; 18] = [
        Self::Bash,
        Self::C,
        Self::Cpp,
        Self::CSharp,
        Self::Go,
        Self::Html,
        Self::Java,
        Self::JavaScript,
        Self::Json,
        Self::Lua,
        Self::Python,
        Self::Ruby,
        Self::Rust,
        Self::Sql,
        Self::Toml,
        Self::Tsx,
        Self::TypeScript,
        Self::Yaml,
    ];

    /// Whether parsing could end the process: at some depth of nesting the state of these grammars' own
    /// scanners outgrows the 1,024 bytes that tree-sitter has for it (YAML: 4 bytes for each of 254
    /// levels; Python: 2 for each of 500). The bounds below cannot be met with that many levels.
    pub fn overflows_on(self, text: &str) -> bool {
        let mut lines = text.split(['\n', '\r']);
        match self {
            // Each column begins two levels at most, and each indicator in a line one.
            Self::Yaml => lines.any(|line| indentation(line) > 100 || indicators(line) > 50),
            Self::Python => lines.any(|line| indentation(line) > 300),
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
        }
        .into()
    }
}

/// Columns of white space that a line begins with; a tab counts as 8, as in Python.
fn indentation(line: &str) -> usize {
    let space = line.bytes().take_while(u8::is_ascii_whitespace);
    space.map(|byte| if byte == b'\t' { 8 } else { 1 }).sum()
}

/// YAML's `- `, `? ` and `: ` in a line.
fn indicators(line: &str) -> usize {
    let bytes = line.bytes();
    let next = line.bytes().skip(1).chain([b' ']);
    bytes
        .zip(next)
        .filter(|(byte, next)| matches!(byte, b'-' | b'?' | b':') && next.is_ascii_whitespace())
        .count()
}

/// The syntax of a file, by its lower-case extension; a header is taken for C++ when its text says so.
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
    fn nesting_that_would_end_the_process_is_seen() {
        let steps = |n: usize| (0..n).map(|i| " ".repeat(i) + "a:\n").collect::<String>();
        assert!(Grammar::Yaml.overflows_on(&"- ".repeat(300)));
        assert!(Grammar::Yaml.overflows_on(&steps(300)));
        assert!(!Grammar::Yaml.overflows_on(&steps(50)));
        assert!(Grammar::Python.overflows_on(&steps(600)));
        assert!(!Grammar::Python.overflows_on(&steps(200)));
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
