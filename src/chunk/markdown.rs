//! Finds where a Markdown text may be cut: at headings first, then between blocks.
//!
//! Scans lines, not inline syntax. Fenced code is cut only when it is larger than a chunk.

use super::is_space;
use super::outline::Outline;
use super::pack::{Boundary, Rank};
use super::symbols::{Definition, name_of};

/// Rank of a block below any heading, whose levels are 1 to 6.
const BLOCK: usize = 7;

/// Marks of an underline at least. CommonMark takes one; lines of one or two dashes are more often part of
/// something else.
const LEAST_UNDERLINE: usize = 3;

/// Return the outline of a text: sections are called by their headings.
pub fn outline(text: &str) -> Outline {
    let boundaries = boundaries(text);
    let definitions = sections(text, &boundaries);
    Outline {
        boundaries,
        definitions,
    }
}

/// Return the sections of a text, from each heading to the next one of its level or above.
fn sections(text: &str, boundaries: &[Boundary]) -> Vec<Definition> {
    let mut sections: Vec<Definition> = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    // The text's first line is no boundary.
    let first = text.lines().next().and_then(heading_level);
    let first = first.map(|level| (0, level));
    let headings = boundaries
        .iter()
        .map(|boundary| (boundary.at, boundary.rank.depth()));
    for (at, level) in first
        .into_iter()
        .chain(headings)
        .filter(|(_, level)| *level < BLOCK)
    {
        while let Some((number, _)) = open.pop_if(|(_, outer)| *outer >= level) {
            sections[number].range.end = at;
        }
        let line = text[at..].lines().next().unwrap_or_default();
        let heading = line.trim_start_matches('#').trim_end_matches('#');
        if let Some(name) = name_of(heading) {
            open.push((sections.len(), level));
            let range = at..text.len();
            sections.push(Definition { range, name });
        }
    }
    sections
}

/// Return the boundaries in ascending order.
fn boundaries(text: &str) -> Vec<Boundary> {
    let mut boundaries = Vec::new();
    let mut fence = None;
    let mut after_blank = false;
    // Where an underlined heading may begin at the earliest.
    let mut open = front_matter_end(text);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(is_space);
        let end = at + line.len();
        if fence.is_none() {
            if let Some(level) = heading_level(content) {
                note(&mut boundaries, at, Rank::item(level, after_blank));
                open = end.max(open);
            } else if let Some(level) = underline_level(content)
                && let Some(heading) = paragraph_start(text, open, at)
            {
                boundaries.truncate(boundaries.partition_point(|known| known.at < heading));
                let after_blank = is_after_blank(text, heading);
                note(&mut boundaries, heading, Rank::item(level, after_blank));
                open = end;
            } else if after_blank && !content.is_empty() {
                note(&mut boundaries, at, Rank::item(BLOCK, true));
            }
        }
        let was_fenced = fence.is_some();
        fence = match fence {
            None => Fence::opened_by(content),
            Some(fence) => (!Fence::is_closed_by(&fence, content)).then_some(fence),
        };
        if was_fenced || fence.is_some() {
            open = end.max(open);
        }
        after_blank = content.is_empty();
        at = end;
    }
    boundaries
}

/// The start of the text is not a boundary.
fn note(boundaries: &mut Vec<Boundary>, at: usize, rank: Rank) {
    if at > 0 {
        boundaries.push(Boundary { at, rank });
    }
}

/// Return the level, 1 to 6, of a `# heading`.
fn heading_level(line: &str) -> Option<usize> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let is_heading = (1..=6).contains(&level) && (text.is_empty() || text.starts_with([' ', '\t']));
    is_heading.then_some(level)
}

/// Return the level of the heading that `===` (1) or `---` (2) underlines.
fn underline_level(line: &str) -> Option<usize> {
    let marks = line.trim_start_matches(' ');
    let level = match marks.as_bytes().first()? {
        b'=' => 1,
        b'-' => 2,
        _ => return None,
    };
    let is_underline = line.len() - marks.len() < 4
        && marks.len() >= LEAST_UNDERLINE
        && marks.bytes().all(|byte| byte == marks.as_bytes()[0]);
    is_underline.then_some(level)
}

