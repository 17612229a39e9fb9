//! Tags: what a chunk of text is about, said by rules.
//!
//! [`tag`] is a pure function of a chunk's text and of its file's place below the root; it never
//! reads a file, and no outcome depends on the machine, the time or other chunks. It works in time
//! linear in the text, since it sits on the path of every byte. Credentials are blanked out first (see
//! [`crate::credential`]), so that no rule can copy one. `worker` calls it; `store` writes
//! what it says. The rules are part of the fingerprint: raise the version in `profile::recipe` with any change
//! of output.

pub mod density;
pub mod path;
mod tags;

mod codons;
mod complement;
mod definitions;
mod dictionary;
mod domains;
mod entities;
mod fields;
mod format;
mod intent;
mod key_values;
mod lexer;
mod outline;
mod summary;
mod terms;
mod words;

pub use tags::{IntentClass, Tags};

use crate::credential::{self, Found, Style};
use crate::file::RelPath;
use format::Format;
use outline::Outline;

/// What the tagger looks at.
#[derive(Clone, Copy, Debug)]
pub struct TagInput<'a> {
    /// The chunk, as it is stored.
    pub text: &'a str,
    /// Of the chunk's file, below its root.
    pub path: &'a RelPath,
    /// Stands in for the parent folder of files that lie directly in the root.
    pub root_label: &'a str,
    /// Number of the chunk in its file, from 0.
    pub sequence: u32,
}

/// The tags of one chunk. Any text has some; none makes it fail.
pub fn tag(input: &TagInput) -> Tags {
    tag_without(input, &credential::find(input.text, style(input.path)))
}

/// How the file at `path` writes values, for the search for credentials.
pub fn style(path: &RelPath) -> Style {
    Format::of(path).style()
}

/// The tags of one chunk, as if what was `found` in it were not there.
pub fn tag_without(input: &TagInput, found: &[Found]) -> Tags {
    let text = credential::blank(input.text, found);
    let outline = Outline::read(&text, Format::of(input.path));
    let key_values = key_values::key_values(&outline);
    let domains = domains::domains(&outline, input);
    let entities = entities::entities(&outline);
    let route_words = words::route_words(&outline, &domains, &entities);
    Tags {
        intent: intent::intent(&outline, input, &key_values),
        intent_class: intent::class(&outline, &key_values),
        summary: summary::summary(&outline),
        complement: complement::complement(&outline),
        codons: codons::codons(&outline, &key_values),
        domains,
        entities,
        key_values,
        route_words,
    }
}

#[cfg(test)]
mod tests;
