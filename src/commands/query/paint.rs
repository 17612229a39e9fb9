//! Writes hits for people: colours and links on a terminal, plain text elsewhere.
//!
//! Everything that comes from an index is escaped before it is written.

use crate::cli::ColorWhen;
use crate::telemetry;
use crate::terminal;
use std::io::{self, IsTerminal as _, Write};
use std::ops::Range;

/// Characters of a line that are shown. A longer one is cut around its first match.
const LINE_CHARS: usize = 160;

/// Characters before the first match in a line that is cut.
const BEFORE_MATCH: usize = 40;

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    has_colors: bool,
    /// Paths are links (OSC 8).
    has_links: bool,
}

/// A colour, as ECMA-48 numbers it.
#[derive(Clone, Copy)]
pub enum Color {
    Path,
    Number,
    Match,
}

impl Paint {
    /// Return how to write on standard output. Links are for terminals alone: elsewhere they would be in the text.
    pub fn of_stdout(when: ColorWhen) -> Self {
        let stdout = io::stdout();
        let has_colors = telemetry::colors(when, &stdout);
        Self {
            has_colors,
            has_links: has_colors && stdout.is_terminal(),
        }
    }

    /// Write a text in a colour.
    pub fn text(self, out: &mut impl Write, color: Color, text: &str) -> io::Result<()> {
        let text = terminal::line(text);
        if !self.has_colors {
            return out.write_all(text.as_bytes());
        }
        let code = match color {
            Color::Path => "35",
            Color::Number => "32",
            Color::Match => "1;31",
        };
        out.write_all(format!("\u{1b}[{code}m{text}\u{1b}[0m").as_bytes())
    }

    /// Write `shown` as a link to the file at the absolute `path`.
    pub fn link(self, out: &mut impl Write, path: &str, shown: &str) -> io::Result<()> {
        if !self.has_links {
            return self.text(out, Color::Path, shown);
        }
        out.write_all(format!("\u{1b}]8;;{}\u{1b}\\", url(path)).as_bytes())?;
        self.text(out, Color::Path, shown)?;
        out.write_all(b"\x1b]8;;\x1b\\")
    }

    /// Write a line with its matches. Tabs become four spaces.
    pub fn line(
        self,
        out: &mut impl Write,
        line: &str,
        matches: &[Range<usize>],
    ) -> io::Result<()> {
        let shown = window(line, matches.first().map_or(0, |first| first.start));
        if shown.start > 0 {
            out.write_all(b"...")?;
        }
        let mut at = shown.start;
        for range in matches {
            let (start, end) = (range.start.max(at), range.end.min(shown.end));
            if start >= end {
                continue;
            }
            out.write_all(escaped(&line[at..start]).as_bytes())?;
            self.text(out, Color::Match, &line[start..end])?;
            at = end;
        }
        out.write_all(escaped(&line[at..shown.end]).as_bytes())?;
        if shown.end < line.len() {
            out.write_all(b"...")?;
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    terminal::line(&text.replace('\t', "    ")).into_owned()
}

/// Return the part of a line to show: from its start, or from a few characters before the byte `first` if that is far.
fn window(line: &str, first: usize) -> Range<usize> {
    let ends: Vec<usize> = line
        .char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .collect();
    let n_chars = ends.len() - 1;
    if n_chars <= LINE_CHARS {
        return 0..line.len();
    }
    let first = ends.partition_point(|at| *at < first);
    let start = match first + BEFORE_MATCH <= LINE_CHARS {
        true => 0,
        false => (first - BEFORE_MATCH).min(n_chars - LINE_CHARS),
    };
    ends[start]..ends[start + LINE_CHARS]
}

/// Return a `file` URL.
fn url(path: &str) -> String {
    let mut url = String::from("file://");
    if !path.starts_with('/') {
        url.push('/');
    }
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' | b':' => {
                url.push(char::from(byte));
            }
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::slice::from_ref;

    fn written(paint: Paint, write: impl FnOnce(Paint, &mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(paint, &mut out).expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    const PLAIN: Paint = Paint {
        has_colors: false,
        has_links: false,
    };
    const FULL: Paint = Paint {
        has_colors: true,
        has_links: true,
    };

    #[test]
    fn matches_and_links_are_painted_on_terminals_alone() {
        let line = |paint| {
            written(paint, |paint, out| {
                paint.line(out, "\ta zebra\u{7}", from_ref(&(3..8)))
            })
        };
        assert_eq!(line(PLAIN), "    a zebra\\u0007");
        assert_eq!(line(FULL), "    a \u{1b}[1;31mzebra\u{1b}[0m\\u0007");
        let link = |paint| written(paint, |paint, out| paint.link(out, "/a b/ü", "ü"));
        assert_eq!(link(PLAIN), "ü");
        assert_eq!(
            link(FULL),
            "\u{1b}]8;;file:///a%20b/%C3%BC\u{1b}\\\u{1b}[35mü\u{1b}[0m\u{1b}]8;;\u{1b}\\"
        );
        assert_eq!(url("C:\\x"), "file:///C:/x");
    }

    #[test]
    fn a_long_line_is_cut_around_its_first_match() {
        let long = format!("{}zebra{}", "x".repeat(300), "y".repeat(300));
        let shown = written(PLAIN, |paint, out| {
            paint.line(out, &long, from_ref(&(300..305)))
        });
        assert!(
            shown.starts_with("...x") && shown.ends_with("y..."),
            "{shown}"
        );
        assert!(
            shown.contains("zebra") && shown.len() == LINE_CHARS + 6,
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn nothing_but_our_own_escapes_is_written(line in any::<String>(), at in 0usize..9) {
            let at = line.char_indices().map(|(at, _)| at).nth(at).unwrap_or(0);
            let end = line[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            let matches = (end > at).then_some(at..end);
            let shown = written(PLAIN, |paint, out| paint.line(out, &line, matches.as_slice()));
            let escaped = terminal::line(&shown).into_owned();
            prop_assert_eq!(escaped, shown);
        }
    }
}
