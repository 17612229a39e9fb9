//! Any text, of a file with any name, has tags within the limits of `Tags`.

use helix_build::file::RelPath;
use helix_build::language;
use helix_build::profile::recipe::{DensityGate, Recipe, RuleSet};
use helix_build::tag::visibility::visibility;
use helix_build::tag::{Kind, TagInput, Tags, tag};

/// The first line is the file's path as it is spelled, the rest is the text. Bytes that are not UTF-8
/// are replaced.
pub fn check(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (path, text) = data.split_once('\n').unwrap_or(("a.txt", &data));
    let Some(path) = RelPath::from_spelling(path) else {
        return;
    };
    for rules in [RuleSet::Standard, RuleSet::Compat] {
        let input = TagInput {
            text,
            path: &path,
            root_label: "my-root",
            sequence: text.len() as u32 % 3,
            around: &[],
            kind: Kind::of(rules, &path, language::of(&path, text)),
        };
        let tags = tag(&input);
        sound(&tags, text);
        assert_eq!(tags, tag(&input), "the second time");
        for density_gate in [DensityGate::DenyList, DensityGate::Compat] {
            let recipe = Recipe {
                rules,
                density_gate,
                ..Recipe::default()
            };
            let first = visibility(&path, &recipe, &tags, text);
            assert_eq!(first, visibility(&path, &recipe, &tags, text), "{recipe:?}");
        }
    }
}

fn sound(tags: &Tags, text: &str) {
    for (list, most, longest) in [
        (&tags.domains, 10, 60),
        (&tags.entities, 15, 80),
        (&tags.key_values, 15, 199),
        (&tags.labels, 30, 80),
        (&tags.route_words, 24, 40),
    ] {
        assert!(list.len() <= most, "{list:?}");
        for (at, item) in list.iter().enumerate() {
            assert!(!item.is_empty() && chars(item) <= longest, "{item:?}");
            assert!(!list[..at].contains(item), "{item:?} twice");
            is_one_line(item);
        }
    }
    for (line, longest) in [
        (&tags.intent, 200),
        (&tags.summary, 200),
        (&tags.extract, 3 * 300 + 2),
    ] {
        assert!(chars(line) <= longest, "{line:?}");
        is_one_line(line);
    }
    for list in [&tags.domains, &tags.entities] {
        for (at, item) in list.iter().enumerate() {
            assert!(!has(&list[..at], item), "{item:?} twice");
        }
    }
    assert!(tags.key_values.iter().all(|pair| pair.contains('=')));
    let lower = text.to_lowercase();
    for word in &tags.route_words {
        assert!(
            chars(word) >= 3 && lower.contains(word.as_str()),
            "{word:?}"
        );
        assert_eq!(*word, word.to_lowercase());
        let is_tag = has(&tags.domains, word) || has(&tags.entities, word);
        assert!(!is_tag, "{word:?} routes twice");
    }
}

fn is_one_line(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(text.trim(), text);
}

fn has(list: &[String], item: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(item))
}

fn chars(text: &str) -> usize {
    text.chars().count()
}
