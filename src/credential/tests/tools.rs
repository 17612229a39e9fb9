//! Credentials as tools, formats and notes write them: each line of `forms.txt` is a way, with `{v}` for the value.

use super::sweep::words;
use super::*;
use proptest::prelude::*;

/// A heading (`##`) of forms in which no value is certain.
const DOUBTFUL: &str = "## What may be one";

/// Values that people choose and generators draw, some with the marks of templates inside, and whether each is
/// certain wherever it is written.
const VALUES: [(&str, bool); 8] = [
    ("qW7tZk2PxR9m", true),
    ("hunter2x9Q", true),
    ("Tr0ub4dor&3", false),
    ("aB3{}x", false),
    ("9{{k}}Zx4", false),
    ("s3cr3t%sQ1", false),
    ("x7!Pa$Qw", false),
    ("7${n}xKfP2q9", false),
];

/// The forms, and whether what they write is certain.
fn forms() -> impl Iterator<Item = (String, bool)> {
    let mut is_certain = true;
    include_str!("forms.txt").lines().filter_map(move |line| {
        if line.starts_with("## ") {
            is_certain = !line.starts_with(DOUBTFUL);
            return None;
        }
        let form = line.replace("\\n", "\n").replace("\\t", "\t");
        Some((form, is_certain))
    })
}

#[test]
fn no_form_lets_a_value_through() {
    let mut missed = Vec::new();
    for (form, is_certain) in forms() {
        for (value, is_sure) in VALUES {
            let text = form.replace("{v}", value);
            for style in [Style::Any, Style::Settings] {
                let is_kept = is_certain && is_sure && redact(&text, style).0.contains(value);
                if hidden(&text, style).contains(value) || is_kept {
                    missed.push(format!("{style:?} {text:?}"));
                }
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "{}", missed.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_generated_password_is_let_through(word in words()) {
        for (form, _) in forms() {
            let text = form.replace("{v}", &word);
            for style in [Style::Any, Style::Settings] {
                prop_assert!(!hidden(&text, style).contains(&word), "{style:?} {text:?}");
            }
        }
    }
}
