//! Single lines that this program prints, recognised by few words that stay.

use super::super::is_log_line;
use serde_json::Value;

/// How sure it is that a line is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// No other program prints it.
    Certain,
    /// Others may, as details, warnings and errors.
    Possible,
}

/// Kinds of lines that `--json` and `--progress json` print, with fields that each has. The kind alone is not enough: JSON
/// of other programs has a `type` as well.
const LINES: &[(&str, &[&str])] = &[
    (
        "summary",
        &["profile", "digest", "content_digest", "shards"],
    ),
    ("paused", &["profile", "exit"]),
    ("failed", &["profile", "exit", "error"]),
    ("planned", &["profile", "shards", "unchanged", "workers"]),
    ("worker_starting", &["worker"]),
    ("worker_ready", &["worker", "device"]),
    ("worker_lost", &["worker", "reason"]),
    ("segment_opened", &["worker", "segment", "already"]),
    ("files_committed", &["worker", "segment", "work", "file"]),
    ("segment_done", &["worker", "segment"]),
    ("segment_undone", &["segment", "work"]),
    ("device_memory", &["device", "memory"]),
    ("watchdog", &[]),
    ("quarantined", &[]),
    ("shard_published", &["shard", "chunks", "bytes"]),
    (
        "hit",
        &["rank", "score", "gene_id", "path", "shard", "text"],
    ),
    ("unanswered", &["query", "error"]),
    ("unfinished", &["what"]),
    (
        "fault",
        &["shard", "kind", "table", "row", "what", "advice"],
    ),
    ("verify", &["level", "shards"]),
    ("plan", &["profile", "output", "segments", "workers"]),
    (
        "plan_file",
        &["profile", "plan", "blake3", "segments", "array"],
    ),
    ("task", &["profile", "segments", "exit"]),
    ("shard_task", &["shard", "exit"]),
    ("missing", &["array", "poisoned"]),
    ("status", &["parts", "published"]),
    ("why", &["path", "profile", "root", "rule", "verdict"]),
    ("shard", &["label", "roots", "hot_chunks", "meta"]),
    ("finding", &["what", "needed", "ok", "detail"]),
    ("version", &["version", "format", "embedded_runtime"]),
    ("file", &["shard", "path", "size", "mtime_ns", "chunks"]),
    ("chunk", &["shard", "gene_id", "columns", "tags"]),
    ("encoded", &["text", "role", "sparse", "dense"]),
    ("unencoded", &["text", "error"]),
    ("init", &["profile", "path", "roots", "files", "bytes"]),
    ("check", &["name", "roots", "missing_roots", "recipe"]),
    ("profile", &["name", "path", "description"]),
    ("profile", &["name", "roots", "missing_roots", "recipe"]),
    ("mistake", &["path", "line", "message"]),
    ("model", &["path", "problem"]),
    ("model", &["path", "ok"]),
];

/// Kinds that other programs may use as well: a text with only these is not recognised.
const COMMON: [&str; 9] = [
    "watchdog",
    "quarantined",
    "worker_starting",
    "segment_done",
    "worker_lost",
    "unfinished",
    "unencoded",
    "mistake",
    "model",
];

/// Words of which one makes a message ours: flags, files and terms of this program.
const OUR_WORDS: [&str; 15] = [
    "helix-build",
    "helix_build",
    "--out-dir",
    "--profile",
    "--rebuild",
    "--take-over",
    "secrets_in_text",
    "genome",
    "no index at",
    "no profile `",
    "no root folder",
    "not an SQLite database",
    ".toml:",
    "encoder",
    "in this index",
];

/// Beginnings of lines that only this program prints.
const CERTAIN: [&str; 9] = [
    "then: helix-build commit --plan ",
    "next: helix-build query ",
    "Usage: helix-build",
    "skipped (plan --why PATH shows the rule",
    "no profiles found; searched these folders:",
    "sound; digest ",
    "sound so far, and ",
    "dense, ",
    "encoded ",
];

/// Beginnings of lines that others may print as well.
const POSSIBLE: [&str; 26] = [
    "tasks ",
    "nothing to do: the plan has ",
    "  ",
    "== ",
    "no hits",
    "not answered: ",
    "not encoded: ",
    "output: ",
    "shards, in build order:",
    "sound",
    "FAULT ",
    "being rebuilt: ",
    "unfinished: ",
    "a server has written to ",
    "pausing: finishing the files in hand",
    "paused while the system did not respond",
    "For more information, try ",
    "hint: ",
    "shard ",
    "file ",
    "chunk ",
    "format ",
    "runtime ",
    "skipped: ",
    "missing: ",
    "published ",
];

/// Return what a line is, if this program may have printed it.
pub fn line(line: &str) -> Option<Line> {
    if line.starts_with("{\"type\":\"") {
        return kind(line).map(|kind| match COMMON.contains(&kind) {
            true => Line::Possible,
            false => Line::Certain,
        });
    }
    let is_message =
        line.starts_with("error: ") || line.starts_with("warning: ") || is_log_line(line);
    if is_message {
        let is_ours = OUR_WORDS.iter().any(|word| line.contains(word));
        return Some(if is_ours {
            Line::Certain
        } else {
            Line::Possible
        });
    }
    let is_certain = is_begun(line)
        || is_outcome(line)
        || is_hit(line)
        || is_shard(line)
        || is_plan(line)
        || is_status(line)
        || is_finding(line)
        || is_model(line)
        || is_detail(line)
        || is_digest(line)
        || is_task(line);
    if is_certain {
        return Some(Line::Certain);
    }
    let is_count = || line.ends_with(" fault") || line.ends_with(" faults");
    let is_possible = POSSIBLE.iter().any(|begin| line.starts_with(begin)) || is_count();
    is_possible.then_some(Line::Possible)
}

