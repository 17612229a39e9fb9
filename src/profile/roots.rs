//! The root folders of a profile.

use super::expand::expand;
use super::folders::matching_folders;
use super::labels::{slug, unique_labels};
use super::resolve::Place;
use super::{Patterns, ProfileError, RootEntry};
use crate::file::RelPath;
use crate::platform;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// A folder whose files are indexed.
#[derive(Clone, Debug)]
pub struct Root {
    /// Name of its shard: lower-case letters, digits and `-`; unique in the profile.
    pub label: String,
    /// Absolute and free of links.
    pub path: PathBuf,
    /// When not empty, only files matched by it, or below a folder matched by it, are eligible.
    pub include: Patterns,
    /// Files and folders left out; stronger than `include`.
    pub exclude: Patterns,
    /// Other roots of the profile inside this one. Their files are theirs.
    pub inner: Vec<RelPath>,
    /// Files inside this root that the build itself writes, such as its log.
    pub outputs: Vec<RelPath>,
    /// The entry of the profile that it comes from, as it stands there.
    pub typed: String,
    wish: Wish,
}

/// What a root's label is made of, beside its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wish {
    /// Given in the profile.
    label: Option<String>,
    /// The last component of the path as typed.
    name: String,
    /// The entry is a pattern.
    by_glob: bool,
}

impl Root {
    /// A root with all its files: no patterns, nothing inside. `path` must be absolute and free of
    /// links.
    pub fn new(label: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            label: label.into(),
            path: path.into(),
            include: Patterns::default(),
            exclude: Patterns::default(),
            inner: Vec::new(),
            outputs: Vec::new(),
            typed: String::new(),
            wish: Wish::default(),
        }
    }

    /// Find the folder at `path` as a root with all its files, labelled by the folder's name.
    pub(super) fn of_folder(path: &Path) -> io::Result<Self> {
        let real = platform::real_path(path)?;
        if !real.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let name = file_name(&real);
        Ok(Self {
            typed: real.display().to_string(),
            wish: Wish {
                label: None,
                name: name.clone(),
                by_glob: false,
            },
            ..Self::new(slug(&name), real)
        })
    }

    /// `path` as seen from this root. `None` when it lies elsewhere.
    pub fn relative(&self, path: &Path) -> Option<RelPath> {
        RelPath::below(&self.path, path)
    }
}

/// A root that the profile names and this machine does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRoot {
    /// As it stands in the profile.
    pub typed: String,
    /// The path or pattern that was looked for.
    pub resolved: String,
    /// For people: what is wrong with it.
    pub detail: String,
    /// Where it lies when it is there, as far as can be told, and the label that is kept for it. `None` for a pattern.
    pub place: Option<(PathBuf, String)>,
    wish: Wish,
}

impl MissingRoot {
    /// The entry of the profile; for a folder that a pattern matched before, its path.
    pub fn name(&self) -> String {
        match (self.wish.by_glob, &self.place) {
            (true, Some((path, _))) => path.display().to_string(),
            _ => self.typed.clone(),
        }
    }
}

/// A root as an earlier build found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRoot {
    /// The entry of the profile, as it stood there.
    pub typed: String,
    /// Absolute and free of links.
    pub path: PathBuf,
    pub label: String,
}

/// Finds the folders of `entries`. Roots that do not exist come second; other mistakes are errors
/// that name the line.
pub fn resolve_roots(
    entries: &[RootEntry],
    place: &Place<'_>,
) -> Result<(Vec<Root>, Vec<MissingRoot>), ProfileError> {
    check_labels(entries, place)?;
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for entry in entries {
        match folders(entry, place)? {
            Ok(folders) => found.extend(folders),
            Err(gone) => missing.push(*gone),
        }
    }
    let found = without_repeats(found, place)?;
    // In this order what lies below a folder follows it.
    let mut paths: Vec<&PathBuf> = found.iter().map(|folder| &folder.path).collect();
    paths.sort_unstable();
    let mut roots = Vec::with_capacity(found.len());
    for folder in &found {
        let patterns = |list: &[String]| {
            Patterns::compile(list.iter().map(String::as_str))
                .map_err(|bad| place.invalid(&folder.entry.path, &bad.to_string()))
        };
        roots.push(Root {
            label: String::new(),
            path: folder.path.clone(),
            include: patterns(&folder.entry.include)?,
            exclude: patterns(&folder.entry.exclude)?,
            inner: paths[paths.partition_point(|path| **path <= folder.path)..]
                .iter()
                .take_while(|other| other.starts_with(&folder.path))
                .filter_map(|other| RelPath::below(&folder.path, other))
                .collect(),
            outputs: Vec::new(),
            typed: folder.entry.path.get_ref().clone(),
            wish: Wish {
                label: folder.entry.label.clone(),
                name: folder.name.clone(),
                by_glob: folder.by_glob,
            },
        });
    }
    give_labels(&mut roots, &mut missing, &BTreeMap::new());
    Ok((roots, missing))
}

