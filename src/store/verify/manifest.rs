//! The manifest beside an index: whether it is as it was written, and what it notes of files.

use super::fault::{FaultKind, Faults, Finder};
use crate::ids::Digest;
use crate::report::Manifest;
use crate::store::locate::Index;
use std::path::{Path, PathBuf};

const NAME: &str = "manifest.json";

/// What the manifest of an index notes, as far as it can be relied on.
#[derive(Default)]
pub struct Noted(Option<Manifest>);

/// Reads the manifest of `index`. One that was changed since it was written is a fault, and notes
/// nothing; so does a missing one, since an index may be copied without it.
pub fn read(index: &Index, faults: &mut Faults) -> Noted {
    let mut finder = Finder {
        shard: NAME,
        faults,
    };
    let place = Place::of(index);
    let bytes = match std::fs::read(&place.manifest) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Noted(None),
        Err(error) => {
            let row = place.manifest.display().to_string();
            finder.fault(FaultKind::Unreadable, "", row, error.to_string());
            return Noted(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    if !Manifest::is_of_this_tool(&text) {
        return Noted(None);
    }
    let manifest = Manifest::parse(&text);
    if manifest.is_none() {
        let row = place.manifest.display().to_string();
        let what = "the text is not the one that its field blake3 stands for";
        finder.fault(FaultKind::Manifest, "", row, what);
    }
    Noted(manifest.filter(|_| !place.segments.is_dir()))
}

/// Whether a build of the index has begun and its manifest is not written yet.
pub fn is_unfinished(index: &Index) -> bool {
    Place::of(index).segments.is_dir()
}

impl Noted {
    /// The hash of the routing database at `path`.
    pub fn of_routing(&self, path: &Path) -> Option<&str> {
        let path = std::path::absolute(path).ok()?;
        let profile = path.parent()?.file_name()?.to_str()?;
        self.0.as_ref()?.routing_hash(profile)
    }

    /// The hash of a database that no routing database lists. A manifest of another state of it says
    /// nothing.
    pub fn of_single(&self, path: &Path, digest: Option<Digest>) -> Option<String> {
        let path = std::path::absolute(path).ok()?;
        self.0.as_ref()?.file_hash(&path, &digest?)
    }
}

/// Where the build that wrote an index keeps what belongs to it.
struct Place {
    manifest: PathBuf,
    /// There from the start of a build until its manifest is written: meanwhile the manifest is of an
    /// earlier state.
    segments: PathBuf,
}

impl Place {
    fn of(index: &Index) -> Self {
        let (Index::Sharded { routing: path, .. } | Index::Single { path }) = index;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let folder = path.parent().unwrap_or(Path::new("/"));
        match index {
            Index::Sharded { .. } => Self {
                manifest: folder.parent().unwrap_or(folder).join(NAME),
                segments: folder.join(".build").join("segments"),
            },
            Index::Single { .. } => {
                let profile = path.file_stem().unwrap_or_default().to_string_lossy();
                Self {
                    manifest: folder.join(NAME),
                    segments: folder.join(format!(".{profile}.build")).join("segments"),
                }
            }
        }
    }
}
