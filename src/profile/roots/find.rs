//! Finds the root folders of a profile.

use super::label;
use super::root::{ExpectedRoot, LabelSource, MissingRoot, Root, file_name};
use crate::file::RelPath;
use crate::platform;
use crate::profile::error::ProfileError;
use crate::profile::expand::expand;
use crate::profile::folders::matching_folders;
use crate::profile::parse::RootEntry;
use crate::profile::patterns::Patterns;
use crate::profile::source::ProfileSource;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Find the folders of `entries`, and return them and the roots that do not exist.
///
/// # Errors
/// `Invalid` for any other mistake, with its line.
pub(in crate::profile) fn find_roots(
    entries: &[RootEntry],
    source: &ProfileSource<'_>,
) -> Result<(Vec<Root>, Vec<MissingRoot>), ProfileError> {
    label::check(entries, source)?;
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for entry in entries {
        match folders(entry, source)? {
            Ok(folders) => found.extend(folders),
            Err(gone) => missing.push(*gone),
        }
    }
    let found = without_repeats(found, source)?;
    let mut roots = Vec::with_capacity(found.len());
    for folder in &found {
        let patterns = |list: &[String]| {
            Patterns::compile(list.iter().map(String::as_str))
                .map_err(|bad| source.invalid(&folder.entry.path, &bad.to_string()))
        };
        roots.push(Root {
            label: String::new(),
            path: folder.path.clone(),
            include: patterns(&folder.entry.include)?,
            exclude: patterns(&folder.entry.exclude)?,
            inner: Vec::new(),
            outputs: Vec::new(),
            profile_file: None,
            typed: folder.entry.path.get_ref().clone(),
            label_source: LabelSource {
                label: folder.entry.label.clone(),
                name: folder.name.clone(),
                is_glob: folder.is_glob,
            },
        });
    }
    relate(&mut roots, &mut missing);
    Ok((roots, missing))
}

/// Tell each root which others lie inside it, and label all of them.
pub(in crate::profile) fn relate(roots: &mut [Root], missing: &mut [MissingRoot]) {
    // In this order, the folders below a folder follow it.
    let mut paths: Vec<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
    paths.sort_unstable();
    for root in &mut *roots {
        root.inner = paths[paths.partition_point(|path| *path <= root.path)..]
            .iter()
            .take_while(|other| other.starts_with(&root.path))
            .filter_map(|other| RelPath::below(&root.path, other))
            .collect();
    }
    label::assign(roots, missing, &BTreeMap::new());
}

/// A folder that exists.
struct Folder<'e> {
    entry: &'e RootEntry,
    /// Free of links.
    path: PathBuf,
    /// Its last component as typed.
    name: String,
    is_glob: bool,
}

/// Return the folders of one entry, sorted by path, or why there is none.
fn folders<'e>(
    entry: &'e RootEntry,
    source: &ProfileSource<'_>,
) -> Result<Result<Vec<Folder<'e>>, Box<MissingRoot>>, ProfileError> {
    let typed = entry.path.get_ref();
    let expanded = expand(typed, source.env);
    let expanded = expanded.map_err(|error| source.invalid(&entry.path, &error.to_string()))?;
    let literal = source.folder.join(&expanded.literal);
    let missing = |detail: String| {
        Box::new(MissingRoot {
            typed: typed.clone(),
            resolved: literal.display().to_string(),
            detail,
            expected: (!expanded.is_glob).then(|| ExpectedRoot {
                path: expected_path(&literal),
                label: String::new(),
            }),
            label_source: LabelSource {
                label: entry.label.clone(),
                name: file_name(&literal),
                is_glob: expanded.is_glob,
            },
        })
    };
    let found = match literal.metadata() {
        // A folder may have a name that looks like a glob.
        Ok(metadata) if metadata.is_dir() => folder(entry, &literal, false).map(|it| vec![it]),
        Ok(_) => {
            let message = format!("root `{typed}` is a file: name the folder it lies in");
            return Err(source.invalid(&entry.path, &message));
        }
        Err(_) if expanded.is_glob => {
            return globbed(entry, source, &expanded.pattern)
                .map(|found| found.ok_or_else(|| missing("no folder matches".into())));
        }
        Err(error) => Err(error),
    };
    Ok(found.map_err(|error| missing(error.to_string())))
}

fn folder<'e>(entry: &'e RootEntry, typed: &Path, is_glob: bool) -> io::Result<Folder<'e>> {
    let path = platform::real_path(typed)?;
    let name = typed.file_name().or(path.file_name()).unwrap_or_default();
    Ok(Folder {
        entry,
        name: name.to_string_lossy().into_owned(),
        path,
        is_glob,
    })
}

/// Return the distinct folders that match a glob, sorted by path; `None` if there is none.
fn globbed<'e>(
    entry: &'e RootEntry,
    source: &ProfileSource<'_>,
    pattern: &str,
) -> Result<Option<Vec<Folder<'e>>>, ProfileError> {
    let pattern = match Path::new(pattern).is_absolute() {
        true => pattern.to_string(),
        false => format!(
            "{}/{pattern}",
            glob::Pattern::escape(&source.folder.to_string_lossy())
        ),
    };
    let matches = matching_folders(&pattern).map_err(|bad| {
        let message = format!("bad pattern `{}`: {}", entry.path.get_ref(), bad.msg);
        source.invalid(&entry.path, &message)
    })?;
    let mut found: Vec<Folder<'e>> = matches
        .iter()
        .filter_map(|path| folder(entry, path, true).ok())
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|later, earlier| later.path == earlier.path);
    Ok((!found.is_empty()).then_some(found))
}

/// Refuse a folder that is named twice. A folder that is named once and also matches a glob belongs to the entry that names
/// it; a folder that matches two globs belongs to the first.
fn without_repeats<'e>(
    found: Vec<Folder<'e>>,
    source: &ProfileSource<'_>,
) -> Result<Vec<Folder<'e>>, ProfileError> {
    let mut owners: BTreeMap<PathBuf, (bool, usize)> = BTreeMap::new();
    for (index, folder) in found.iter().enumerate() {
        match owners.get_mut(&folder.path) {
            None => {
                owners.insert(folder.path.clone(), (folder.is_glob, index));
            }
            Some((false, first)) if !folder.is_glob => {
                let (first, second) = (found[*first].entry.path.get_ref(), &folder.entry.path);
                let message = format!(
                    "roots `{first}` and `{}` are one folder: remove one",
                    second.get_ref()
                );
                return Err(source.invalid(second, &message));
            }
            Some(owner) if owner.0 && !folder.is_glob => *owner = (false, index),
            Some(_) => {}
        }
    }
    let owners: BTreeSet<usize> = owners.into_values().map(|(_, index)| index).collect();
    Ok(found
        .into_iter()
        .enumerate()
        .filter_map(|(index, folder)| owners.contains(&index).then_some(folder))
        .collect())
}

/// Return the path at which a missing folder would be, free of the links that can be followed.
fn expected_path(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().collect();
    for above in plain.ancestors().skip(1) {
        if let (Ok(real), Ok(below)) = (platform::real_path(above), plain.strip_prefix(above)) {
            return real.join(below);
        }
    }
    plain
}
