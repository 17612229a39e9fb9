//! Reads files of judged questions.

use crate::cli::EvalArgs;
use crate::commands::text_lines::{Lines, NOT_A_TEXT};
use crate::evaluation::trec::{Topic, judgments};
use crate::evaluation::{JudgedQuestion, QuestionError};
use crate::exit_code::{Exit, ExitCode};
use crate::named_file;
use std::io::Read as _;
use std::path::Path;

/// Largest file of topics or judgments.
const MOST_BYTES: u64 = 1 << 30;

/// The questions of a file.
#[derive(Default)]
pub struct Read {
    pub questions: Vec<JudgedQuestion>,
    /// Numbers of the lines that are none, with the reason of the first.
    unread: Vec<usize>,
    reason: String,
    /// Topics without anything relevant.
    n_unjudged: usize,
}

impl Read {
    /// Return what was left out.
    pub fn warning(&self) -> Option<String> {
        let mut left_out = Vec::new();
        if let Some(first) = self.unread.first() {
            let n = self.unread.len();
            left_out.push(format!(
                "{n} lines, the first of them line {first}: {}",
                self.reason
            ));
        }
        if self.n_unjudged > 0 {
            left_out.push(format!(
                "{} topics for which nothing is relevant",
                self.n_unjudged
            ));
        }
        (!left_out.is_empty()).then(|| format!("left out: {}", left_out.join("; ")))
    }

    fn leave_out(&mut self, number: usize, reason: impl ToString) {
        if self.unread.is_empty() {
            self.reason = reason.to_string();
        }
        self.unread.push(number);
    }
}

/// Read the questions that the command line names.
///
/// # Errors
/// [`ExitCode::Usage`] if a file cannot be read or has no question.
pub fn read(args: &EvalArgs) -> anyhow::Result<Read> {
    let file = args.questions.as_deref().unwrap_or(Path::new("-"));
    let read = match &args.qrels {
        Some(qrels) => topics(file, qrels)?,
        None => lines(file)?,
    };
    if !read.questions.is_empty() {
        return Ok(read);
    }
    let reason = match read.warning() {
        Some(warning) => warning,
        None => "it is empty".to_owned(),
    };
    let text = format!(
        "{} has no judged question: {reason}; write lines like `how are routes matched<TAB>src/router.rs`",
        file.display()
    );
    Err(Exit::error(ExitCode::Usage, text))
}

fn lines(file: &Path) -> anyhow::Result<Read> {
    let mut lines = Lines::open("QUESTIONS", file)?;
    let mut read = Read::default();
    for number in 1.. {
        let question = match lines.next()? {
            None => break,
            Some(Err(_)) => {
                read.leave_out(number, NOT_A_TEXT);
                continue;
            }
            Some(Ok(line)) => JudgedQuestion::of_line(&line, number),
        };
        match question {
            Ok(question) => read.questions.extend(question),
            // People pass topics without their judgments.
            Err(QuestionError::NoTab) => {
                read.leave_out(
                    number,
                    format!("{}; topics need --qrels", QuestionError::NoTab),
                );
            }
            Err(error) => read.leave_out(number, error),
        }
    }
    Ok(read)
}

fn topics(file: &Path, qrels: &Path) -> anyhow::Result<Read> {
    let (topics, unread) = Topic::read(&text_of("QUESTIONS", file)?);
    let (judgments, unjudged) = judgments(&text_of("--qrels", qrels)?);
    if judgments.is_empty() {
        let text = format!(
            "--qrels {}: no line says that something is relevant: write lines like `301 0 src/router.rs 1`",
            qrels.display()
        );
        return Err(Exit::error(ExitCode::Usage, text));
    }
    let mut read = Read::default();
    for (number, error) in unread {
        read.leave_out(number, error);
    }
    for number in unjudged {
        let reason = format!(
            "{} has no judgment there, as in `301 0 src/router.rs 1`",
            qrels.display()
        );
        read.leave_out(number, reason);
    }
    let judged: Vec<_> = topics
        .iter()
        .filter_map(|topic| topic.judged(&judgments))
        .collect();
    read.n_unjudged = topics.len() - judged.len();
    read.questions = judged;
    Ok(read)
}

fn text_of(name: &str, file: &Path) -> anyhow::Result<String> {
    let unusable = |error| {
        Exit::error(
            ExitCode::Usage,
            format!("{name} {}: {error}", file.display()),
        )
    };
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_to_string(&mut text);
        return read.map(|_| text).map_err(unusable);
    }
    let mut text = String::new();
    let read = named_file::open_stream(file)
        .and_then(|opened| opened.take(MOST_BYTES).read_to_string(&mut text));
    read.map(|_| text).map_err(unusable)
}
