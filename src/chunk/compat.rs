//! The Python builder's chunker, rule for rule, so that chunk ids equal its own.
//!
//! Uses no syntax trees: cuts text at blank lines, and code before lines that begin with a keyword, then
//! joins the pieces up to 4,000 characters. One deliberate difference: a chunk of white space takes a
//! number but is not emitted.

use super::{Chunk, is_space, trim};
use std::borrow::Cow;
use std::ops::Range;

/// The builder's limit in characters. The recipe's does not count here.
const LIMIT: usize = 4_000;

/// Extensions of files that are cut as code; all others are cut as text.
const CODE: [&str; 24] = [
    "bat", "c", "cpp", "cs", "go", "h", "html", "java", "js", "json", "jsx", "lua", "ps1", "py",
    "r", "rb", "rs", "sh", "sql", "toml", "ts", "tsx", "yaml", "yml",
];

/// A line that begins with one of these starts a new piece of code.
const KEYWORDS: [&str; 7] = [
    "def ",
    "class ",
    "async def ",
    "struct ",
    "interface ",
    "type ",
    "export ",
];

pub fn chunk<'a>(text: &'a str, extension: &str) -> Vec<Chunk<'a>> {
    if CODE.contains(&extension) {
        let mut joiner = Joiner::new(text, "");
        add_code(&mut joiner);
        joiner.finish()
    } else {
        let mut joiner = Joiner::new(text, "\n\n");
        add_paragraphs(&mut joiner);
        joiner.finish()
    }
}

fn add_code(joiner: &mut Joiner) {
    let text = joiner.text;
    let mut start = 0;
    for (newline, _) in text.match_indices('\n') {
        let line = &text[newline + 1..];
        if KEYWORDS.iter().any(|keyword| line.starts_with(keyword)) {
            joiner.add(start..newline + 1);
            start = newline + 1;
        }
    }
    joiner.add(start..text.len());
}

/// A newline, any white space, and the last newline of that white space separate paragraphs. White space
/// after that newline (an indentation) belongs to the next paragraph.
fn add_paragraphs(joiner: &mut Joiner) {
    let text = joiner.text;
    let (mut start, mut at) = (0, 0);
    while let Some(offset) = text[at..].find('\n') {
        let newline = at + offset;
        let run = &text[newline + 1..];
        let run = &run[..run.len() - run.trim_start_matches(is_space).len()];
        match run.rfind('\n') {
            Some(last) => {
                joiner.add(start..newline);
                start = newline + 1 + last + 1;
                at = start;
            }
            None => at = newline + 1 + run.len(),
        }
    }
    joiner.add(start..text.len());
}

/// Joins pieces greedily into chunks below the limit.
struct Joiner<'a> {
    text: &'a str,
    /// Follows every piece.
    separator: &'static str,
    /// The pieces of the chunk being filled.
    pieces: Vec<Range<usize>>,
    /// Characters in them, separators included.
    chars: usize,
    sequence: u32,
    chunks: Vec<Chunk<'a>>,
}

impl<'a> Joiner<'a> {
    fn new(text: &'a str, separator: &'static str) -> Self {
        Self {
            text,
            separator,
            pieces: Vec::new(),
            chars: 0,
            sequence: 0,
            chunks: Vec::new(),
        }
    }

    fn add(&mut self, mut piece: Range<usize>) {
        let mut chars = self.text[piece.clone()].chars().count();
        if self.chars + chars >= LIMIT {
            if self.chars > 0 {
                self.emit_pieces();
            }
            while chars >= LIMIT {
                let end = piece.start + bytes_of(&self.text[piece.clone()], LIMIT);
                self.emit(
                    Cow::Borrowed(&self.text[piece.start..end]),
                    &(piece.start..end),
                    true,
                );
                piece.start = end;
                chars -= LIMIT;
            }
        }
        self.chars += chars + self.separator.len();
        self.pieces.push(piece);
    }