/// Adds to `missing` what earlier builds know: where a missing root lay, and folders of a pattern that are not there
/// any more. Roots that the profile names no longer are forgotten. Labels are given anew, so that none moves to
/// another root while one is away.
pub fn remember(roots: &mut [Root], missing: &mut Vec<MissingRoot>, known: &[KnownRoot]) {
    let there: HashSet<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
    let is_there = |known: &KnownRoot| there.contains(&known.path);
    for known in known.iter().filter(|known| !is_there(known)) {
        let named = missing.iter_mut().find(|it| {
            let is_entry = !it.wish.by_glob && it.place.is_some() && it.typed == known.typed;
            is_entry
                || it
                    .place
                    .as_ref()
                    .is_some_and(|(path, _)| *path == known.path)
        });
        if let Some(MissingRoot { place, .. }) = named {
            *place = Some((known.path.clone(), String::new()));
            continue;
        }
        // A pattern finds others, or nothing. What is no pattern was found elsewhere.
        let others = roots.iter().map(|root| (&root.typed, &root.wish));
        let others = others.chain(missing.iter().map(|it| (&it.typed, &it.wish)));
        let pattern = others
            .into_iter()
            .find(|(typed, wish)| **typed == known.typed && wish.by_glob);
        if let Some((_, wish)) = pattern {
            let label = wish.label.clone();
            missing.push(MissingRoot {
                typed: known.typed.clone(),
                resolved: known.path.display().to_string(),
                detail: "the folder is not there any more".to_owned(),
                wish: Wish {
                    label,
                    name: known.label.clone(),
                    by_glob: true,
                },
                place: Some((known.path.clone(), String::new())),
            });
        }
    }
    give_labels(roots, missing, &BTreeMap::new());
    // What has come since may be before one that is away: then those that were there before keep their labels.
    let is_moved = |known: &KnownRoot| {
        let mut places = missing.iter().filter_map(|it| it.place.as_ref());
        places.any(|(path, label)| *path == known.path && *label != known.label)
    };
    if known.iter().any(is_moved) {
        let pinned = known.iter().map(|it| (&it.path, &it.label)).collect();
        give_labels(roots, missing, &pinned);
    }
}

/// A folder that exists.
struct Folder<'e> {
    entry: &'e RootEntry,
    /// Free of links.
    path: PathBuf,
    /// Its last component as typed.
    name: String,
    by_glob: bool,
}

/// The folders that one entry stands for, sorted by path, or why there is none.
fn folders<'e>(
    entry: &'e RootEntry,
    place: &Place<'_>,
) -> Result<Result<Vec<Folder<'e>>, Box<MissingRoot>>, ProfileError> {
    let typed = entry.path.get_ref();
    let expanded = expand(typed, place.env);
    let expanded = expanded.map_err(|message| place.invalid(&entry.path, &message))?;
    let literal = place.folder.join(&expanded.literal);
    let missing = |detail: String| {
        Box::new(MissingRoot {
            typed: typed.clone(),
            resolved: literal.display().to_string(),
            detail,
            place: (!expanded.is_glob).then(|| (expected(&literal), String::new())),
            wish: Wish {
                label: entry.label.clone(),
                name: file_name(&literal),
                by_glob: expanded.is_glob,
            },
        })
    };
    let found = match literal.metadata() {
        // A folder whose name looks like a glob is meant as it stands.
        Ok(metadata) if metadata.is_dir() => folder(entry, &literal, false).map(|it| vec![it]),
        Ok(_) => {
            let message = format!("root `{typed}` is a file: name the folder it lies in");
            return Err(place.invalid(&entry.path, &message));
        }
        Err(_) if expanded.is_glob => {
            return globbed(entry, place, &expanded.pattern)
                .map(|found| found.ok_or_else(|| missing("no folder matches".into())));
        }
        Err(error) => Err(error),
    };
    Ok(found.map_err(|error| missing(error.to_string())))
}

