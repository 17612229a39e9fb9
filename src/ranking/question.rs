//! What a question asks for: its words with their weights, and the names of symbols in it. Pure.

use super::stems;
use std::collections::HashSet;

/// A question, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Stems, each once, with the weight of the word.
    pub words: Vec<(String, f64)>,
    /// Names of symbols, without the path before them: `spawn` of `task::spawn`.
    pub names: Vec<String>,
    /// Words whose signs tell them from other words: `c++`, `c#`. Lower case.
    pub signed: Vec<String>,
    /// Whether the question is nothing but one name.
    pub is_name: bool,
    /// Whether it is about tests.
    pub is_about_tests: bool,
    /// Whether it is about documentation, or how to use something, which documentation says.
    pub is_about_use: bool,
}

impl Question {
    /// Take a question apart. `weight` tells how rare a lower-case word is in the index, above 0.
    pub fn of(text: &str, weight: impl Fn(&str) -> f64) -> Self {
        let mut words: Vec<(String, f64)> = Vec::new();
        let mut known = HashSet::new();
        for word in stems::of_name(text) {
            let is_short = word.is_ascii() && word.len() < 2;
            if is_short || stems::is_empty_word(&word) {
                continue;
            }
            let stem = stems::stem(&word);
            if known.insert(stem.to_owned()) {
                words.push((stem.to_owned(), weight(&word)));
            }
        }
        let pieces: Vec<&str> = text.split_whitespace().map(trimmed).collect();
        let (names, is_name) = names(text);
        let spoken: Vec<String> = stems::of_name(text).collect();
        Self {
            is_about_tests: is_about_tests(&spoken),
            is_about_use: is_about_use(&spoken),
            names,
            signed: pieces
                .iter()
                .filter(|piece| is_signed(piece))
                .map(|piece| piece.to_lowercase())
                .collect(),
            words,
            is_name,
        }
    }

    /// Return the part of the words with signs that a text has as they are: 0 to 1, 0 without such words.
    pub fn signed_share(&self, text: &str) -> f64 {
        if self.signed.is_empty() {
            return 0.0;
        }
        let text = text.to_lowercase();
        let found = self
            .signed
            .iter()
            .filter(|word| has_word(&text, word))
            .count();
        found as f64 / self.signed.len() as f64
    }

    /// Return the part of the question's words, by weight, that `has` knows: 0 to 1.
    pub fn share(&self, has: impl Fn(&str) -> bool) -> f64 {
        let sum = |words: &mut dyn Iterator<Item = &(String, f64)>| -> f64 {
            // Not `sum`, which is -0.0 for no words.
            words.fold(0.0, |sum, (_, weight)| sum + weight)
        };
        let all = sum(&mut self.words.iter());
        if all <= 0.0 {
            return 0.0;
        }
        sum(&mut self.words.iter().filter(|(stem, _)| has(stem))) / all
    }

    /// Return whether a stem is that of a word of the question.
    pub fn asks_for(&self, stem: &str) -> bool {
        self.words.iter().any(|(word, _)| stems::agree(word, stem))
    }
}

/// Return whether words are about tests. Who asks how to test whether something holds wants no tests, and a spec may be any
/// specification.
fn is_about_tests(words: &[String]) -> bool {
    let is_verb = |after: Option<&String>| {
        after.is_some_and(|word| ["if", "whether", "that"].contains(&word.as_str()))
    };
    words
        .iter()
        .enumerate()
        .any(|(at, word)| match word.as_str() {
            "test" | "tests" | "testing" | "tested" => !is_verb(words.get(at + 1)),
            "specs" | "mock" | "mocks" | "mocking" | "mocked" | "fixture" | "fixtures" => true,
            "bench" | "benches" => true,
            _ => false,
        })
}

/// Return whether words are about documentation or ask how to do something.
fn is_about_use(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let asks_how = matches!(
        words[..],
        ["how", "to", ..]
            | [
                "how",
                "do" | "can" | "should" | "would",
                "i" | "we" | "you" | "one",
                ..
            ]
    );
    let is_document = |word: &&str| {
        [
            "docs",
            "documentation",
            "guide",
            "guides",
            "tutorial",
            "tutorials",
            "readme",
            "example",
            "examples",
            "changelog",
        ]
        .contains(word)
    };
    asks_how || words.iter().any(is_document)
}

/// Return whether a piece is a word with signs that belong to it: `C++`, `F#`.
fn is_signed(piece: &str) -> bool {
    let word = piece.trim_end_matches(['+', '#']);
    let signs = &piece[word.len()..];
    !word.is_empty() && word.chars().all(char::is_alphanumeric) && matches!(signs, "++" | "#")
}

/// Return whether `text` has `word`, and not as part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '+' | '#');
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

fn trimmed(piece: &str) -> &str {
    let piece = piece.trim_matches(|c: char| "`'\"(),.;:?!".contains(c));
    piece.strip_suffix("()").unwrap_or(piece)
}

/// Return the names of symbols in a question, and whether it is nothing but one.
fn names(text: &str) -> (Vec<String>, bool) {
    let text = without_parameters(text);
    let pieces: Vec<&str> = text.split_whitespace().map(trimmed).collect();
    let (names, is_name): (Vec<&str>, bool) = match pieces[..] {
        [only] => (vec![last_name(only)], true),
        _ => {
            let names = pieces.into_iter().filter(|piece| is_name(piece));
            (names.map(last_name).collect(), false)
        }
    };
    let names = names.into_iter().filter(|name| !name.is_empty());
    (names.map(str::to_owned).collect(), is_name)
}

