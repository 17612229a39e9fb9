//! What holds for every text, in every language.

use super::*;
use proptest::prelude::*;

/// Where a chunk lies in the text that it is a slice of; `None` when it is not a slice of it.
fn range(text: &str, chunk: &Chunk) -> Option<std::ops::Range<usize>> {
    let start = chunk
        .text
        .as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())?;
    let range = start..start + chunk.text.len();
    (text.get(range.clone()) == Some(chunk.text.as_ref())).then_some(range)
}

fn is_named(place: &Place) -> bool {
    let is_name = |name: &String| !name.trim().is_empty() && name.len() <= 80;
    place.symbols.len() <= 8 && place.symbols.iter().all(is_name)
}

/// The promises of [`chunk`] for [`Chunker::Ast`]; says which one is broken.
pub(super) fn check(text: &str, extension: &str, chunk_chars: u32) -> Result<(), String> {
    let chunks = ast(text, extension, chunk_chars);
    let mut end = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        let range = range(text, chunk).ok_or("not a slice of its text")?;
        let gap = text.get(end..range.start).ok_or("overlap")?;
        let holds = [
            (gap.chars().all(is_space), "text left out"),
            (
                chunk.text.trim_matches(is_space) == chunk.text,
                "not trimmed",
            ),
            (!chunk.text.is_empty(), "blank"),
            (
                chunk.text.chars().count() <= chunk_chars as usize,
                "too long",
            ),
            (chunk.sequence as usize == number, "numbers"),
            (chunk.hash == ContentHash::of(&chunk.text), "hash"),
            (is_named(&chunk.place), "symbols"),
        ];
        if let Some((_, broken)) = holds.iter().find(|(holds, _)| !holds) {
            return Err(format!("{extension}: chunk {number}: {broken}"));
        }
        end = range.end;
    }
    if !text[end..].chars().all(is_space) {
        return Err(format!("{extension}: end left out"));
    }
    if chunks != ast(text, extension, chunk_chars) {
        return Err(format!("{extension}: differs the second time"));
    }
    Ok(())
}

/// Pieces that mean something to some grammar, with every kind of white space.
const PIECES: &[&str] = &[
    "fn a() {",
    "}\n",
    "{",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";\n",
    "\n",
    "\n\n",
    "    ",
    "\t",
    "\r",
    "\u{1c}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{0}",
    "\u{feff}",
    "/// doc\n",
    "# heading\n",
    "```\n",
    "\"",
    "'",
    "/*",
    "*/",
    "<a>",
    "</a>",
    "<!--",
    "- a: b\n",
    "  c: |\n",
    "def f():\n",
    "class A:\n",
    "@dec\n",
    "#[attr]\n",
    "select 1;\n",
    "{\"k\": [1, 2]}",
    "<<EOF\n",
    "${",
    "end\n",
    "word ",
    "Sentence. ",
    "\u{e9}",
    "\u{4e2d}\u{6587}\u{3002}",
    "\u{1f600}",
    "\\",
    "`",
    "=",
    "[[t]]\n",
    // Beyond what scanners' tables hold.
    "\u{ff11}",
    "\u{e01d9}",
    "\u{10ffff}",
    "1",
    "..",
    "$(",
    "((",
    "<<-'A'\n",
    "A\n",
    "%w[",
    "%q(",
    "#{",
    "R\"x(",
    ")x\"",
    "r#\"",
    "\"#",
    "$t$",
    "--[[",
    "]]",
    "\"\"\"",
    "'''",
    "f\"",
    "}}",
    "<script>",
    "</script>",
    "|+2\n",
    "&a *a !!t",
    "---\n",
    "=begin\n",
    "=end\n",
    "case a in",
    ";;",
    "\\\n",
    "\n#if A\n",
    "#define A \\\n",
    "$\"",
    "<A>{",
];

fn code() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(PIECES);
    proptest::collection::vec(pieces, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_cut_soundly_in_every_language(text in "\\PC{0,300}", limit in 1u32..80) {
        for extension in EXTENSIONS {
            prop_assert_eq!(check(&text, extension, limit), Ok(()));
        }
    }

    #[test]
    fn anything_like_code_is_cut_soundly_in_every_language(text in code(), limit in 1u32..200) {
        for extension in EXTENSIONS {
            prop_assert_eq!(check(&text, extension, limit), Ok(()));
        }
    }

    #[test]
    fn any_bytes_decode_and_cut(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for chunker in [Chunker::Ast, Chunker::Compat] {
            if let Decoded::Text(DecodedText { text, .. }) = decode(&bytes, chunker) {
                prop_assert!(!text.contains('\r'));
                for extension in ["py", "txt"] {
                    let chunks = chunk(&text, &path(extension), &recipe(chunker, 40));
                    prop_assert!(!chunks.is_empty());
                    prop_assert!(chunks.iter().all(|chunk| !chunk.text.chars().all(is_space)));
                }
            }
        }
    }
}

/// Lines and what ends them, of one and of several bytes.
const FILE_PIECES: &[&str] = &[
    "fn a() {",
    "}",
    "\n",
    "\n",
    "\r\n",
    "\r\n",
    "\r",
    "\n\n",
    "  ",
    "word ",
    "\u{e9}",
    "\u{1f600}",
    "\u{2028}",
];

/// The text of a part of a file, with line feeds alone.
fn with_line_feeds(part: &str) -> String {
    part.replace("\r\n", "\n").replace('\r', "\n")
}

proptest! {
    /// With any line ends, with or without a mark: the bytes of a place are the chunk, and its lines are the file's.
    #[test]
    fn a_place_is_where_the_chunk_stands_on_disk(
        pieces in proptest::collection::vec(proptest::sample::select(FILE_PIECES), 0..120),
        mark in proptest::sample::select(&["", "\u{feff}"][..]),
        limit in 1u32..60,
    ) {
        let file = format!("{mark}{}", pieces.concat());
        for chunker in [Chunker::Ast, Chunker::Compat] {
            let Decoded::Text(decoded) = decode(file.as_bytes(), chunker) else {
                continue;
            };
            for extension in ["rs", "txt"] {
                for chunk in chunk(&decoded.text, &path(extension), &recipe(chunker, limit)) {
                    let place = decoded.origin.trace(chunk.place);
                    let bytes = place.bytes.expect("the file is UTF-8");
                    let on_disk = &file[bytes.start as usize..bytes.end as usize];
                    match (chunker, extension) {
                        // Paragraphs are joined with other white space between them.
                        (Chunker::Compat, "txt") => {
                            let solid = |text: &str| text.split(is_space).collect::<String>();
                            prop_assert_eq!(solid(on_disk), solid(&chunk.text));
                        }
                        _ => prop_assert_eq!(with_line_feeds(on_disk), chunk.text),
                    }
                    let line = |at: u64| 1 + with_line_feeds(&file[..at as usize]).matches('\n').count() as u32;
                    prop_assert_eq!(place.lines, (line(bytes.start), line(bytes.end)));
                }
            }
        }
    }
}
