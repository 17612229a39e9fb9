//! Prints hits: for people with the place and the lines that match, as JSON with every field.

use super::paint::{Color, Paint};
use super::snippet::{Words, lines_from};
use crate::commands::output;
use crate::file;
use crate::platform;
use crate::ranking;
use crate::search::{ArmPlace, ArmPlaces, Hit, Why};
use crate::store::query::{numbered, terms};
use crate::terminal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

/// A hit with the lines around it.
pub struct Answer {
    pub hit: Hit,
    /// Lines of the file by number, from before the chunk to behind it; empty without `--context`.
    pub context: BTreeMap<u32, String>,
    /// Whether to print why it is there.
    pub is_explained: bool,
}

/// How hits are printed.
pub struct Printer {
    paint: Paint,
    /// The working directory as paths in an index are spelled, without a separator at its end.
    here: Option<String>,
    /// Lines of context around a snippet.
    n_context: u32,
}

#[derive(Serialize)]
struct HitLine<'a> {
    /// Position in the file of queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<usize>,
    #[serde(flatten)]
    hit: &'a Hit,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Vec<ContextLine<'a>>>,
    /// With `--explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explanation>,
}

#[derive(Serialize)]
struct Explanation {
    /// Only where hits are ranked.
    #[serde(flatten)]
    why: Option<Why>,
    arms: ArmPlaces,
}

#[derive(Serialize)]
struct ContextLine<'a> {
    line: u32,
    text: &'a str,
}

/// Print hits as JSON. With `has_context` each has the field `context`.
pub fn print_json(
    out: &mut impl Write,
    query: Option<usize>,
    answers: &[Answer],
    has_context: bool,
) -> io::Result<()> {
    answers.iter().try_for_each(|answer| {
        let lines = answer.context.iter();
        let context = lines.map(|(line, text)| ContextLine { line: *line, text });
        let line = HitLine {
            query,
            hit: &answer.hit,
            context: has_context.then(|| context.collect()),
            explain: answer.is_explained.then_some(Explanation {
                why: answer.hit.why,
                arms: answer.hit.arms,
            }),
        };
        output::json_line(out, "hit", &line)
    })
}

/// Return where the arms put a hit: `lexical rank 2, score 9.1034; dense rank 1, score 0.7120`.
fn placed(arms: &ArmPlaces) -> String {
    let places = [
        ("lexical", arms.lexical),
        ("sparse", arms.sparse),
        ("dense", arms.dense),
    ];
    let text = |(arm, place): (&str, Option<ArmPlace>)| {
        let ArmPlace { rank, score } = place?;
        Some(format!("{arm} rank {rank}, score {score:.4}"))
    };
    let places: Vec<String> = places.into_iter().filter_map(text).collect();
    places.join("; ")
}

/// Return what arms and rules gave, without those that gave nothing: `dense 0.55 + definition 2.00, x 0.30 kind`.
fn explained(why: &Why) -> String {
    let gains = [
        ("lexical", why.lexical),
        ("sparse", why.sparse),
        ("dense", why.dense),
        ("definition", why.definition),
        ("symbols", why.symbols),
        ("further chunks", why.further_chunks),
        ("file name", why.file_name),
        ("folders", why.folders),
    ];
    let gains = gains.iter().filter(|(_, gain)| *gain >= 0.005);
    let gains: Vec<String> = gains
        .map(|(rule, gain)| format!("{rule} {gain:.2}"))
        .collect();
    let mut text = gains.join(" + ");
    for (rule, factor) in [("kind of file", why.kind), ("repeated file", why.repeated)] {
        if factor < 1.0 {
            text.push_str(&format!(", x {factor:.2} {rule}"));
        }
    }
    text
}

/// Return the first line, from 0, that shows the definition of one of the names.
fn definition(names: &[String], text: &str) -> Option<usize> {
    let shown = names
        .iter()
        .filter_map(|name| ranking::shown_at(name, text));
    let line = |at: usize| text[..at].matches('\n').count();
    shown.map(line).min()
}

impl Printer {
    pub fn new(paint: Paint, n_context: u32) -> Self {
        let here = std::env::current_dir().ok();
        let here = here.and_then(|here| platform::real_path(&here).ok());
        let here = here.map(|here| {
            let spelled = file::root_spelling(&here).into_owned();
            spelled.trim_end_matches(['/', '\\']).to_owned()
        });
        Self {
            paint,
            here,
            n_context,
        }
    }

