//! Any file is decoded and cut as `chunk` promises, by both chunkers.

use helix_build::chunk::{Chunk, Decoded, DecodedText, chunk, decode};
use helix_build::file::RelPath;
use helix_build::profile::recipe::{Chunker, Recipe};
use std::borrow::Cow;
use std::ops::Range;

/// One extension for each grammar, for Markdown and for plain text. Kept cases name them by position:
/// add at the end.
pub const EXTENSIONS: [&str; 34] = [
    "sh", "c", "cpp", "cs", "go", "html", "java", "js", "json", "lua", "py", "rb", "rs", "sql",
    "toml", "tsx", "ts", "yaml", "md", "txt", "h", "php", "css", "dart", "ex", "graphql", "mk",
    "nix", "ps1", "proto", "r", "zig", "cmake", "swift",
];

/// The limit of the Python builder's rules.
const COMPAT_CHARS: usize = 4_000;

/// The first byte chooses the extension, the second the limit, the rest is the file.
pub fn check(data: &[u8]) {
    let [extension, limit, bytes @ ..] = data else {
        return;
    };
    let extension = EXTENSIONS[usize::from(*extension) % EXTENSIONS.len()];
    let path = RelPath::from_spelling(&format!("a.{extension}")).expect("a plain name");
    for chunker in [Chunker::Ast, Chunker::Compat] {
        let recipe = Recipe {
            chunker,
            chunk_chars: 1 + u32::from(*limit) * 8,
            ..Recipe::default()
        };
        let decoded = decode(bytes, chunker);
        let Decoded::Text(DecodedText { text, .. }) = &decoded else {
            continue;
        };
        assert!(!text.contains('\r') && !text.chars().all(is_space));
        let chunks = chunk(text, &path, &recipe);
        sound(text, &chunks);
        match chunker {
            Chunker::Ast => sound_ast(text, &chunks, recipe.chunk_chars as usize),
            Chunker::Compat => sound_compat(&chunks),
        }
        assert_eq!(chunks, chunk(text, &path, &recipe), "the second time");
        assert_eq!(decoded, decode(bytes, chunker), "the second time");
    }
}

/// In order, without overlap, nothing left out but white space.
fn sound(text: &str, chunks: &[Chunk]) {
    let mut sequence = None;
    for chunk in chunks {
        assert!(!chunk.text.chars().all(is_space), "blank: {chunk:?}");
        assert!(Some(chunk.sequence) > sequence, "numbers: {chunk:?}");
        sequence = Some(chunk.sequence);
    }
    let kept = chunks.iter().flat_map(|chunk| solid(&chunk.text));
    assert!(kept.eq(solid(text)), "left out, doubled or moved: {text:?}");
}

fn sound_ast(text: &str, chunks: &[Chunk], limit: usize) {
    let ranges: Vec<_> = chunks.iter().map(|chunk| range(text, chunk)).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        assert!(chunk.text.chars().count() <= limit, "too long: {chunk:?}");
        assert_eq!(chunk.text.trim_matches(is_space), chunk.text);
        assert_eq!(chunk.sequence as usize, number);
        let is_cut = |pair: &[Range<usize>]| !text[pair[0].end..pair[1].start].contains('\n');
        let around = &ranges[number.saturating_sub(1)..(number + 2).min(ranges.len())];
        let is_fragment = around.windows(2).any(is_cut);
        assert_eq!(chunk.is_fragment, is_fragment, "{chunk:?}");
    }
}

/// Where a chunk lies in its file's text.
fn range(text: &str, chunk: &Chunk) -> Range<usize> {
    assert!(matches!(chunk.text, Cow::Borrowed(_)), "owned: {chunk:?}");
    let start = chunk.text.as_ptr().addr() - text.as_ptr().addr();
    let range = start..start + chunk.text.len();
    assert_eq!(text[range.clone()], chunk.text);
    range
}

fn sound_compat(chunks: &[Chunk]) {
    for chunk in chunks {
        let chars = chunk.text.chars().count();
        if chunk.is_fragment {
            assert_eq!(chars, COMPAT_CHARS, "a slice: {chunk:?}");
        } else {
            assert!(chars < COMPAT_CHARS, "too long: {chunk:?}");
            assert_eq!(chunk.text.trim_matches(is_space), chunk.text);
        }
    }
}

fn solid(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !is_space(*c))
}

/// As Python's `str.isspace` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
