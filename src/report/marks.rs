//! Recognises files of this program by their names and their first bytes.
//!
//! Pure. For databases, `store::ownership` reads the rows that say who wrote them.

pub mod saved_output;

/// How many bytes of a file's beginning the functions below need.
pub const HEAD_BYTES: u64 = 512;

/// File name ending of shards and routing databases.
const INDEX_ENDING: &str = ".genome.db";

/// Separates the name of a database from the number of an attempt to publish it.
pub const ATTEMPT: &str = ".tmp-";

/// Suffixes of the files that SQLite keeps beside a database.
pub const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// File name of a manifest.
pub const MANIFEST_NAME: &str = "manifest.json";

/// Return whether a file begins like a manifest from [`Manifest::to_text`](super::Manifest::to_text).
pub fn is_manifest(head: &[u8]) -> bool {
    head.starts_with(b"{\n  \"format\": ") && contains(head, b"\n  \"tool\": \"helix-build ")
}

/// The first line of a metrics file, a comment for collectors.
pub const METRICS_MARK: &str =
    "# helix-build keeps its figures here, and replaces the file with every run.\n";

/// The beginning of metrics files from versions without [`METRICS_MARK`].
const UNMARKED_METRICS: &str = "# HELP helix_build_info The program that built the profile; always 1.\n\
                                # TYPE helix_build_info gauge\nhelix_build_info{";

/// Return whether a file begins like metrics from [`Metrics::render`](super::Metrics::render).
/// [`Metrics::is_ours`](super::Metrics::is_ours) checks the rest.
pub fn is_metrics(head: &[u8]) -> bool {
    head.starts_with(METRICS_MARK.as_bytes()) || head.starts_with(UNMARKED_METRICS.as_bytes())
}

/// Return whether a file begins like a log: its first line has a time, a level and a module of this program.
pub fn is_log(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or(head);
    std::str::from_utf8(line).is_ok_and(is_log_line) && contains(line, b"helix_build:")
}

/// Return whether a line begins with a time and a level, as all log lines do.
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

/// Return whether a file of this name belongs to an index: a shard or routing database, a file that SQLite keeps beside
/// one, an attempt to publish one, or the lock or draft of a manifest.
pub fn is_index_name(name: &str) -> bool {
    let database = database_of(name);
    database.ends_with(INDEX_ENDING) && database.len() > INDEX_ENDING.len()
        || [".manifest.lock", ".manifest.json.tmp"].contains(&name)
}

/// Return the name of the database that a file is or belongs to.
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

/// Return the name of the database that an attempt was to become: `<database>.tmp-<pid>-<n>`, with or without a suffix of
/// [`BESIDE`]. `None` for any other name.
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

/// Return whether a folder of this name is a work folder: `.build`, or `.<profile>.build` beside a blob.
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

/// Return whether a file begins like the provenance of an output, `output.json`.
pub fn is_output(head: &[u8]) -> bool {
    begins(head, b"{\n  \"tool\": \"helix-build ")
}

/// The beginning of the file that marks a rebuild in progress; the fingerprint follows.
pub const REBUILD_BEGUN: &str = "rebuild of ";

/// Return whether a file begins like the mark of a rebuild in progress.
pub fn is_rebuild(head: &[u8]) -> bool {
    begins(head, REBUILD_BEGUN.as_bytes())
}

/// The first line of the record of change times in a work folder.
pub const CHANGE_TIMES: &str = "helix-build change times 1\n";

/// Return whether a file begins like the record of change times.
pub fn is_change_times(head: &[u8]) -> bool {
    begins(head, CHANGE_TIMES.as_bytes())
}

/// Return whether a file begins with this text, or is a torn beginning of it.
fn begins(head: &[u8], start: &[u8]) -> bool {
    head.starts_with(start) || (!head.is_empty() && start.starts_with(head))
}

/// Return whether a file begins like the draft of a manifest, complete or not.
pub fn is_draft(head: &[u8]) -> bool {
    const START: &[u8] = b"{\n  \"format\": ";
    head.starts_with(START) || START.starts_with(head)
}

/// Return whether a file begins like an SQLite database of any program.
pub fn is_database(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0")
}

