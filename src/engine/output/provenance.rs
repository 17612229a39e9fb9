//! What an output remembers of the builds that made it: which profile file, and where its roots lay.
//!
//! A small file in the work folder, `output.json`. The profile file is there so that two profiles of one name do not
//! replace each other's index; the roots, so that one that is away keeps its shard and its label. It is a memory, not
//! a record: without it an index is nobody's, and `--take-over` says whose it is from now on.

use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::draft;
use crate::engine::output::kept;
use crate::engine::output::layout::Layout;
use crate::engine::output::obstacles;
use crate::engine::request::BuildRequest;
use crate::file;
use crate::named_file;
use crate::platform;
use crate::profile::{ExpectedRoot, KnownRoot, Profile};
use crate::store::ownership::{self, Holding, Records};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    tool: String,
    /// The profile file, absolute and free of links, as [`file::root_spelling`] spells it.
    profile: String,
    /// The same as seen from the folder of the output, for those who move or copy both together.
    #[serde(default)]
    profile_from_here: Option<String>,
    #[serde(default)]
    roots: Vec<RememberedRoot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedRoot {
    /// The entry of the profile, as it stood there.
    typed: String,
    /// Absolute and free of links, spelled.
    path: String,
    label: String,
}

impl Provenance {
    /// What the output at `layout` remembers; `None` for a new one. Text that is none of ours is forgotten.
    pub fn read(layout: &Layout) -> Option<Self> {
        let text = named_file::read_text(&layout.provenance(), named_file::MOST_TEXT_BYTES).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Of this profile as it is here and now, and of the roots that an earlier build knew.
    pub fn of(profile: &Profile, layout: &Layout) -> Self {
        let file = real(&profile.file);
        let there = profile.roots.iter().map(|root| RememberedRoot {
            typed: root.typed.clone(),
            path: file::root_spelling(&root.path).into_owned(),
            label: root.label.clone(),
        });
        let away = profile.missing.iter().filter_map(|root| {
            let ExpectedRoot { path, label } = root.expected.as_ref()?;
            Some(RememberedRoot {
                typed: root.typed.clone(),
                path: file::root_spelling(path).into_owned(),
                label: label.clone(),
            })
        });
        let mut roots: Vec<RememberedRoot> = there.chain(away).collect();
        roots.sort_by(|one, other| one.path.cmp(&other.path));
        Self {
            tool: concat!("helix-build ", env!("CARGO_PKG_VERSION")).to_owned(),
            profile: file::root_spelling(&file).into_owned(),
            profile_from_here: from_folder(&layout.work, &file),
            roots,
        }
    }

    /// The same, with the roots of `earlier` that it does not know: their shards are there until the build has
    /// concluded.
    pub fn with(mut self, earlier: Option<Self>) -> Self {
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

    /// Spelled.
    pub fn root_paths(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.path.clone()).collect()
    }

    /// Replaces what the output remembers, unless it is the same.
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

/// What the output remembers once a build of this request has begun, and what it says of its files.
pub fn remembered(request: &BuildRequest, layout: &Layout) -> (Provenance, Records) {
    let now = Provenance::of(&request.profile, layout);
    let remembered = now.with(Provenance::read(layout));
    let records = Records {
        roots: remembered.root_paths().into_iter().collect(),
        taken_over: request.take_over,
        ..obstacles::records(layout)
    };
    (remembered, records)
}

/// Exit code 2 when the output at `layout` was made from another profile file, or has an index and does not say from
/// which. One that was moved with its output is the same. That the other file is not there proves nothing: it may be on
/// a disk that is away.
pub fn refuse_another(profile: &Profile, layout: &Layout) -> Result<()> {
    let refused = |text: String| {
        let text =
            format!("{text}: choose another --out-dir, or replace that index with --take-over");
        Err(BuildError::new(ErrorKind::InvalidRequest, text))
    };
    let Some(known) = Provenance::read(layout) else {
        return match index_in(layout)? {
            None => Ok(()),
            Some(index) => refused(format!(
                "{} was built before, and {}, which would say from which profile, is not there or cannot be read",
                index.display(),
                layout.provenance().display()
            )),
        };
    };
    let now = Provenance::of(profile, layout);
    let same_place =
        now.profile_from_here.is_some() && known.profile_from_here == now.profile_from_here;
    if known.profile == now.profile || same_place {
        return Ok(());
    }
    refused(format!(
        "{} was built from {}, and {} is another file of that name",
        layout.database.display(),
        file::root_from_spelling(&known.profile).display(),
        profile.file.display(),
    ))
}

/// A database in the output that some build put there, if there is one.
fn index_in(layout: &Layout) -> Result<Option<PathBuf>> {
    let records = obstacles::records(layout);
    if records.registered.iter().any(|row| row.build.is_some()) {
        return Ok(Some(layout.database.clone()));
    }
    for path in kept::databases(layout)? {
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

/// `file` as seen from `folder`, with `..` and `/`; `None` on another drive.
fn from_folder(folder: &Path, file: &Path) -> Option<String> {
    let folder = real(folder);
    let (here, there): (Vec<_>, Vec<_>) =
        (folder.components().collect(), file.components().collect());
    let shared = here.iter().zip(&there).take_while(|(a, b)| a == b).count();
    if !matches!(
        there.first(),
        Some(Component::RootDir | Component::Prefix(_))
    ) || shared == 0
    {
        return None;
    }
    let up = std::iter::repeat_n("..".to_owned(), here.len() - shared);
    let down = there[shared..].iter().map(|part| {
        let part: &Path = part.as_ref();
        file::root_spelling(part).into_owned()
    });
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_seen_from_a_folder() {
        let from = |folder, file| from_folder(Path::new(folder), Path::new(file));
        assert_eq!(
            from("/a/b/out", "/a/p.toml").as_deref(),
            Some("../../p.toml")
        );
        assert_eq!(from("/a", "/a/x/p.toml").as_deref(), Some("x/p.toml"));
        assert_eq!(from("/a", "p.toml"), None);
    }
}
