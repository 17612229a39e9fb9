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

/// Whether this is the start of figures that [`Metrics::render`](super::Metrics::render) wrote.
pub fn is_metrics(head: &[u8]) -> bool {
    head.starts_with(b"# HELP helix_")
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

/// Whether this is the start of the lock file in a work folder.
pub fn is_lock(head: &[u8]) -> bool {
    head.starts_with(b"process ")
}

/// Whether a file of this name in the folder of segments is a build's own: `<name>.seg`, for a later attempt with its
/// number behind (`.seg.1`), with what lies beside it.
pub fn is_segment_name(name: &str) -> bool {
    let plain = [".lock", "-wal", "-shm", "-journal"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let first = match plain.rsplit_once('.') {
        Some((first, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => first,
        _ => plain,
    };
    first.ends_with(".seg")
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
    }

    #[test]
    fn what_others_write_is_not() {
        for text in [
            "{\n  \"format\": 1,\n  \"tool\": \"webpack\"\n}",
            "{\"name\": \"app\", \"blake3\": \"x\"}",
            "# HELP node_load1 1m load average.",
            "2026-11-26T14:57:09Z INFO server: helix_builder: is not it\nhelix_build:",
            "2026-11-26 14:57:09 INFO helix_build: another form",
            "text about helix_build",
            "",
        ] {
            let head = text.as_bytes();
            assert!(!is_manifest(head) && !is_metrics(head), "{text}");
            assert!(!is_log(head), "{text}");
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
