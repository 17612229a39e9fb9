//! Recognises saved output of this program: a text in which every line is one of ours.
//!
//! A document that quotes a log, metrics or a summary also has other lines, so it is not recognised.

use serde_json::Value;

/// Kinds of lines that `--json` and `--progress json` print, with fields that each has. The kind alone is not enough: JSON
/// of other programs has a `type` as well.
const LINES: [(&str, &[&str]); 28] = [
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
    ("encoded", &["text", "role", "sparse", "dense"]),
    ("unencoded", &["text", "error"]),
    ("init", &["profile", "path", "roots", "files", "bytes"]),
    ("unfinished", &["what"]),
    (
        "fault",
        &["shard", "kind", "table", "row", "what", "advice"],
    ),
    ("verify", &["level", "shards"]),
    ("plan", &["profile", "output", "segments", "workers"]),
    ("why", &["path", "profile", "root", "rule", "verdict"]),
    ("shard", &["label", "roots", "hot_chunks", "meta"]),
    ("finding", &["what", "needed", "ok", "detail"]),
    ("version", &["version", "format", "embedded_runtime"]),
];

/// Kinds that other programs may use as well: a text with only these is not recognised.
const COMMON: [&str; 6] = [
    "watchdog",
    "quarantined",
    "worker_starting",
    "segment_done",
    "worker_lost",
    "unfinished",
];

/// Return whether [`recognise`] should read a text that begins with these bytes.
pub fn may_be(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be incomplete.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let first = text.lines().find(|line| !line.is_empty());
    let Some(first) = first else {
        return false;
    };
    super::is_manifest(head)
        || super::is_metrics(head)
        || super::is_log(head)
        || first.starts_with("{\"type\":\"")
        || is_outcome(first)
        || is_hit(first)
        || is_question(first)
        || is_shard(first)
        || is_plan(first)
}

/// Return what a text is, if all of it is output of this program. The last line may be incomplete, since the program may
/// have been killed.
pub fn recognise(text: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(text).ok()?;
    if super::is_manifest(text.as_bytes()) {
        let is_whole = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
        return is_whole.then_some("the manifest of builds");
    }
    let whole = match text.rfind('\n') {
        Some(end) => &text[..end],
        None => text,
    };
    let lines = || whole.lines().filter(|line| !line.is_empty());
    let all = |is_ours: fn(&str) -> bool| lines().next().is_some() && lines().all(is_ours);
    if super::is_metrics(text.as_bytes()) {
        return all(is_metric).then_some("metrics of a build");
    }
    if super::is_log(text.as_bytes()) {
        return all(super::is_log_line).then_some("the log of a build");
    }
    let is_distinctive = |line: &str| kind(line).is_some_and(|kind| !COMMON.contains(&kind));
    if whole.starts_with("{\"type\":\"") {
        return (all(|line| kind(line).is_some()) && lines().any(is_distinctive))
            .then_some("output of this program");
    }
    let is_ours = summary(whole) || hits(whole) || verdict(whole) || plan(whole);
    is_ours.then_some("output of this program")
}

fn is_metric(line: &str) -> bool {
    let comment = line.strip_prefix("# ");
    line.starts_with("helix_")
        || comment.is_some_and(|comment| {
            comment.starts_with("HELP helix_")
                || comment.starts_with("TYPE helix_")
                || comment.contains("helix-build")
        })
}

/// Return the kind of a JSON line of this program.
fn kind(line: &str) -> Option<&'static str> {
    let rest = line.strip_prefix("{\"type\":\"")?;
    let name = &rest[..rest.find('"')?];
    let (kind, fields) = LINES.iter().find(|(kind, _)| *kind == name)?;
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return None;
    };
    let has_all = fields.iter().all(|field| object.contains_key(*field));
    has_all.then_some(*kind)
}

