//! How files of this program are told from others without opening them as what they are: by their names, and by the
//! bytes at their start.
//!
//! Pure. Whether a database is ours, its own rows say: `store::ownership` asks them.

pub mod said;

/// Bytes from the start of a file that the functions below want to see.
pub const HEAD_BYTES: u64 = 512;

/// The ending of a shard's and of a routing database's name.
const INDEX_ENDING: &str = ".genome.db";

/// Between the name of a database and the number of an attempt to publish it.
pub const ATTEMPT: &str = ".tmp-";

/// What SQLite keeps beside a database.
pub const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The name that a manifest has in the folder of an output.
pub const MANIFEST_NAME: &str = "manifest.json";

/// Whether this is the start of a manifest that [`Manifest::to_text`](super::Manifest::to_text) wrote.
pub fn is_manifest(head: &[u8]) -> bool {
    head.starts_with(b"{\n  \"format\": ") && contains(head, b"\n  \"tool\": \"helix-build ")
}

/// The first line of the figures: to collectors a comment.
pub const METRICS_MARK: &str =
    "# helix-build keeps its figures here, and replaces the file with every run.\n";

/// How the figures began when they had no [`METRICS_MARK`].
const UNMARKED_METRICS: &str = "# HELP helix_build_info The program that built the profile; always 1.\n\
                                # TYPE helix_build_info gauge\nhelix_build_info{";

/// Whether this is the start of figures that [`Metrics::render`](super::Metrics::render) wrote. What stands behind it
/// may be of others: [`Metrics::is_ours`](super::Metrics::is_ours) reads it all.
pub fn is_metrics(head: &[u8]) -> bool {
    head.starts_with(METRICS_MARK.as_bytes()) || head.starts_with(UNMARKED_METRICS.as_bytes())
}

/// Whether this is the start of a log file: the first line has a time, a level and a module of this program.
pub fn is_log(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or(head);
    std::str::from_utf8(line).is_ok_and(is_log_line) && contains(line, b"helix_build:")
}

/// Whether a line has the time and the level that all lines of a log file begin with.
fn is_log_line(line: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let is_time = line.len() > SHAPE.len()
        && line.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            shape => byte == *shape,
        });
    let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
    let level = line.split_ascii_whitespace().nth(1).unwrap_or_default();
    is_time && levels.contains(&level)
}

/// Whether a file of this name belongs to an index: a shard or a routing database, what SQLite keeps beside one, an
/// attempt to publish one, or what guards and precedes a manifest.
pub fn is_index_name(name: &str) -> bool {
    let database = database_of(name);
    database.ends_with(INDEX_ENDING) && database.len() > INDEX_ENDING.len()
        || [".manifest.lock", ".manifest.json.tmp"].contains(&name)
}

/// The name of the database that a file of this name is, or belongs to.
pub fn database_of(name: &str) -> &str {
    let plain = BESIDE
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    match attempt_of(plain) {
        Some(target) => target,
        None => plain,
    }
}

/// The name of the database that an attempt of this name was to become: `<database>.tmp-<pid>-<n>`, with or without the
/// suffix of a file that SQLite keeps beside a database. `None` for any other name.
pub fn attempt_of(name: &str) -> Option<&str> {
    let plain = BESIDE
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let (target, attempt) = plain.rsplit_once(ATTEMPT)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (process, n) = attempt.split_once('-')?;
    (is_number(process) && is_number(n)).then_some(target)
}

/// Whether a folder of this name is where a build keeps its work: `.build`, or `.<profile>.build` beside a blob.
pub fn is_work_name(name: &str) -> bool {
    name == ".build" || name.starts_with('.') && name.ends_with(".build") && name.len() > 7
}

/// Whether this is the start of the lock file in a work folder: a line `process N on HOST`.
pub fn is_lock(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"process ") else {
        return false;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ends = rest.iter().position(|byte| *byte == b'\n');
    digits > 0
        && rest[digits..].starts_with(b" on ")
        && ends.is_none_or(|end| end + 1 == rest.len())
}

/// Whether this is the start of what an output remembers of the builds that made it, `output.json`.
pub fn is_output(head: &[u8]) -> bool {
    head.starts_with(b"{\n  \"tool\": \"helix-build ")
}

/// How the mark of a rebuild in progress begins; the fingerprint follows.
pub const REBUILD_BEGUN: &str = "rebuild of ";

/// Whether this is the start of the mark of a rebuild in progress.
pub fn is_rebuild(head: &[u8]) -> bool {
    head.starts_with(REBUILD_BEGUN.as_bytes())
}

