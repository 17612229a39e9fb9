//! Cuts a text into words, once. Every tag derives from them.
//!
//! A word is a run of letters, digits and underscores. Words are byte ranges with their shape and a hash
//! that ignores ASCII case; nothing is copied. Rules look up the text between words themselves.

/// One word of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// Byte range in the text.
    pub start: usize,
    pub end: usize,
    /// [`hash`] of the word.
    pub hash: u32,
    pub shape: Shape,
    /// Position in [`super::terms::Terms`].
    pub term: u32,
}

/// The kinds of characters in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape(u8);

impl Shape {
    pub const UPPER: Self = Self(1);
    pub const LOWER: Self = Self(2);
    pub const DIGIT: Self = Self(4);
    pub const UNDERSCORE: Self = Self(8);
    pub const OTHER: Self = Self(16);
    /// A capital inside the word, as in `camelCase` and `HTTPServer`.
    pub const HUMP: Self = Self(32);
    pub const STARTS_UPPER: Self = Self(64);
    pub const STARTS_DIGIT: Self = Self(128);

    pub fn has(self, part: Self) -> bool {
        self.0 & part.0 != 0
    }

    fn with(self, part: Self) -> Self {
        Self(self.0 | part.0)
    }

    /// Whether the word is like `CamelCase` or `camelCase`.
    pub fn is_camel(self) -> bool {
        self.has(Self::HUMP) && self.has(Self::LOWER)
    }

    /// Whether the word is like `SOME_NAME` or `HTTP2`: capitals, perhaps digits and underscores.
    pub fn is_capitals(self) -> bool {
        self.has(Self::UPPER) && !self.has(Self::LOWER) && !self.has(Self::OTHER)
    }

    /// Whether the word is like `some_name`: it has a letter and an underscore.
    pub fn is_snake(self) -> bool {
        self.has(Self::UNDERSCORE) && (self.has(Self::LOWER) || self.has(Self::UPPER))
    }

    /// Whether the word is like `Word`: a capital first, the rest lower case.
    pub fn is_capitalised(self) -> bool {
        self.has(Self::STARTS_UPPER) && self.has(Self::LOWER) && !self.has(Self::HUMP)
    }

    pub fn has_letter(self) -> bool {
        self.has(Self::UPPER) || self.has(Self::LOWER) || self.has(Self::OTHER)
    }
}

const SEED: u32 = 0x811c_9dc5;
/// The tables that use the hash mix its bits further.
const PRIME: u32 = 0x0100_0193;

/// Return FNV-1a of `word` in ASCII lower case.
pub(super) fn hash(word: &str) -> u32 {
    word.bytes().fold(SEED, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(PRIME)
    })
}

/// What each byte adds to the shape of a word; 0 for ASCII that belongs to no word.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' => Shape::UPPER.0,
            b'a'..=b'z' => Shape::LOWER.0,
            b'0'..=b'9' => Shape::DIGIT.0,
            b'_' => Shape::UNDERSCORE.0,
            0x80.. => Shape::OTHER.0,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

/// Return the words of `text`, in order.
pub(super) fn words(text: &str) -> Vec<Word> {
    let bytes = text.as_bytes();
    // Code has a word per 6 to 8 bytes.
    let mut words = Vec::with_capacity(bytes.len() / 6 + 8);
    let mut at = 0;
    while at < bytes.len() {
        if CLASSES[usize::from(bytes[at])] == 0 {
            at += 1;
            continue;
        }
        let word = word_at(text, at);
        if word.end > at {
            words.push(word);
            at = word.end;
        } else {
            at += char_len(text, at);
        }
    }
    words
}

