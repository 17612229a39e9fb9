//! The pages that people read: README, docs/, and the files of .github that are prose.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Page {
    /// Below the repository, with `/`.
    pub name: String,
    pub text: String,
}

/// A fenced block of code.
pub struct Block {
    /// What stands behind the fence: `sh`, `sh,no-run`, ...
    pub language: String,
    pub code: String,
    /// Of the fence, from 1.
    pub line: usize,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, README first, then in the order of their names.
pub fn pages() -> Vec<Page> {
    let mut names = vec![
        "README.md".to_owned(),
        ".github/CONTRIBUTING.md".to_owned(),
        ".github/SECURITY.md".to_owned(),
    ];
    names.extend(
        markdown_below(&repository().join("docs"))
            .into_iter()
            .map(|name| format!("docs/{name}")),
    );
    let page = |name: String| {
        let text = fs::read_to_string(repository().join(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Page { name, text }
    };
    names.into_iter().map(page).collect()
}

fn markdown_below(folder: &Path) -> Vec<String> {
    let files = crate::world::files_below(folder).into_iter();
    files.filter(|name| name.ends_with(".md")).collect()
}

impl Page {
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        for (n, line) in self.text.lines().enumerate() {
            let bare = line.trim_start();
            match (&mut open, bare.strip_prefix("```")) {
                (None, Some(language)) => {
                    let indent = line.len() - bare.len();
                    let block = Block {
                        language: language.to_owned(),
                        code: String::new(),
                        line: n + 1,
                    };
                    open = Some((indent, block));
                }
                (Some(_), Some("")) => blocks.extend(open.take().map(|(_, block)| block)),
                (Some((indent, block)), _) => {
                    block.code.push_str(line.get(*indent..).unwrap_or_default());
                    block.code.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name);
        blocks
    }

    /// The text without fenced blocks.
    pub fn prose(&self) -> String {
        let mut is_code = false;
        let lines = self.text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The folder of the page.
    pub fn folder(&self) -> PathBuf {
        let path = repository().join(&self.name);
        path.parent().expect("below the repository").to_path_buf()
    }

    /// What links may name behind `#`: headings as GitHub and mdBook spell them.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }
}
