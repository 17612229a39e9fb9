//! "Did you mean": finds the nearest of a few known words.

/// Return the word of `known` nearest to `typed`, if at most a third of its letters differ.
pub fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|word| (edits(&typed.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(edits, word)| *edits <= word.chars().count().div_ceil(3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, word)| word)
}

/// Count the letters to insert, delete or replace to turn `from` into `to`.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, from) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, count) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(edits(from, to), count, "{from} {to}");
        }
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("flaw", "lawn"), 2);
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["small", "medium", "large", "xl"];
        assert_eq!(nearest("meduim", known), Some("medium"));
        assert_eq!(nearest("Lagre", known), Some("large"));
        assert_eq!(nearest("x", known), Some("xl"));
        assert_eq!(nearest("everything", known), None);
    }
}
