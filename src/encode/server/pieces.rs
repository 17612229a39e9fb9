//! Cuts texts into pieces that a model can see at once, and puts their vectors together. Pure.
//!
//! The tokenizer is the server's, so pieces are counted in characters. What is too long all the same is cut again when the
//! server says so.

/// Characters for each token of a model, in source code. BERT's vocabulary has 3.1 to 3.5; fewer are safe, since a piece that
/// is too long costs a request.
pub(super) const CHARS_PER_TOKEN: usize = 3;

/// A part of a text, and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    pub text: &'t str,
    pub n_chars: usize,
}

impl<'t> Piece<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            n_chars: text.chars().count(),
        }
    }
}

/// Cut a text into the fewest pieces of at most `most` characters, of nearly equal length.
pub(super) fn cut(text: &str, most: usize) -> Vec<Piece<'_>> {
    let whole = Piece::new(text);
    let n_pieces = whole.n_chars.div_ceil(most.max(1)).max(1);
    let length = whole.n_chars.div_ceil(n_pieces);
    let mut pieces = Vec::with_capacity(n_pieces);
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(length) {
        pieces.push(Piece::new(&rest[..end]));
        rest = &rest[end..];
    }
    pieces.push(Piece::new(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_are_equally_long() {
        let lengths = |text: &str, most| -> Vec<usize> {
            cut(text, most).iter().map(|piece| piece.n_chars).collect()
        };
        assert_eq!(lengths("0123456789", 4), [4, 4, 2]);
        assert_eq!(lengths("0123456789", 10), [10]);
        assert_eq!(lengths("0123456789a", 10), [6, 5]);
        assert_eq!(lengths("", 10), [0]);
    }

    proptest! {
        #[test]
        fn pieces_add_up_to_the_text(text in "\\PC{0,40}", most in 1_usize..50) {
            let pieces = cut(&text, most);
            let joined: String = pieces.iter().map(|piece| piece.text).collect();
            prop_assert_eq!(&joined, &text);
            prop_assert!(pieces.iter().all(|piece| piece.n_chars <= most));
        }
    }
}
