//! `inspect`: what an index holds of a shard, a file or a chunk.
//!
//! For people, as text (see [`inspect_text`]); with `--json`, one object per line.

use super::index_choice;
use super::inspect_text;
use super::output;
use super::query::no_index;
use crate::cli::{GlobalFlags, InspectArgs};
use crate::exit_code::{Exit, ExitCode};
use crate::store::StoreError;
use crate::store::index::Index;
use crate::store::inspect::{inspect_chunk, inspect_file, inspect_shards};
use crate::store::locate::{LocateError, locate_ours};
use anyhow::Context as _;
use serde::Serialize;
use std::io::Write as _;

/// Sparse terms shown of a chunk.
const TOP_TERMS: usize = 20;

/// Nothing found is a usage error: the argument names nothing in this index.
pub fn run(args: &InspectArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let (index, what) = open(args)?;
    show(&index, what, global).map_err(|error| match error.downcast_ref() {
        Some(StoreError::Format { .. }) => {
            Exit::error(ExitCode::FingerprintMismatch, error.to_string())
        }
        _ => error,
    })
}

/// Return the index and what to show of it. A single argument that names nothing else is what to show of the only index.
fn open(args: &InspectArgs) -> anyhow::Result<(Index, Option<&str>)> {
    let what = args.what.as_deref();
    let Some(named) = &args.index else {
        let only = index_choice::choose(None, "inspect INDEX")?;
        return Ok((locate_ours(&only).map_err(no_index)?, None));
    };
    match (locate_ours(named), what, named.to_str()) {
        (Ok(index), what, _) => Ok((index, what)),
        (Err(LocateError::NotFound { .. }), None, Some(what)) => {
            let only = index_choice::choose(None, "inspect INDEX WHAT");
            let only = only.with_context(|| format!("{what} is no index"))?;
            Ok((locate_ours(&only).map_err(no_index)?, Some(what)))
        }
        (Err(error), _, _) => Err(index_choice::not_found(named, error)),
    }
}

fn show(index: &Index, what: Option<&str>, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let Some(what) = what else {
        return print("shard", &inspect_shards(index, None)?, global);
    };
    let shards = inspect_shards(index, Some(what))?;
    if !shards.is_empty() {
        return print("shard", &shards, global);
    }
    let is_id = what.len() <= 16 && what.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id {
        let chunks = inspect_chunk(index, what, TOP_TERMS)?;
        if !chunks.is_empty() {
            return print("chunk", &chunks, global);
        }
    }
    let files = inspect_file(index, what)?;
    if files.is_empty() {
        return Err(Exit::error(
            ExitCode::Usage,
            format!("`{what}` is not a shard, a chunk id, or the end of a file path in this index"),
        ));
    }
    print("file", &files, global)
}

fn print(kind: &str, values: &[impl Serialize], global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    output::text(|out| {
        for value in values {
            if global.json {
                output::json_line(out, kind, value)?;
            } else {
                for line in inspect_text::lines(kind, &serde_json::to_value(value)?) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        Ok(())
    })
}