/// Return where the paragraph begins that ends with the line before `end`, `open` at the earliest; `None` when
/// that line belongs to no paragraph, so that what follows it underlines nothing.
fn paragraph_start(text: &str, open: usize, end: usize) -> Option<usize> {
    let mut start = None;
    let mut at = end;
    while at > open {
        let line_start = text[..at - 1].rfind('\n').map_or(0, |newline| newline + 1);
        if line_start < open || !is_paragraph(&text[line_start..at]) {
            break;
        }
        start = Some(line_start);
        at = line_start;
    }
    start
}

/// Whether the line may be part of a paragraph: it is not blank, and no item of a list, quotation, table, tag,
/// indented code or rule.
fn is_paragraph(line: &str) -> bool {
    let text = line.trim_matches(is_space);
    let indent = line.len() - line.trim_start_matches(' ').len();
    let numberless = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = numberless.len() < text.len()
        && (numberless.starts_with(". ") || numberless.starts_with(") "));
    let is_rule = text.bytes().all(|byte| b"=-*_ ".contains(&byte));
    let is_item = ["- ", "* ", "+ "].iter().any(|mark| text.starts_with(mark));
    indent < 4 && !text.starts_with(['>', '<', '|']) && !is_numbered && !is_rule && !is_item
}

fn is_after_blank(text: &str, at: usize) -> bool {
    let before = text[..at].strip_suffix('\n').unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.trim_matches(is_space).is_empty()
}

/// Return where the metadata between two `---` lines at the start of the text ends; 0 when there is none.
fn front_matter_end(text: &str) -> usize {
    let mut lines = text.split_inclusive('\n');
    let mut end = match lines.next() {
        Some(first) if is_dashes(first) => first.len(),
        _ => return 0,
    };
    for line in lines {
        end += line.len();
        if is_dashes(line) {
            return end;
        }
    }
    0
}

fn is_dashes(line: &str) -> bool {
    line.trim_end_matches(is_space) == "---"
}

/// An open code fence: three or more of its mark.
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let line = line.trim_start_matches(' ');
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let rest = line.trim_start_matches(mark);
        let length = line.len() - rest.len();
        // "```x```" on one line is inline code.
        (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some(Self { mark, length })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim_start_matches(' ');
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that begin behind a boundary, with their ranks.
    fn cuts(text: &str) -> Vec<(&str, Rank)> {
        let line = |at: usize| text[at..].lines().next().unwrap_or_default();
        boundaries(text)
            .iter()
            .map(|b| (line(b.at), b.rank))
            .collect()
    }

    fn after_blank(depth: usize) -> Rank {
        Rank::item(depth, true)
    }

    #[test]
    fn underlined_headings_are_boundaries_at_their_first_line() {
        let text =
            "Top\n===\n\nSome text.\n\nOne\n---\nmore\n\nA heading\nof two lines\n  -----  \n";
        assert_eq!(
            cuts(text),
            [
                ("Some text.", after_blank(BLOCK)),
                ("One", after_blank(2)),
                ("A heading", after_blank(2)),
            ]
        );
        assert_eq!(cuts("a\n\n1.2 x\n---\n"), [("1.2 x", Rank::item(2, true))]);
        let text = "# A\nB\n===\nC\n---\n";
        assert_eq!(
            cuts(text),
            [("B", Rank::item(1, false)), ("C", Rank::item(2, false))]
        );
    }

    #[test]
    fn other_lines_of_dashes_underline_nothing() {
        for text in [
            "a\n\n---\n\nb\n",
            "a\n\n- item\n---\n",
            "a\n\n> quoted\n---\n",
            "a\n\n|x|\n---\n",
            "a\n\n1. one\n---\n",
            "a\n\n```\nx\n---\n```\n",
            "a\n\n    code\n---\n",
            "a\n\nb\n--\n",
            "a\n\nb\n--- x\n",
            "---\ntitle: x\n\nkey: y\n---\n\nb\n",
        ] {
            let is_block = |(_, rank): &(&str, Rank)| *rank == after_blank(BLOCK);
            assert!(cuts(text).iter().all(is_block), "{text}: {:?}", cuts(text));
        }
    }

    #[test]
    fn metadata_ends_at_its_second_line_of_dashes() {
        let text = "---\ntitle: x\n---\nTop\n---\n";
        assert_eq!(cuts(text), [("Top", Rank::item(2, false))]);
        // Without an end there is no metadata.
        assert_eq!(cuts("---\nTop\n===\n"), [("Top", Rank::item(1, false))]);
    }
}
