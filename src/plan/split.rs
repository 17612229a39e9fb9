//! Splits roots into shards: one for everything, one per root, or several for a root beyond the limits.

use super::draft::Draft;
use super::{PlanOptions, PlanRoot, PlannedFile, RootFiles, Scope};
use crate::file::RelPath;
use crate::profile::{slug, unique_labels};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most bytes in the label of a nested shard. With a suffix and a number it becomes a file name, for which file systems allow
/// 255 bytes.
const LABEL_BYTES: usize = 160;

/// Sort the files of every root, and record how many each has.
pub fn take_files(
    roots: Vec<RootFiles>,
    reasons: &mut Vec<String>,
) -> (Vec<PlanRoot>, Vec<Vec<PlannedFile>>) {
    let mut planned = Vec::with_capacity(roots.len());
    let mut files = Vec::with_capacity(roots.len());
    for (index, mut root) in (0u32..).zip(roots) {
        root.files.sort_by(|a, b| a.path.cmp(&b.path));
        if root.files.is_empty() {
            reasons.push(format!("{}: no eligible files, so no shard", root.label));
        }
        planned.push(PlanRoot {
            label: root.label,
            path: root.path,
            n_files: root.files.len() as u64,
            bytes: root.files.iter().map(|entry| entry.size).sum(),
        });
        let planned_file = |entry| PlannedFile { root: index, entry };
        files.push(root.files.into_iter().map(planned_file).collect());
    }
    (planned, files)
}

/// Build one shard with the files of all roots, ordered by root label and path.
pub fn one_shard(
    roots: &[PlanRoot],
    files: Vec<Vec<PlannedFile>>,
    options: &PlanOptions,
) -> Vec<Draft> {
    let mut by_label: Vec<_> = roots.iter().map(|root| &root.label).zip(files).collect();
    by_label.sort_by(|a, b| a.0.cmp(b.0));
    let files: Vec<PlannedFile> = by_label.into_iter().flat_map(|(_, files)| files).collect();
    if files.is_empty() {
        return Vec::new();
    }
    vec![Draft::new(
        slug(&options.blob_label),
        Scope::Everything,
        files,
    )]
}

/// Build a shard for each root, or several for a root beyond the limits.
pub fn shard_per_root(
    roots: &[PlanRoot],
    files: Vec<Vec<PlannedFile>>,
    options: &PlanOptions,
    reasons: &mut Vec<String>,
) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for ((index, root), files) in (0u32..).zip(roots).zip(files) {
        if !files.is_empty() {
            let draft = Draft::new(root.label.clone(), Scope::Root(index), files);
            split_large(draft, options, &mut drafts, reasons);
        }
    }
    drafts
}

/// Split a shard beyond the limits by its folders, recursively.
///
/// Files directly in a folder stay together, however many they are: a shard is at least a folder.
fn split_large(
    draft: Draft,
    options: &PlanOptions,
    out: &mut Vec<Draft>,
    reasons: &mut Vec<String>,
) {
    let mut waiting = vec![draft];
    while let Some(draft) = waiting.pop() {
        let Some(excess) = excess(&draft, options) else {
            out.push(draft);
            continue;
        };
        let label = draft.label.clone();
        match along_folders(draft) {
            Err(whole) => {
                reasons.push(format!(
                    "{label}: {excess}, but has no folders to split along"
                ));
                out.push(whole);
            }
            Ok(children) => {
                let n_children = children.len();
                reasons.push(format!("{label}: {excess}, split into {n_children}"));
                waiting.extend(children.into_iter().rev());
            }
        }
    }
}

/// Return which limit a shard exceeds, for people; `None` if none.
fn excess(draft: &Draft, options: &PlanOptions) -> Option<String> {
    let (bytes, n_files) = (draft.bytes, draft.files.len() as u64);
    let (most_bytes, most_files) = (options.subshard_bytes, options.subshard_files);
    if most_bytes > 0 && bytes >= most_bytes {
        return Some(format!("{bytes} bytes reach the limit of {most_bytes}"));
    }
    (most_files > 0 && n_files >= most_files)
        .then(|| format!("{n_files} files reach the limit of {most_files}"))
}

