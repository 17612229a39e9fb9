//! Refuses to build over foreign files, before anything is written.
//!
//! A build creates, empties and removes files with fixed names inside its output. If one of those names is a link, the
//! build would change files elsewhere; if it is not a regular file, no build has made it. The output folder itself may be
//! a link, for example to another disk. These checks do not protect against a program that swaps files during the build.

use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::draft;
use crate::engine::output::layout::Layout;
use crate::engine::output::provenance;
use crate::engine::request::BuildRequest;
use crate::named_file;
use crate::plan::Mode;
use crate::platform;
use crate::profile::slug;
use crate::report::{Manifest, marks};
use crate::store::log_beside;
use crate::store::ownership::{self, NotOurs, OtherFormats, Records};
use crate::store::registered::registered_shards;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Refuse a request whose output contains foreign files where the build would write.
///
/// # Errors
/// `InvalidRequest`, or `FingerprintMismatch` if another version wrote the blob or the manifest.
pub fn refuse(request: &BuildRequest) -> Result<()> {
    let layout = &request.layout();
    refuse_name(request, layout)?;
    refuse_wrong_kinds(request, layout)?;
    refuse_foreign_file(&layout.provenance(), marks::is_output)?;
    refuse_foreign_file(&layout.rebuild(), marks::is_rebuild)?;
    refuse_foreign_file(&layout.plan_mark(), marks::is_plan_begun)?;
    refuse_foreign_file(&layout.committed(), marks::is_plan_begun)?;
    refuse_foreign_file(&draft::path_of(&layout.committed()), marks::is_plan_begun)?;
    refuse_foreign_file(&draft::path_of(&layout.provenance()), marks::is_output)?;
    refuse_foreign_file(&draft::path_of(&layout.rebuild()), marks::is_rebuild)?;
    let times = layout.change_times();
    refuse_foreign_file(&times, marks::is_change_times)?;
    refuse_foreign_file(&draft::path_of(&times), marks::is_change_times)?;
    refuse_foreign_file(&layout.manifest_draft(), marks::is_draft)?;
    refuse_foreign_segments(layout)?;
    refuse_manifest(&layout.manifest)?;
    refuse_foreign_beside(&layout.database)?;
    match layout.mode {
        Mode::Sharded => refuse_foreign_routing(layout),
        Mode::Blob => {
            let holding = ownership::look(&layout.database)?;
            let label = slug(&request.profile.name);
            let records = provenance::remembered(request, layout).1;
            records
                .may_replace(&layout.database, &holding, &label, other_formats(request))
                .map_err(not_ours)
        }
    }
}

/// Refuse files where the build needs folders, anything but regular files where it needs files, and links inside the
/// output.
fn refuse_wrong_kinds(request: &BuildRequest, layout: &Layout) -> Result<()> {
    if let Ok(found) = fs::metadata(&request.out_dir)
        && !found.is_dir()
        && !found.is_file()
    {
        require_kind(&request.out_dir, found.file_type(), FileKind::Folder)?;
    }
    for folder in [layout.manifest.parent(), layout.database.parent()] {
        // These may be links.
        let found = folder.and_then(|folder| Some((folder, fs::metadata(folder).ok()?)));
        if let Some((folder, found)) = found {
            require_kind(folder, found.file_type(), FileKind::Folder)?;
        }
    }
    let mut folders = vec![layout.work.clone(), layout.segments(), layout.tasks()];
    let mut files = vec![
        layout.lock(),
        layout.provenance(),
        layout.rebuild(),
        layout.committed(),
        layout.change_times(),
        layout.manifest.clone(),
        layout.manifest_lock(),
        layout.manifest_draft(),
        draft::path_of(&layout.provenance()),
        draft::path_of(&layout.rebuild()),
        draft::path_of(&layout.committed()),
        draft::path_of(&layout.change_times()),
    ];
    files.extend(beside(&layout.database));
    if layout.mode == Mode::Sharded {
        folders.push(layout.shards.clone());
        files.push(layout.database.clone());
    }
    let folders = folders.iter().map(|path| (path, FileKind::Folder));
    for (path, wanted) in folders.chain(files.iter().map(|path| (path, FileKind::File))) {
        if let Ok(found) = fs::symlink_metadata(path) {
            require_kind(path, found.file_type(), wanted)?;
        }
    }
    Ok(())
}