/// Leave out type parameters and arguments: `Foo::bar` of `Foo<A, B>::bar(x)`.
fn without_parameters(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '(']) {
        let (before, group) = rest.split_at(at);
        left += before;
        let is_of_name = left.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
        match group_end(group).filter(|_| is_of_name) {
            Some(end) => rest = &group[end..],
            None => {
                left += &group[..1];
                rest = &group[1..];
            }
        }
    }
    left + rest
}

/// Return where the group ends that begins at the start of a text with `<` or `(`.
fn group_end(text: &str) -> Option<usize> {
    let (open, close) = match text.starts_with('<') {
        true => ('<', '>'),
        false => ('(', ')'),
    };
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        let is_arrow = c == '>' && text[..at].ends_with('-');
        depth += i32::from(c == open) - i32::from(c == close && !is_arrow);
        if depth == 0 && !is_arrow {
            return Some(at + 1);
        }
    }
    None
}

/// Return the name at the end of a path such as `task::spawn`.
fn last_name(piece: &str) -> &str {
    let ends = |c: char| !(c.is_alphanumeric() || c == '_' || c == '$');
    piece.rsplit(ends).next().unwrap_or(piece)
}

/// Return whether a piece of a longer question is written as names are, and not as words: `snake_case`, `camelCase`,
/// `a::b`, `a.b`, `a#b`, `HTTPServer`.
fn is_name(piece: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "_$:.#->".contains(c);
    if piece.is_empty()
        || !piece.chars().all(is_part)
        || piece.starts_with(|c: char| c.is_ascii_digit())
    {
        return false;
    }
    let chars: Vec<char> = piece.chars().collect();
    let is_joined =
        piece.trim_matches('_').contains('_') || piece.contains("::") || piece.contains("->");
    let has_owner = chars
        .windows(3)
        .any(|c| c[0].is_alphanumeric() && matches!(c[1], '.' | '#') && c[2].is_alphabetic());
    let has_hump = chars
        .windows(2)
        .any(|c| (c[0].is_lowercase() || c[0].is_ascii_digit()) && c[1].is_uppercase());
    let begins_big = matches!(chars[..], [a, b, c, ..] if a.is_uppercase() && b.is_uppercase() && c.is_lowercase());
    is_joined || has_owner || has_hump || begins_big
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_words() {
        let names = |text: &str| Question::of(text, |_| 1.0).names;
        assert_eq!(names("how does from_fn wrap a Router"), ["from_fn"]);
        assert_eq!(
            names("where is `task::spawn()` and IntoResponse"),
            ["spawn", "IntoResponse"]
        );
        assert_eq!(names("retry after a failed payment. Then stop"), [""; 0]);
        for (text, name) in [
            ("where is Foo<T>::bar called", "bar"),
            ("what does `Foo#bar` return", "bar"),
            ("what does foo.bar(x) return", "bar"),
            ("who calls Foo::<Vec<u8>>::bar()", "bar"),
            ("fields of HashMap<String, u8>", "HashMap"),
        ] {
            assert_eq!(names(text), [name], "{text}");
        }
        assert_eq!(names("is a < b, or c > d?"), [""; 0]);
        assert_eq!(names("issue#12 (of F#)"), [""; 0]);
        let one = Question::of("Router", |_| 1.0);
        assert!(one.is_name);
        assert_eq!(one.names, ["Router"]);
        assert_eq!(one.words, [("rout".to_owned(), 1.0)]);
        for text in [
            "Router<S>",
            "axum::Router<S, B>",
            "Foo#Router",
            "Foo<A, B>::Router(path)",
            "Router()",
        ] {
            let one = Question::of(text, |_| 1.0);
            assert!(one.is_name, "{text}");
            assert_eq!(one.names, ["Router"], "{text}");
        }
    }

    #[test]
    fn signs_tell_words_apart() {
        let question = Question::of("strings in C++ or F#?", |_| 1.0);
        assert_eq!(question.signed, ["c++", "f#"]);
        assert_eq!(question.signed_share("// C++ strings"), 0.5);
        assert_eq!(question.signed_share("f# and c++."), 1.0);
        assert_eq!(question.signed_share("c, xc++, c+++, f#x"), 0.0);
        assert_eq!(Question::of("a + b, a++b #", |_| 1.0).signed, [""; 0]);
        assert_eq!(Question::of("C", |_| 1.0).signed_share("C++"), 0.0);
    }

    #[test]
    fn rare_words_are_most_of_a_question() {
        let question = Question::of("how is the quux router built", |word| match word {
            "quux" => 3.0,
            _ => 0.5,
        });
        assert_eq!(question.words.len(), 3);
        assert_eq!(question.share(|stem| stem == "quux"), 0.75);
        assert!(question.asks_for("router") && !question.asks_for("path"));
        assert_eq!(Question::of("?!", |_| 1.0).share(|_| true), 0.0);
    }

    #[test]
    fn questions_about_tests_and_about_use_are_told_from_others() {
        let of = |text: &str| {
            let question = Question::of(text, |_| 1.0);
            (question.is_about_tests, question.is_about_use)
        };
        for about in [
            "test helpers",
            "where is the router tested",
            "specs of the parser",
            "Mocking HTTP",
        ] {
            assert_eq!(of(about), (true, false), "{about}");
        }
        for other in [
            "tests whether a path is absolute",
            "where is the spec parsed",
            "latest contest",
        ] {
            assert_eq!(of(other), (false, false), "{other}");
        }
        assert_eq!(of("how do I test if a path is absolute"), (false, true));
        assert_eq!(of("How to install it"), (false, true));
        assert_eq!(of("examples of routers"), (false, true));
        assert_eq!(of("how does it read the guideline"), (false, false));
    }
}
