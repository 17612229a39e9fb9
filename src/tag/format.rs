//! The language of a file by its name, and how comments look in it.

use crate::credential::Style;
use crate::file::RelPath;
use crate::language::{self, Language};
use crate::profile::recipe::RuleSet;

/// How to read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
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
    /// Tags and rules: HTML, XML, CSS.
    Markup,
    Prose,
}

/// A language or file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Lower case; empty for unknown file names.
    pub name: &'static str,
    pub family: Family,
    pub rules: RuleSet,
}

impl Format {
    pub fn of(path: &RelPath) -> Self {
        let (name, family) = match path.extension().as_str() {
            "rs" => ("rust", Family::Brace),
            "c" | "h" => ("c", Family::Brace),
            "cpp" | "hpp" | "cc" | "cxx" | "hh" => ("cpp", Family::Brace),
            "cs" => ("csharp", Family::Brace),
            "go" => ("go", Family::Brace),
            "java" => ("java", Family::Brace),
            "kt" | "kts" => ("kotlin", Family::Brace),
            "scala" => ("scala", Family::Brace),
            "swift" => ("swift", Family::Brace),
            "dart" => ("dart", Family::Brace),
            "php" => ("php", Family::Brace),
            "proto" => ("protobuf", Family::Brace),
            "zig" => ("zig", Family::Brace),
            "js" | "mjs" | "cjs" | "jsx" => ("javascript", Family::Brace),
            "ts" | "tsx" => ("typescript", Family::Brace),
            "py" | "pyi" => ("python", Family::Script),
            "rb" => ("ruby", Family::Script),
            "r" => ("r", Family::Script),
            "pl" | "pm" => ("perl", Family::Script),
            "jl" => ("julia", Family::Script),
            "ex" | "exs" => ("elixir", Family::Script),
            "sh" | "bash" | "zsh" => ("shell", Family::Script),
            "ps1" => ("powershell", Family::Script),
            "bat" | "cmd" => ("batch", Family::Script),
            "cmake" => ("cmake", Family::Script),
            "lua" => ("lua", Family::Dash),
            "sql" => ("sql", Family::Dash),
            "hs" => ("haskell", Family::Dash),
            "toml" => ("toml", Family::Config),
            "yaml" | "yml" => ("yaml", Family::Config),
            "ini" | "cfg" | "conf" | "properties" | "env" => ("ini", Family::Config),
            "json" | "jsonc" => ("json", Family::Json),
            "html" | "htm" => ("html", Family::Markup),
            "xml" | "svg" => ("xml", Family::Markup),
            "css" | "scss" => ("css", Family::Brace),
            "md" | "markdown" => ("markdown", Family::Prose),
            "rst" => ("restructuredtext", Family::Prose),
            "txt" => ("text", Family::Prose),
            _ => by_name(path.file_name()),
        };
        Self {
            name,
            family,
            rules: RuleSet::Compat,
        }
    }

    /// Return how to read a text in a language of the table; as prose when it is not known.
    pub fn standard(language: Option<&Language>) -> Self {
        let name = language.map_or("", |language| language.name);
        Self {
            name: match name {
                "tsx" | "vue" | "svelte" | "astro" => "typescript",
                "jupyter" => "markdown",
                "scss" => "css",
                _ => name,
            },
            family: language.map_or(Family::Prose, |language| match language.family {
                language::Family::Brace => Family::Brace,
                language::Family::Script => Family::Script,
                language::Family::Dash => Family::Dash,
                language::Family::Config => Family::Config,
                language::Family::Json => Family::Json,
                language::Family::Markup => Family::Markup,
                language::Family::Prose => Family::Prose,
            }),
            rules: RuleSet::Standard,
        }
    }

    /// Whether the standard rules hold, which know more definitions.
    pub fn is_standard(self) -> bool {
        self.rules == RuleSet::Standard
    }

    pub fn is_code(self) -> bool {
        matches!(self.family, Family::Brace | Family::Script | Family::Dash)
    }

    /// Return how values are written, for the search for credentials.
    pub fn style(self) -> Style {
        match self.family {
            Family::Config => Style::Settings,
            _ => Style::Any,
        }
    }

    pub fn is_config(self) -> bool {
        matches!(self.family, Family::Config | Family::Json)
    }

    /// Return what opens a comment that runs to the end of the line.
    pub fn line_comments(self) -> &'static [&'static str] {
        match self.family {
            Family::Brace => &["//"],
            Family::Script if self.name == "batch" => &["::", "rem ", "REM "],
            Family::Script => &["#"],
            Family::Dash => &["--"],
            Family::Config => &["#", ";"],
            Family::Json => &["//"],
            Family::Markup | Family::Prose => &[],
        }
    }

    /// Return what opens and closes a comment that may span lines.
    pub fn block_comment(self) -> Option<(&'static str, &'static str)> {
        match self.family {
            Family::Brace => Some(("/*", "*/")),
            Family::Dash if self.name == "sql" => Some(("/*", "*/")),
            Family::Dash if self.name == "lua" => Some(("--[[", "]]")),
            Family::Markup | Family::Prose => Some(("<!--", "-->")),
            _ => None,
        }
    }
}

fn by_name(name: &[u8]) -> (&'static str, Family) {
    match name {
        b"Makefile" | b"makefile" | b"GNUmakefile" => ("makefile", Family::Script),
        b"Dockerfile" | b"Containerfile" => ("dockerfile", Family::Script),
        b".env" | b".editorconfig" | b".gitconfig" => ("ini", Family::Config),
        _ => ("", Family::Prose),
    }
}
