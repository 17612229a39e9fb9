//! Remembers which profile file and which roots an output was built from, in `output.json` in the work folder.
//!
//! The profile file keeps two profiles of the same name from replacing each other's index. The roots let an unavailable
//! root keep its shard and its label. If the file is lost, `--take-over` assigns the index to a profile again.

use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::layout::Layout;
use crate::engine::output::{draft, list_databases, obstacles};
use crate::engine::request::BuildRequest;
use crate::file;
use crate::named_file;
use crate::platform;
use crate::profile::{ExpectedRoot, KnownRoot, Profile};
use crate::store::ownership::{self, Holding, Records};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// The profile file and the roots that an output was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    tool: String,
    /// The absolute path of the profile file without links, in the form of [`file::root_spelling`].
    profile: String,
    /// The same path relative to the work folder, so that profile and output can be moved together.
    #[serde(default)]
    profile_from_here: Option<String>,
    /// The folders of a profile without a file, sorted, in the same form: they identify it. Empty if there is a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    folders: Vec<String>,
    /// The same folders relative to the work folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folders_from_here: Option<Vec<String>>,
    #[serde(default)]
    roots: Vec<RememberedRoot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedRoot {
    /// The entry of the profile, as typed.
    typed: String,
    /// The absolute path without links, in the form of [`file::root_spelling`].
    path: String,
    label: String,
}

impl Provenance {
    /// Read the provenance of an output; `None` if it is missing or invalid.
    pub fn read(layout: &Layout) -> Option<Self> {
        let text = named_file::read_text(&layout.provenance(), named_file::MOST_TEXT_BYTES).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Describe the profile as it is now, including its missing roots that an earlier build knew.
    pub fn of(profile: &Profile, layout: &Layout) -> Self {
        let file = real(&profile.file);
        let available = profile.roots.iter().map(|root| RememberedRoot {
            typed: root.typed.clone(),
            path: file::root_spelling(&root.path).into_owned(),
            label: root.label.clone(),
        });
        let unavailable = profile.missing.iter().filter_map(|root| {
            let ExpectedRoot { path, label } = root.expected.as_ref()?;
            Some(RememberedRoot {
                typed: root.typed.clone(),
                path: file::root_spelling(path).into_owned(),
                label: label.clone(),
            })
        });
        let mut roots: Vec<RememberedRoot> = available.chain(unavailable).collect();
        roots.sort_by(|one, other| one.path.cmp(&other.path));
        let folders = &profile.folders;
        let spelled = folders
            .iter()
            .map(|path| file::root_spelling(path).into_owned());
        let from_here = folders.iter().map(|path| relative_path(&layout.work, path));
        Self {
            folders: spelled.collect(),
            folders_from_here: from_here
                .collect::<Option<Vec<_>>>()
                .filter(|it| !it.is_empty()),
            tool: concat!("helix-build ", env!("CARGO_PKG_VERSION")).to_owned(),
            profile: file::root_spelling(&file).into_owned(),
            profile_from_here: relative_path(&layout.work, &file),
            roots,
        }
    }

    /// Add the other roots of `earlier`: their shards exist until the build has concluded.
    pub fn with_roots_of(mut self, earlier: Option<Self>) -> Self {
        for root in earlier.map(|it| it.roots).unwrap_or_default() {
            if !self.roots.iter().any(|known| known.path == root.path) {
                self.roots.push(root);
            }
        }
        self.roots.sort_by(|one, other| one.path.cmp(&other.path));
        self
    }

    pub fn roots(&self) -> Vec<KnownRoot> {
        let known = |root: &RememberedRoot| KnownRoot {
            typed: root.typed.clone(),
            path: file::root_from_spelling(&root.path),
            label: root.label.clone(),
        };
        self.roots.iter().map(known).collect()
    }

    /// Return whether both were made from the same profile: one file or one set of folders, at its path or at the same place
    /// beside the output.
    fn is_same_profile(&self, other: &Self) -> bool {
        match (self.folders.as_slice(), other.folders.as_slice()) {
            ([], []) => {
                let (here, there) = (&self.profile_from_here, &other.profile_from_here);
                self.profile == other.profile || (here.is_some() && here == there)
            }
            // Earlier versions recorded a single folder like a file.
            ([], [folder]) | ([folder], []) => {
                self.profile == other.profile && self.profile == *folder
            }
            (one, another) => {
                let (here, there) = (&self.folders_from_here, &other.folders_from_here);
                one == another || (here.is_some() && here == there)
            }
        }
    }

    /// Return the profile file or the folders, for messages.
    fn source(&self) -> String {
        let shown = |path: &String| file::root_from_spelling(path).display().to_string();
        match self.folders.as_slice() {
            [] => shown(&self.profile),
            folders => folders.iter().map(shown).collect::<Vec<_>>().join(" and "),
        }
    }

    /// Return the paths of the roots, in the form of [`file::root_spelling`].
    pub fn root_paths(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.path.clone()).collect()
    }

