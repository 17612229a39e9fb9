//! Which words of a question and a name are the same word. Pure.

use crate::words;

/// Endings, longest first. What is left keeps at least three letters.
const ENDINGS: [&str; 28] = [
    "ations", "ation", "izing", "ments", "ings", "izes", "ized", "ions", "ment", "ness", "able",
    "ible", "ally", "ing", "ers", "ors", "ies", "ied", "ion", "ize", "ive", "er", "or", "ly", "ed",
    "es", "al", "y",
];
const SHORT_ENDINGS: [&str; 2] = ["s", "e"];

/// Fewest letters of a word that is found as the beginning of another: `config` in `configuration`.
const SHORTEST_BEGINNING: usize = 4;

/// Words that say nothing about what is asked for.
const EMPTY_WORDS: &str = " a an and are as at be by can do does each for from get has have how i if in into is it its of on \
or that the their them there this to under use used uses using via was we what when where which who why will with within \
without not no between across through over per after before during while both such own other any all more than then these \
those only also should would could about you your me my so up out off new ";

/// Return whether a lower-case word carries no meaning by itself.
pub fn is_empty_word(word: &str) -> bool {
    !word.contains(' ') && EMPTY_WORDS.contains(&format!(" {word} "))
}

/// Return the words of a name, lower case: `parseHTTP_header` has parse, http and header.
pub fn of_name(name: &str) -> impl Iterator<Item = String> + '_ {
    words::words(name).flat_map(|word| {
        let parts = words::parts(word);
        let parts = if parts.is_empty() { vec![word] } else { parts };
        parts.into_iter().map(str::to_lowercase)
    })
}

/// Return the part of a lower-case word that its forms have in common: `rout` of route, routes, routing and router.
pub fn stem(word: &str) -> &str {
    if !word.is_ascii() {
        return word;
    }
    let mut stem = word;
    while stem.len() > SHORTEST_BEGINNING || stem == word && stem.len() == SHORTEST_BEGINNING {
        let mut endings = ENDINGS.iter().chain(&SHORT_ENDINGS);
        let Some(shorter) = endings.find_map(|ending| {
            let rest = stem.strip_suffix(ending)?;
            (rest.len() >= 3).then_some(rest)
        }) else {
            break;
        };
        stem = shorter;
    }
    let doubled = stem.len() > 3 && {
        let bytes = stem.as_bytes();
        bytes[bytes.len() - 1] == bytes[bytes.len() - 2]
    };
    if doubled {
        &stem[..stem.len() - 1]
    } else {
        stem
    }
}

/// Return whether two stems stand for the same word: they are equal, or one begins the other.
pub fn agree(a: &str, b: &str) -> bool {
    let is_long = |stem: &str| stem.len() >= SHORTEST_BEGINNING;
    a == b || is_long(a) && is_long(b) && (a.starts_with(b) || b.starts_with(a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in [
            &["route", "routes", "routing", "router", "routers"][..],
            &["dependency", "dependencies"],
            &["serialize", "serializing", "serialization"],
            &["connect", "connection", "connections", "connected"],
            &["scan", "scanned", "scanner"],
        ] {
            let first = stem(forms[0]);
            for form in forms {
                assert!(agree(stem(form), first), "{form}: {} {first}", stem(form));
            }
        }
        assert!(agree(stem("configuration"), stem("config")));
        assert!(!agree(stem("content"), stem("context")));
        assert_eq!(stem("log"), "log");
    }

    #[test]
    fn names_fall_into_words() {
        let of = |name| of_name(name).collect::<Vec<_>>();
        assert_eq!(of("parseHTTP_header"), ["parse", "http", "header"]);
        assert_eq!(of("path_router.rs"), ["path", "router", "rs"]);
        assert!(is_empty_word("how") && !is_empty_word("router"));
    }

    proptest! {
        #[test]
        fn a_stem_begins_its_word(word in "[a-zé]{0,12}") {
            prop_assert!(word.starts_with(stem(&word)));
            prop_assert!(word.is_empty() == stem(&word).is_empty());
        }
    }
}