fn refuse_foreign_segments(layout: &Layout) -> Result<()> {
    let Some(path) = ownership::foreign_in_segments(&layout.segments())? else {
        return Ok(());
    };
    if let Ok(found) = fs::symlink_metadata(&path)
        && found.is_symlink()
    {
        require_kind(&path, found.file_type(), FileKind::File)?;
    }
    Err(in_the_way(
        &path,
        "not a file of a build, but the build would empty its folder",
    ))
}

/// Refuse a routing database of another program, and the log of a missing database.
fn refuse_foreign_routing(layout: &Layout) -> Result<()> {
    // Without segments, no killed build can have left the log.
    let is_fresh = !layout.segments().exists()
        && !fs::metadata(&layout.database).is_ok_and(|found| found.len() > 0);
    if let (true, Some(path)) = (is_fresh, log_beside(&layout.database)) {
        return Err(not_ours(NotOurs::Log { path }));
    }
    ownership::is_routing(&layout.database)?.map_err(|what| {
        not_ours(NotOurs::Foreign {
            path: layout.database.clone(),
            what: what.to_owned(),
        })
    })
}

/// Refuse a file at `path` that does not begin as a build writes it. Empty files are accepted, unless they have another
/// hard link. A file that cannot be read is reported when it is opened.
pub fn refuse_foreign_file(path: &Path, is_ours: fn(&[u8]) -> bool) -> Result<()> {
    let Ok(head) = named_file::head(path, marks::HEAD_BYTES) else {
        return Ok(());
    };
    let has_other_names = || fs::metadata(path).is_ok_and(|file| platform::has_other_names(&file));
    let is_empty = || marks::is_blank(&head) && !has_other_names();
    let has_content = || !marks::is_blank(&head);
    match is_empty() || (has_content() && is_ours(&head)) {
        true => Ok(()),
        false => Err(in_the_way(
            path,
            "not a file of a build, but the build would overwrite it",
        )),
    }
}

/// Convert the reason why a database must not be replaced.
pub fn not_ours(error: NotOurs) -> BuildError {
    let code = match error {
        NotOurs::Foreign { .. } | NotOurs::Log { .. } | NotOurs::OfAnotherProfile { .. } => {
            ErrorKind::InvalidRequest
        }
        NotOurs::OtherFormat { .. } => ErrorKind::FingerprintMismatch,
    };
    BuildError::new(code, error.to_string())
}

/// Return whether the build may replace databases of other format versions: only with `--rebuild`.
pub fn other_formats(request: &BuildRequest) -> OtherFormats {
    match request.rebuild {
        true => OtherFormats::Replace,
        false => OtherFormats::Keep,
    }
}

/// Read what the routing database and the manifest record about the files of the output.
pub fn records(layout: &Layout) -> Records {
    let mut records = Records::default();
    let has_routing = layout.mode == Mode::Sharded
        && fs::metadata(&layout.database).is_ok_and(|found| found.len() > 0);
    if has_routing {
        // A damaged database lists nothing; opening it for writing reports the damage.
        records.registered = registered_shards(&layout.database).unwrap_or_default();
    }
    let text = named_file::read(&layout.manifest, named_file::MOST_MANIFEST_BYTES);
    let manifest = Manifest::parse(&String::from_utf8_lossy(&text.unwrap_or_default()));
    let targets = manifest
        .map(|manifest| manifest.targets)
        .unwrap_or_default();
    let shards = targets.into_values().flat_map(|target| target.index.shards);
    let listed = shards.map(|shard| (PathBuf::from(shard.path), shard.digest));
    records.listed = listed.collect();
    records
}

