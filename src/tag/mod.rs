//! Tags: what a chunk of text is about, derived by rules.
//!
//! [`tag`] is a pure function of a chunk's text and of its file's path below the root. It reads no
//! file, and its result depends on no machine, time or other chunk. It takes time linear in the text,
//! since every byte of a corpus passes through it. It blanks credentials first (see
//! [`crate::credential`]), so that no rule can copy one. `worker` calls it; `store` writes the tags.
//! The rules are part of the fingerprint: raise the version in `profile::recipe` with any change of
//! output.
//!
//! ```text
//! lexer: words -> terms: distinct words -> lines: kinds of lines -> outline: all of these
//!   -> definitions, imports: what lines define and import
//!   -> domains, entities, key_values, intent, summary, extract, labels, route_words: one tag each
//! words: what full text should find besides
//! ```

pub mod path;
mod tags;
pub mod visibility;

mod dictionary;
mod format;
mod lexer;
mod lines;
mod terms;

mod definitions;
mod imports;
mod outline;
mod read;

mod domains;
mod entities;
mod extract;
mod fields;
mod intent;
mod key_values;
mod labels;
mod literal;
mod route_words;
mod summary;

pub use tags::{IntentClass, Tags};
pub use visibility::Visibility;

use crate::chunk::Chunk;
use crate::credential::{self, Found, Style};
use crate::file::RelPath;
use crate::language::Language;
use crate::profile::recipe::RuleSet;
use crate::words;
use format::Format;
use outline::Outline;

/// A chunk with its tags.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedChunk<'a> {
    pub chunk: Chunk<'a>,
    pub tags: Tags,
    pub visibility: Visibility,
}

/// How to read the texts of a file: its language, and the rules.
#[derive(Clone, Copy, Debug)]
pub struct Kind(Format);

impl Kind {
    /// With compat rules the path alone tells the language.
    pub fn of(rules: RuleSet, path: &RelPath, language: Option<&Language>) -> Self {
        Self(match rules {
            RuleSet::Compat => Format::of(path),
            RuleSet::Standard => Format::standard(language),
        })
    }

    /// Return how the file writes values, for the search for credentials.
    pub fn style(self) -> Style {
        self.0.style()
    }
}

/// What the tagger looks at.
#[derive(Clone, Copy, Debug)]
pub struct TagInput<'a> {
    /// The chunk's text, as it is stored.
    pub text: &'a str,
    /// Path of the chunk's file below its root.
    pub path: &'a RelPath,
    /// Stands in for the parent folder of files that lie directly in the root.
    pub root_label: &'a str,
    /// Number of the chunk in its file, from 0.
    pub sequence: u32,
    /// Names of definitions around the chunk by whose words full text shall find it.
    pub around: &'a [String],
    pub kind: Kind,
}

/// Return the tags of one chunk. Every text has some.
pub fn tag(input: &TagInput) -> Tags {
    tag_without(input, &credential::find(input.text, input.kind.style()))
}

/// Return the lower-case name of the language or format of the file at `path`; `None` when its name tells none.
pub fn language(path: &RelPath) -> Option<&'static str> {
    Some(Format::of(path).name).filter(|name| !name.is_empty())
}

/// Return the tags of one chunk, as if the `credentials` in it were blank.
pub fn tag_without(input: &TagInput, credentials: &[Found]) -> Tags {
    let text = credential::blank(input.text, credentials);
    let outline = Outline::read(&text, input.kind.0);
    let key_values = key_values::key_values(&outline);
    let domains = domains::domains(&outline, input);
    let entities = entities::entities(&outline);
    let route_words = route_words::route_words(&outline, &domains, &entities);
    let unwritten = unwritten(&text, input, &[&domains, &entities]);
    Tags {
        intent: intent::intent(&outline, input, &key_values),
        intent_class: intent::class(&outline, &key_values),
        summary: summary::summary(&outline),
        extract: extract::extract(&outline),
        labels: labels::labels(&outline, &key_values),
        domains,
        entities,
        key_values,
        route_words,
        unwritten,
    }
}

/// Return the words that neither the text nor its path and tags show to the full-text index.
fn unwritten(text: &str, input: &TagInput, tags: &[&[String]; 2]) -> String {
    let path = input.path.spelling();
    let mut beside = vec![input.root_label, &*path];
    beside.extend(tags.iter().copied().flatten().map(String::as_str));
    let around: Vec<&str> = input.around.iter().map(String::as_str).collect();
    words::unwritten(text, &around, &beside, language(input.path))
}

#[cfg(test)]
mod tests;
