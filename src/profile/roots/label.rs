//! Labels of roots, which name their shards.

use super::root::{ExpectedRoot, KnownRoot, LabelSource, MissingRoot, Root};
use crate::profile::error::ProfileError;
use crate::profile::labels::{slug, unique_labels};
use crate::profile::parse::RootEntry;
use crate::profile::source::ProfileSource;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

/// Refuse labels that are not slugs or are set twice.
pub(super) fn check(entries: &[RootEntry], source: &ProfileSource<'_>) -> Result<(), ProfileError> {
    let mut taken = BTreeSet::new();
    for entry in entries {
        let Some(label) = &entry.label else { continue };
        let valid = slug(label);
        if valid != *label {
            let message = format!(
                "label `{label}` may hold lower-case letters, digits and single `-`: write `{valid}`"
            );
            return Err(source.invalid(&entry.path, &message));
        }
        if !taken.insert(label) {
            let message = format!("label `{label}` is given twice: rename one");
            return Err(source.invalid(&entry.path, &message));
        }
    }
    Ok(())
}

/// Assign a unique label to each root, missing ones included: first the labels set in the profile, then those `pinned` to a
/// path, then those made from names, each in the order of paths.
pub(super) fn assign(
    roots: &mut [Root],
    missing: &mut [MissingRoot],
    pinned: &BTreeMap<&PathBuf, &String>,
) {
    let missing = missing.iter_mut().filter_map(|it| {
        let ExpectedRoot { path, label } = it.expected.as_mut()?;
        Some((&it.label_source, &*path, label))
    });
    let existing = roots
        .iter_mut()
        .map(|root| (&root.label_source, &root.path, &mut root.label));
    let mut all: Vec<(&LabelSource, &PathBuf, &mut String)> = existing.chain(missing).collect();
    let rank =
        |source: &LabelSource, path: &PathBuf| (source.label.is_none(), !pinned.contains_key(path));
    all.sort_by(|(one, one_path, _), (other, other_path, _)| {
        (rank(one, one_path), one_path).cmp(&(rank(other, other_path), other_path))
    });
    let wanted = all.iter().map(|(source, path, _)| {
        let given = source.label.as_ref().or(pinned.get(path).copied());
        given.cloned().unwrap_or_else(|| slug(&source.name))
    });
    let wanted: Vec<String> = wanted.collect();
    for ((_, _, label), given) in all.into_iter().zip(unique_labels(&wanted)) {
        *label = given;
    }
}

/// Add to `missing` what earlier builds knew: where a missing root was, and folders that matched a pattern and are gone.
/// Ignore roots that the profile no longer names. Assign all labels again, so that none moves to another root while its root
/// is missing.
pub(in crate::profile) fn keep(
    roots: &mut [Root],
    missing: &mut Vec<MissingRoot>,
    known: &[KnownRoot],
) {
    let there: HashSet<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
    let is_there = |known: &KnownRoot| there.contains(&known.path);
    for known in known.iter().filter(|known| !is_there(known)) {
        let named = missing.iter_mut().find(|it| {
            let is_entry =
                !it.label_source.is_glob && it.expected.is_some() && it.typed == known.typed;
            is_entry || it.expected.as_ref().is_some_and(|it| it.path == known.path)
        });
        let expected = Some(ExpectedRoot {
            path: known.path.clone(),
            label: String::new(),
        });
        if let Some(missing) = named {
            missing.expected = expected;
            continue;
        }
        // A pattern matches other folders now, or none. An entry that is not a pattern was found elsewhere.
        let others = roots.iter().map(|root| (&root.typed, &root.label_source));
        let others = others.chain(missing.iter().map(|it| (&it.typed, &it.label_source)));
        let pattern = others
            .into_iter()
            .find(|(typed, source)| **typed == known.typed && source.is_glob);
        if let Some((_, source)) = pattern {
            let label = source.label.clone();
            missing.push(MissingRoot {
                typed: known.typed.clone(),
                resolved: known.path.display().to_string(),
                detail: "the folder is not there any more".to_owned(),
                label_source: LabelSource {
                    label,
                    name: known.label.clone(),
                    is_glob: true,
                },
                expected,
            });
        }
    }
    assign(roots, missing, &BTreeMap::new());
    // A new root may come before a missing one. Then the known roots keep their labels.
    let is_moved = |known: &KnownRoot| {
        let mut expected = missing.iter().filter_map(|it| it.expected.as_ref());
        expected.any(|it| it.path == known.path && it.label != known.label)
    };
    if known.iter().any(is_moved) {
        let pinned = known.iter().map(|it| (&it.path, &it.label)).collect();
        assign(roots, missing, &pinned);
    }
}
