//! Where texts are cut.

use super::*;

#[test]
fn a_definition_keeps_its_comment_and_attributes() {
    let text = "use std::fmt;\n\n/// One.\n#[inline]\nfn one() {\n    1;\n}\n\n// Two.\nfn two() {\n    2;\n}\n";
    assert_eq!(
        texts(&ast(text, "rs", 50)),
        [
            "use std::fmt;",
            "/// One.\n#[inline]\nfn one() {\n    1;\n}",
            "// Two.\nfn two() {\n    2;\n}"
        ]
    );
}

#[test]
fn small_items_share_a_chunk_and_large_ones_are_entered() {
    let text = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n\nx = 1\ny = 2\n";
    assert_eq!(
        texts(&ast(text, "py", 60)),
        [
            "class A:\n    def f(self):\n        return 1",
            "def g(self):\n        return 2\n\nx = 1\ny = 2"
        ]
    );
}

#[test]
fn a_comment_behind_an_item_stays_with_it() {
    let text = "int first = 1; // about\nint second(\n    int a) {}\n";
    assert_eq!(
        texts(&ast(text, "c", 38)),
        ["int first = 1; // about", "int second(\n    int a) {}"]
    );
}

#[test]
fn markdown_is_cut_at_headings_and_not_inside_fences() {
    let text = "# One\n\nlonger text\n\n```sh\n# no heading\n\nls\n```\n\n## Two\n\nmore\n";
    assert_eq!(
        texts(&ast(text, "md", 50)),
        [
            "# One\n\nlonger text\n\n```sh\n# no heading\n\nls\n```",
            "## Two\n\nmore"
        ]
    );
}

#[test]
fn text_is_cut_at_paragraphs_then_lines_then_sentences_then_words() {
    let cut = |text| {
        ast(text, "txt", 10)
            .iter()
            .map(|chunk| (chunk.text.to_string(), chunk.is_fragment))
            .collect::<Vec<_>>()
    };
    let chunk = |text: &str, is_fragment| (text.to_owned(), is_fragment);
    assert_eq!(
        cut("aa bb\n\ncc\ndd"),
        [chunk("aa bb", false), chunk("cc\ndd", false)]
    );
    assert_eq!(
        cut("aa bb cc\ndd ee"),
        [chunk("aa bb cc", false), chunk("dd ee", false)]
    );
    assert_eq!(
        cut("aa bb. cc dd"),
        [chunk("aa bb.", true), chunk("cc dd", true)]
    );
    assert_eq!(
        cut("aa bb cc dd"),
        [chunk("aa bb cc", true), chunk("dd", true)]
    );
    assert_eq!(
        cut("aaaaaaaaaaaa"),
        [chunk("aaaaaaaaaa", true), chunk("aa", true)]
    );
}

#[test]
fn limits_count_characters() {
    let text = "\u{4e2d}".repeat(25);
    let lengths: Vec<usize> = ast(&text, "txt", 10)
        .iter()
        .map(|chunk| chunk.text.chars().count())
        .collect();
    assert_eq!(lengths, [10, 10, 5]);
}
