//! Refuses to build where something that is not ours is in the way, before anything is done.
//!
//! The output folder may itself lie behind a link, which is how people put it on another disk. Inside a
//! profile's output the build makes, empties and removes files under fixed names: behind a link it
//! would do so to somebody else's, and what is no regular file there was not put there by a build. Whoever may
//! write there at the very moment of the build can still swap a name; this is against what lies in wait.

use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::draft;
use crate::engine::output::layout::Layout;
use crate::engine::output::provenance;
use crate::engine::request::BuildRequest;
use crate::named_file::{self, Target};
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

/// Exit code 2 when something is in the way of a build of this profile; 12 when another version wrote its blob.
pub fn refuse(request: &BuildRequest) -> Result<()> {
    let layout = &request.layout();
    refuse_name(request, layout)?;
    if let Ok(found) = fs::metadata(&request.out_dir)
        && !found.is_dir()
        && !found.is_file()
    {
        expect(&request.out_dir, found.file_type(), Wanted::Folder)?;
    }
    for folder in [layout.manifest.parent(), layout.database.parent()] {
        // These may be links.
        let found = folder.and_then(|folder| Some((folder, fs::metadata(folder).ok()?)));
        if let Some((folder, found)) = found {
            expect(folder, found.file_type(), Wanted::Folder)?;
        }
    }
    let mut folders = vec![layout.work.clone(), layout.segments()];
    let mut files = vec![
        layout.lock(),
        layout.provenance(),
        layout.rebuild(),
        layout.manifest.clone(),
        layout.manifest_lock(),
        layout.manifest_draft(),
        draft::of(&layout.provenance()),
        draft::of(&layout.rebuild()),
    ];
    files.extend(beside(&layout.database));
    if layout.mode == Mode::Sharded {
        folders.push(layout.shards.clone());
        files.push(layout.database.clone());
    }
    let folders = folders.iter().map(|path| (path, Wanted::Folder));
    for (path, wanted) in folders.chain(files.iter().map(|path| (path, Wanted::File))) {
        if let Ok(found) = fs::symlink_metadata(path) {
            expect(path, found.file_type(), wanted)?;
        }
    }
    for (path, is_ours) in [
        (layout.provenance(), marks::is_output as fn(&[u8]) -> bool),
        (layout.rebuild(), marks::is_rebuild),
        (layout.manifest_draft(), marks::is_draft),
    ] {
        refuse_stranger(&path, is_ours)?;
    }
    if let Some(path) = ownership::foreign_in_segments(&layout.segments())? {
        let found = fs::symlink_metadata(&path).map(|found| found.file_type());
        if let Ok(kind) = found
            && kind.is_symlink()
        {
            expect(&path, kind, Wanted::File)?;
        }
        return Err(in_the_way(
            &path,
            "not a build's own, and its folder would be emptied",
        ));
    }
    refuse_manifest(&layout.manifest)?;
    match layout.mode {
        Mode::Sharded => {
            // A build that was killed may have left a log of its own.
            let is_fresh = !layout.segments().exists()
                && !fs::metadata(&layout.database).is_ok_and(|found| found.len() > 0);
            if let (true, Some(path)) = (is_fresh, log_beside(&layout.database)) {
                return Err(not_ours(NotOurs::Log { path }));
            }
            if let Err(what) = ownership::is_routing(&layout.database)? {
                let (path, what) = (layout.database.clone(), what.to_owned());
                return Err(not_ours(NotOurs::Foreign { path, what }));
            }
        }
        Mode::Blob => {
            let holding = ownership::look(&layout.database)?;
            let label = slug(&request.profile.name);
            let records = provenance::remembered(request, layout).1;
            records
                .may_replace(&layout.database, &holding, &label, other_formats(request))
                .map_err(not_ours)?;
        }
    }
    Ok(())
}

/// Refuses what lies under a name of ours and does not begin as a build writes it. A file without content is nobody's,
/// unless it has another name somewhere else. One that cannot be read is told by whoever opens it.
pub fn refuse_stranger(path: &Path, is_ours: fn(&[u8]) -> bool) -> Result<()> {
    let Ok(head) = named_file::head(path, marks::HEAD_BYTES) else {
        return Ok(());
    };
    let has_other_names = || fs::metadata(path).is_ok_and(|file| platform::has_other_names(&file));
    let is_nobodys = || marks::is_blank(&head) && !has_other_names();
    let is_filled = || !marks::is_blank(&head);
    match is_nobodys() || (is_filled() && is_ours(&head)) {
        true => Ok(()),
        false => Err(in_the_way(
            path,
            "not a build's own, and would be overwritten",
        )),
    }
}

