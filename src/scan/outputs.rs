//! What builds have written below a root: it is no input, or every run would index what the one before it said.
//!
//! Told by names and by the first bytes, wherever it lies and whichever build wrote it.

use super::read;
use crate::file::RelPath;
use crate::profile::{Limits, Root};
use crate::report::marks;

/// Extensions under which people keep figures and logs, and that of manifests. Only such files are opened: the
/// others are sources.
const TEXTS: [&str; 11] = [
    "", "json", "jsonl", "log", "md", "metrics", "ndjson", "out", "prom", "txt", "text",
];

/// What a folder holds, if builds keep their work in it.
pub fn folder(root: &Root, rel: &RelPath, limits: &Limits) -> Option<&'static str> {
    let name = std::str::from_utf8(rel.file_name()).ok()?;
    let is_work = marks::is_work_name(name) && is_work(root, rel.as_bytes(), limits);
    is_work.then_some("work files of a build")
}

/// What a file is, by its name, if a build wrote it.
pub fn file(root: &Root, rel: &RelPath, limits: &Limits) -> Option<&'static str> {
    if root.outputs.contains(rel) {
        return Some("this build writes it");
    }
    let name = std::str::from_utf8(rel.file_name()).ok()?;
    if marks::is_index_name(name) {
        return Some("part of an index");
    }
    // A blob has any name, and its work folder beside it.
    let stem = marks::database_of(name).strip_suffix(".db")?;
    let above = &rel.as_bytes()[..rel.as_bytes().len() - name.len()];
    let work = [above, b".", stem.as_bytes(), b".build"].concat();
    is_work(root, &work, limits).then_some("an index")
}

/// What an eligible file is, by its first bytes, if a build wrote it. One that cannot be read is for others to judge.
pub fn text(root: &Root, rel: &RelPath, limits: &Limits) -> Option<&'static str> {
    if !TEXTS.contains(&rel.extension().as_str()) {
        return None;
    }
    let head = read::head(&root.path, rel, limits, marks::HEAD_BYTES).ok()?;
    if marks::is_manifest(&head) {
        return Some("the manifest of builds");
    }
    if marks::is_metrics(&head) {
        return Some("figures of a build");
    }
    if marks::is_log(&head) {
        return Some("the log of a build");
    }
    marks::is_lines(&head).then_some("what a build said")
}

fn is_work(root: &Root, folder: &[u8], limits: &Limits) -> bool {
    let Ok(lock) = RelPath::try_from([folder, b"/lock"].concat()) else {
        return false;
    };
    let head = read::head(&root.path, &lock, limits, marks::HEAD_BYTES);
    head.is_ok_and(|head| marks::is_lock(&head))
}