    /// Write the provenance to the output, unless it is there already.
    /// Return the same with paths at their new places, where they have moved, as seen from where the output lies now.
    pub fn relocated(mut self, layout: &Layout, moved: impl Fn(&str) -> Option<String>) -> Self {
        let roots = self.roots.iter_mut().map(|root| &mut root.path);
        for path in roots.chain(&mut self.folders).chain([&mut self.profile]) {
            if let Some(to) = moved(path) {
                *path = to;
            }
        }
        let from_here =
            |path: &String| relative_path(&layout.work, &file::root_from_spelling(path));
        if self.folders_from_here.is_some() {
            self.folders_from_here = self.folders.iter().map(from_here).collect();
        }
        self
    }

    pub fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.provenance();
        let writing = || format!("writing {}", path.display());
        if Self::read(layout).as_ref() == Some(self) {
            return draft::discard(&path).with_context(writing);
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        draft::replace(&path, text.as_bytes()).with_context(writing)
    }
}

/// Return the provenance to write when a build of this request begins, and what the output has recorded about its files.
pub fn remembered(request: &BuildRequest, layout: &Layout) -> (Provenance, Records) {
    let now = Provenance::of(&request.profile, layout);
    let remembered = now.with_roots_of(Provenance::read(layout));
    let records = Records {
        roots: remembered.root_paths().into_iter().collect(),
        taken_over: request.take_over,
        ..obstacles::records(layout)
    };
    (remembered, records)
}

/// Refuse an output that was built from another profile file, or that has an index without a provenance.
///
/// A profile file that was moved together with its output counts as the same. The other file counts even if it is
/// missing: its disk may be unmounted.
///
/// # Errors
/// `InvalidRequest`.
pub fn refuse_other_profile(profile: &Profile, layout: &Layout) -> Result<()> {
    let other = match profile.folders.is_empty() {
        true => "choose another --out-dir",
        false => "choose another --name or --out-dir",
    };
    let refused = |text: String| {
        let text = format!("{text}: {other}, or pass --take-over to replace that index");
        Err(BuildError::new(ErrorKind::InvalidRequest, text))
    };
    let Some(known) = Provenance::read(layout) else {
        return match find_index(layout)? {
            None => Ok(()),
            Some(index) => refused(format!(
                "{} is an index, but {}, which names its profile, is missing or cannot be read",
                index.display(),
                layout.provenance().display()
            )),
        };
    };
    let now = Provenance::of(profile, layout);
    if known.is_same_profile(&now) {
        return Ok(());
    }
    refused(format!(
        "{} was built from {}, not from {}",
        layout.database.display(),
        known.source(),
        now.source(),
    ))
}

/// Return a database in the output that a build has made, if there is one.
fn find_index(layout: &Layout) -> Result<Option<PathBuf>> {
    let records = obstacles::records(layout);
    if records.registered.iter().any(|row| row.build.is_some()) {
        return Ok(Some(layout.database.clone()));
    }
    for path in list_databases(layout)? {
        let is_built = match ownership::look(&path)? {
            Holding::Ours(mark) => layout.shard(&mark.label) == path,
            Holding::OtherFormat { .. } => true,
            Holding::Unreadable => records.is_recorded(&path),
            Holding::Nothing | Holding::Foreign(_) => false,
        };
        if is_built {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn real(path: &Path) -> PathBuf {
    platform::real_path(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Return the path of `file` relative to `folder`, with `..` and `/`; `None` if it is on another drive.
fn relative_path(folder: &Path, file: &Path) -> Option<String> {
    let folder = real(folder);
    let (from, to): (Vec<_>, Vec<_>) = (folder.components().collect(), file.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if !matches!(to.first(), Some(Component::RootDir | Component::Prefix(_))) || shared == 0 {
        return None;
    }
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let down = to[shared..].iter().map(|part| {
        let part: &Path = part.as_ref();
        file::root_spelling(part).into_owned()
    });
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_a_folder() {
        let relative = |folder, file| relative_path(Path::new(folder), Path::new(file));
        assert_eq!(
            relative("/a/b/out", "/a/p.toml").as_deref(),
            Some("../../p.toml")
        );
        assert_eq!(relative("/a", "/a/x/p.toml").as_deref(), Some("x/p.toml"));
        assert_eq!(relative("/a", "p.toml"), None);
    }
}
