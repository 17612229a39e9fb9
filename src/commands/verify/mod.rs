//! `verify`: from flags to a check, from its report to words.

mod reencode;

use super::index_choice;
use super::output;
use crate::cli::{GlobalFlags, VerifyArgs};
use crate::exit_code::ExitCode;
use crate::progress;
use crate::store::locate::locate_ours;
use crate::verify::{BuildWatch, Fault, Faults, Level, Report, verify};
use reencode::{Outcome, Reencoder};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// Exit code 14 when a fault is found, 10 when there is no index, 11 when a build is at work on it and nothing can be
/// said for certain. With `--reencode`, 12 and 13 when the
/// encoders are not those of the index; they are loaded first, so that this is known before the rest.
pub fn run(args: &VerifyArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let level = if args.quick {
        Level::Quick
    } else {
        Level::Full
    };
    let path = index_choice::choose(args.index.as_deref(), "verify INDEX")?;
    let mut faults = Faults::default();
    let watch = BuildWatch::start(&path);
    let reencoder = match (args.again.reencode, locate_ours(&path)) {
        (Some(_), Ok(index)) => Reencoder::open(&index, &args.models, &mut faults)?,
        // The check below reports an index that is missing or cannot be read.
        _ => None,
    };
    let mut report = verify(&path, level).map_err(|error| index_choice::not_found(&path, error))?;
    report.faults.absorb(faults);
    let reencoded = reencoder
        .map(|reencoder| reencoder.run(&args.again, &mut report.faults))
        .transpose()?;
    if args.again.reencode.is_some() && !report.faults.is_empty() && watch.is_disturbed() {
        report.doubt();
    }
    let code = if report.is_sound() {
        ExitCode::Success
    } else if report.faults.is_empty() {
        ExitCode::Locked
    } else {
        ExitCode::VerifyFailed
    };
    output::text(|out| {
        if global.json {
            print_json(out, &report, reencoded.as_ref(), code)
        } else {
            print_text(out, &report, reencoded.as_ref())
        }
    })?;
    Ok(code)
}

#[derive(Serialize)]
struct Verdict<'a> {
    level: Level,
    shards: &'a [crate::verify::ShardReport],
    files: i64,
    chunks: i64,
    faults: u64,
    /// A build of the index has begun and not finished.
    unfinished: bool,
    /// A build was at work on the index during the check.
    being_rebuilt: bool,
    /// Contradictions that this build may explain: no faults, and only another check tells.
    unconfirmed: u64,
    /// What other programs registered, which was not checked.
    foreign_shards: &'a [String],
    /// Where another program's manifest lies in the place of the index's.
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign_manifest: Option<&'a Path>,
    /// Recomputed from the stored rows; absent at level `quick`, or when a shard cannot be read.
    digest: Option<String>,
    content_digest: Option<String>,
    /// Absent without `--reencode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reencoded: Option<&'a Outcome>,
    exit: u8,
}

fn print_json(
    out: &mut impl Write,
    report: &Report,
    reencoded: Option<&Outcome>,
    code: ExitCode,
) -> io::Result<()> {
    for fault in report.faults.listed() {
        output::json_line(out, "fault", fault)?;
    }
    let verdict = Verdict {
        level: report.level,
        shards: &report.shards,
        files: report.shards.iter().map(|s| s.files).sum(),
        chunks: report.shards.iter().map(|s| s.chunks).sum(),
        faults: report.faults.total(),
        unfinished: report.unfinished,
        being_rebuilt: report.being_rebuilt,
        unconfirmed: report.unconfirmed,
        foreign_shards: &report.foreign_shards,
        foreign_manifest: report.foreign_manifest.as_deref(),
        digest: report.digest().map(|d| d.to_string()),
        content_digest: report.content_digest().map(|d| d.to_string()),
        reencoded,
        exit: code as u8,
    };
    output::json_line(out, "verify", &verdict)
}

/// A number with its noun. A damaged database may count below zero.
fn counted(n: i64, noun: &str) -> String {
    match u64::try_from(n) {
        Ok(n) => progress::count(n, noun),
        Err(_) => format!("{n} {noun}s"),
    }
}

/// Places of one fault on its line.
const MOST_PLACES: usize = 12;