/// Return whether a text consists of summaries: `NAME: built in 3 s (...)` with indented lines below.
fn summary(text: &str) -> bool {
    let is_detail = |line: &str| {
        line.is_empty() || line.starts_with("  ") || line.starts_with("next: helix-build query ")
    };
    let mut lines = text.lines();
    let begins = lines.clone().find(|line| !line.is_empty());
    begins.is_some_and(is_outcome) && lines.all(|line| is_outcome(line) || is_detail(line))
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

/// Return whether a text consists of query results: ` 1. 0.0164  PATH  [shard]` above indented extracts.
fn hits(text: &str) -> bool {
    let lines = || text.lines().filter(|line| !line.is_empty());
    let is_ours = |line: &str| {
        is_hit(line)
            || is_question(line)
            || line.starts_with("    ")
            || line == "no hits"
            || line.starts_with("not answered: ")
    };
    lines()
        .next()
        .is_some_and(|first| is_hit(first) || is_question(first))
        && lines().any(is_hit)
        && lines().all(is_ours)
}

fn is_question(line: &str) -> bool {
    line.starts_with("== ")
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

/// Return whether a text is the output of `verify` for a sound index.
fn verdict(text: &str) -> bool {
    let lines = || text.lines().filter(|line| !line.is_empty());
    let is_sound = |line: &str| line.starts_with("sound; digest ");
    lines().any(is_sound) && lines().all(|line| is_sound(line) || is_shard(line))
}

/// Return whether a line describes a shard: `LABEL   2 files   2 chunks  388 KiB`.
fn is_shard(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b',');
    words.windows(4).any(|four| {
        is_number(four[0]) && four[1] == "files" && is_number(four[2]) && four[3] == "chunks"
    })
}

/// Return whether a text is the output of `plan`.
fn plan(text: &str) -> bool {
    let mut lines = text.lines();
    lines.next().is_some_and(is_plan)
        && lines
            .next()
            .is_some_and(|line| line.starts_with("output: "))
        && lines.any(|line| line.starts_with("  shard-workers "))
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

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "p: built in 0 s (0 s of CPU time, encoders busy 0 %)\n  1 file, 1 chunk, 70 B of text in 1 shard\n  /tmp/x/main.genome.db\n  digest 76e2\n\nnext: helix-build query x \"how do I ...\"\n";
    const LOG: &str = "2026-11-26T14:57:09.123456Z DEBUG helix_build::telemetry: the log begins\n";
    const METRICS: &str = "# HELP helix_build_info The program that built the profile; always 1.\n# TYPE helix_build_info gauge\nhelix_build_info{profile=\"p\"} 1\n";
    const PAUSED: &str = "{\"type\":\"paused\",\"exit\":75,\"profile\":\"p\"}\n";
    const HIT: &str = "{\"type\":\"hit\",\"rank\":1,\"score\":0.1,\"gene_id\":\"c6\",\"path\":\"/x\",\"shard\":\"s\",\"text\":\"t\"}\n";
    const HITS: &str = " 1. 0.0164  /tmp/src/a.py  [src]\n    def a_fn(x): return x\n";
    const PLACES: &str = " 1. 0.0164  src/a.py:3  a_fn  python  [src]\n        3  def a_fn(x):\n    and 2 more places\n 2. 0.0160  b.md:1  [src]\n";
    const ENCODED: &str =
        "{\"type\":\"encoded\",\"text\":0,\"role\":\"query\",\"sparse\":null,\"dense\":[1.0]}\n";
    const SOUND: &str = "src            2 files        2 chunks  388 KiB\nsound; digest 91cb\n";
    const PLAN: &str = "p: 1 file, 70 B in 1 shard, 1 segment\noutput: /tmp/x\n  mode                 sharded (default)\n  shard-workers        0 (auto) (default)\n";

    const OURS: [&str; 10] = [
        SUMMARY, LOG, METRICS, PAUSED, HIT, HITS, PLACES, ENCODED, SOUND, PLAN,
    ];

    #[test]
    fn complete_output_is_recognised() {
        for text in OURS {
            assert!(may_be(text.as_bytes()), "{text}");
            assert!(recognise(text.as_bytes()).is_some(), "{text}");
            // Two outputs in one file, and an incomplete one.
            let twice = format!("{text}{text}");
            assert!(recognise(twice.as_bytes()).is_some(), "{twice}");
            let torn = format!("{text}{}", &text[..text.len() / 2]);
            assert!(recognise(torn.as_bytes()).is_some(), "{torn}");
        }
    }

    #[test]
    fn output_within_other_text_is_not_recognised() {
        for text in &OURS[..7] {
            for other in [
                "Yesterday's run ended like this. What does it mean?\n",
                "{\"type\":\"note\",\"profile\":\"p\"}\n",
            ] {
                let quoted = format!("{text}{other}");
                assert_eq!(recognise(quoted.as_bytes()), None, "{quoted}");
                let quoted = format!("{other}{text}");
                assert_eq!(recognise(quoted.as_bytes()), None, "{quoted}");
            }
        }
        for text in [
            "{\"type\":\"summary\",\"profile\":\"me\",\"text\":\"of a game\"}\n",
            "{\"type\":\"hit\",\"rank\":1}\n",
            "{\"type\":\"watchdog\",\"name\":\"Rex\"}\n",
            "# HELP helix_\nA page about helices.\n",
            "shop: built in 1999\n",
            "== Heading ==\n    code\n",
            "1. 20.5  apples  [red]\nand pears\n",
            "12 files and 13 chunks\n",
            "",
            "\n",
        ] {
            assert_eq!(recognise(text.as_bytes()), None, "{text}");
        }
    }
}
