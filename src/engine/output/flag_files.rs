//! Refuses a `--metrics-file` or `--log-file` at a path that a build reserves.
//!
//! Reserved paths are refused even if they do not exist yet: a log there would be mistaken for a lock, a segment or a
//! database log. Checks names and folders only; the code that opens the file checks its content. Creates nothing.

use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::layout::Layout;
use crate::engine::request::BuildRequest;
use crate::named_file;
use crate::plan::Mode;
use crate::platform;
use crate::report::marks;
use crate::store::names::{ROUTING_NAME, SHARDS_FOLDER};
use std::path::{Path, PathBuf};

/// Refuse the file at `path`, given with `flag`, if an existing index or one of `layouts`, the outputs of this run,
/// reserves it.
///
/// # Errors
/// `InvalidRequest`.
pub fn refuse(flag: &str, path: &Path, layouts: &[Layout]) -> Result<()> {
    // Opening the file reports any other problem.
    let Ok(Some(file)) = named_file::target_file(path) else {
        return Ok(());
    };
    let file = real(&file);
    if belongs_to_index(&file) || layouts.iter().any(|layout| belongs_to(layout, &file)) {
        let text = format!(
            "{flag} {}: builds use this path themselves: choose another file",
            path.display()
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    Ok(())
}

/// Refuse a `--metrics-file` that is the profile itself, or whose folder does not exist.
pub fn refuse_metrics(request: &BuildRequest, path: &Path) -> Result<()> {
    let refused = |why: String| {
        let text = format!("--metrics-file {}: {why}", path.display());
        BuildError::new(ErrorKind::InvalidRequest, text)
    };
    let target = named_file::target_file(path).map_err(|error| refused(error.to_string()))?;
    let Some(file) = target else {
        return Ok(());
    };
    let place = |path: &Path| {
        let folder = platform::real_path(path.parent()?).ok()?;
        Some(folder.join(path.file_name()?))
    };
    let absolute = std::path::absolute(&file).unwrap_or(file);
    let meant = place(&absolute).unwrap_or(absolute);
    if !meant.parent().is_some_and(Path::is_dir) {
        return Err(refused(
            "its folder does not exist: create it, or choose another file".to_owned(),
        ));
    }
    if place(&request.profile.file).as_ref() == Some(&meant) {
        return Err(refused(
            "this is the profile: choose another file".to_owned(),
        ));
    }
    Ok(())
}

/// Return whether `file` belongs to an existing index. Its path is absolute, and its folder free of links.
fn belongs_to_index(file: &Path) -> bool {
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

/// Return whether `file` belongs to an output of this layout, existing or not.
fn belongs_to(layout: &Layout, file: &Path) -> bool {
    let database = real(&layout.database);
    let own = [
        &layout.manifest,
        &layout.manifest_lock(),
        &layout.manifest_draft(),
    ];
    let is_own = own.into_iter().any(|own| real(own) == file);
    // Any database in a blob's folder: another profile may be built there later.
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
    // The file would take the place of a folder.
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

/// Resolve the links of the part of the path that exists.
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
