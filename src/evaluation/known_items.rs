//! Questions that a text answers, out of its own documentation: the first sentence of a function's comment, or a heading.
//!
//! The item to find is the function or section without these words, so they are to be taken out of the text before it is
//! indexed. Goes by lines: a parser per language would find few more, and a text that fools the rules only gives a bad
//! question.

use std::collections::BTreeSet;
use std::ops::Range;

/// Words of a question: a title of two words fits too much, and more than 40 are no sentence.
const QUESTION_WORDS: std::ops::RangeInclusive<usize> = 4..=40;
/// A heading is shorter than a sentence.
const HEADING_WORDS: std::ops::RangeInclusive<usize> = 3..=40;
/// Least characters of a section without its heading; shorter ones say too little.
const SECTION_CHARS: usize = 120;
/// Least lines of a function's body.
const BODY_LINES: usize = 2;

/// What a question was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Docstring,
    Heading,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docstring => "docstring",
            Self::Heading => "heading",
        }
    }
}

/// A question and what answers it. Lines are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownItem {
    pub question: String,
    pub source: Source,
    /// Lines that hold the question.
    pub cut: Range<usize>,
    /// The first line of the answer.
    pub answer: usize,
}

/// How a language writes comments.
struct Comments {
    /// Beginnings of a comment up to the end of the line, the longest first.
    line: &'static [&'static str],
    /// Whether `/* ... */` is one.
    has_blocks: bool,
}

const SLASHES: Comments = Comments {
    line: &["///", "//"],
    has_blocks: true,
};
const HASHES: Comments = Comments {
    line: &["##", "#"],
    has_blocks: false,
};
const DASHES: Comments = Comments {
    line: &["-- |", "---", "--"],
    has_blocks: false,
};

fn comments_of(language: &str) -> Option<&'static Comments> {
    match language {
        "rust" | "go" | "c" | "cpp" | "csharp" | "java" | "javascript" | "typescript" | "tsx"
        | "kotlin" | "scala" | "swift" | "php" | "dart" | "zig" => Some(&SLASHES),
        "ruby" | "elixir" | "bash" | "r" | "perl" => Some(&HASHES),
        "lua" | "haskell" => Some(&DASHES),
        _ => None,
    }
}

/// Return the known items of a text in this language (lower-case name), in their order.
pub fn known_items(text: &str, language: &str) -> Vec<KnownItem> {
    let lines: Vec<&str> = text.lines().collect();
    let found = match language {
        "markdown" => headings(&lines),
        "python" => docstrings(&lines),
        language => match comments_of(language) {
            Some(comments) => documented(&lines, comments),
            None => Vec::new(),
        },
    };
    let is_told_once = |item: &KnownItem| {
        let rest = lines[..item.cut.start].iter().chain(&lines[item.cut.end..]);
        !rest.into_iter().any(|line| line.contains(&item.question))
    };
    found.into_iter().filter(is_told_once).collect()
}

/// Return a text without the questions of these items, and the number of each answer's line in it, from 1.
pub fn without(text: &str, items: &[&KnownItem]) -> (String, Vec<u32>) {
    let cut: BTreeSet<usize> = items.iter().flat_map(|item| item.cut.clone()).collect();
    let mut kept = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if !cut.contains(&number) {
            kept.push_str(line);
        }
    }
    let line = |item: &&KnownItem| (item.answer - cut.range(..item.answer).count()) as u32 + 1;
    (kept, items.iter().map(line).collect())
}