/// Return the folders of a shard as shards in canonical order, then one for its loose files, if any. Return the shard itself if
/// it has no folders.
fn along_folders(draft: Draft) -> Result<Vec<Draft>, Draft> {
    let (root, above) = match &draft.scope {
        Scope::Root(root) => (*root, None),
        Scope::Folder(root, path) => (*root, Some(path.clone())),
        Scope::Everything | Scope::Loose(..) => return Err(draft),
    };
    let name_at = above.as_ref().map_or(0, |path| path.as_bytes().len() + 1);
    if draft
        .files
        .iter()
        .all(|file| folder(file, name_at).is_none())
    {
        return Err(draft);
    }
    let mut loose = Vec::new();
    let mut folders: Vec<Vec<PlannedFile>> = Vec::new();
    for file in draft.files {
        match (folder(&file, name_at), folders.last_mut()) {
            (None, _) => loose.push(file),
            (here, Some(files)) if folder(&files[0], name_at) == here => files.push(file),
            _ => folders.push(vec![file]),
        }
    }
    let paths: Vec<RelPath> = folders
        .iter()
        .map(|files| folder_path(&files[0].entry.path, name_at))
        .collect();
    let labels = child_labels(&draft.label, &paths);
    let mut drafts: Vec<Draft> = labels
        .iter()
        .zip(paths)
        .zip(folders)
        .map(|((label, path), files)| Draft::new(label.clone(), Scope::Folder(root, path), files))
        .collect();
    if !loose.is_empty() {
        let label = loose_label(&draft.label, &labels.into_iter().collect());
        drafts.push(Draft::new(label, Scope::Loose(root, above), loose));
    }
    Ok(drafts)
}

/// Return the file's path up to the end of the folder whose name starts at byte `name_at`; `None` if there is no such folder. In
/// canonical order the files of a folder are adjacent.
fn folder(file: &PlannedFile, name_at: usize) -> Option<&[u8]> {
    let path = file.entry.path.as_bytes();
    let name = path[name_at..].iter().position(|byte| *byte == b'/')?;
    Some(&path[..name_at + name])
}

fn folder_path(file: &RelPath, name_at: usize) -> RelPath {
    let depth = file.as_bytes()[..name_at]
        .iter()
        .filter(|byte| **byte == b'/')
        .count();
    let path = file.on_disk(Path::new(""));
    let folder: PathBuf = path.components().take(depth + 1).collect();
    RelPath::below(Path::new(""), &folder).expect("the first components of a path below a root")
}

/// Return unique labels `parent__child` for all folders.
fn child_labels(parent: &str, folders: &[RelPath]) -> Vec<String> {
    let names: Vec<String> = folders
        .iter()
        .map(|path| slug(&String::from_utf8_lossy(path.file_name())))
        .collect();
    unique_labels(&names)
        .into_iter()
        .map(|name| bounded(format!("{parent}__{name}")))
        .collect()
}

/// Return `parent__root`, or `parent__root2` and so on if a folder has that name.
fn loose_label(parent: &str, taken: &BTreeSet<String>) -> String {
    let plain = bounded(format!("{parent}__root"));
    let mut label = plain.clone();
    let mut number = 2;
    while taken.contains(&label) {
        label = format!("{plain}{number}");
        number += 1;
    }
    label
}

/// Shorten a label that is too long for a file name: it then ends in a hash.
fn bounded(label: String) -> String {
    if label.len() <= LABEL_BYTES {
        return label;
    }
    let hash = blake3::hash(label.as_bytes()).to_hex();
    format!(
        "{}-{}",
        &label[..label.floor_char_boundary(LABEL_BYTES - 11)],
        &hash[..10]
    )
}
