//! Words by which full text finds a chunk, and a query asks for one, beyond the words that the tokenizer sees.
//!
//! The tokenizer of the full-text index takes every run of letters and digits as one word, in lower case. It cannot see
//! into `maxRetryCount`, finds no word in a line of Chinese, and reads `C++` as `C`. So the index also has the words of
//! [`unwritten`], and a query asks for those of [`parts`] and [`names`] too. Pure; both sides cut alike.

use crate::credential::is_random;
use std::collections::HashSet;

/// Shorter parts of identifiers are left out, in characters: servers and our own query ask for no shorter words.
pub const SHORTEST_WORD: usize = 3;

/// A longer run of letters and digits is no identifier.
const LONGEST_IDENTIFIER: usize = 64;

/// Return what full text should find a chunk by and does not see in it: parts of identifiers, pairs of Chinese, Japanese
/// and Korean characters, names of languages whose signs are no letters. Lower case, each once, with blanks between, in
/// the order of the text.
///
/// `around` are the names of the definitions around the text, of which it shows the head of none or of some: their words
/// are found as if they stood in the text. `beside` is other text that is indexed with `text`; `language` is the
/// lower-case name of the chunk's language.
pub fn unwritten(text: &str, around: &[&str], beside: &[&str], language: Option<&str>) -> String {
    let mut found: Vec<String> = Vec::new();
    let mut known = HashSet::new();
    let mut find = |word: String| {
        if !known.contains(&word) {
            known.insert(word.clone());
            found.push(word);
        }
    };
    let is_asked_for = |word: &str| is_pair(word) || word.chars().count() >= SHORTEST_WORD;
    for name in around.iter().copied().flat_map(words) {
        if is_asked_for(name) && name.len() <= LONGEST_IDENTIFIER {
            find(name.to_lowercase());
        }
    }
    for word in around.iter().copied().chain([text]).flat_map(words) {
        for part in parts(word).into_iter().filter(|part| is_asked_for(part)) {
            find(part.to_lowercase());
        }
    }
    names(text, Case::Kept)
        .chain(language.and_then(name_of))
        .for_each(|name| find(name.to_owned()));
    let written = beside.iter().copied().chain([text]).flat_map(words);
    let written: HashSet<String> = match found.is_empty() {
        true => HashSet::new(),
        false => written.map(str::to_lowercase).collect(),
    };
    found.retain(|word| !written.contains(word));
    found.join(" ")
}

/// Return the runs of letters and digits, which the tokenizer takes for words.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|c: char| !c.is_alphanumeric());
    runs.filter(|run| !run.is_empty())
}

/// Return the parts of a run of letters and digits that are not the run itself: `parseHTTPHeader` gives parse, HTTP and
/// Header, a run in Chinese its pairs of adjacent characters, a mixed one both.
pub fn parts(word: &str) -> Vec<&str> {
    // Most words, without a look at their characters.
    if word.is_ascii() && !word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase()) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    for piece in scripts(word) {
        if piece.chars().next().is_some_and(is_cjk) {
            parts.extend(pairs(piece));
        } else if piece.len() <= LONGEST_IDENTIFIER && !is_random(piece) {
            parts.push(piece);
            parts.extend(humps(piece));
        }
    }
    parts.retain(|part| part.len() < word.len());
    parts
}

/// Return whether a word is a pair of characters as [`parts`] makes them, which is a word of its own although it is short.
pub fn is_pair(word: &str) -> bool {
    word.chars().count() == 2 && word.chars().all(is_cjk)
}

/// Whether capitals tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As in a text, where `c++` counts up and `example.net` is a host.
    Kept,
    /// As in a query, which is in whatever case.
    Ignored,
}

