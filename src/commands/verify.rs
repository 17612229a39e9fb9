//! `verify`: checks an index and lists what is wrong with it.

use super::output;
use super::query::no_index;
use crate::cli::{GlobalFlags, VerifyArgs};
use crate::exit_code::ExitCode;
use crate::progress;
use crate::store::verify::{Level, Report, verify};
use serde::Serialize;
use std::io::{self, Write};

/// Exit code 14 when a fault is found, 10 when there is no index.
pub fn run(args: &VerifyArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let level = if args.quick {
        Level::Quick
    } else {
        Level::Full
    };
    let report = verify(&args.index, level).map_err(no_index)?;
    let code = if report.is_sound() {
        ExitCode::Success
    } else {
        ExitCode::VerifyFailed
    };
    output::text(|out| {
        if global.json {
            print_json(out, &report, code)
        } else {
            print_text(out, &report)
        }
    })?;
    Ok(code)
}

#[derive(Serialize)]
struct Verdict<'a> {
    level: Level,
    shards: &'a [crate::store::verify::ShardReport],
    files: i64,
    chunks: i64,
    faults: u64,
    /// Recomputed from the stored rows; absent at level `quick`, or when a shard cannot be read.
    digest: Option<String>,
    content_digest: Option<String>,
    exit: u8,
}

fn print_json(out: &mut impl Write, report: &Report, code: ExitCode) -> io::Result<()> {
    for fault in report.faults.listed() {
        output::json_line(out, "fault", fault)?;
    }
    let verdict = Verdict {
        level: report.level,
        shards: &report.shards,
        files: report.shards.iter().map(|s| s.files).sum(),
        chunks: report.shards.iter().map(|s| s.chunks).sum(),
        faults: report.faults.total(),
        digest: report.digest().map(|d| d.to_string()),
        content_digest: report.content_digest().map(|d| d.to_string()),
        exit: code as u8,
    };
    output::json_line(out, "verify", &verdict)
}

fn print_text(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for shard in &report.shards {
        writeln!(
            out,
            "{:32} {:7} files {:8} chunks  {}",
            shard.label,
            shard.files,
            shard.chunks,
            progress::bytes(shard.bytes)
        )?;
    }
    for fault in report.faults.listed() {
        let place = [&fault.table, &fault.row].map(String::as_str).join(" ");
        writeln!(
            out,
            "FAULT {} {}: {}",
            fault.shard,
            place.trim(),
            fault.what
        )?;
        writeln!(out, "      {}", fault.advice)?;
    }
    let total = report.faults.total();
    if total > 0 {
        return writeln!(out, "{total} faults");
    }
    match report.digest() {
        Some(digest) => writeln!(out, "sound; digest {digest}"),
        None => writeln!(out, "sound at this level; --full recomputes every row"),
    }
}