    /// Print the hits of one query.
    pub fn print(&self, out: &mut impl Write, query: &str, answers: &[Answer]) -> io::Result<()> {
        if answers.is_empty() {
            return out.write_all(b"no hits\n");
        }
        let words = Words::of(&terms(query));
        let names = ranking::Question::of(query, |_| 1.0).names;
        for answer in answers {
            let hit = &answer.hit;
            let lines: Vec<&str> = hit.text.lines().collect();
            let best = definition(&names, &hit.text)
                .map(|line| lines_from(line, &lines))
                .unwrap_or_else(|| words.best_lines(&lines));
            let range = hit.line_start.zip(hit.line_end);
            let first = range.map(|(first, last)| {
                let numbers = numbered(&hit.text, first, last);
                numbers.map_or(first, |_| first + best.start as u32)
            });
            self.head(out, hit, first)?;
            if answer.is_explained {
                if let Some(why) = &hit.why {
                    writeln!(out, "    {}", explained(why))?;
                }
                writeln!(out, "    {}", placed(&hit.arms))?;
            }
            // One line is enough for a file.
            if hit.chunks.is_none() {
                self.snippet(out, &words, answer, best)?;
            }
        }
        Ok(())
    }

    /// ` 1. 0.0481  src/lib.rs:3  Client > retry  rust  [shard]`
    fn head(&self, out: &mut impl Write, hit: &Hit, line: Option<u32>) -> io::Result<()> {
        out.write_all(format!("{:2}. {:.4}  ", hit.rank, hit.score).as_bytes())?;
        let shown = match line {
            Some(line) => format!("{}:{line}", self.relative(&hit.path)),
            None => self.relative(&hit.path).to_owned(),
        };
        self.paint.link(out, &hit.path, &shown)?;
        let chunks = hit.chunks.filter(|n| *n > 1).map(|n| format!("{n} chunks"));
        let more = [
            hit.symbol.as_deref(),
            hit.language.as_deref(),
            chunks.as_deref(),
        ];
        for text in more.into_iter().flatten() {
            out.write_all(b"  ")?;
            out.write_all(terminal::line(text).as_bytes())?;
        }
        let shard = terminal::line(&hit.shard);
        out.write_all(format!("  [{shard}]\n").as_bytes())
    }

    /// Print the lines `best` of the chunk, with numbers if they are lines of the file.
    fn snippet(
        &self,
        out: &mut impl Write,
        words: &Words,
        answer: &Answer,
        best: Range<usize>,
    ) -> io::Result<()> {
        let hit = &answer.hit;
        let (first, last) = (hit.line_start.unwrap_or(1), hit.line_end.unwrap_or(0));
        match numbered(&hit.text, first, last) {
            None => {
                for line in hit.text.lines().skip(best.start).take(best.len()) {
                    self.line(out, words, None, line)?;
                }
            }
            Some(numbered) => {
                let mut shown: BTreeMap<u32, &str> = numbered.collect();
                let (start, end) = (first + best.start as u32, first + best.end as u32);
                for (line, text) in &answer.context {
                    shown.entry(*line).or_insert(text);
                }
                let from = start.saturating_sub(self.n_context);
                for (line, text) in shown.range(from..end.saturating_add(self.n_context)) {
                    self.line(out, words, Some(*line), text)?;
                }
            }
        }
        match hit.locations.len() - 1 {
            0 => Ok(()),
            1 => out.write_all(b"    and 1 more place\n"),
            more => out.write_all(format!("    and {more} more places\n").as_bytes()),
        }
    }

    fn line(
        &self,
        out: &mut impl Write,
        words: &Words,
        number: Option<u32>,
        text: &str,
    ) -> io::Result<()> {
        out.write_all(b"    ")?;
        if let Some(number) = number {
            self.paint
                .text(out, Color::Number, &format!("{number:5}"))?;
            out.write_all(b"  ")?;
        }
        self.paint.line(out, text, &words.in_line(text))?;
        out.write_all(b"\n")
    }

    /// Return a path relative to the working directory if it is below.
    fn relative<'p>(&self, path: &'p str) -> &'p str {
        let below = |here: &String| {
            let rest = path.strip_prefix(here.as_str())?;
            rest.strip_prefix(['/', '\\'])
        };
        self.here.as_ref().and_then(below).unwrap_or(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_gave_something_are_named() {
        let why = Why {
            dense: 0.55,
            definition: 2.0,
            kind: 0.3,
            repeated: 1.0,
            ..Why::default()
        };
        let text = "dense 0.55 + definition 2.00, x 0.30 kind of file";
        assert_eq!(explained(&why), text);
    }
}