/// Return the names of languages that a text writes with signs: `cpp` for C++, `csharp` for C#, `fsharp` for F#, `dotnet`
/// for .NET.
pub fn names(text: &str, case: Case) -> impl Iterator<Item = &'static str> {
    let is_letter = move |c: char, letter: char| match case {
        Case::Kept => c == letter,
        Case::Ignored => c.eq_ignore_ascii_case(&letter),
    };
    let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    // The letter before a sign, if it is a word by itself.
    let letter_before = move |at: usize| {
        let letter = text[..at].chars().next_back()?;
        begins(at - letter.len_utf8()).then_some(letter)
    };
    let ends = |at: usize| !text[at..].starts_with(|c: char| c.is_alphabetic() || c == '_');
    let plus = text.match_indices("++").filter_map(move |(at, sign)| {
        let letter = letter_before(at)?;
        (is_letter(letter, 'C') && ends(at + sign.len())).then_some("cpp")
    });
    let sharp = text.match_indices('#').filter_map(move |(at, sign)| {
        let letter = letter_before(at)?;
        let name = [('C', "csharp"), ('F', "fsharp")].into_iter();
        let mut name = name.filter(|(known, _)| is_letter(letter, *known));
        let (_, name) = name.next().filter(|_| ends(at + sign.len()))?;
        Some(name)
    });
    let net = text.match_indices('.').filter_map(move |(at, _)| {
        let rest = text.get(at + 1..at + 4)?;
        let is_net = match case {
            Case::Kept => rest == "NET",
            Case::Ignored => rest.eq_ignore_ascii_case("net") && begins(at) || rest == "NET",
        };
        (is_net && ends(at + 4)).then_some("dotnet")
    });
    plus.chain(sharp).chain(net)
}

/// Return the name that [`names`] gives a language of which a file is.
fn name_of(language: &str) -> Option<&'static str> {
    match language {
        "cpp" | "c++" => Some("cpp"),
        "csharp" | "c#" => Some("csharp"),
        "fsharp" | "f#" => Some("fsharp"),
        _ => None,
    }
}

/// Return the longest pieces in which either all characters are Chinese, Japanese or Korean, or none is.
fn scripts(word: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in word.char_indices() {
        let here = is_cjk(c);
        if before.is_some_and(|before| before != here) {
            pieces.push(&word[start..at]);
            start = at;
        }
        before = Some(here);
    }
    pieces.push(&word[start..]);
    pieces
}

/// Return every two adjacent characters.
fn pairs(piece: &str) -> impl Iterator<Item = &str> {
    let starts = piece.char_indices().map(|(at, _)| at);
    let ends = piece.char_indices().skip(2).map(|(at, _)| at);
    let ends = ends.chain([piece.len()]);
    starts.zip(ends).map(|(start, end)| &piece[start..end])
}

/// Return the pieces between changes of case: `parseHTTPHeader` gives parse, HTTP, Header; `sha256Sum` gives sha256, Sum.
/// Nothing for a piece without such a change.
fn humps(piece: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = piece.char_indices().collect();
    let letter = |at: usize| letters.get(at).map(|(_, c)| *c);
    let is_lower = |at: usize| letter(at).is_some_and(char::is_lowercase);
    let mut humps = Vec::new();
    let mut start = 0;
    for at in 1..letters.len() {
        let (before, (byte, here)) = (letters[at - 1].1, letters[at]);
        if !here.is_uppercase() {
            continue;
        }
        // `URLs` is one word.
        let is_plural = letter(at + 1) == Some('s') && !is_lower(at + 2);
        let begins_word = is_lower(at + 1) && !is_plural;
        if before.is_lowercase() || (before.is_uppercase() || before.is_numeric()) && begins_word {
            humps.push(&piece[start..byte]);
            start = byte;
        }
    }
    if start > 0 {
        humps.push(&piece[start..]);
    }
    humps
}

