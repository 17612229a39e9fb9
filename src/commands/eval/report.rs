//! Prints measures: a table for people, a line for each setting, difference and question as JSON.

use super::setting::{Measured, Pair, Setting};
use crate::commands::output::{self, Page};
use crate::evaluation::interval::{Interval, RESAMPLES, intervals};
use crate::evaluation::{JudgedQuestion, Score, Unit};
use crate::search::{Mode, Ranking};
use serde::Serialize;
use std::io::{self, Write};

/// All that was measured.
pub struct Report<'a> {
    pub questions: &'a [JudgedQuestion],
    /// Of the indexes.
    pub names: Vec<String>,
    pub settings: &'a [Setting],
    /// By setting.
    pub measured: &'a [Measured],
    pub pairs: &'a [Pair],
    pub k: u32,
}

#[derive(Serialize)]
struct Measures {
    mrr: Interval,
    recall: Interval,
    ndcg: Interval,
}

impl Measures {
    /// Of the differences to other scores, if there are any.
    fn of(scores: &[Score], others: Option<&[Score]>) -> Self {
        let column = |value: fn(&Score) -> f64| -> Vec<f64> {
            match others {
                None => scores.iter().map(value).collect(),
                Some(others) => {
                    let pairs = scores.iter().zip(others);
                    pairs
                        .map(|(one, other)| value(one) - value(other))
                        .collect()
                }
            }
        };
        let columns = [column(|s| s.mrr), column(|s| s.recall), column(|s| s.ndcg)];
        let [mrr, recall, ndcg] = intervals(&columns)[..] else {
            return Self::of(&[], None);
        };
        Self { mrr, recall, ndcg }
    }

    fn shown(&self, is_difference: bool) -> String {
        let all = [self.mrr, self.recall, self.ndcg];
        let shown = all.map(|value| format!("{:<26}", shown(value, is_difference)));
        shown.concat().trim_end().to_owned()
    }
}

fn shown(value: Interval, is_difference: bool) -> String {
    let number = |value: f64| match is_difference {
        true => format!("{value:+.3}"),
        false => format!("{value:.3}"),
    };
    let (low, high) = (number(value.low), number(value.high));
    format!("{} ({low} to {high})", number(value.mean))
}

#[derive(Serialize)]
struct Named<'a> {
    index: &'a str,
    mode: Mode,
    ranking: bool,
}

#[derive(Serialize)]
struct SettingLine<'a> {
    #[serde(flatten)]
    setting: Named<'a>,
    k: u32,
    questions: usize,
    #[serde(flatten)]
    measures: Measures,
}

#[derive(Serialize)]
struct GroupLine<'a> {
    group: &'a str,
    #[serde(flatten)]
    line: SettingLine<'a>,
}

#[derive(Serialize)]
struct DifferenceLine<'a> {
    first: Named<'a>,
    second: Named<'a>,
    k: u32,
    questions: usize,
    #[serde(flatten)]
    measures: Measures,
    /// Questions with a higher, lower and equal NDCG in the first setting.
    better: usize,
    worse: usize,
    equal: usize,
}

#[derive(Serialize)]
struct QuestionLine<'a> {
    id: &'a str,
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(flatten)]
    setting: Named<'a>,
    #[serde(flatten)]
    score: Score,
}