/// Return whether a file of this name begins as SQLite writes it: a log with its number, a journal with its mark, shared
/// memory with its version, anything else as a database. What is blank was torn off by a kill or a power cut.
pub fn begins_as_named(name: &str, head: &[u8]) -> bool {
    const JOURNAL: &[u8] = &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let is_log = |byte: u8| head.starts_with(&[0x37, 0x7f, 0x06, byte]);
    // 3,007,000 in the order of bytes of the machine.
    let version = 3_007_000_u32;
    let is_shared =
        || head.starts_with(&version.to_le_bytes()) || head.starts_with(&version.to_be_bytes());
    is_blank(head)
        || match name {
            name if name.ends_with("-wal") => is_log(0x82) || is_log(0x83),
            name if name.ends_with("-journal") => {
                head.starts_with(JOURNAL) || is_unsynced_journal(head)
            }
            name if name.ends_with("-shm") => is_shared(),
            _ => is_database(head),
        }
}

/// Return whether a file begins like a journal whose header is not on the disk yet: the mark and the number of pages are
/// zeros until then. Behind them are a random number, the size of the database in pages, and the sizes of sectors and
/// pages in bytes, powers of two.
fn is_unsynced_journal(head: &[u8]) -> bool {
    let is_size = |at: usize| {
        let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(u32::from_be_bytes)
            .is_some_and(|size| size.is_power_of_two() && (32..=65_536).contains(&size))
    };
    head.len() >= 28 && head[..12] == [0; 12] && is_size(20) && is_size(24)
}

/// Return whether the beginning of a file is empty: white space, or the zeros that a power cut leaves.
pub fn is_blank(head: &[u8]) -> bool {
    head.iter()
        .all(|byte| *byte == 0 || byte.is_ascii_whitespace())
}

/// The beginning of a plan that `plan --out` writes.
pub const PLAN_MARK: &str = "{\"tool\":\"helix-build ";

/// Return whether a file begins like a plan of a build over many machines.
pub fn is_plan(head: &[u8]) -> bool {
    head.starts_with(PLAN_MARK.as_bytes()) && contains(head, b"\"kind\":\"plan\"")
}

/// The beginning of the file that says which plan is being built; the plan's hash follows.
pub const PLAN_BEGUN: &str = "plan ";

/// Return whether a file begins like the one that says which plan is being built.
pub fn is_plan_begun(head: &[u8]) -> bool {
    begins(head, PLAN_BEGUN.as_bytes())
}

/// Return whether a file of this name in the folder of tasks is of a build: `plan`, `<n>.json`, `shard-<n>.json` or
/// `shard-<n>.db`, with what marks a temporary file (`7.json.123`, `shard-0.db.tmp-1-2`).
pub fn is_task_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = match (attempt_of(name), name.rsplit_once('.')) {
        (Some(target), _) => target,
        (None, Some((plain, n))) if is_number(n) => plain,
        _ => name,
    };
    let note = plain.strip_suffix(".json");
    let number = note.map(|note| note.strip_prefix("shard-").unwrap_or(note));
    let shard = plain.strip_prefix("shard-");
    let shard = shard.and_then(|shard| shard.strip_suffix(".db"));
    [number, shard].into_iter().flatten().any(is_number) || plain == "plan"
}

/// The first bytes of a segment.
pub const SEGMENT_MAGIC: &[u8] = b"helix-build segment\n";

/// Return whether a file's first bytes are those of a segment, or of one of an earlier version, which was a database. What
/// is blank or cut short was torn off by a kill or a power cut.
pub fn begins_as_segment(head: &[u8]) -> bool {
    let is_torn = !head.is_empty() && SEGMENT_MAGIC.starts_with(head);
    is_blank(head) || is_torn || head.starts_with(SEGMENT_MAGIC) || is_database(head)
}

/// Suffixes of the files beside a segment.
const BESIDE_SEGMENT: [&str; 4] = [".lock", "-wal", "-shm", "-journal"];

/// Return whether a file of this name in the segment folder is of a build: `<name>.seg`, with a number for a later
/// attempt (`.seg.1`), and a suffix of [`BESIDE_SEGMENT`] or none.
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

/// Return whether nobody but a build gives a file this name: a label and 16 hexadecimal digits, `src-d85b2477152c89d7.seg`.
/// Whatever damage has made of its contents, the next build replaces it.
pub fn is_generated_segment_name(name: &str) -> bool {
    let plain = name
        .strip_suffix(".seg")
        .map(|plain| plain.strip_suffix(".part").unwrap_or(plain));
    let digits = plain.and_then(|plain| Some(plain.rsplit_once('-')?.1));
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(is_hex))
}

/// Return whether a file of this name is a segment itself, not a file beside it.
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
    fn files_of_other_programs_are_not_recognised() {
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
    fn names_of_an_index_are_recognised() {
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
