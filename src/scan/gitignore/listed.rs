//! The rules of one rule file, however many there are.
//!
//! A few thousand are compiled together, which makes matching quick. A compiled rule with wildcards takes some 25 KB, so
//! of a file with more of them, as a program may write it, the text is kept, and a rule is compiled when a path has
//! its longest literal part in it: exactly the same rules, in bounded memory, and some milliseconds for each path.

use super::Ignored;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::path::{Path, PathBuf};

/// Rules with wildcards that are compiled together: 25 MB. Doubled, a large tree of repositories, of which several may be
/// in force at once, takes twice as much.
const MOST_WILDCARDS: usize = 1_000;

/// Rules of any kind that are compiled together, some 2 KB each.
const MOST_RULES: usize = 20_000;

/// The rules of one file.
#[derive(Debug)]
pub enum Rules {
    Compiled(Gitignore),
    Listed(Listed),
}

/// What a rule says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Hidden,
    /// Shown in spite of earlier rules.
    Shown,
}

/// Rules as text.
#[derive(Debug)]
pub struct Listed {
    folder: PathBuf,
    file: PathBuf,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    line: String,
    /// Stands in every path that the rule matches; may be empty.
    literal: String,
}

impl Rules {
    /// Return the rules in the `bytes` of the rule file `file`, for paths below `folder`.
    pub fn parse(bytes: &[u8], folder: &Path, file: &Path) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let is_rule = |line: &&str| !line.trim_start().is_empty() && !line.starts_with('#');
        let is_wild = |line: &&str| line.contains(['*', '?', '[']);
        let n_rules = text.lines().filter(is_rule).count();
        let n_wild = text.lines().filter(is_rule).filter(is_wild).count();
        if n_rules <= MOST_RULES
            && n_wild <= MOST_WILDCARDS
            && let Some(compiled) = compile(text.lines(), folder, file)
        {
            return Self::Compiled(compiled);
        }
        Self::Listed(Listed::new(text, folder, file))
    }

    /// Return what the last rule that fits `path` (absolute) says, and that rule.
    pub fn matched(&self, path: &Path, is_folder: bool) -> Option<(Verdict, Ignored<'_>)> {
        match self {
            Self::Compiled(rules) => match rules.matched(path, is_folder) {
                Match::None => None,
                Match::Ignore(glob) => Some((
                    Verdict::Hidden,
                    Ignored {
                        line: glob.original(),
                        file: glob.from(),
                    },
                )),
                Match::Whitelist(glob) => Some((
                    Verdict::Shown,
                    Ignored {
                        line: glob.original(),
                        file: glob.from(),
                    },
                )),
            },
            Self::Listed(listed) => listed.matched(path, is_folder),
        }
    }
}

impl Listed {
    fn new(text: &str, folder: &Path, file: &Path) -> Self {
        let rule = |line: &str| Rule {
            // As rules are read: blanks at the end count only behind a backslash.
            line: match line.ends_with("\\ ") {
                true => line.to_owned(),
                false => line.trim_end().to_owned(),
            },
            literal: literal(line).to_owned(),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self {
            folder: folder.to_path_buf(),
            file: file.to_path_buf(),
            rules: lines.map(rule).collect(),
        }
    }

    fn matched(&self, path: &Path, is_folder: bool) -> Option<(Verdict, Ignored<'_>)> {
        let text = path.to_string_lossy();
        for rule in self.rules.iter().rev() {
            if !text.contains(&rule.literal) {
                continue;
            }
            let Some(compiled) =
                compile([rule.line.as_str()].into_iter(), &self.folder, &self.file)
            else {
                continue;
            };
            let verdict = match compiled.matched(path, is_folder) {
                Match::None => continue,
                Match::Ignore(_) => Verdict::Hidden,
                Match::Whitelist(_) => Verdict::Shown,
            };
            let rule = Ignored {
                line: &rule.line,
                file: Some(&self.file),
            };
            return Some((verdict, rule));
        }
        None
    }
}

/// `None` when they are more than can be matched at once.
fn compile<'a>(
    lines: impl Iterator<Item = &'a str>,
    folder: &Path,
    file: &Path,
) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(folder);
    for line in lines {
        // A line that is not a pattern hides nothing, as in git.
        let _ = builder.add_line(Some(file.to_path_buf()), line);
    }
    builder.build().ok()
}

/// Return the longest part of a rule that stands for itself: no wildcard, no separator, nothing that a backslash, a class or
/// alternatives are about.
fn literal(line: &str) -> &str {
    // What stands in a class or in braces is one of several; the rest of such a rule is not looked at.
    let plain = line.split(['[', '{', '\\']).next().unwrap_or_default();
    let parts = plain
        .trim_start_matches('!')
        .trim_end()
        .split(['*', '?', '/']);
    parts
        .filter(|part| !part.contains('\u{fffd}'))
        .max_by_key(|part| part.len())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_of_many_rules_is_obeyed() {
        let folder = Path::new("/r");
        let file = Path::new("/r/.gitignore");
        let mut text = String::new();
        for n in 0..40_000 {
            text.push_str(&format!("src/**/gen{n}/*.[ox]\n"));
        }
        text.push_str("*.py\n!keep?.py\n");
        let rules = Rules::parse(text.as_bytes(), folder, file);
        assert!(matches!(rules, Rules::Listed(_)));
        let says = |path: &str| {
            rules
                .matched(Path::new(path), false)
                .map(|(verdict, rule)| (verdict, rule.line))
        };
        assert_eq!(
            says("/r/src/a/gen777/x.o"),
            Some((Verdict::Hidden, "src/**/gen777/*.[ox]"))
        );
        assert_eq!(says("/r/src/a/gen777/x.p"), None);
        assert_eq!(says("/r/b.py"), Some((Verdict::Hidden, "*.py")));
        assert_eq!(says("/r/keep1.py"), Some((Verdict::Shown, "!keep?.py")));
    }

    fn piece() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "a", "b", "ab", "*", "?", "/", "**", ".", "[ab]", "[!a]", "{a,b}", "\\*", "!", "#",
            " ", "\\ ", "[", "x",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn rules_as_text_say_what_compiled_ones_say(
            lines in prop::collection::vec(prop::collection::vec(piece(), 0..6), 0..6),
            path in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "x", ".a", "*", "a b", "!"]), 1..4),
            is_folder: bool,
        ) {
            let text = lines.iter().map(|line| line.concat()).collect::<Vec<_>>().join("\n");
            let (folder, file) = (Path::new("/r"), Path::new("/r/.gitignore"));
            let compiled = compile(text.lines(), folder, file).map(Rules::Compiled).expect("few rules");
            let listed = Rules::Listed(Listed::new(&text, folder, file));
            let path = folder.join(path.join("/"));
            let (one, two) = (compiled.matched(&path, is_folder), listed.matched(&path, is_folder));
            prop_assert_eq!(one.map(|(verdict, rule)| (verdict, rule.line)), two.map(|(verdict, rule)| (verdict, rule.line)));
        }
    }
}
