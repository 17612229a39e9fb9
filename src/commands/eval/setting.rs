//! What is measured: an index, a mode, with or without the ranking.

use super::{Open, ranking};
use crate::cli::EvalArgs;
use crate::commands::query::mode;
use crate::evaluation::{Answer, JudgedQuestion, Place, Score, Unit, score};
use crate::exit_code::{Exit, ExitCode};
use crate::search::{Hit, Mode, Ranking, Scope, Search};

/// One way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Position among the open indexes.
    pub index: usize,
    pub mode: Mode,
    pub ranking: Ranking,
}

/// The scores of all questions, in their order.
pub struct Measured {
    pub scores: Vec<Score>,
    /// Questions that could not be answered, and why the first could not.
    n_unanswered: usize,
    first_error: Option<(usize, String)>,
}

/// Positions of two settings that are compared, the new one first.
pub type Pair = (usize, usize);

/// Return the pairs to compare and all settings to measure, those of the first index first.
///
/// # Errors
/// [`ExitCode::Usage`] for a mode for which an index has nothing.
pub fn settings(args: &EvalArgs, open: &[Open]) -> anyhow::Result<(Vec<Pair>, Vec<Setting>)> {
    let known: Vec<Vec<Mode>> = open.iter().map(|index| index.search.modes()).collect();
    let asked: Vec<Mode> = match args.mode.is_empty() {
        true => known[0]
            .iter()
            .filter(|mode| known.iter().all(|known| known.contains(mode)))
            .copied()
            .collect(),
        false => args.mode.iter().map(|asked| mode(*asked)).collect(),
    };
    let mut settings: Vec<Setting> = Vec::new();
    for mode in asked {
        let setting = Setting::of(0, mode, ranking(args.no_ranking));
        if !settings.contains(&setting) {
            settings.push(setting);
        }
    }
    let against = &args.against;
    let other = usize::from(against.against.is_some());
    let mut pairs = Vec::new();
    for at in 0..settings.len() {
        let first = settings[at];
        let asked = against.against_mode.map_or(first.mode, mode);
        let second = Setting::of(
            other,
            asked,
            ranking(against.against_no_ranking || args.no_ranking),
        );
        if second == first {
            continue;
        }
        let known = settings.iter().position(|setting| *setting == second);
        pairs.push((at, known.unwrap_or(settings.len())));
        if known.is_none() {
            settings.push(second);
        }
    }
    for setting in &settings {
        if !known[setting.index].contains(&setting.mode) {
            let text = format!(
                "{} has no {} vectors, or the encoder is switched off: leave out this mode",
                open[setting.index].name,
                setting.mode_name()
            );
            return Err(Exit::error(ExitCode::Usage, text));
        }
    }
    Ok((pairs, settings))
}

impl Setting {
    /// The ranking matters to hybrid alone.
    fn of(index: usize, mode: Mode, ranking: Ranking) -> Self {
        let ranking = match mode {
            Mode::Hybrid => ranking,
            _ => Ranking::On,
        };
        Self {
            index,
            mode,
            ranking,
        }
    }

    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Lexical => "lexical",
            Mode::Sparse => "sparse",
            Mode::Dense => "dense",
            Mode::Hybrid => "hybrid",
        }
    }

    /// Ask all questions and score the first `k` answers to each.
    pub fn measure(&self, search: &mut Search, questions: &[JudgedQuestion], k: usize) -> Measured {
        search.set_mode(self.mode);
        search.set_ranking(self.ranking);
        let mut measured = Measured {
            scores: Vec::with_capacity(questions.len()),
            n_unanswered: 0,
            first_error: None,
        };
        for (number, question) in questions.iter().enumerate() {
            let hits = match question.unit() {
                Unit::Files => search.query_files(&question.text, k, Scope::Everywhere),
                Unit::Chunks => search.query(&question.text, k, Scope::Everywhere),
            };
            let answers = match hits {
                Ok(hits) => answers(&hits, question.unit()),
                Err(error) => {
                    measured.n_unanswered += 1;
                    measured
                        .first_error
                        .get_or_insert((number, error.to_string()));
                    Vec::new()
                }
            };
            measured.scores.push(score(question, &answers, k));
        }
        measured
    }
}

impl Measured {
    pub fn warning(&self, questions: &[JudgedQuestion]) -> Option<String> {
        let (number, error) = self.first_error.as_ref()?;
        Some(format!(
            "{} of {} questions were not answered and count 0; question {}: {error}",
            self.n_unanswered,
            questions.len(),
            questions[*number].id
        ))
    }
}

/// Return the files of hits, each once, or their chunks.
fn answers(hits: &[Hit], unit: Unit) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    for hit in hits {
        let places = hit.locations.iter().map(|location| Place {
            path: location.path.clone(),
            lines: location.line_start.zip(location.line_end),
        });
        match unit {
            Unit::Chunks => answers.push(Answer {
                chunk_id: Some(hit.chunk_id.clone()),
                places: places.collect(),
            }),
            Unit::Files => {
                for place in places {
                    let is_known = |known: &Answer| known.places[0].path == place.path;
                    if !answers.iter().any(is_known) {
                        answers.push(Answer {
                            chunk_id: None,
                            places: vec![place],
                        });
                    }
                }
            }
        }
    }
    answers
}