/// Whether `c` is of a script that writes words without spaces, or, as Korean does, with their endings: Han, Hiragana,
/// Katakana, Bopomofo, Hangul (Unicode 16, by block).
fn is_cjk(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x11ff | 0x2e80..=0x2fdf | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3031..=0x3035 | 0x3040..=0x312f
        | 0x3130..=0x318f | 0x31a0..=0x31bf | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xa960..=0xa97f
        | 0xac00..=0xd7ff | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x1b000..=0x1b16f | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unwritten(text: &str) -> String {
        super::unwritten(text, &[], &[], None)
    }

    #[test]
    fn identifiers_are_found_by_their_parts() {
        assert_eq!(unwritten("self.maxRetryCount(n)"), "max retry count");
        assert_eq!(
            unwritten("parseHTTPHeader getURLs"),
            "parse http header get urls"
        );
        assert_eq!(unwritten("sha256Sum utf8 vec2D"), "sha256 sum");
        assert_eq!(unwritten("max_retry_count MAX_RETRY plain Words"), "");
        assert_eq!(unwritten("getÄpfelÜber"), "get äpfel über");
        assert_eq!(unwritten("isOk aB"), "");
        // Nothing that is written already, and nothing twice.
        assert_eq!(unwritten("readFile readLine file"), "read line");
        assert_eq!(
            super::unwritten("readFile", &[], &["src/read.rs"], None),
            "file"
        );
    }

    #[test]
    fn the_names_of_definitions_around_a_text_are_found_in_it() {
        let around = ["HttpClient", "max_retry", "if"];
        assert_eq!(
            super::unwritten("return retry", &around, &[], None),
            "httpclient max http client"
        );
        assert_eq!(
            super::unwritten("HttpClient.max retry", &around, &[], None),
            "http client"
        );
    }

    #[test]
    fn pairs_of_characters_are_words_where_no_space_is_written() {
        assert_eq!(unwritten("支付失败，重试"), "支付 付失 失败");
        assert_eq!(unwritten("データを"), "デー ータ タを");
        assert_eq!(unwritten("使用Python3编程語"), "使用 python3 编程 程語");
        assert_eq!(unwritten("결제가 결제"), "제가");
        assert!(is_pair("支付") && !is_pair("支") && !is_pair("ab"));
    }

    #[test]
    fn languages_with_signs_have_names() {
        let kept = |text: &'static str| names(text, Case::Kept).collect::<Vec<_>>();
        assert_eq!(
            kept("In C++ and (C#), F#, ASP.NET or C++17."),
            ["cpp", "cpp", "csharp", "fsharp", "dotnet"]
        );
        for text in [
            "for (; c < n; c++)",
            "ABC++",
            "x.NETWORK",
            "MC#",
            "C#define",
            "see example.net",
            "C + +",
            "C",
        ] {
            assert_eq!(kept(text), Vec::<&str>::new(), "{text}");
        }
        let asked = |text: &'static str| names(text, Case::Ignored).collect::<Vec<_>>();
        assert_eq!(asked("c++ or c# on .net"), ["cpp", "csharp", "dotnet"]);
        assert_eq!(asked("host example.net"), Vec::<&str>::new());
        assert_eq!(super::unwritten("int a;", &[], &[], Some("cpp")), "cpp");
        assert_eq!(super::unwritten("int a;", &[], &["a.cpp"], Some("cpp")), "");
    }

    #[test]
    fn long_and_random_runs_have_no_parts() {
        assert_eq!(unwritten(&"aB".repeat(200)), "");
        assert_eq!(unwritten("qW7tZk2PxR9mLd4KvB8nTgYc"), "");
    }

    proptest! {
        /// Whatever the text: words of it alone, in lower case, each once, none that is written.
        #[test]
        fn every_word_is_in_the_text_and_not_written(text in "([a-zA-Z0-9_ .\u{4e00}-\u{4e10}\u{ac00}-\u{ac05}é]{0,60})") {
            let found = super::unwritten(&text, &[], &["beside"], None);
            let lower = text.to_lowercase();
            let mut known: HashSet<String> = words(&text).map(str::to_lowercase).collect();
            for word in found.split_whitespace() {
                prop_assert!(lower.contains(word) || word == "dotnet", "{word}");
                prop_assert!(known.insert(word.to_owned()), "{word}");
            }
        }

        /// The parts of a run are in it, in order.
        #[test]
        fn parts_are_slices(word in "[a-zA-Z0-9\u{4e00}-\u{4e10}]{1,30}") {
            for part in parts(&word) {
                prop_assert!(!part.is_empty() && part.len() < word.len() && word.contains(part));
            }
        }
    }
}