/// Join faults that say the same of several places of a shard: one damaged page fails every check that reads it.
fn joined<'f>(faults: impl Iterator<Item = &'f Fault>) -> Vec<(&'f Fault, Vec<String>)> {
    let mut joined: Vec<(&Fault, Vec<String>)> = Vec::new();
    for fault in faults {
        let place = [&fault.table, &fault.row].map(String::as_str).join(" ");
        let place = place.trim().to_owned();
        let known = joined.iter_mut().find(|(other, places)| {
            let is_same = (&other.shard, &other.what, other.advice)
                == (&fault.shard, &fault.what, fault.advice);
            is_same && places.len() < MOST_PLACES
        });
        match known {
            Some((_, places)) => places.push(place),
            None => joined.push((fault, vec![place])),
        }
    }
    joined
}

fn print_text(
    out: &mut impl Write,
    report: &Report,
    reencoded: Option<&Outcome>,
) -> io::Result<()> {
    for shard in &report.shards {
        writeln!(
            out,
            "{:32} {:>13} {:>15}  {}",
            shard.label,
            counted(shard.files, "file"),
            counted(shard.chunks, "chunk"),
            progress::bytes(shard.bytes)
        )?;
    }
    if let Some(again) = reencoded {
        writeln!(
            out,
            "encoded {} again (--seed {}): {} bit for bit, {} up to rounding, {} different",
            progress::count(again.chunks, "chunk"),
            again.seed,
            again.exact,
            again.close,
            again.different
        )?;
    }
    for (fault, places) in joined(report.faults.listed()) {
        let what = fault.what.lines().collect::<Vec<_>>().join("; ");
        writeln!(out, "FAULT {} {}: {what}", fault.shard, places.join(", "))?;
        writeln!(out, "      {}", fault.advice)?;
    }
    if let Some(path) = &report.foreign_manifest {
        writeln!(
            out,
            "{}: another program's manifest, not checked; move it away before you build again, since no build replaces it",
            path.display()
        )?;
    }
    for label in &report.foreign_shards {
        writeln!(out, "{label}: registered by another program, not checked")?;
    }
    let written: Vec<_> = report
        .shards
        .iter()
        .filter(|shard| shard.was_written || shard.is_mounted)
        .map(|shard| shard.label.as_str())
        .collect();
    if !written.is_empty() {
        writeln!(
            out,
            "a server has written to {}: rows were checked, the file's bytes were not",
            written.join(", ")
        )?;
    }
    match (report.being_rebuilt, report.unfinished) {
        (true, _) => writeln!(out, "being rebuilt: a build is at work on this index")?,
        (false, true) => writeln!(
            out,
            "unfinished: a build of this index is running or was stopped; what is there was checked, run the build again to finish it"
        )?,
        (false, false) => {}
    }
    let total = report.faults.total();
    if total > 0 {
        return writeln!(out, "{}", progress::count(total, "fault"));
    }
    if report.unconfirmed > 0 {
        return writeln!(
            out,
            "being rebuilt: {} contradictions that the build may explain; run verify again when it has ended",
            report.unconfirmed
        );
    }
    let state = if report.being_rebuilt {
        "sound so far, and being rebuilt"
    } else if report.unfinished {
        "sound so far, and unfinished"
    } else {
        "sound"
    };
    match report.digest() {
        Some(digest) => writeln!(out, "{state}; digest {digest}"),
        None if report.level == Level::Full => writeln!(out, "{state}"),
        None => writeln!(out, "{state}; --full also checks every row"),
    }
}

#[cfg(test)]
mod tests {
    use super::joined;
    use crate::verify::{Fault, FaultKind};

    #[test]
    fn equal_faults_of_a_shard_are_one() {
        let fault = |shard: &str, table: &str, what: &str| Fault {
            shard: shard.to_owned(),
            kind: FaultKind::Unreadable,
            table: table.to_owned(),
            row: String::new(),
            what: what.to_owned(),
            advice: "run the build again",
        };
        let faults = [
            fault("a", "genes", "malformed"),
            fault("a", "splade_terms", "malformed"),
            fault("b", "genes", "malformed"),
            fault("a", "genes", "other"),
        ];
        let joined = joined(faults.iter());
        let places: Vec<_> = joined.into_iter().map(|(_, places)| places).collect();
        assert_eq!(
            places,
            [vec!["genes", "splade_terms"], vec!["genes"], vec!["genes"]]
        );
    }
}
