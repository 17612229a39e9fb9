//! Where a repository keeps its data, and what of it decides about files.

use super::attributes::AttributeList;
use super::index::Index;
use super::list::RuleList;
use super::outside;
use crate::file::RelPath;
use crate::named_file;
use crate::platform;
use bstr::BStr;
use gix_glob::pattern::Case;
use gix_index::hash::Kind;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// Bytes of the files that say where a repository is, and of its configuration.
const MAX_POINTER_BYTES: u64 = 16 * 1024;
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A repository with a working tree.
#[derive(Debug)]
pub struct Repository {
    /// `.git`, or where a file of that name points.
    git_dir: PathBuf,
    /// The same for all working trees of the repository. Free of links.
    common_dir: PathBuf,
    exclude: RuleList,
    attributes: AttributeList,
    config: Config,
    /// Read when a rule hides a file.
    index: OnceCell<Index>,
}

#[derive(Debug)]
struct Config {
    case: Case,
    hash: Kind,
}

impl Repository {
    /// Return the repository whose working tree `folder` is. `None` if it is none, or if its data are not where they should be:
    /// git then looks further up.
    pub fn at(folder: &Path) -> Option<Self> {
        let (git_dir, common_dir) = places(folder)?;
        let exclude = common_dir.join("info/exclude");
        let attributes = common_dir.join("info/attributes");
        Some(Self {
            exclude: RuleList::parse(&outside(&exclude), &exclude),
            attributes: AttributeList::parse(&outside(&attributes), std::iter::empty()),
            config: Config::read(&common_dir),
            index: OnceCell::new(),
            git_dir,
            common_dir,
        })
    }

    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Return the rules of `info/exclude`.
    pub fn exclude(&self) -> &RuleList {
        &self.exclude
    }

    pub fn attributes(&self) -> &AttributeList {
        &self.attributes
    }

    pub fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// Return how names are compared.
    pub fn case(&self) -> Case {
        self.config.case
    }

    /// Return whether the file at `path` is tracked, or whether the folder there has tracked files.
    pub fn tracks(&self, path: &BStr, is_folder: bool) -> bool {
        let index = self
            .index
            .get_or_init(|| Index::read(&self.git_dir, self.config.hash));
        match is_folder {
            true => index.tracks_folder(path),
            false => index.tracks_file(path),
        }
    }
}

impl Config {
    fn read(common_dir: &Path) -> Self {
        let bytes = named_file::read(&common_dir.join("config"), MAX_CONFIG_BYTES);
        let parsed = gix_config::File::from_bytes_no_includes(
            &bytes.unwrap_or_default(),
            gix_config::file::Metadata::api(),
            Default::default(),
        );
        let Ok(config) = parsed else {
            return Self {
                case: Case::Sensitive,
                hash: Kind::Sha1,
            };
        };
        let folds = matches!(config.boolean("core.ignoreCase"), Ok(Some(true)));
        let hash = config.string("extensions.objectFormat");
        Self {
            case: if folds { Case::Fold } else { Case::Sensitive },
            hash: match hash {
                Some(hash) if hash == "sha256" => Kind::Sha256,
                _ => Kind::Sha1,
            },
        }
    }
}

/// Return the folder of the repository's data for the working tree `folder`, and the one that all its working trees share.
fn places(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let dot_git = folder.join(".git");
    let kind = dot_git.metadata().ok()?.file_type();
    let git_dir = match kind.is_dir() {
        true => dot_git,
        false => folder.join(pointer(&dot_git)?.strip_prefix("gitdir: ")?),
    };
    let common_dir = match pointer(&git_dir.join("commondir")) {
        Some(common) => git_dir.join(common),
        None => git_dir.clone(),
    };
    let is_sound = git_dir.join("HEAD").symlink_metadata().is_ok()
        && common_dir.join("objects").is_dir()
        && common_dir.join("refs").is_dir();
    if !is_sound {
        return None;
    }
    Some((git_dir, platform::real_path(&common_dir).ok()?))
}

/// Return the text of a file that points somewhere.
fn pointer(file: &Path) -> Option<String> {
    let text = named_file::read_text(file, MAX_POINTER_BYTES).ok()?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Return the working tree that stands for the one in `folder`, if another tree of its repository does: the repository around
/// it (`common_dir`), the main one below `root`, or else the first of those below `root`.
pub fn other_worktree(root: &Path, folder: &Path, common_dir: Option<&Path>) -> Option<PathBuf> {
    let is_file = folder.join(".git").symlink_metadata().ok()?.is_file();
    if !is_file {
        return None;
    }
    let (git_dir, common) = places(folder)?;
    git_dir.join("commondir").symlink_metadata().ok()?;
    if common_dir == Some(&common) {
        return Some(common);
    }
    let main = common.file_name().is_some_and(|name| name == ".git");
    let main = main.then(|| common.parent()).flatten();
    if let Some(main) = main
        && (main.starts_with(root) || root.starts_with(main))
    {
        return Some(main.to_path_buf());
    }
    let linked = std::fs::read_dir(common.join("worktrees")).ok()?;
    let linked = linked.filter_map(|entry| {
        let data = entry.ok()?.path();
        let dot_git = data.join(pointer(&data.join("gitdir"))?);
        platform::real_path(dot_git.parent()?).ok()
    });
    let first = linked
        .filter_map(|tree| Some((RelPath::below(root, &tree)?, tree)))
        .min()?;
    (first.1 != folder).then_some(first.1)
}
