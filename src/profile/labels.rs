//! Slugs and unique labels, which name shards.

use std::collections::BTreeSet;

/// Most bytes of a slug, which becomes a file name. A longer one is truncated and ends in a hash of the name.
const SLUG_BYTES: usize = 64;

/// Return `name` in lower case with each run outside of `[a-z0-9]` as one `-`, none at the ends; `root` if nothing is left.
/// Readers and the Python builder have the same rule.
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.to_lowercase().chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.len() > SLUG_BYTES {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        let start = slug[..SLUG_BYTES - 11].trim_end_matches('-');
        slug = format!("{start}-{}", &hash[..10]);
    }
    if slug.is_empty() { "root".into() } else { slug }
}

/// Make labels unique by appending `-2`, `-3` and so on. The first of each name keeps it, so the result depends on the order:
/// pass them in the order of their paths.
pub fn unique_labels(wanted: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = wanted.iter().cloned().collect();
    let mut kept: BTreeSet<&String> = BTreeSet::new();
    wanted
        .iter()
        .map(|name| {
            if kept.insert(name) {
                return name.clone();
            }
            let free = (2u64..)
                .map(|number| format!("{name}-{number}"))
                .find(|label| !taken.contains(label))
                .expect("numbers do not run out");
            taken.insert(free.clone());
            free
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs_follow_the_shared_rule() {
        for (name, expected) in [
            ("Universe Sandbox 2", "universe-sandbox-2"),
            ("cymatix_context", "cymatix-context"),
            ("--a..b--", "a-b"),
            ("Füße", "f-e"),
            ("日本", "root"),
            ("", "root"),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
    }

    #[test]
    fn the_first_of_each_name_keeps_it() {
        let wanted = ["b", "a", "b", "b-2", "b", "a"].map(String::from);
        assert_eq!(
            unique_labels(&wanted),
            ["b", "a", "b-3", "b-2", "b-4", "a-2"]
        );
    }

    proptest! {
        #[test]
        fn labels_are_unique(wanted in proptest::collection::vec("[ab](-[23]){0,2}", 0..40)) {
            let labels = unique_labels(&wanted);
            let distinct: BTreeSet<_> = labels.iter().collect();
            prop_assert_eq!(distinct.len(), wanted.len());
            for (label, name) in labels.iter().zip(&wanted) {
                prop_assert!(label.starts_with(name.as_str()));
            }
        }

        #[test]
        fn slugs_are_file_names(name in ".{0,300}") {
            let slug = slug(&name);
            prop_assert!(!slug.is_empty() && slug.len() <= SLUG_BYTES);
            prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
        }
    }
}