fn is_begun(line: &str) -> bool {
    let Some(begin) = CERTAIN.iter().find(|begin| line.starts_with(**begin)) else {
        return false;
    };
    match *begin {
        "dense, " => line.ends_with("(--json prints all)"),
        "encoded " => line.contains(" chunks again (--seed "),
        _ => true,
    }
}

/// `12 %  30 chunks  3 chunks/s  70 KiB/s  1 of 2 shards  7 s left`, and the line before the first:
/// `p: 2 files, 70 KiB in 1 shard to build; 2 workers x 1 file worker`.
fn is_status(line: &str) -> bool {
    let has = |words: &[&str]| words.iter().all(|word| line.contains(word));
    has(&[" %  ", " chunks/s  ", " shards  "]) && line.ends_with(" left")
        || has(&[": ", " in ", " to build", "; "])
            && line.contains(" x ")
            && line.contains("worker")
        || line.starts_with("published ") && line.ends_with(')') && has(&[" (", " chunk"])
}

/// A line of `doctor`.
fn is_finding(line: &str) -> bool {
    const MARKS: [&str; 3] = ["ok      ", "MISSING ", "none    "];
    const CHECKS: [&str; 7] = [
        "runtime", "models", "gpu", "cuda", "machine", "profiles", "output",
    ];
    let rest = MARKS.iter().find_map(|mark| line.strip_prefix(mark));
    rest.is_some_and(|rest| CHECKS.contains(&rest.split(' ').next().unwrap_or(rest)))
}

/// A line of `models list`, `models check` or `version`.
fn is_model(line: &str) -> bool {
    let kinds = [" sparse ", " dense "];
    let listed = line
        .get(24..)
        .is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)));
    listed && line.ends_with(')')
        || line.contains(": a usable ") && line.ends_with(" encoder")
        || line.ends_with(": unusable")
        || line.starts_with("helix-build ") && line.ends_with(')') && line.split(' ').count() == 3
}

/// The last line of a summary, also alone: of all lines it is the one that scripts pick out.
fn is_digest(line: &str) -> bool {
    let digest = line.strip_prefix("  digest ");
    digest.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A field of `inspect` that each shard, file or chunk has.
fn is_detail(line: &str) -> bool {
    ["  hot chunks ", "  mtime ns ", "  sparse terms "]
        .iter()
        .any(|field| line.starts_with(field))
}

/// Return the kind of a JSON line of this program.
fn kind(line: &str) -> Option<&'static str> {
    let rest = line.strip_prefix("{\"type\":\"")?;
    let name = &rest[..rest.find('"')?];
    let mut known = LINES.iter().filter(|(kind, _)| *kind == name).peekable();
    known.peek()?;
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return None;
    };
    let has_all = |fields: &[&str]| fields.iter().all(|field| object.contains_key(*field));
    known
        .find(|(_, fields)| has_all(fields))
        .map(|(kind, _)| *kind)
}

fn is_outcome(line: &str) -> bool {
    let ends = [
        ": unchanged, nothing to do",
        ": not updated, since a root is unavailable",
        ": nothing to do, but a root is unavailable",
        ": paused; run the same command again to resume",
    ];
    let built = || {
        let (_, how) = line.split_once(": built in ")?;
        Some(how.contains(" s of CPU time, encoders busy ") && how.ends_with(" %)"))
    };
    ends.iter().any(|end| line.ends_with(end)) || built() == Some(true)
}

/// Lines of `plan --out`, `worker` and `status`: `p: 5 segments in 2 shards, plan plan.json`, `p: done: segments 0-4`,
/// `p: 3 of 5 segments done (...), 1 of 2 shards published`.
fn is_task(line: &str) -> bool {
    let Some((_, rest)) = line.split_once(": ") else {
        return false;
    };
    let has = |words: &[&str]| words.iter().all(|word| rest.contains(word));
    has(&[" segment", " in ", " shard", ", plan "])
        || rest.starts_with("done: segments ")
        || rest == "paused; queue the task again to resume"
        || has(&[" of ", " segment", " done (", " of files), "]) && rest.ends_with(" published")
}

fn is_hit(line: &str) -> bool {
    let parts = || {
        let (rank, rest) = line.trim_start().split_once(". ")?;
        let (score, rest) = rest.split_once("  ")?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = score.split_once('.')?;
        Some(
            digits(rank)
                && digits(whole)
                && digits(fraction)
                && rest.contains("  [")
                && rest.ends_with(']'),
        )
    };
    parts() == Some(true)
}

/// Return whether a line describes a shard: `LABEL   2 files   2 chunks  388 KiB`.
fn is_shard(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b',');
    words.windows(4).any(|four| {
        is_number(four[0])
            && matches!(four[1], "file" | "files")
            && is_number(four[2])
            && matches!(four[3], "chunk" | "chunks")
    })
}

/// Return whether a line begins a plan: `NAME: 12 files, 70 KiB in 1 shard, 2 segments`.
fn is_plan(line: &str) -> bool {
    let parts = || {
        let (_, rest) = line.split_once(": ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let has = |noun: &str| {
            let is_noun = |word: &&str| {
                let word = word.trim_end_matches(',');
                word.strip_suffix('s').unwrap_or(word) == noun
            };
            words.iter().any(is_noun)
        };
        let last = words.last().copied().unwrap_or_default();
        Some(has("file") && has("shard") && matches!(last, "segment" | "segments"))
    };
    parts() == Some(true)
}
