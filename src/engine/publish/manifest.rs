//! Reads and replaces `manifest.json`, the last file that a build publishes.
//!
//! All profiles of an output folder share it: the caller holds the manifest lock.

use crate::engine::error::{Context as _, Result};
use crate::engine::output::draft;
use crate::engine::preflight::Prepared;
use crate::engine::request::BuildRequest;
use crate::failpoint::failpoint;
use crate::named_file;
use crate::plan::Mode;
use crate::report::{BuildEvent, Manifest};
use crate::store::hash_file;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Read the manifest of earlier builds; `None` if it is missing or damaged.
///
/// # Errors
/// If it exists but cannot be read now: replacing it would lose the entries of other profiles.
pub fn read(path: &Path, observe: &mut dyn FnMut(&BuildEvent)) -> Result<Option<Manifest>> {
    let text = match named_file::read(path, named_file::MOST_MANIFEST_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("reading {}", path.display()))?,
    };
    let text = String::from_utf8_lossy(&text);
    let parsed = Manifest::parse(&text);
    if parsed.is_none() && Manifest::is_of_this_tool(&text) {
        let text = format!(
            "{} was modified by another program and is replaced: build the other profiles of its folder again to list \
             them in it",
            path.display()
        );
        observe(&BuildEvent::Warning { text });
    }
    Ok(parsed)
}

/// Replace the manifest, durably and in one step.
pub fn write(path: &Path, manifest: &Manifest) -> io::Result<()> {
    let draft = draft::write(path, manifest.to_text().as_bytes())?;
    failpoint!("manifest::rename", path.display());
    draft.commit()?;
    failpoint!("manifest::renamed", path.display());
    Ok(())
}

/// Return the hash of the routing database to record in the manifest; `None` for a blob or a reproducible build.
///
/// If this run has not changed the database, keep the recorded hash: a new one would hide damage that happened since.
pub fn routing_hash(
    request: &BuildRequest,
    prepared: &Prepared,
    previous: Option<&Manifest>,
) -> Result<Option<String>> {
    if request.mode() == Mode::Blob || prepared.reproducible {
        return Ok(None);
    }
    let hash = hash_file(&prepared.layout.database)?;
    let recorded = previous.and_then(|manifest| manifest.routing_hash(&request.profile.name));
    Ok(Some(match recorded {
        Some(recorded) if prepared.routing_before == Some(hash) => recorded.to_owned(),
        _ => hash.to_string(),
    }))
}
