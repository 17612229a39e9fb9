//! Recognises what builds have written below a root, so that no build indexes it.
//!
//! Decides by name and by the whole text, not by location, and for outputs of any build.

use super::read;
use crate::file::RelPath;
use crate::profile::recipe::RuleSet;
use crate::profile::{Limits, Root, Rules};
use crate::report::marks;

/// Extensions of sources in programming languages: nobody saves what a program said under these, and they are most
/// of what lies below a root. Other files are looked into.
const SOURCES: [&str; 39] = [
    "bash", "bat", "c", "cc", "cpp", "cs", "css", "cxx", "dart", "ex", "exs", "go", "h", "hpp",
    "hs", "java", "jl", "js", "jsx", "kt", "lua", "m", "mjs", "php", "pl", "pm", "ps1", "py",
    "pyi", "r", "rb", "rs", "scala", "scss", "sh", "sql", "swift", "ts", "tsx",
];

/// Return what a folder holds, if builds keep their work in it.
pub fn folder(root: &Root, rel: &RelPath, limits: &Limits) -> Option<&'static str> {
    let name = std::str::from_utf8(rel.file_name()).ok()?;
    let is_work = marks::is_work_name(name) && is_work(root, rel.as_bytes(), limits);
    is_work.then_some("work files of a build")
}

/// Return what a file is, by its name, if a build wrote it.
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

/// What the first bytes of a file say of it.
pub enum Looked {
    /// This program wrote all of it: see [`marks::saved_output`].
    Output(&'static str),
    /// It is no text.
    Binary,
}

/// Look into an eligible file whose name is not that of a source. Unreadable files are left to later checks, and so are files
/// of which more than the first bytes must be read to know whether they are text.
pub fn text(root: &Root, rel: &RelPath, rules: &Rules) -> Option<Looked> {
    if SOURCES.contains(&rel.extension().as_str()) {
        return None;
    }
    let limits = &rules.limits;
    let head = read::head(&root.path, rel, limits, marks::HEAD_BYTES).ok()?;
    if rules.set == RuleSet::Standard && is_binary(&head) {
        return Some(Looked::Binary);
    }
    if marks::is_plan(&head) {
        return Some(Looked::Output("a plan of a build over many machines"));
    }
    if !marks::saved_output::may_be(&head) {
        return None;
    }
    let text = read::head(&root.path, rel, limits, limits.max_file_bytes).ok()?;
    marks::saved_output::recognise(&text).map(Looked::Output)
}

/// Return whether a file that begins with `head` is certainly no text: it has a NUL character, also if it is UTF-16 without a
/// mark.
fn is_binary(head: &[u8]) -> bool {
    let is_marked = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    !is_marked && head.as_chunks::<2>().0.contains(&[0, 0])
}

fn is_work(root: &Root, folder: &[u8], limits: &Limits) -> bool {
    let Ok(lock) = RelPath::try_from([folder, b"/lock"].concat()) else {
        return false;
    };
    let head = read::head(&root.path, &lock, limits, marks::HEAD_BYTES);
    head.is_ok_and(|head| marks::is_lock(&head))
}