/// Sections of Markdown by their headings.
fn headings(lines: &[&str]) -> Vec<KnownItem> {
    let mut at: Vec<usize> = Vec::new();
    let mut is_fenced = false;
    for (number, line) in lines.iter().enumerate() {
        is_fenced ^= line.trim_start().starts_with("```");
        let text = line.trim_start_matches('#');
        let n_signs = line.len() - text.len();
        if !is_fenced && (1..=6).contains(&n_signs) && text.starts_with(' ') {
            at.push(number);
        }
    }
    let ends = at.iter().skip(1).copied().chain([lines.len()]);
    let section = |(start, end): (&usize, usize)| {
        let question = plain(lines[*start].trim_matches(['#', ' ']));
        let body = &lines[start + 1..end];
        let n_chars: usize = body.iter().map(|line| line.trim().len()).sum();
        let first = body.iter().position(|line| !line.trim().is_empty())?;
        let n_words = question.split_whitespace().count();
        let is_picture = question.contains("](");
        (HEADING_WORDS.contains(&n_words) && n_chars >= SECTION_CHARS && !is_picture).then_some(
            KnownItem {
                question,
                source: Source::Heading,
                cut: *start..start + 1,
                answer: start + 1 + first,
            },
        )
    };
    at.iter().zip(ends).filter_map(section).collect()
}

/// Functions of Python by their docstrings.
fn docstrings(lines: &[&str]) -> Vec<KnownItem> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let head = line.trim_start();
        if !head.starts_with("def ") && !head.starts_with("async def ") {
            continue;
        }
        let Some(first) = (start..lines.len().min(start + 20))
            .find(|number| lines[*number].trim_end().ends_with(':'))
            .map(|number| number + 1)
        else {
            continue;
        };
        let Some(opening) = lines.get(first).map(|line| line.trim_start()) else {
            continue;
        };
        let text = opening.trim_start_matches(['r', 'R']);
        let Some(quotes) = ["\"\"\"", "'''"].into_iter().find(|q| text.starts_with(q)) else {
            continue;
        };
        let mut last = first;
        let is_closed = |number: usize| {
            let line = match number == first {
                true => &text[quotes.len()..],
                false => lines[number],
            };
            line.trim_end().ends_with(quotes)
        };
        while last < lines.len() && !is_closed(last) {
            last += 1;
        }
        if last == lines.len() || body_lines(lines, last + 1, indentation(line)) < BODY_LINES {
            continue;
        }
        let words = lines[first..=last].iter().map(|line| line.trim());
        let words: Vec<&str> = words
            .map(|line| {
                line.trim_start_matches(['r', 'R'])
                    .trim_matches(['"', '\''])
            })
            .collect();
        found.extend(item(&words, first..last + 1, start));
    }
    found
}

/// Functions by the comment directly above them.
fn documented(lines: &[&str], comments: &Comments) -> Vec<KnownItem> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let start = at;
        let mut words: Vec<&str> = Vec::new();
        let mut is_in_block = false;
        while at < lines.len() {
            let line = lines[at].trim();
            if comments.has_blocks && (is_in_block || line.starts_with("/*")) {
                is_in_block = !line.ends_with("*/");
                let inner = line.trim_start_matches(['/', '*']).trim_start();
                words.push(inner.trim_end_matches('/').trim_end_matches('*'));
            } else if let Some(sign) = comments.line.iter().find(|sign| line.starts_with(**sign)) {
                words.push(&line[sign.len()..]);
            } else {
                break;
            }
            at += 1;
        }
        let end = at;
        if end == start {
            at += 1;
            continue;
        }
        let is_attribute = |line: &&str| {
            line.trim_start().starts_with(['@', '[']) || line.trim_start().starts_with("#[")
        };
        at += lines[at..]
            .iter()
            .take_while(|line| is_attribute(line))
            .count();
        if lines.get(at).is_some_and(|head| opens_function(head))
            && body_lines(lines, at + 1, indentation(lines[at])) >= BODY_LINES
        {
            found.extend(item(&words, start..end, at));
        }
    }
    found
}

/// Words that a line with a function's name has in some language or other.
const FUNCTION_WORDS: &str = " fn func fun function def defp defmacro sub ";
/// Words that begin statements which look like functions.
const STATEMENT_WORDS: &str =
    " if else for foreach while switch match return catch do try new throw using lock case ";