fn folder<'e>(entry: &'e RootEntry, typed: &Path, by_glob: bool) -> io::Result<Folder<'e>> {
    let path = platform::real_path(typed)?;
    let name = typed.file_name().or(path.file_name()).unwrap_or_default();
    Ok(Folder {
        entry,
        name: name.to_string_lossy().into_owned(),
        path,
        by_glob,
    })
}

/// The folders that match a glob, sorted by path, each once. `None`: there is none.
fn globbed<'e>(
    entry: &'e RootEntry,
    place: &Place<'_>,
    pattern: &str,
) -> Result<Option<Vec<Folder<'e>>>, ProfileError> {
    let pattern = match Path::new(pattern).is_absolute() {
        true => pattern.to_string(),
        false => format!(
            "{}/{pattern}",
            glob::Pattern::escape(&place.folder.to_string_lossy())
        ),
    };
    let matches = matching_folders(&pattern).map_err(|bad| {
        let message = format!("bad pattern `{}`: {}", entry.path.get_ref(), bad.msg);
        place.invalid(&entry.path, &message)
    })?;
    let mut found: Vec<Folder<'e>> = matches
        .iter()
        .filter_map(|path| folder(entry, path, true).ok())
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|later, earlier| later.path == earlier.path);
    Ok((!found.is_empty()).then_some(found))
}

/// Refuses a folder that is named twice. One named once and matched by a glob as well belongs to
/// the entry that names it; one matched by two globs to the first.
fn without_repeats<'e>(
    found: Vec<Folder<'e>>,
    place: &Place<'_>,
) -> Result<Vec<Folder<'e>>, ProfileError> {
    let mut owners: BTreeMap<PathBuf, (bool, usize)> = BTreeMap::new();
    for (index, folder) in found.iter().enumerate() {
        match owners.get_mut(&folder.path) {
            None => {
                owners.insert(folder.path.clone(), (folder.by_glob, index));
            }
            Some((false, first)) if !folder.by_glob => {
                let (first, second) = (found[*first].entry.path.get_ref(), &folder.entry.path);
                let message = format!(
                    "roots `{first}` and `{}` are one folder: remove one",
                    second.get_ref()
                );
                return Err(place.invalid(second, &message));
            }
            Some(owner) if owner.0 && !folder.by_glob => *owner = (false, index),
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

fn check_labels(entries: &[RootEntry], place: &Place<'_>) -> Result<(), ProfileError> {
    let mut taken = BTreeSet::new();
    for entry in entries {
        let Some(label) = &entry.label else { continue };
        let valid = slug(label);
        if valid != *label {
            let message = format!(
                "label `{label}` may hold lower-case letters, digits and single `-`: write `{valid}`"
            );
            return Err(place.invalid(&entry.path, &message));
        }
        if !taken.insert(label) {
            let message = format!("label `{label}` is given twice: rename one");
            return Err(place.invalid(&entry.path, &message));
        }
    }
    Ok(())
}

/// A unique label for each root, those that are away included: those given first, then those `pinned` to a path, then
/// those made from names, each in the order of their paths.
fn give_labels(
    roots: &mut [Root],
    missing: &mut [MissingRoot],
    pinned: &BTreeMap<&PathBuf, &String>,
) {
    let away = missing.iter_mut().filter_map(|it| {
        let (path, label) = it.place.as_mut()?;
        Some((&it.wish, &*path, label))
    });
    let there = roots
        .iter_mut()
        .map(|root| (&root.wish, &root.path, &mut root.label));
    let mut all: Vec<(&Wish, &PathBuf, &mut String)> = there.chain(away).collect();
    let rank = |wish: &Wish, path: &PathBuf| (wish.label.is_none(), !pinned.contains_key(path));
    all.sort_by(|(one, one_path, _), (other, other_path, _)| {
        (rank(one, one_path), one_path).cmp(&(rank(other, other_path), other_path))
    });
    let wanted = all.iter().map(|(wish, path, _)| {
        let given = wish.label.as_ref().or(pinned.get(path).copied());
        given.cloned().unwrap_or_else(|| slug(&wish.name))
    });
    let wanted: Vec<String> = wanted.collect();
    for ((_, _, label), given) in all.into_iter().zip(unique_labels(&wanted)) {
        *label = given;
    }
}

/// Where a folder that is not there would lie: free of the links that can be followed.
fn expected(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().collect();
    for above in plain.ancestors().skip(1) {
        if let (Ok(real), Ok(below)) = (platform::real_path(above), plain.strip_prefix(above)) {
            return real.join(below);
        }
    }
    plain
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
