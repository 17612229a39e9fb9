//! `eval`: from judged questions to measures of each mode, and of the difference between two settings.
//!
//! [`evaluation`](crate::evaluation) does the arithmetic, [`search`](crate::search) answers. Writes nothing, except a copy
//! of the indexed files for `--generate`.

mod generate;
mod questions;
mod report;
mod setting;

use super::query::failed;
use super::{index_choice, settings};
use crate::cli::{EvalArgs, GlobalFlags, ModelFlags};
use crate::evaluation::{JudgedQuestion, Target};
use crate::exit_code::ExitCode;
use crate::search::{OpenIndex, Ranking, Search, SearchOptions};
use crate::store::locate::locate;
use setting::Measured;
use std::collections::HashMap;
use std::path::Path;

/// Most names that a warning lists.
const MOST_LISTED: usize = 5;

/// Exit code 3 if a line is no judged question, if the index has not what a question wants, or if one cannot be answered.
pub fn run(args: &EvalArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::Success;
    let generated = args
        .generate
        .map(|n| generate::generate(n, args, global))
        .transpose()?;
    let (mut questions, index) = match &generated {
        Some(generated) => (generated.questions.clone(), generated.index.clone()),
        None => {
            let read = questions::read(args)?;
            if let Some(warning) = read.warning() {
                tracing::warn!("{warning}");
                code = ExitCode::Incomplete;
            }
            (read.questions, args.index.clone())
        }
    };
    if args.files {
        questions = questions
            .into_iter()
            .map(JudgedQuestion::by_files)
            .collect();
    }
    let mut open = vec![open(&index, &args.models)?];
    if let Some(other) = &args.against.against {
        open.push(open_other(other, args)?);
    }
    for (index, path) in open
        .iter()
        .zip([Some(&index), args.against.against.as_ref()])
    {
        let absent = &index.absent(&questions)?;
        if let (Some(warning), Some(path)) = (absent_warning(absent), path) {
            tracing::warn!("{}: {warning}", path.display());
            code = ExitCode::Incomplete;
        }
    }
    let (pairs, settings) = setting::settings(args, &open)?;
    let mut measured: Vec<Measured> = Vec::new();
    for setting in &settings {
        let search = &mut open[setting.index].search;
        let answered = setting.measure(search, &questions, args.k as usize);
        if let Some(warning) = answered.warning(&questions) {
            tracing::warn!("{warning}");
            code = ExitCode::Incomplete;
        }
        measured.push(answered);
    }
    let report = report::Report {
        questions: &questions,
        names: open.iter().map(|index| index.name.clone()).collect(),
        settings: &settings,
        measured: &measured,
        pairs: &pairs,
        k: args.k,
    };
    report.print(args.each, global.json)?;
    Ok(code)
}

/// An index with its encoders, and what lies in it.
struct Open {
    name: String,
    search: Search,
    /// Paths of the files with chunks by their last component; `None` for an index of another builder.
    files: Option<HashMap<String, Vec<String>>>,
    /// Chunk ids are looked up here.
    index: OpenIndex,
}

fn open_other(path: &Path, args: &EvalArgs) -> anyhow::Result<Open> {
    let (against, own) = (&args.against, &args.models);
    let models = ModelFlags {
        sparse_model: against
            .against_sparse_model
            .clone()
            .or(own.sparse_model.clone()),
        dense_model: against
            .against_dense_model
            .clone()
            .or(own.dense_model.clone()),
        ort_lib: own.ort_lib.clone(),
    };
    open(path, &models)
}

fn open(path: &Path, models: &ModelFlags) -> anyhow::Result<Open> {
    let located = locate(path).map_err(|error| index_choice::not_found(path, error))?;
    let index = OpenIndex::open(&located).map_err(failed)?;
    let mut files: HashMap<String, Vec<String>> = HashMap::new();
    for file in index.files().map_err(failed)? {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        files
            .entry(name.to_owned())
            .or_default()
            .push(file.absolute());
    }
    let options = SearchOptions {
        mode: crate::search::Mode::Hybrid,
        encoders: settings::encoder_choice(models)?,
    };
    let again = OpenIndex::open(&located).map_err(failed)?;
    Ok(Open {
        name: path.display().to_string(),
        search: index.load_encoders(options).map_err(failed)?,
        files: Some(files).filter(|files| !files.is_empty()),
        index: again,
    })
}

impl Open {
    /// Return what the questions want and the index has not, each once.
    fn absent(&self, questions: &[JudgedQuestion]) -> anyhow::Result<Vec<String>> {
        let mut absent: Vec<String> = Vec::new();
        for target in questions.iter().flat_map(|question| &question.relevant) {
            let (is_there, shown) = match &target.target {
                Target::Chunk(id) => (self.index.has_chunk(id).map_err(failed)?, id),
                Target::File(path) | Target::Lines { path, .. } => (self.has_file(path), path),
            };
            if !is_there && !absent.contains(shown) {
                absent.push(shown.clone());
            }
        }
        Ok(absent)
    }

    fn has_file(&self, end: &str) -> bool {
        let Some(files) = &self.files else {
            return true;
        };
        let name = end.rsplit(['/', '\\']).next().unwrap_or(end);
        let alike = files.get(name).into_iter().flatten();
        alike
            .into_iter()
            .any(|path| crate::evaluation::is_at(end, path))
    }
}

fn absent_warning(absent: &[String]) -> Option<String> {
    if absent.is_empty() {
        return None;
    }
    let shown = absent.iter().take(MOST_LISTED);
    let shown: Vec<&str> = shown.map(String::as_str).collect();
    let more = match absent.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "it has no chunk of what questions want, which therefore counts as not found: {}{more}",
        shown.join(", ")
    ))
}

/// The setting of the ranking as flags say it.
fn ranking(is_off: bool) -> Ranking {
    match is_off {
        true => Ranking::Off,
        false => Ranking::On,
    }
}
