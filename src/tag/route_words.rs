//! The words that lead queries to a chunk's shard.
//!
//! A server looks into a shard only when a word of the query equals one of its tags. So rare words are
//! worth more here than words that describe the text best.

use super::dictionary::Role;
use super::fields::has;
use super::lexer::Shape;
use super::outline::Outline;
use super::terms::Term;
use crate::credential::is_random;
use std::cmp::Reverse;

const MAX_WORDS: usize = 24;
/// Readers drop query words below three characters; nobody types more than forty.
const MIN_CHARS: usize = 3;
const MAX_CHARS: usize = 40;

/// Return the rarest looking words of the text in lower case, without those that are tags.
pub(super) fn route_words(
    outline: &Outline,
    domains: &[String],
    entities: &[String],
) -> Vec<String> {
    let mut candidates: Vec<(Reverse<u32>, u32)> = Vec::with_capacity(outline.terms.len());
    for (at, term) in outline.terms.iter().enumerate() {
        let score = rarity(term);
        if score > 0 {
            candidates.push((Reverse(score), at as u32));
        }
    }
    candidates.sort_unstable();
    let mut words: Vec<String> = Vec::with_capacity(MAX_WORDS.min(candidates.len()));
    for (_, at) in candidates {
        if words.len() == MAX_WORDS {
            break;
        }
        let spelling = outline.term_spelling(&outline.terms[at as usize]);
        if is_random(spelling) || has(domains, spelling) || has(entities, spelling) {
            continue;
        }
        // Outside ASCII, lower case may change the length and make two words equal.
        let word = spelling.to_lowercase();
        let is_short = word.chars().nth(MIN_CHARS - 1).is_none();
        let is_long = word.chars().nth(MAX_CHARS).is_some();
        if !is_short && !is_long && (word.is_ascii() || !words.contains(&word)) {
            words.push(word);
        }
    }
    words
}

/// Return how rare a word looks; 0 for common words.
fn rarity(term: &Term) -> u32 {
    let n_bytes = term.end - term.start;
    let is_known =
        term.meaning.is_common || matches!(term.meaning.role, Role::Keyword | Role::Modifier);
    if is_known || !(MIN_CHARS..=MAX_CHARS * 4).contains(&n_bytes) || !term.shape.has_letter() {
        return 0;
    }
    // Numbers with a unit or a suffix: `0x1f`, `10px`.
    if term.shape.has(Shape::STARTS_DIGIT) {
        return 1;
    }
    let length = n_bytes.min(14) as u32;
    let shape = 3 * u32::from(term.shape.has(Shape::UNDERSCORE))
        + 3 * u32::from(term.shape.is_camel())
        + 2 * u32::from(term.shape.has(Shape::DIGIT));
    // A repeated word is likely to be a topic.
    length + shape + 3 * term.count.min(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::tag::format::Format;

    fn words(text: &str) -> Vec<String> {
        let path = RelPath::from_spelling("a.md").expect("a relative path");
        let outline = Outline::read(text, Format::of(&path));
        route_words(&outline, &[], &["Marmalade".to_owned()])
    }

    #[test]
    fn rare_words_lead_and_common_words_are_left_out() {
        assert_eq!(
            words(
                "The function returns the Zeppelin when wal_autocheckpoint is set: zeppelin, ox, marmalade"
            ),
            ["wal_autocheckpoint", "zeppelin"]
        );
    }

    #[test]
    fn words_that_look_drawn_by_lot_are_left_out() {
        assert_eq!(
            words("9f86d081884c7d659a2feaa0c55ad015 a1b2c3d4e5f6a7b8c9"),
            Vec::<String>::new()
        );
    }
}
