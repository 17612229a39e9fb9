//! The manifest beside an index: whether it is as it was written, and what it notes of files.

use super::fault::{FaultKind, Faults, Finder};
use crate::ids::Digest;
use crate::named_file;
use crate::report::Manifest;
use crate::store::locate::Index;
use std::path::Path;

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
    let place = index.surroundings();
    let bytes = match named_file::read(&place.manifest, named_file::MOST_MANIFEST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Noted(None),
        Err(error) => {
            let row = place.manifest.display().to_string();
            finder.fault(FaultKind::Unreadable, "", row, error.to_string());
            return Noted(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    if Manifest::is_of_another_tool(&text) {
        return Noted(None);
    }
    if let Some(format) = Manifest::unknown_format(&text) {
        let row = place.manifest.display().to_string();
        let what = format!("format {format} is not known to this version");
        finder.fault(FaultKind::Format, "", row, what);
        return Noted(None);
    }
    let manifest = Manifest::parse(&text);
    if manifest.is_none() {
        let row = place.manifest.display().to_string();
        let what = match Manifest::is_of_this_tool(&text) {
            true => "the text is not the one that its field blake3 stands for",
            false => "it is emptied, or no manifest",
        };
        finder.fault(FaultKind::Manifest, "", row, what);
    }
    Noted(manifest.filter(|_| !place.is_unfinished()))
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
