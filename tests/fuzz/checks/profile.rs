//! Any bytes are a profile, or an error that names its line.

use helix_build::profile::{Profile, ProfileError, ProfileFile, slug};
use std::path::Path;
use toml::Spanned;

/// `data` is the text of a profile. Its roots are replaced by the folder it lies in: what lies where on
/// this machine must not matter, and a glob would walk all of it.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let path = Path::new("fuzzed.toml");
    let parsed = ProfileFile::parse(path, text);
    let mut typed = match parsed {
        Ok(typed) => typed,
        Err(error) => return is_helpful(&error, text),
    };
    assert!(!typed.roots.is_empty(), "a profile without roots");
    typed.roots.truncate(1);
    for root in &mut typed.roots {
        root.path = Spanned::new(root.path.span(), ".".into());
    }
    match Profile::resolve(typed.clone(), path, text, &env) {
        Ok(profile) => {
            sound(&profile);
            assert_eq!(profile.typed, typed);
            let again = Profile::resolve(typed, path, text, &env).expect("as the first time");
            assert_eq!(again.recipe, profile.recipe);
            assert_eq!(again.rules.names, profile.rules.names);
        }
        Err(error) => is_helpful(&error, text),
    }
}

fn env(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/[me]".into()),
        "DATA" => Some("a b".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn sound(profile: &Profile) {
    assert_eq!(profile.name, "fuzzed");
    assert_eq!((profile.roots.len(), profile.missing.len()), (1, 0));
    let root = &profile.roots[0];
    assert_eq!(slug(&root.label), root.label);
    assert!(root.path.is_absolute() && root.inner.is_empty());
    let rules = &profile.rules;
    assert!(rules.limits.min_file_bytes <= rules.limits.max_file_bytes);
    assert!(profile.recipe.chunk_chars >= 100);
    for name in &rules.names.extensions {
        assert!(
            !name.starts_with('.') && *name == name.to_lowercase(),
            "{name:?}"
        );
    }
    for patterns in [&root.include, &root.exclude, &rules.skip_names] {
        for path in ["a.rs", "a/b/c.md", "\u{e9}", "a/\n"] {
            let path = Path::new(path);
            if patterns.matching(path).is_some() {
                assert_eq!(patterns.matching_or_above(path), patterns.matching(path));
            }
        }
    }
}

/// The message has one line and names one of the text's.
fn is_helpful(error: &ProfileError, text: &str) {
    let ProfileError::Invalid { line, message, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        (1..=text.matches('\n').count() + 1).contains(line),
        "{error:?}"
    );
    assert!(
        !message.trim().is_empty() && !message.contains('\n'),
        "{error:?}"
    );
}
