//! Finds where a Markdown text may be cut: at headings first, then between blocks.
//!
//! Reads lines, not inline syntax. Fenced code is not cut into unless it is larger than a chunk.

use super::is_space;
use super::pack::{Boundary, Rank};

/// Rank of a block below any heading, whose levels are 1 to 6.
const BLOCK: usize = 7;

/// Boundaries in ascending order.
pub fn boundaries(text: &str) -> Vec<Boundary> {
    let mut boundaries = Vec::new();
    let mut fence = None;
    let mut after_blank = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(is_space);
        let depth = match (&fence, heading_level(content)) {
            (Some(_), _) => None,
            (None, Some(level)) => Some(level),
            (None, None) => (after_blank && !content.is_empty()).then_some(BLOCK),
        };
        if let Some(depth) = depth.filter(|_| at > 0) {
            let rank = Rank::item(depth, after_blank);
            boundaries.push(Boundary { at, rank });
        }
        fence = match fence {
            None => Fence::opened_by(content),
            Some(open) => (!open.is_closed_by(content)).then_some(open),
        };
        after_blank = content.is_empty();
        at += line.len();
    }
    boundaries
}

/// Level 1 to 6 of a `# heading`.
fn heading_level(line: &str) -> Option<usize> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let is_heading = (1..=6).contains(&level) && (text.is_empty() || text.starts_with([' ', '\t']));
    is_heading.then_some(level)
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