    fn finish(mut self) -> Vec<Chunk<'a>> {
        self.emit_pieces();
        self.chunks
    }

    fn emit_pieces(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        self.chars = 0;
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
            return;
        };
        let range = trim(self.text, first.start..last.end);
        let in_one_piece = pieces
            .windows(2)
            .all(|pair| &self.text[pair[0].end..pair[1].start] == self.separator);
        let text = if in_one_piece {
            Cow::Borrowed(&self.text[range.clone()])
        } else {
            let pieces: Vec<&str> = pieces
                .iter()
                .map(|piece| &self.text[piece.clone()])
                .collect();
            let joined = pieces.join(self.separator);
            Cow::Owned(joined.trim_matches(is_space).to_owned())
        };
        self.emit(text, &range, false);
    }

    fn emit(&mut self, text: Cow<'a, str>, cut_from: &Range<usize>, is_fragment: bool) {
        let sequence = self.sequence;
        self.sequence += 1;
        if text.chars().all(is_space) {
            return;
        }
        let chunk = Chunk::new(text, sequence, is_fragment);
        self.chunks.push(chunk.cut_from(cut_from));
    }
}

/// Return the length in bytes of the first `chars` characters of `text`, or of the whole text.
fn bytes_of(text: &str, chars: usize) -> usize {
    match text.as_bytes().get(..chars) {
        Some(head) if head.is_ascii() => chars,
        _ => text
            .char_indices()
            .nth(chars)
            .map_or(text.len(), |(at, _)| at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, extension: &str) -> Vec<(u32, bool, String)> {
        let summary = |chunk: &Chunk| (chunk.sequence, chunk.is_fragment, chunk.text.to_string());
        chunk(text, extension).iter().map(summary).collect()
    }

    fn whole(sequence: u32, text: &str) -> (u32, bool, String) {
        (sequence, false, text.to_owned())
    }

    #[test]
    fn paragraphs_are_joined_by_one_blank_line() {
        assert_eq!(
            cut(" a \n \t\n\n  b\n\u{85}\nc\n", "txt"),
            [whole(0, "a \n\n  b\n\nc")]
        );
    }

    #[test]
    fn a_joined_chunk_is_a_slice_where_the_text_agrees() {
        let is_slice = |text| matches!(chunk(text, "txt")[0].text, Cow::Borrowed(_));
        assert!(is_slice("\n\na\n\nb\n\n"));
        assert!(!is_slice("a\n\n\nb"));
    }

    #[test]
    fn a_chunk_stays_below_the_limit() {
        // 3,994 + 2 for the separator + 3 is 3,999; one more is too many.
        let (a, fits, too_long) = ("a".repeat(3_994), "bbb", "bbbb");
        assert_eq!(cut(&format!("{a}\n\n{fits}"), "txt").len(), 1);
        assert_eq!(
            cut(&format!("{a}\n\n{too_long}"), "txt"),
            [whole(0, &a), whole(1, too_long)]
        );
    }

    #[test]
    fn long_pieces_are_sliced_at_4000_characters() {
        let (slice, rest) = ("\u{e9}".repeat(4_000), "\u{e9}".repeat(10));
        let expected = [
            (0, true, slice.clone()),
            (1, true, slice.clone()),
            whole(2, &rest),
        ];
        let text = format!("{slice}{slice}{rest}");
        assert_eq!(cut(&text, "txt"), expected);
        assert_eq!(cut(&text, "py"), expected);
    }

    #[test]
    fn code_is_cut_in_front_of_keywords_at_the_beginning_of_a_line() {
        let body = format!("x = '{}'\n", "y".repeat(2_500));
        let text = format!("{body}def f():\n{body} class no\nclass A:\n");
        let chunks = cut(&text, "py");
        assert_eq!(chunks.len(), 2);
        assert!(chunks[1].2.starts_with("def f():"));
        assert!(chunks[1].2.ends_with("class A:"));
    }

    #[test]
    fn a_blank_chunk_takes_a_number_and_is_not_emitted() {
        let long = "a".repeat(4_000);
        // The builder emits the two newlines left over from the first slice as a chunk of their own.
        assert_eq!(
            cut(&format!("{long}\n\n{long}"), "txt"),
            [(0, true, long.clone()), (2, true, long)]
        );
        assert_eq!(cut(" \n\n \n", "txt"), []);
    }
}