/// Refuse a profile name that would give the output the name of another file of the build.
fn refuse_name(request: &BuildRequest, layout: &Layout) -> Result<()> {
    let name = &request.profile.name;
    let same = |path: &Path, other: &Path| {
        // Some file systems ignore case.
        let lower = |path: &Path| path.to_string_lossy().to_lowercase();
        lower(path) == lower(other)
    };
    let shared = [
        &layout.manifest,
        &layout.manifest_lock(),
        &layout.manifest_draft(),
    ];
    let own = match layout.mode {
        Mode::Sharded => layout.database.parent().unwrap_or(&layout.database),
        Mode::Blob => &layout.database,
    };
    let is_routing = layout.mode == Mode::Blob && marks::is_index_name(&format!("{name}.db"));
    if is_routing || shared.iter().any(|path| same(path, own)) {
        let profile = &request.profile;
        let fix = match profile.folders.is_empty() {
            true => "rename the profile",
            false => "choose another --name",
        };
        let text = format!(
            "profile {}: its output would be {}, a name that builds reserve: {fix}",
            profile.file.display(),
            own.display()
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    Ok(())
}

/// Refuse to replace a manifest that another program wrote. An empty file is accepted.
///
/// # Errors
/// `InvalidRequest`, or `FingerprintMismatch` for the format of another version, even with `--rebuild`: the manifest also
/// lists other indexes.
pub fn refuse_manifest(path: &Path) -> Result<()> {
    let text = match named_file::read(path, named_file::MOST_MANIFEST_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.with_context(|| format!("reading {}", path.display()))?,
    };
    let text = String::from_utf8_lossy(&text);
    if let Some(format) = Manifest::unknown_format(&text) {
        let text = format!(
            "{} has format {format}, which this version does not support: use the version of helix-build that wrote it, \
             choose another --out-dir, or move it away",
            path.display()
        );
        return Err(BuildError::new(ErrorKind::FingerprintMismatch, text));
    }
    match Manifest::is_of_this_tool(&text) || Manifest::is_blank(&text) {
        true => Ok(()),
        false => Err(in_the_way(path, "another program's manifest")),
    }
}

#[derive(Clone, Copy)]
enum FileKind {
    File,
    Folder,
}

fn require_kind(path: &Path, found: fs::FileType, wanted: FileKind) -> Result<()> {
    let (fits, name) = match wanted {
        FileKind::File => (found.is_file(), "file"),
        FileKind::Folder => (found.is_dir(), "folder"),
    };
    if fits {
        return Ok(());
    }
    if found.is_symlink() {
        let text = format!(
            "{} is a link, and the build would change the files behind it: remove the link, or choose another --out-dir",
            path.display()
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    let found = platform::kind_in_words(found);
    Err(in_the_way(
        path,
        &format!("{found} where the build needs a {name}"),
    ))
}

fn in_the_way(path: &Path, what: &str) -> BuildError {
    let text = format!(
        "{} is {what}: move it away, or choose another --out-dir",
        path.display()
    );
    BuildError::new(ErrorKind::InvalidRequest, text)
}

/// Return the paths of a database's log, shared memory and journal.
pub fn beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    marks::BESIDE.into_iter().map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Refuse anything but regular files at the paths of a shard and of the files that SQLite keeps beside it.
pub fn refuse_irregular_files(shard: &Path) -> Result<()> {
    for path in std::iter::once(shard.to_path_buf()).chain(beside(shard)) {
        if let Ok(found) = fs::symlink_metadata(&path) {
            require_kind(&path, found.file_type(), FileKind::File)?;
        }
    }
    refuse_foreign_beside(shard)
}

/// Refuse a file with the name of a log of `database` that SQLite did not write: replacing the database removes it.
fn refuse_foreign_beside(database: &Path) -> Result<()> {
    match ownership::foreign_beside(database) {
        None => Ok(()),
        Some(path) => Err(in_the_way(
            &path,
            "not a file of a database, but the build would remove it with the database of that name",
        )),
    }
}
