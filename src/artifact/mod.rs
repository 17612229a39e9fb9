//! Recognises texts that programs wrote: generated sources, bundles, minified scripts, source maps.
//!
//! Pure, and linear in the text. The standard rules skip such files, since people search for the sources they were made from. A
//! text is judged by what it says of itself or by its shape, never by its name alone: for names there are `skip_names`.
//! Documents are never taken as generated, since a page that a program wrote is read like any other.

mod header;

use crate::file::{RelPath, SkipReason};

/// Extensions of documents.
const DOCUMENTS: [&str; 9] = [
    "adoc", "asciidoc", "markdown", "md", "mdx", "org", "rst", "tex", "txt",
];

/// Extensions of scripts and style sheets for browsers: what minifiers and bundlers write.
const SCRIPTS: [&str; 4] = ["cjs", "css", "js", "mjs"];

/// Bytes of a line that no one types.
const LONG_LINE: usize = 500;

/// Bytes from which the shape of a script says something.
const LEAST_MINIFIED: usize = 1_000;

/// Return why the file at `path` is skipped that has this text, and the mark in words, if a program wrote it.
pub fn recognise(path: &RelPath, text: &str) -> Option<(SkipReason, String)> {
    let extension = path.extension();
    let extension = extension.as_str();
    if DOCUMENTS.contains(&extension) {
        return None;
    }
    if extension == "map" && is_source_map(text) {
        return Some((SkipReason::SourceMap, "a source map".to_owned()));
    }
    if let Some((line, mark)) = header::mark(text) {
        let detail = format!("line {line} says `{mark}`");
        return Some((SkipReason::Generated, detail));
    }
    if SCRIPTS.contains(&extension) {
        return script(text);
    }
    None
}

fn script(text: &str) -> Option<(SkipReason, String)> {
    if let Some(bundler) = bundler(text) {
        let detail = format!("a bundle that {bundler} made");
        return Some((SkipReason::Generated, detail));
    }
    if is_minified(text) {
        let detail = format!("most of it in lines of more than {LONG_LINE} bytes");
        return Some((SkipReason::Minified, detail));
    }
    let mut last = text.trim_end().rsplit('\n').take(2);
    let names_map = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("//").or(line.strip_prefix("/*"));
        line.is_some_and(|line| {
            line.trim_start_matches(['#', '@'])
                .trim_start()
                .starts_with("sourceMappingURL=")
        })
    };
    last.any(names_map).then(|| {
        let detail = "its last line names a source map".to_owned();
        (SkipReason::Generated, detail)
    })
}

/// Return the bundler whose first lines a script has.
fn bundler(text: &str) -> Option<&'static str> {
    let head = beginning(text, 2_000);
    if head.contains("webpackBootstrap") || head.contains("__webpack_require__") {
        return Some("webpack");
    }
    let helpers = [
        "var __create = Object.create;",
        "var __defProp = Object.defineProperty;",
    ];
    let first = text
        .trim_start()
        .lines()
        .take(4)
        .filter(|line| !line.starts_with("#!"));
    let mut first = first.map(str::trim);
    if first.any(|line| helpers.contains(&line)) {
        return Some("esbuild");
    }
    None
}

/// Whether a script has been made small: more than half of its bytes are in lines that no one types, and those are dense
/// with punctuation, unlike data in a string.
fn is_minified(text: &str) -> bool {
    if text.len() < LEAST_MINIFIED {
        return false;
    }
    let long = || text.lines().filter(|line| line.len() > LONG_LINE);
    let bytes: usize = long().map(str::len).sum();
    if bytes * 2 <= text.len() {
        return false;
    }
    let is_punctuation = |byte: &u8| b"(){}[];,.:=".contains(byte);
    let punctuation: usize = long()
        .map(|line| line.bytes().filter(is_punctuation).count())
        .sum();
    // Minified scripts and style sheets have 15 to 25 %, base64 has none.
    punctuation * 100 >= bytes * 8
}

fn is_source_map(text: &str) -> bool {
    let head = beginning(text, 200);
    let plain: String = head.chars().filter(|c| !c.is_whitespace()).collect();
    plain.starts_with("{\"version\":3") || plain.starts_with("{\"sections\":")
}

/// Return the first bytes of a text, `most` at most.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev();
    let mut ends = end.filter(|end| text.is_char_boundary(*end));
    &text[..ends.next().unwrap_or(0)]
}

#[cfg(test)]
mod tests;
