//! Refuses a `--metrics-file` or `--log-file` that a build has another use for, now or later.
//!
//! A name of ours that is still free is no free name: a log there would be taken for a lock, a segment or the log of a
//! database. By names and places alone; what a file of another name holds is looked at where it is opened. Creates
//! nothing.

use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::layout::Layout;
use crate::named_file::{self, Target};
use crate::plan::Mode;
use crate::platform;
use crate::report::marks;
use crate::store::names::{ROUTING_NAME, SHARDS_FOLDER};
use std::path::{Path, PathBuf};

/// Exit code 2 when an index, or a build of one, has another use for the file at `path`, which `flag` names.
/// `layouts` are the outputs that this run writes.
pub fn refuse(flag: &str, path: &Path, layouts: &[Layout]) -> Result<()> {
    // What else is wrong with it is told where it is opened.
    let Ok(Target::File(file)) = named_file::target(path) else {
        return Ok(());
    };
    let file = real(&file);
    if is_of_an_index(&file) || layouts.iter().any(|layout| is_of(layout, &file)) {
        let text = format!(
            "{flag} {}: a build has another use for that file: name another",
            path.display()
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    Ok(())
}

/// Whether a path, absolute and with a folder free of links, belongs to some index that is there.
fn is_of_an_index(file: &Path) -> bool {
    let named = name(file);
    let has_database = |suffix: &&str| {
        let database = named.strip_suffix(*suffix);
        database.is_some_and(|database| is_database(&file.with_file_name(database)))
    };
    let is_inside = |folder: &Path| {
        let lock = || named_file::head(&folder.join("lock"), marks::HEAD_BYTES);
        (marks::is_work_name(&name(folder)) && lock().is_ok_and(|head| marks::is_lock(&head)))
            || (name(folder) == SHARDS_FOLDER && folder.with_file_name(ROUTING_NAME).is_file())
    };
    marks::is_index_name(&named)
        || marks::attempt_of(&named).is_some()
        || marks::BESIDE.iter().any(has_database)
        || file.ancestors().skip(1).any(is_inside)
}

/// Whether it belongs to an output of this layout, which need not be there.
fn is_of(layout: &Layout, file: &Path) -> bool {
    let database = real(&layout.database);
    let own = [
        &layout.manifest,
        &layout.manifest_lock(),
        &layout.manifest_draft(),
    ];
    let is_own = own.into_iter().any(|own| real(own) == file);
    // Any blob of the folder: another profile's may be built there later.
    let is_blob = || {
        layout.mode == Mode::Blob
            && file.parent() == database.parent()
            && marks::database_of(&name(file)).ends_with(".db")
    };
    let is_beside =
        || file.parent() == database.parent() && marks::database_of(&name(file)) == name(&database);
    let inside = match layout.mode {
        Mode::Sharded => vec![&layout.work, &layout.shards],
        Mode::Blob => vec![&layout.work],
    };
    // The file would be where a folder has to be.
    let is_above = || {
        [&layout.work, &layout.shards]
            .into_iter()
            .any(|folder| real(folder).starts_with(file))
    };
    is_own
        || is_beside()
        || is_blob()
        || is_above()
        || inside
            .into_iter()
            .any(|folder| file.starts_with(real(folder)))
}

fn is_database(path: &Path) -> bool {
    named_file::head(path, marks::HEAD_BYTES).is_ok_and(|head| marks::is_database(&head))
}

/// Free of links as far as it is there.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for above in absolute.ancestors().skip(1) {
        if let (Ok(real), Ok(below)) = (platform::real_path(above), absolute.strip_prefix(above)) {
            return real.join(below);
        }
    }
    absolute
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
