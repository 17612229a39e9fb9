//! Recognises saved output of this program: a text in which every line is one of ours.
//!
//! A document that quotes a log, metrics or a summary also has other lines, so it is not recognised. What a command writes
//! to standard output and to standard error may be mixed (`2>&1`). [`lines`] knows single lines.

mod lines;

use lines::Line;
use serde_json::Value;

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
        || begins_profile(text)
        || match lines::line(first) {
            Some(Line::Certain) => true,
            Some(Line::Possible) => !first.starts_with("  "),
            None => false,
        }
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
    if super::is_log(text.as_bytes()) && all(super::is_log_line) {
        return Some("the log of a build");
    }
    let is_ours = profile(whole) || printed(lines());
    is_ours.then_some("output of this program")
}

/// Return whether every line is one of ours, and one can be nobody else's.
fn printed<'t>(lines: impl Iterator<Item = &'t str>) -> bool {
    let mut is_certain = false;
    for (n, line) in lines.enumerate() {
        match lines::line(line) {
            Some(Line::Certain) => is_certain = true,
            // What is indented belongs to a line before it.
            Some(Line::Possible) if n > 0 || !line.starts_with("  ") => {}
            _ => return false,
        }
    }
    is_certain
}

/// Return whether a text is the output of `profile show`: its first line is free.
fn profile(text: &str) -> bool {
    let is_field = |line: &str| {
        let name = line.split(": ").next().unwrap_or(line);
        let is_name = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b"_ ".contains(&b));
        line.starts_with("  ") || line == "roots:" || is_name && name.len() < line.len()
    };
    begins_profile(text)
        && text
            .lines()
            .any(|line| line.starts_with("skipped folders: "))
        && text.lines().skip(3).all(is_field)
}

fn begins_profile(text: &str) -> bool {
    let mut lines = text.lines().skip(1);
    lines.next().is_some_and(|line| line.starts_with("file: ")) && lines.next() == Some("roots:")
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

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "p: built in 0 s (0 s of CPU time, encoders busy 0 %)\n  1 file, 1 chunk, 70 B of text in 1 shard\n  /tmp/x/main.genome.db\n  digest 76e2\n\nnext: helix-build query x \"how do I ...\"\n";
    const DIGEST: &str =
        "  digest 85c5f87f72af8332fe49f4b4f7f0b6dd5bea71c69bd4995ba79529998d7e1eed\n";
    const LOG: &str = "2026-11-26T14:57:09.123456Z DEBUG helix_build::telemetry: the log begins\n";
    const METRICS: &str = "# HELP helix_build_info The program that built the profile; always 1.\n# TYPE helix_build_info gauge\nhelix_build_info{profile=\"p\"} 1\n";
    const PAUSED: &str = "{\"type\":\"paused\",\"exit\":75,\"profile\":\"p\"}\n";
    const HIT: &str = "{\"type\":\"hit\",\"rank\":1,\"score\":0.1,\"gene_id\":\"c6\",\"path\":\"/x\",\"shard\":\"s\",\"text\":\"t\"}\n";
    const HITS: &str = " 1. 0.0164  /tmp/src/a.py  [src]\n    def a_fn(x): return x\n";
    const PLACES: &str = " 1. 0.0164  src/a.py:3  a_fn  python  [src]\n        3  def a_fn(x):\n    and 2 more places\n 2. 0.0160  b.md:1  [src]\n";
    const ENCODED: &str =
        "{\"type\":\"encoded\",\"text\":0,\"role\":\"query\",\"sparse\":null,\"dense\":[1.0]}\n";
    const SOUND: &str = "src             1 file         1 chunk  388 KiB\nsound; digest 91cb\n";
    const PLAN: &str = "p: 1 file, 70 B in 1 shard, 1 segment\noutput: /tmp/x\n  mode                 sharded (default)\n  shard-workers        0 (auto) (default)\n";

    const PROGRESS: &str = "p: 2 files, 70 KiB in 1 shard to build; 1 worker x 2 file workers\nwarning: worker 0 died: killed; starting another\n 12 %  30 chunks  3 chunks/s  70 KiB/s  0 of 1 shards  7 s left\npublished src (30 chunks, 388 KiB)\n";
    const ERROR: &str = "error: no index at nowhere: nothing is there\n";
    const USAGE: &str = "error: unexpected argument '--x' found\n\n  tip: a similar argument exists: '--out-dir'\n\nUsage: helix-build [OPTIONS] [PATH]... [COMMAND]\n\nFor more information, try '--help'.\n";
    const DOCTOR: &str = "ok      runtime   ONNX Runtime 1.22.0 (embedded), /x\nnone    gpu       no NVIDIA device\nMISSING models    the sparse encoder needs a file\n";
    const MODELS: &str = "helix-sparse-mini        sparse  built in (default)\nmine                     dense   /m/mine (./models)\n                         tokenizer.json is missing\n";
    const SHOW: &str = "p: Of the shop: all of it\nfile: /x/p.toml\nroots:\n  src                      /x/src\nextensions: rs md\nskipped folders: target\nsizes: 1 to 2 bytes; gitignore: true\nchunker: ast\n";
    const INSPECT: &str = "shard src\n  bytes       397312 (388 KiB)\n  hot chunks  2\n  roots\n    label  path\n    src    /x\n";

    const OURS: [&str; 18] = [
        SUMMARY, DIGEST, LOG, METRICS, PAUSED, HIT, HITS, PLACES, ENCODED, SOUND, PLAN, PROGRESS,
        ERROR, USAGE, DOCTOR, MODELS, SHOW, INSPECT,
    ];

    #[test]
    fn complete_output_is_recognised() {
        for text in OURS {
            assert!(may_be(text.as_bytes()), "{text}");
            assert!(recognise(text.as_bytes()).is_some(), "{text}");
            // What a build says meanwhile, before or behind it.
            if !text.starts_with('#') && text != SHOW && text != LOG {
                for mixed in [
                    format!("{PROGRESS}{text}"),
                    format!("{text}{PROGRESS}{ERROR}"),
                ] {
                    assert!(recognise(mixed.as_bytes()).is_some(), "{mixed}");
                }
            }
            // Two outputs in one file, and an incomplete one.
            let twice = format!("{text}{text}");
            assert!(recognise(twice.as_bytes()).is_some(), "{twice}");
            let torn = format!("{text}{}", &text[..text.len() / 2]);
            assert!(recognise(torn.as_bytes()).is_some(), "{torn}");
        }
    }

    #[test]
    fn output_within_other_text_is_not_recognised() {
        for text in &OURS {
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
            "error: pathspec 'x' did not match any files\n",
            "warning: unused variable\n  --> src/lib.rs:1\n",
            "2026-11-26T14:57:09.123456Z  WARN the disk of the shop is full\n",
            "file a\n  and a list below it\n",
            "ok      so far   and more\n",
            "p: words\nfile: /x\nroots:\n  of trees\n",
            "  indented text alone\n",
            "",
            "\n",
        ] {
            assert_eq!(recognise(text.as_bytes()), None, "{text}");
        }
    }
}