/// Whether this is the start of a manifest that was being written, whole or not.
pub fn is_draft(head: &[u8]) -> bool {
    const START: &[u8] = b"{\n  \"format\": ";
    head.starts_with(START) || START.starts_with(head)
}

/// Whether this is the start of a database of SQLite, whosoever.
pub fn is_database(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0")
}

/// Whether a file that begins so holds nothing: white space, or the zeros that a power cut leaves.
pub fn is_blank(head: &[u8]) -> bool {
    head.iter()
        .all(|byte| *byte == 0 || byte.is_ascii_whitespace())
}

/// What lies beside a segment.
const BESIDE_SEGMENT: [&str; 4] = [".lock", "-wal", "-shm", "-journal"];

/// Whether a file of this name in the folder of segments is a build's own: `<name>.seg`, for a later attempt with its
/// number behind (`.seg.1`), with what lies beside it.
pub fn is_segment_name(name: &str) -> bool {
    let plain = BESIDE_SEGMENT
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let first = match plain.rsplit_once('.') {
        Some((first, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => first,
        _ => plain,
    };
    first.ends_with(".seg")
}

/// Whether a file of such a name is the segment itself, not what lies beside it.
pub fn is_segment_itself(name: &str) -> bool {
    !BESIDE_SEGMENT.iter().any(|suffix| name.ends_with(suffix))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Manifest, Metrics};
    use std::collections::BTreeMap;

    #[test]
    fn what_is_written_is_recognised() {
        let manifest = Manifest {
            format: 1,
            tool: concat!("helix-build ", env!("CARGO_PKG_VERSION")).to_owned(),
            blake3: String::new(),
            targets: BTreeMap::new(),
        };
        assert!(is_manifest(manifest.to_text().as_bytes()));
        assert!(is_metrics(Metrics::default().render("").as_bytes()));
        assert!(is_log(
            b"2026-11-26T14:57:09.123456Z DEBUG helix_build::telemetry: the log begins\nmore"
        ));
        assert!(is_lock(b"process 12 on host\n") && is_lock(b"process 12 on "));
        assert!(is_output(b"{\n  \"tool\": \"helix-build 0.1.0\",\n"));
        assert!(
            is_draft(manifest.to_text().as_bytes()) && is_draft(b"{\n  \"for") && is_draft(b"")
        );
    }

    #[test]
    fn what_others_write_is_not() {
        for text in [
            "{\n  \"format\": 1,\n  \"tool\": \"webpack\"\n}",
            "{\"name\": \"app\", \"blake3\": \"x\"}",
            "# HELP node_load1 1m load average.",
            "# HELP helix_antenna_gain_db Gain of the antenna.",
            "# helix-builder keeps its figures here",
            "2026-11-26T14:57:09Z INFO server: helix_builder: is not it\nhelix_build:",
            "2026-11-26 14:57:09 INFO helix_build: another form",
            "text about helix_build",
            "process of our own",
            "process 7 on a list\nand more",
            "",
        ] {
            let head = text.as_bytes();
            assert!(!is_manifest(head) && !is_metrics(head), "{text}");
            assert!(!is_log(head), "{text}");
            assert!(
                !is_lock(head) && !is_output(head) && !is_rebuild(head),
                "{text}"
            );
            assert!(!is_draft(b"x") && !is_draft(b"{\"format\": 1"));
        }
    }

    #[test]
    fn names_of_an_index_are_told_from_others() {
        for name in [
            "main.genome.db",
            "a.genome.db-wal",
            "a.genome.db.tmp-12-0",
            "a.genome.db.tmp-12-0-journal",
            ".manifest.lock",
        ] {
            assert!(is_index_name(name), "{name}");
        }
        for name in [
            ".genome.db",
            "a.db",
            "a.genome.dbx",
            "a.genome.db.tmp-x-1",
            "manifest.lock",
        ] {
            assert!(!is_index_name(name), "{name}");
        }
        assert_eq!(attempt_of("a.genome.db.tmp-1-2-wal"), Some("a.genome.db"));
        for name in [
            "a.genome.db.tmp-1",
            "a.genome.db.tmp-1-2x",
            "a.genome.db",
            "b.tmp-x-1",
        ] {
            assert_eq!(attempt_of(name), None, "{name}");
        }
        assert!(is_work_name(".build") && is_work_name(".p.build"));
        assert!(!is_work_name("build") && !is_work_name("..build") && !is_work_name("p.build"));
        assert!(is_segment_name("a-1.seg") && is_segment_name("a-1.seg.lock"));
        assert!(is_segment_name("a-1.seg.2") && is_segment_name("a-1.seg.12-wal"));
        assert!(!is_segment_name("notes.txt") && !is_segment_name("a.seg.bak.1"));
    }
}