/// Why a database must not be replaced, with its exit code.
pub fn not_ours(error: NotOurs) -> BuildError {
    let code = match error {
        NotOurs::Foreign { .. } | NotOurs::Log { .. } | NotOurs::OfAnotherProfile { .. } => {
            ErrorKind::InvalidRequest
        }
        NotOurs::OtherFormat { .. } => ErrorKind::FingerprintMismatch,
    };
    BuildError::new(code, error.to_string())
}

/// `--rebuild` asks for it.
pub fn other_formats(request: &BuildRequest) -> OtherFormats {
    match request.rebuild {
        true => OtherFormats::Replace,
        false => OtherFormats::Keep,
    }
}

/// What the output's routing database and manifest say of its files.
pub fn records(layout: &Layout) -> Records {
    let mut records = Records::default();
    let has_routing = layout.mode == Mode::Sharded
        && fs::metadata(&layout.database).is_ok_and(|found| found.len() > 0);
    if has_routing {
        // An empty one, or one that is damaged, names nothing; opening it for writing says what is wrong with it.
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

/// Names of profiles that would make a file or folder of ours into another.
fn refuse_name(request: &BuildRequest, layout: &Layout) -> Result<()> {
    let name = &request.profile.name;
    let same = |path: &Path, other: &Path| {
        // On some systems names differ in case alone and are one file.
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
        let text = format!(
            "profile {}: its output would be {}, a name that the build itself uses: rename the profile",
            request.profile.file.display(),
            own.display()
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    Ok(())
}

/// A manifest that another program wrote is not ours to replace. One without any content is nobody's. One of another
/// version's format is exit code 12, `--rebuild` or not, since it lists other indexes too.
pub fn refuse_manifest(path: &Path) -> Result<()> {
    let text = match named_file::read(path, named_file::MOST_MANIFEST_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.with_context(|| format!("reading {}", path.display()))?,
    };
    let text = String::from_utf8_lossy(&text);
    if let Some(format) = Manifest::unknown_format(&text) {
        let text = format!(
            "{}: written in format {format}, which this version does not know: use the version of helix-build that \
             wrote it, choose another --out-dir, or move it away",
            path.display()
        );
        return Err(BuildError::new(ErrorKind::FingerprintMismatch, text));
    }
    match Manifest::is_of_this_tool(&text) || Manifest::is_blank(&text) {
        true => Ok(()),
        false => Err(in_the_way(path, "another program's manifest")),
    }
}

/// Refuses a `--metrics-file` that is the profile, or whose folder is not there.
pub fn refuse_metrics(request: &BuildRequest, path: &Path) -> Result<()> {
    let refused = |why: String| {
        let text = format!("--metrics-file {}: {why}", path.display());
        BuildError::new(ErrorKind::InvalidRequest, text)
    };
    let target = named_file::target(path).map_err(|error| refused(error.to_string()))?;
    let Target::File(file) = target else {
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
            "there is no such folder: make it, or name another".to_owned(),
        ));
    }
    if place(&request.profile.file).as_ref() == Some(&meant) {
        return Err(refused(
            "it is the profile, and would be replaced: name another".to_owned(),
        ));
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Wanted {
    File,
    Folder,
}

fn expect(path: &Path, found: fs::FileType, wanted: Wanted) -> Result<()> {
    let (fits, name) = match wanted {
        Wanted::File => (found.is_file(), "file"),
        Wanted::Folder => (found.is_dir(), "folder"),
    };
    if fits {
        return Ok(());
    }
    if found.is_symlink() {
        let text = format!(
            "{} is a link, and the build would write or remove what it leads to: remove the link, or choose another --out-dir",
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

/// What SQLite keeps beside a database.
pub fn beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    marks::BESIDE.into_iter().map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Refuses what is no regular file where a shard, or what SQLite keeps beside it, will be.
pub fn refuse_beside(shard: &Path) -> Result<()> {
    for path in std::iter::once(shard.to_path_buf()).chain(beside(shard)) {
        if let Ok(found) = fs::symlink_metadata(&path) {
            expect(&path, found.file_type(), Wanted::File)?;
        }
    }
    Ok(())
}
