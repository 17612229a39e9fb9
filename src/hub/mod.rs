//! Fetches models from a hub: an explicit command, never part of a build.
//!
//! Speaks the HTTP interface of hubs of models: the list of a repository's files, and each file with its hash. Writes into a
//! folder beside the new directory, where an interrupted run leaves what it has, and renames it when everything is there and
//! as announced. The only module that opens connections.
//!
//! Imports, from the bottom: `error`, `source` and `client`, `listing` and `download`, this file.

mod client;
mod download;
mod error;
mod listing;
mod source;

use crate::platform;
use client::Client;
pub use client::Limits;
pub use error::HubError;
use listing::Listing;
pub use source::Source;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What to fetch, and from where.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub source: &'a Source,
    pub endpoint: &'a str,
    /// Sent to the endpoint's own host only.
    pub token: Option<&'a str>,
    /// The graph; `None`: the usual one.
    pub file: Option<&'a str>,
    /// The new directory; it must not exist.
    pub out: &'a Path,
    /// Tells from the small files whether the model is a table, without a graph.
    pub is_static: fn(&Path) -> bool,
    pub limits: Limits,
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The commit.
    pub revision: String,
    pub licence: Option<String>,
    /// Of the graph or table.
    pub sha256: String,
    pub files: usize,
    pub bytes: u64,
}

/// Progress of [`fetch`].
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    pub file: &'a str,
    pub bytes: u64,
    /// `None`: the server does not say.
    pub size: Option<u64>,
}

/// Fetch a model into a new directory, with a `helix-model.toml` that says where it is from.
///
/// # Errors
/// [`HubError`]. After `Unavailable` and after a kill, the same call goes on where it stopped.
pub fn fetch(order: &Order<'_>, report: &mut dyn FnMut(Progress<'_>)) -> Result<Fetched, HubError> {
    let Order { source, out, .. } = *order;
    let token = order.token.map(str::to_owned);
    let client = Client::new(order.endpoint, token, order.limits)?;
    let listing = Listing::fetch(&client, source)?;
    let licence = checked_licence(source, &listing)?;
    let unfinished = Unfinished::open(out, source, &listing.sha)?;
    let mut all = Vec::new();
    let mut get = |names: Vec<String>| -> Result<(), HubError> {
        for name in names {
            let url = client.url(&format!(
                "{}/resolve/{}/{}",
                source.repository,
                listing.sha,
                name.replace(' ', "%20")
            ));
            let size = listing.size(&name);
            let mut report = |bytes| {
                report(Progress {
                    file: &name,
                    bytes,
                    size,
                });
            };
            download::download(
                &client,
                &url,
                &unfinished.folder.join(&name),
                size,
                &mut report,
            )?;
            all.push(name);
        }
        Ok(())
    };
    get(listing.settings())?;
    let named_table = order
        .file
        .is_some_and(|file| file.ends_with(".safetensors"));
    let is_static = named_table || order.file.is_none() && (order.is_static)(&unfinished.folder);
    let model = listing.model(order.file, is_static, &source.repository)?;
    let main = model[0].clone();
    get(model)?;
    let path = unfinished.folder.join(&main);
    let sha256 = download::sha256(&path).map_err(|error| HubError::unwritten(&path, error))?;
    let fetched = Fetched {
        revision: listing.sha.clone(),
        licence,
        sha256,
        files: all.len(),
        bytes: all
            .iter()
            .filter_map(|name| Some(unfinished.folder.join(name).metadata().ok()?.len()))
            .sum(),
    };
    unfinished.publish(&description(order, &fetched, &main))?;
    Ok(fetched)
}

/// Return the licence; one of the short list must be the listed one.
fn checked_licence(source: &Source, listing: &Listing) -> Result<Option<String>, HubError> {
    let stated = listing.licence();
    match source.entry() {
        Some(entry) if stated.as_deref() != Some(entry.licence) => Err(HubError::Repository {
            repository: source.repository.clone(),
            reason: format!(
                "its licence was {} when it was listed, and its card states {}: read its terms, and fetch it as hf:{}",
                entry.licence,
                stated.as_deref().unwrap_or("none"),
                source.repository
            ),
        }),
        _ => Ok(stated),
    }
}

/// Return `helix-model.toml`.
fn description(order: &Order<'_>, fetched: &Fetched, main: &str) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = String::new();
    if let Some(licence) = &fetched.licence {
        text += &format!("licence = {}\n", quoted(licence));
    }
    text += &format!("sha256 = {}\n", quoted(&fetched.sha256));
    if order.file.is_some() {
        text += &format!("file = {}\n", quoted(main));
    }
    text += order.source.entry().map_or("", |entry| entry.settings);
    text += &format!(
        "\n[fetched]\nfrom = {}\nrevision = {}\nendpoint = {}\n",
        quoted(&format!("hf:{}", order.source.repository)),
        quoted(&fetched.revision),
        quoted(order.endpoint)
    );
    text
}

/// The folder that becomes the new directory, with what earlier runs fetched of the same revision.
struct Unfinished {
    folder: PathBuf,
    out: PathBuf,
    /// Held while this process writes to the folder.
    lock: File,
    lock_path: PathBuf,
}

impl Unfinished {
    fn open(out: &Path, source: &Source, sha: &str) -> Result<Self, HubError> {
        let unwritten = |error: std::io::Error| HubError::unwritten(out, error);
        let out = std::path::absolute(out).map_err(unwritten)?;
        if out.symlink_metadata().is_ok() {
            return Err(HubError::unwritten(
                &out,
                "it exists; choose another or remove it",
            ));
        }
        let parent = out.parent().unwrap_or(Path::new("/")).to_owned();
        platform::create_folders(&parent).map_err(unwritten)?;
        let name = format!(".helix-fetch-{}-{}", source.model(), &sha[..12]);
        let lock_path = parent.join(format!("{name}.lock"));
        let lock = File::create(&lock_path).map_err(unwritten)?;
        if lock.try_lock().is_err() {
            return Err(HubError::unwritten(
                &out,
                "another process is fetching this model",
            ));
        }
        let folder = parent.join(name);
        fs::create_dir_all(&folder).map_err(unwritten)?;
        Ok(Self {
            folder,
            out,
            lock,
            lock_path,
        })
    }

    /// Write the description, and rename the folder, durably.
    fn publish(self, description: &str) -> Result<(), HubError> {
        let publish = || {
            let toml = self.folder.join("helix-model.toml");
            fs::write(&toml, description)?;
            File::open(&toml)?.sync_all()?;
            platform::sync_directory(&self.folder)?;
            fs::rename(&self.folder, &self.out)?;
            platform::sync_directory(self.out.parent().unwrap_or(Path::new("/")))
        };
        let published = publish().map_err(|error| HubError::unwritten(&self.out, error));
        drop(self.lock);
        // Nobody needs it once the directory is there.
        let _ = fs::remove_file(&self.lock_path);
        published
    }
}

#[cfg(test)]
mod tests;
