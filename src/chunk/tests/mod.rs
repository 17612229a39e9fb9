//! Chunks of texts in every language.

mod any_text;
mod hostile;
mod places;
mod symbols;

use super::*;

/// One extension for each grammar, for Markdown, for plain text, and for a language without a grammar.
const EXTENSIONS: [&str; 33] = [
    "sh", "c", "cpp", "cs", "go", "html", "java", "js", "json", "lua", "py", "rb", "rs", "sql",
    "toml", "tsx", "ts", "yaml", "md", "txt", "php", "css", "dart", "ex", "graphql", "mk", "nix",
    "ps1", "proto", "r", "zig", "cmake", "swift",
];

fn path(extension: &str) -> RelPath {
    RelPath::from_spelling(&format!("a.{extension}")).expect("a plain name")
}

fn recipe(chunker: Chunker, chunk_chars: u32) -> Recipe {
    Recipe {
        chunker,
        chunk_chars,
        ..Recipe::default()
    }
}

fn ast<'a>(text: &'a str, extension: &str, chunk_chars: u32) -> Vec<Chunk<'a>> {
    chunk(text, &path(extension), &recipe(Chunker::Ast, chunk_chars))
}

fn texts<'a>(chunks: &'a [Chunk]) -> Vec<&'a str> {
    chunks.iter().map(|chunk| chunk.text.as_ref()).collect()
}
