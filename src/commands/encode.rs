//! `encode`: prints the vectors of texts, for programs that search the database themselves.
//!
//! Reads no index: the flags choose the encoders, and they must be those of the index that the vectors are for.

use super::output;
use super::settings;
use super::text_lines::{Lines, NOT_A_TEXT};
use crate::cli::{EncodeArgs, GlobalFlags};
use crate::encode::{EncodeError, Encoded, Encoders};
use crate::exit_code::{Exit, ExitCode};
use serde::Serialize;
use std::io::{self, Write};

/// Dense values shown to people.
const SHOWN_VALUES: usize = 8;

/// What a text is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    /// With the query's prefix and at most 32 terms.
    Query,
    /// As a chunk of a build.
    Passage,
}

/// The vectors of a text, as printed.
#[derive(Serialize)]
struct Line<'a> {
    /// Position among the texts, from 0.
    text: usize,
    role: Role,
    /// Heaviest first; null without a sparse encoder.
    sparse: Option<Vec<Term<'a>>>,
    /// Of unit length; null without a dense encoder, or if the text has no direction.
    dense: Option<&'a [f32]>,
}

#[derive(Serialize)]
struct Term<'a> {
    term: &'a str,
    weight: f64,
}

/// Encode every text. A line of `--texts` that cannot be encoded prints the reason, and the exit code is 3.
pub fn run(args: &EncodeArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let choice = settings::encoder_choice(&args.models)?;
    settings::require_encoder(&choice)?;
    let encoders = Encoders::open(&choice)
        .map_err(|error| Exit::error(ExitCode::Unavailable, error.to_string()))?;
    let mut printer = Printer {
        encoders,
        role: match args.passage {
            true => Role::Passage,
            false => Role::Query,
        },
        is_json: global.json,
        code: ExitCode::Success,
    };
    let Some(file) = &args.texts else {
        let encoded = args.text.iter().map(|text| printer.encode(text));
        let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
        return output::text(|out| {
            let mut texts = encoded.iter().enumerate();
            texts.try_for_each(|(at, encoded)| printer.print(out, at, encoded))
        });
    };
    let mut lines = Lines::open("--texts", file)?;
    let mut unread = Ok(());
    output::text(|out| {
        for at in 0.. {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    unread = Err(error);
                    break;
                }
            };
            let encoded = match line {
                Ok(text) => printer.encode(&text).map_err(|error| error.to_string()),
                Err(_) => Err(NOT_A_TEXT.to_owned()),
            };
            match encoded {
                Ok(encoded) => printer.print(out, at, &encoded)?,
                Err(error) => printer.refuse(out, at, &error)?,
            }
            // A program at the other end of a pipe waits for this line before it sends the next text.
            out.flush()?;
        }
        Ok(())
    })?;
    unread.map(|()| printer.code)
}

struct Printer {
    encoders: Encoders,
    role: Role,
    is_json: bool,
    code: ExitCode,
}

impl Printer {
    fn encode(&mut self, text: &str) -> Result<Encoded, EncodeError> {
        match self.role {
            Role::Query => self.encoders.encode_query(text),
            Role::Passage => {
                let text = self.encoders.tokenizer().tokenize(text);
                self.encoders.encode(&text)
            }
        }
    }

    fn print(&self, out: &mut impl Write, at: usize, encoded: &Encoded) -> io::Result<()> {
        let sparse = encoded.sparse.as_ref().map(|vector| {
            let terms = vector.0.iter().map(|term| Term {
                term: &term.term,
                weight: term.weight(),
            });
            terms.collect::<Vec<_>>()
        });
        let dense = encoded.dense.as_ref().map(|vector| vector.0.as_slice());
        if self.is_json {
            let line = Line {
                text: at,
                role: self.role,
                sparse,
                dense,
            };
            return output::json_line(out, "encoded", &line);
        }
        let terms = sparse.unwrap_or_default();
        if terms.is_empty() && dense.is_none() {
            return writeln!(out, "no vector");
        }
        for term in terms {
            writeln!(out, "{:8.4}  {}", term.weight, term.term)?;
        }
        if let Some(values) = dense {
            let shown = values.iter().take(SHOWN_VALUES);
            let shown: Vec<_> = shown.map(|value| format!("{value:.4}")).collect();
            let n = values.len();
            writeln!(
                out,
                "dense, {n} values: {} ... (--json prints all)",
                shown.join(" ")
            )?;
        }
        Ok(())
    }

    fn refuse(&mut self, out: &mut impl Write, at: usize, error: &str) -> io::Result<()> {
        self.code = ExitCode::Incomplete;
        if self.is_json {
            let line = serde_json::json!({"text": at, "error": error});
            return output::json_line(out, "unencoded", &line);
        }
        writeln!(out, "not encoded: {error}")
    }
}
