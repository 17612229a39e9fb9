//! Credentials as people write them down, what is taken for none, and a sweep of generated ones.

mod found;
mod near_misses;
mod sweep;
mod tools;
mod urls;

use super::*;

/// What `find` is certain of in `text`.
fn certain(text: &str, style: Style) -> Vec<&str> {
    find_certain(text, style)
        .into_iter()
        .map(|one| &text[one.range])
        .collect()
}

fn hidden(text: &str, style: Style) -> String {
    blank(text, &find(text, style)).into_owned()
}