/// Return the word that starts at `start`; empty when that character belongs to no word.
fn word_at(text: &str, start: usize) -> Word {
    let bytes = text.as_bytes();
    let first = CLASSES[usize::from(bytes[start])];
    let mut shape = match Shape(first) {
        Shape::UPPER => Shape::STARTS_UPPER,
        Shape::DIGIT => Shape::STARTS_DIGIT,
        _ => Shape::default(),
    };
    let mut hash = SEED;
    let mut end = start;
    let mut union = 0;
    // The classes of the two characters before, and bit 0 set once a hump was seen.
    let (mut before, mut last, mut humps) = (0, 0, 0);
    while end < bytes.len() {
        let class = CLASSES[usize::from(bytes[end])];
        if class == 0 || (class == Shape::OTHER.0 && !is_word_char(text, end)) {
            break;
        }
        let length = if class == Shape::OTHER.0 {
            char_len(text, end)
        } else {
            1
        };
        for byte in &bytes[end..end + length] {
            let lower = byte | (class & Shape::UPPER.0) << 5;
            hash = (hash ^ u32::from(lower)).wrapping_mul(PRIME);
        }
        end += length;
        humps |= hump(before, last, class);
        union |= class;
        (before, last) = (last, class);
    }
    shape = shape.with(Shape(union));
    if humps != 0 {
        shape = shape.with(Shape::HUMP);
    }
    Word {
        start,
        end,
        hash,
        shape,
        term: 0,
    }
}

/// Return 1 for a capital after a small letter and for a small letter after two capitals, else 0. Without
/// branches, since it runs for every character.
fn hump(before: u8, last: u8, class: u8) -> u8 {
    let (upper, lower) = (Shape::UPPER.0, Shape::LOWER.0);
    const { assert!(Shape::UPPER.0 == 1 && Shape::LOWER.0 == 2) };
    (class & upper & (last & lower) >> 1) | ((class & lower) >> 1 & last & before & upper)
}

fn is_word_char(text: &str, at: usize) -> bool {
    text[at..].chars().next().is_some_and(char::is_alphanumeric)
}

fn char_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spelled(text: &str) -> Vec<&str> {
        words(text).iter().map(|w| &text[w.start..w.end]).collect()
    }

    fn shape(word: &str) -> Shape {
        words(word)[0].shape
    }

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores() {
        assert_eq!(
            spelled("let x_1 = foo.bar(\"caf\u{e9}\u{2014}na\u{ef}ve\");"),
            ["let", "x_1", "foo", "bar", "caf\u{e9}", "na\u{ef}ve"]
        );
        assert_eq!(spelled("\u{2014}\u{3000}"), Vec::<&str>::new());
    }

    #[test]
    fn shapes_tell_names_from_words() {
        for camel in ["camelCase", "CamelCase", "HTTPServer", "aB"] {
            assert!(shape(camel).is_camel(), "{camel}");
        }
        for other in ["Word", "word", "HTTP", "snake_case", "h2"] {
            assert!(!shape(other).is_camel(), "{other}");
        }
        assert!(shape("MAX_LEN").is_capitals() && shape("MAX_LEN").is_snake());
        assert!(shape("Word").is_capitalised() && !shape("wordX").is_capitalised());
        assert!(!shape("__").is_snake() && !shape("__").has_letter());
        assert!(shape("9a").has(Shape::STARTS_DIGIT));
    }

    proptest! {
        #[test]
        fn words_are_in_order_and_hash_ignores_case(text in "\\PC{0,60}|[A-Za-z_0-9 ]{0,60}") {
            let mut end = 0;
            for word in words(&text) {
                prop_assert!(word.start >= end && word.end > word.start);
                end = word.end;
                let spelling = &text[word.start..word.end];
                prop_assert!(spelling.chars().all(|c| c == '_' || c.is_alphanumeric()));
                prop_assert_eq!(word.hash, hash(spelling));
                prop_assert_eq!(word.hash, hash(&spelling.to_ascii_uppercase()));
            }
            let kept: usize = words(&text).iter().map(|w| w.end - w.start).sum();
            let all: usize = text.chars().filter(|c| *c == '_' || c.is_alphanumeric()).map(char::len_utf8).sum();
            prop_assert_eq!(kept, all);
        }
    }
}
