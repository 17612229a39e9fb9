//! The manifest beside an index: whether it is as it was written, and what it notes of files.

use super::fault::{FaultKind, Faults, Finder};
use crate::ids::Digest;
use crate::named_file;
use crate::report::Manifest;
use crate::store::index::Index;
use std::path::{Path, PathBuf};

const NAME: &str = "manifest.json";

/// What the manifest of an index notes, as far as it can be relied on.
#[derive(Default)]
pub struct ManifestRecord {
    manifest: Option<Manifest>,
    /// Where another program's manifest lies in the place of ours.
    pub foreign: Option<PathBuf>,
}

/// For what lies in the manifest's place and no build replaces.
const MOVE_AWAY: &str = "move it away and run the build again, which writes a new one and encodes nothing that is unchanged; a build replaces \
     no manifest that it does not know";

/// Read the manifest of `index`. One that was changed since it was written is a fault, and notes
/// nothing; so does a missing one, since an index may be copied without it.
pub fn read(index: &Index, faults: &mut Faults) -> ManifestRecord {
    let mut finder = Finder {
        shard: NAME,
        faults,
    };
    let place = index.surroundings();
    let bytes = match named_file::read(&place.manifest, named_file::MOST_MANIFEST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return ManifestRecord::default();
        }
        Err(error) => {
            let row = place.manifest.display().to_string();
            finder.advise(
                FaultKind::Unreadable,
                ("", &row),
                &error.to_string(),
                MOVE_AWAY,
            );
            return ManifestRecord::default();
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    if Manifest::is_of_another_tool(&text) {
        return ManifestRecord {
            foreign: Some(place.manifest),
            ..ManifestRecord::default()
        };
    }
    if let Some(format) = Manifest::unknown_format(&text) {
        let row = place.manifest.display().to_string();
        let what = format!("format {format} is not known to this version");
        let advice =
            "run the version of helix-build that wrote it, or move it away and run the build again";
        finder.advise(FaultKind::Format, ("", &row), &what, advice);
        return ManifestRecord::default();
    }
    let manifest = Manifest::parse(&text);
    if manifest.is_none() {
        let row = place.manifest.display().to_string();
        let (what, advice) = if Manifest::is_of_this_tool(&text) {
            let what = "the text does not match its field blake3";
            (what, FaultKind::Manifest.advice())
        } else if Manifest::is_blank(&text) {
            ("the file is empty", FaultKind::Manifest.advice())
        } else {
            ("another program wrote it, or it is damaged", MOVE_AWAY)
        };
        finder.advise(FaultKind::Manifest, ("", &row), what, advice);
    }
    ManifestRecord {
        manifest: manifest.filter(|_| !place.is_unfinished()),
        foreign: None,
    }
}

impl ManifestRecord {
    /// Return the hash of the routing database at `path`.
    pub fn of_routing(&self, path: &Path) -> Option<&str> {
        let path = std::path::absolute(path).ok()?;
        let profile = path.parent()?.file_name()?.to_str()?;
        self.manifest.as_ref()?.routing_hash(profile)
    }

    /// Return the hash of a database that no routing database lists. A manifest of another state of it says
    /// nothing.
    pub fn of_single(&self, path: &Path, digest: Option<Digest>) -> Option<String> {
        let path = std::path::absolute(path).ok()?;
        self.manifest.as_ref()?.file_hash(&path, &digest?)
    }
}
