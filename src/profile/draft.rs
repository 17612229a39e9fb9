//! Writes the text of a new profile, with comments. Pure: `commands` looks at the folder.

use std::fmt::Write as _;

/// What a new profile says. Numbers and suggestions become comments.
#[derive(Clone, Debug, Default)]
pub struct ProfileDraft {
    pub description: String,
    /// What was found, one line each.
    pub notes: Vec<String>,
    pub roots: Vec<RootDraft>,
}

/// A root of a new profile.
#[derive(Clone, Debug, Default)]
pub struct RootDraft {
    /// As it will be typed; variables and `~` in it are no variables.
    pub path: String,
    /// About its content, for example its size.
    pub note: String,
    /// Patterns that may be worth excluding, with the reason.
    pub exclude: Vec<(String, String)>,
}

/// Keys that people change most, each with its meaning.
const KEYS: &str = r#"
# What else a profile may say; docs/reference/profile.md lists all keys.
# skip_dirs = ["...", "fixtures"]        # folder names to skip, in addition
# skip_names = ["...", "*.generated.*"]  # file names to skip, in addition
# max_file_bytes = 500_000               # limit on the size of a file
# secrets_in_text = "redact"             # keep credentials in texts out of the index
# chunk_chars = 2_000                    # most characters of a chunk

# Your own models in place of the built-in ones.
# [encoders]
# sparse = "../models/splade"
# dense = "../models/minilm"
"#;

impl ProfileDraft {
    /// Return the text of the profile. It parses, and names exactly these roots.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for note in &self.notes {
            comment(&mut text, "", note);
        }
        let _ = writeln!(text, "description = {}\n", quoted(&self.description));
        text.push_str("# One shard for each.\nroots = [\n");
        for root in &self.roots {
            if !root.note.is_empty() {
                comment(&mut text, "    ", &root.note);
            }
            let path = quoted(&literal(&root.path));
            if root.exclude.is_empty() {
                let _ = writeln!(text, "    {path},");
                continue;
            }
            let patterns: Vec<_> = root.exclude.iter().map(|(it, _)| quoted(it)).collect();
            for (pattern, why) in &root.exclude {
                comment(&mut text, "    ", &format!("{pattern}: {why}"));
            }
            let _ = writeln!(text, "    {path},");
            let _ = writeln!(
                text,
                "    # To leave these out, write instead:\n    # {{ path = {path}, exclude = [{}] }},",
                patterns.join(", ")
            );
        }
        text.push_str("]\n");
        text.push_str(KEYS);
        text
    }
}

fn comment(text: &mut String, indent: &str, line: &str) {
    let shown: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let _ = writeln!(text, "{indent}# {shown}");
}

/// Return the text as a string on one line. TOML has JSON's escapes, and also wants DEL escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

/// Return the path so that nothing in it is expanded.
fn literal(path: &str) -> String {
    let path = path.replace('$', "$$");
    match path.starts_with('~') {
        true => format!("./{path}"),
        false => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::expand::expand;
    use crate::profile::parse::ProfileFile;
    use proptest::prelude::*;
    use std::path::Path;

    proptest! {
        #[test]
        fn a_draft_names_its_roots_literally(path in "[ -~é\u{1}\n]{1,20}", note in any::<String>(), pattern in any::<String>()) {
            let draft = ProfileDraft {
                description: note.clone(),
                notes: vec![note.clone()],
                roots: vec![
                    RootDraft { path: path.clone(), note: note.clone(), exclude: Vec::new() },
                    RootDraft { path: path.clone(), note: note.clone(), exclude: vec![(pattern, note.clone())] },
                ],
            };
            let parsed = ProfileFile::parse(Path::new("p.toml"), &draft.to_toml()).expect("parses");
            prop_assert_eq!(parsed.description.as_deref(), Some(note.as_str()));
            prop_assert_eq!(parsed.roots.len(), 2);
            for root in &parsed.roots {
                let expanded = expand(root.path.get_ref(), &|_| None).expect("no variable");
                prop_assert_eq!(expanded.literal.trim_start_matches("./"), path.trim_start_matches("./"));
            }
        }
    }
}