impl Report<'_> {
    /// Print everything; the results of each question if `each`.
    pub fn print(&self, each: bool, json: bool) -> anyhow::Result<()> {
        output::text(|out| match json {
            true => self.json(out, each),
            false => self.text(out, each),
        })?;
        Ok(())
    }

    /// Return the groups of the questions in the order of their names, with the positions of their questions.
    fn groups(&self) -> Vec<(&str, Vec<usize>)> {
        let mut groups: std::collections::BTreeMap<&str, Vec<usize>> = Default::default();
        for (at, question) in self.questions.iter().enumerate() {
            groups
                .entry(question.group.as_deref().unwrap_or(""))
                .or_default()
                .push(at);
        }
        match groups.len() {
            ..=1 => Vec::new(),
            _ => groups.into_iter().collect(),
        }
    }

    fn scores_of(&self, setting: usize, questions: &[usize]) -> Vec<Score> {
        let scores = &self.measured[setting].scores;
        questions.iter().map(|at| scores[*at]).collect()
    }

    fn json(&self, out: &mut Page, each: bool) -> io::Result<()> {
        for (at, measured) in self.measured.iter().enumerate() {
            let line = self.line(at, &measured.scores);
            output::json_line(out, "setting", &line)?;
        }
        for (group, questions) in self.groups() {
            for at in 0..self.settings.len() {
                let line = self.line(at, &self.scores_of(at, &questions));
                output::json_line(out, "group", &GroupLine { group, line })?;
            }
        }
        for (first, second) in self.pairs {
            output::json_line(out, "difference", &self.difference(*first, *second))?;
        }
        if each {
            for (number, question) in self.questions.iter().enumerate() {
                for (at, measured) in self.measured.iter().enumerate() {
                    let line = QuestionLine {
                        id: &question.id,
                        question: &question.text,
                        group: question.group.as_deref(),
                        setting: self.named(at),
                        score: measured.scores[number],
                    };
                    output::json_line(out, "question", &line)?;
                }
            }
        }
        Ok(())
    }

    fn named(&self, at: usize) -> Named<'_> {
        let setting = &self.settings[at];
        Named {
            index: &self.names[setting.index],
            mode: setting.mode,
            ranking: setting.mode == Mode::Hybrid && setting.ranking == Ranking::On,
        }
    }

    fn line(&self, at: usize, scores: &[Score]) -> SettingLine<'_> {
        SettingLine {
            setting: self.named(at),
            k: self.k,
            questions: scores.len(),
            measures: Measures::of(scores, None),
        }
    }

    fn difference(&self, first: usize, second: usize) -> DifferenceLine<'_> {
        let (one, other) = (&self.measured[first].scores, &self.measured[second].scores);
        let count = |is: fn(f64, f64) -> bool| {
            let pairs = one.iter().zip(other);
            pairs
                .filter(|(one, other)| is(one.ndcg, other.ndcg))
                .count()
        };
        DifferenceLine {
            first: self.named(first),
            second: self.named(second),
            k: self.k,
            questions: one.len(),
            measures: Measures::of(one, Some(other)),
            better: count(|one, other| one > other),
            worse: count(|one, other| one < other),
            equal: count(|one, other| one == other),
        }
    }

    /// Return the name of a setting, with the index where there are several.
    fn name(&self, at: usize) -> String {
        let setting = &self.settings[at];
        let mut name = setting.mode_name().to_owned();
        if setting.ranking == Ranking::Off {
            name.push_str(", no ranking");
        }
        if self.names.len() > 1 {
            name = format!("{name}  {}", self.names[setting.index]);
        }
        name
    }

    fn text(&self, out: &mut Page, each: bool) -> io::Result<()> {
        let (n, k) = (self.questions.len(), self.k);
        let n_chunks = self
            .questions
            .iter()
            .filter(|q| q.unit() == Unit::Chunks)
            .count();
        let what = match n_chunks {
            0 => "files",
            all if all == n => "chunks",
            _ => "files or chunks",
        };
        writeln!(
            out,
            "{n} questions, first {k} {what}; in brackets 95 % of {RESAMPLES} bootstrap samples"
        )?;
        let names: Vec<String> = (0..self.settings.len()).map(|at| self.name(at)).collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(10);
        let heads = ["MRR", "recall", "NDCG"].map(|name| format!("{:<26}", format!("{name}@{k}")));
        writeln!(out)?;
        writeln!(out, "{:width$}  {}", "", heads.concat().trim_end())?;
        for (name, measured) in names.iter().zip(self.measured) {
            let measures = Measures::of(&measured.scores, None);
            writeln!(out, "{name:width$}  {}", measures.shown(false))?;
        }
        self.text_of_groups(out, &names, width)?;
        for (first, second) in self.pairs {
            let difference = self.difference(*first, *second);
            writeln!(out)?;
            writeln!(out, "{} against {}", names[*first], names[*second])?;
            writeln!(out, "{:width$}  {}", "", difference.measures.shown(true))?;
            let (better, worse) = (difference.better, difference.worse);
            let equal = difference.equal;
            writeln!(
                out,
                "{:width$}  NDCG: {better} better, {worse} worse, {equal} equal",
                ""
            )?;
        }
        if each {
            self.text_of_each(out, &names)?;
        }
        Ok(())
    }

    fn text_of_groups(&self, out: &mut Page, names: &[String], width: usize) -> io::Result<()> {
        for (group, questions) in self.groups() {
            let group = if group.is_empty() { "no group" } else { group };
            writeln!(out)?;
            writeln!(out, "{group}: {} questions", questions.len())?;
            for (at, name) in names.iter().enumerate() {
                let measures = Measures::of(&self.scores_of(at, &questions), None);
                writeln!(out, "{name:width$}  {}", measures.shown(false))?;
            }
        }
        Ok(())
    }

    /// A line for each question: rank of the first relevant answer and NDCG in each setting.
    fn text_of_each(&self, out: &mut Page, names: &[String]) -> io::Result<()> {
        writeln!(out)?;
        writeln!(
            out,
            "Rank of the first relevant answer and NDCG of each question"
        )?;
        for (number, name) in names.iter().enumerate() {
            writeln!(out, "  {}: {name}", number + 1)?;
        }
        let numbers = (1..=names.len()).map(|number| format!("{number:>10}"));
        writeln!(out, "{}  question", numbers.collect::<String>())?;
        for (number, question) in self.questions.iter().enumerate() {
            let scores = self
                .measured
                .iter()
                .map(|measured| &measured.scores[number]);
            let cells = scores.map(|score| match score.first_rank {
                Some(rank) => format!("{rank:>4} {:.3}", score.ndcg),
                None => format!("{:>4} {:.3}", "-", 0.0),
            });
            let cells: String = cells.map(|cell| format!("{cell:>10}")).collect();
            writeln!(out, "{cells}  {}", question.text)?;
        }
        Ok(())
    }
}