/// Return whether a line begins the definition of a function: it has a word for it, or parentheses and an open body.
fn opens_function(line: &str) -> bool {
    let code = line.trim();
    let is_among = |list: &str, word: &str| list.contains(&format!(" {word} "));
    let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    let first = words.next().unwrap_or_default();
    if !first.is_empty() && is_among(STATEMENT_WORDS, first) {
        return false;
    }
    let head = code.split('(').next().unwrap_or(code);
    let mut words = head.split(|c: char| !c.is_alphanumeric() && c != '_');
    let is_named = words.any(|word| !word.is_empty() && is_among(FUNCTION_WORDS, word));
    let has_parameters = head.len() < code.len()
        && head.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>');
    let is_signature = code.contains(" :: ") && !code.contains('(');
    // A call has one word, a definition a type before its name or an open body behind it.
    let is_call = !head.trim().contains(' ') && !code.ends_with('{') || head.contains(['=', '.']);
    is_named || is_signature || has_parameters && !code.ends_with(';') && !is_call
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Count the lines from `first` that are indented deeper than a head, up to the first that is not. A line of brackets alone
/// does not count.
fn body_lines(lines: &[&str], first: usize, head: usize) -> usize {
    let body = lines[first.min(lines.len())..].iter();
    let body = body
        .filter(|line| !line.trim().is_empty())
        .skip_while(|line| line.trim() == "{")
        .take_while(|line| indentation(line) > head);
    body.filter(|line| line.contains(char::is_alphanumeric))
        .count()
}

/// Make an item of the lines of a comment, if its first sentence is a question.
fn item(words: &[&str], cut: Range<usize>, answer: usize) -> Option<KnownItem> {
    let lines = words.iter().map(|line| line.trim());
    let lines =
        lines.skip_while(|line| line.is_empty() || line.starts_with('<') && line.ends_with('>'));
    let paragraph: Vec<&str> = lines
        .take_while(|line| !line.is_empty() && !line.starts_with(['@', '#', ':']))
        .collect();
    let paragraph = plain(&paragraph.join(" "));
    let mut sentence = String::new();
    for word in paragraph.split_whitespace() {
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        if word.ends_with(['.', '!', '?']) {
            break;
        }
    }
    QUESTION_WORDS
        .contains(&sentence.split_whitespace().count())
        .then_some(KnownItem {
            question: sentence,
            source: Source::Docstring,
            cut,
            answer,
        })
}

/// Return a text without the signs of markup: `<p>`, `{@link Name}`, backticks, the address of a link.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '`', '{', '[', '*']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let inner = |open: char, close: char| {
            let end = from.find(close)?;
            from.starts_with(open)
                .then(|| (&from[1..end], &from[end + 1..]))
        };
        if let Some((tag, after)) = inner('<', '>').filter(|(tag, _)| is_tag(tag)) {
            let name = tag.split('"').nth(1).filter(|_| tag.starts_with("see"));
            plain.push_str(name.unwrap_or_default());
            rest = after;
        } else if let Some((link, after)) =
            inner('{', '}').filter(|(link, _)| link.starts_with('@'))
        {
            plain.push_str(link.split_once(' ').map_or("", |(_, name)| name));
            rest = after;
        } else if let Some((name, after)) = inner('[', ']') {
            plain.push_str(&name.replace('`', ""));
            rest = match after.starts_with('(') {
                true => after.split_once(')').map_or(after, |(_, rest)| rest),
                false => after,
            };
        } else {
            if !from.starts_with(['`', '*']) {
                plain.push_str(&from[..1]);
            }
            rest = &from[1..];
        }
    }
    plain.push_str(rest);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_tag(tag: &str) -> bool {
    let name = tag.trim_start_matches('/');
    name.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The question and the first line of the answer in the text without it.
    fn first(text: &str, language: &str) -> (String, String) {
        let items = known_items(text, language);
        assert_eq!(items.len(), 1, "{items:?}");
        let (rest, lines) = without(text, &[&items[0]]);
        assert!(!rest.contains(&items[0].question));
        let answer = rest.lines().nth(lines[0] as usize - 1).expect("a line");
        (items[0].question.clone(), answer.trim().to_owned())
    }

    #[test]
    fn comments_above_functions_are_questions() {
        let said = |question: &str, answer: &str| (question.to_owned(), answer.to_owned());
        let rust = "use a;\n\n/// Tries a [`Payment`] again after a failure. More.\n///\n/// Panics.\n#[inline]\npub fn retry(p: u8) {\n    one();\n    two();\n}\n";
        assert_eq!(
            first(rust, "rust"),
            said(
                "Tries a Payment again after a failure.",
                "pub fn retry(p: u8) {"
            )
        );
        let java = "class A {\n  /**\n   * Returns the {@link Route} of a\n   * request.\n   * @param a b\n   */\n  public Route of(Request a) {\n    one();\n    return b;\n  }\n}\n";
        assert_eq!(
            first(java, "java"),
            said(
                "Returns the Route of a request.",
                "public Route of(Request a) {"
            )
        );
        let csharp = "    /// <summary>\n    /// Opens a <see cref=\"Gate\"/> for all visitors.\n    /// </summary>\n    public void Open()\n    {\n        one();\n        two();\n    }\n";
        assert_eq!(
            first(csharp, "csharp"),
            said("Opens a Gate for all visitors.", "public void Open()")
        );
        let go = "// Listen waits for the next connection\n// of a client.\nfunc (s *S) Listen() {\n\tone()\n\ttwo()\n}\n";
        assert_eq!(
            first(go, "go").0,
            "Listen waits for the next connection of a client."
        );
    }

    #[test]
    fn docstrings_and_headings_are_questions() {
        let python = "class A:\n    def retry(\n        self,\n    ):\n        \"\"\"Try a payment again after it has failed.\n\n        More.\n        \"\"\"\n        one()\n        two()\n";
        let wanted = "Try a payment again after it has failed.";
        assert_eq!(
            first(python, "python"),
            (wanted.to_owned(), "def retry(".to_owned())
        );
        let one_line = "def f(a):\n    '''Return the sum of all.'''\n    b = 1\n    return a\n";
        assert_eq!(first(one_line, "python").0, "Return the sum of all.");
        let body = "The zebra eats twice a day, never after sunset. ".repeat(3);
        let markdown = format!(
            "# Zoo\n\n```sh\n# no heading of any kind\n```\n\n## How to [feed](x.md) the `zebra`\n\n{body}\n"
        );
        assert_eq!(first(&markdown, "markdown").0, "How to feed the zebra");
    }

    #[test]
    fn what_answers_nothing_is_no_question() {
        for (text, language) in [
            ("// Counts all of the apples here.\nint n = 3;\n", "c"),
            (
                "// Counts all of the apples here.\nif (a) {\n  b();\n  c();\n}\n",
                "c",
            ),
            ("/// Counts all of the apples here.\nfn n();\n", "rust"),
            (
                "def f():\n    \"\"\"Only a docstring and nothing else.\"\"\"\n",
                "python",
            ),
            (
                "/// Counts apples.\nfn f() {\n    a();\n    b();\n}\n",
                "rust",
            ),
            (
                "/// Counts all of the apples here.\n\nfn f() {\n    a();\n    b();\n}\n",
                "rust",
            ),
            (
                "// Counts all of the apples here.\ncount(\n    a,\n    b,\n);\n",
                "rust",
            ),
            ("# Counts all of the apples\n\nshort\n", "markdown"),
        ] {
            assert_eq!(known_items(text, language), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_the_questions(
            lines in proptest::collection::vec("(///? a b c d e|\"\"\"a b c d|/\\* ?|\\*/|fn f\\(\\) \\{|def f\\(\\):| {0,4}[a-z<\\[`{]{0,3}|## a b é)", 0..12),
            language in "(rust|python|markdown|go|lua)",
        ) {
            let text = lines.join("\n");
            let items = known_items(&text, &language);
            let (rest, at) = without(&text, &items.iter().collect::<Vec<_>>());
            prop_assert_eq!(at.len(), items.len());
            for (item, at) in items.iter().zip(at) {
                let answer = text.lines().nth(item.answer);
                prop_assert_eq!(rest.lines().nth(at as usize - 1), answer);
            }
        }
    }
}
