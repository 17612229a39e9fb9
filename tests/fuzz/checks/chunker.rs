//! Any file is decoded and cut as `chunk` promises, by both chunkers.

use helix_build::chunk::{Chunk, Decoded, chunk, decode};
use helix_build::file::RelPath;
use helix_build::profile::recipe::{Chunker, Recipe};
use std::borrow::Cow;

/// One extension for each grammar, for Markdown and for plain text. Kept cases name them by position:
/// add at the end.
pub const EXTENSIONS: [&str; 21] = [
    "sh", "c", "cpp", "cs", "go", "html", "java", "js", "json", "lua", "py", "rb", "rs", "sql",
    "toml", "tsx", "ts", "yaml", "md", "txt", "h",
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
        let Decoded::Text(text) = &decoded else {
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
    let mut end = 0;
    let mut sequence = None;
    for chunk in chunks {
        assert!(end <= chunk.range.start, "overlap at {end}: {chunk:?}");
        is_blank(&text[end..chunk.range.start], "left out");
        assert!(!chunk.text.chars().all(is_space), "blank: {chunk:?}");
        assert!(Some(chunk.sequence) > sequence, "numbers: {chunk:?}");
        let slice = &text[chunk.range.clone()];
        match &chunk.text {
            Cow::Borrowed(text) => assert_eq!(*text, slice),
            Cow::Owned(text) => assert!(solid(text).eq(solid(slice)), "{text:?} of {slice:?}"),
        }
        end = chunk.range.end;
        sequence = Some(chunk.sequence);
    }
    is_blank(&text[end..], "left out at the end");
}

fn sound_ast(text: &str, chunks: &[Chunk], limit: usize) {
    for (number, chunk) in chunks.iter().enumerate() {
        assert!(matches!(chunk.text, Cow::Borrowed(_)), "owned: {chunk:?}");
        assert!(chunk.text.chars().count() <= limit, "too long: {chunk:?}");
        assert_eq!(chunk.text.trim_matches(is_space), chunk.text);
        assert_eq!(chunk.sequence as usize, number);
        let is_cut =
            |left: &Chunk, right: &Chunk| !text[left.range.end..right.range.start].contains('\n');
        let before = number.checked_sub(1).and_then(|n| chunks.get(n));
        let is_fragment = before.is_some_and(|before| is_cut(before, chunk))
            || chunks
                .get(number + 1)
                .is_some_and(|next| is_cut(chunk, next));
        assert_eq!(chunk.is_fragment, is_fragment, "{chunk:?}");
    }
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

fn is_blank(text: &str, what: &str) {
    assert!(text.chars().all(is_space), "{what}: {text:?}");
}

fn solid(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !is_space(*c))
}

/// As Python's `str.isspace` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
