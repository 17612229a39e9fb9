//! Measures tree-sitter alone on the texts that the `ast` chunker parses.

use helix_build::platform::process_cpu_time;
use std::collections::BTreeMap;
use std::time::Duration;
use tree_sitter::{Language, LanguageError, Parser};

/// A file's lower-case extension and its text.
pub type Text<'a> = (&'a str, &'a str);

/// Measure the CPU time to parse each text as a whole, with one parser per language. Skips texts without a grammar.
pub fn parse_all<'a>(texts: impl IntoIterator<Item = Text<'a>>) -> Result<Duration, LanguageError> {
    let mut parsers: BTreeMap<&str, Parser> = BTreeMap::new();
    let mut jobs: Vec<Text> = Vec::new();
    for (extension, text) in texts {
        let Some(language) = language_of(extension) else {
            continue;
        };
        let mut parser = Parser::new();
        parser.set_language(&language)?;
        parsers.entry(extension).or_insert(parser);
        jobs.push((extension, text));
    }
    let before = process_cpu_time();
    for (extension, text) in jobs {
        if let Some(parser) = parsers.get_mut(extension) {
            parser.parse(text, None);
        }
    }
    Ok(process_cpu_time() - before)
}

/// Return the chunker's grammar for a file. The chunker also recognises C++ in headers; here they count as C.
fn language_of(extension: &str) -> Option<Language> {
    let language = match extension {
        "bash" | "sh" => tree_sitter_bash::LANGUAGE,
        "c" | "h" => tree_sitter_c::LANGUAGE,
        "cpp" => tree_sitter_cpp::LANGUAGE,
        "cs" => tree_sitter_c_sharp::LANGUAGE,
        "go" => tree_sitter_go::LANGUAGE,
        "html" => tree_sitter_html::LANGUAGE,
        "java" => tree_sitter_java::LANGUAGE,
        "js" | "jsx" => tree_sitter_javascript::LANGUAGE,
        "json" => tree_sitter_json::LANGUAGE,
        "lua" => tree_sitter_lua::LANGUAGE,
        "py" => tree_sitter_python::LANGUAGE,
        "rb" => tree_sitter_ruby::LANGUAGE,
        "rs" => tree_sitter_rust::LANGUAGE,
        "sql" => tree_sitter_sequel::LANGUAGE,
        "toml" => tree_sitter_toml_ng::LANGUAGE,
        "tsx" => tree_sitter_typescript::LANGUAGE_TSX,
        "ts" => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        "yaml" | "yml" => tree_sitter_yaml::LANGUAGE,
        _ => return None,
    };
    Some(language.into())
}
