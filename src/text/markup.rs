//! HTML and its relatives: script and text stay, styles and tags that carry nothing go.
//!
//! A tag carries something when its name is no element of HTML (a component), or when it has an attribute that is not for
//! looks alone: an id, a link to a script, an expression, a text.

use super::notebook::Rewritten;

/// Elements of HTML and SVG whose names say nothing. Sorted.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "article",
    "aside",
    "b",
    "base",
    "blockquote",
    "body",
    "br",
    "button",
    "caption",
    "center",
    "circle",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "defs",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "g",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "img",
    "input",
    "kbd",
    "label",
    "legend",
    "li",
    "line",
    "link",
    "main",
    "mark",
    "meta",
    "nav",
    "noscript",
    "ol",
    "option",
    "p",
    "path",
    "picture",
    "polygon",
    "polyline",
    "pre",
    "q",
    "rect",
    "s",
    "samp",
    "script",
    "section",
    "select",
    "small",
    "source",
    "span",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
];

/// Elements inside a line of text: their tags separate no words. Sorted.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "cite", "code", "em", "font", "i", "kbd", "mark", "q", "s", "samp", "small",
    "span", "strong", "sub", "sup", "tt", "u", "var", "wbr",
];

/// Attributes for looks and layout. Sorted.
const LOOKS: &[&str] = &[
    "align",
    "async",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "charset",
    "class",
    "clip-rule",
    "color",
    "cols",
    "colspan",
    "crossorigin",
    "cx",
    "cy",
    "d",
    "decoding",
    "defer",
    "dir",
    "fill",
    "fill-rule",
    "focusable",
    "height",
    "integrity",
    "itemscope",
    "lang",
    "loading",
    "media",
    "points",
    "r",
    "rel",
    "role",
    "rows",
    "rowspan",
    "rx",
    "ry",
    "scope",
    "scoped",
    "sizes",
    "srcset",
    "stroke",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-width",
    "style",
    "tabindex",
    "target",
    "transform",
    "type",
    "valign",
    "version",
    "viewbox",
    "width",
    "x",
    "x1",
    "x2",
    "xmlns",
    "xmlns:xlink",
    "y",
    "y1",
    "y2",
];

/// Return the script and the text of a page or component.
pub fn without_tags(text: &str) -> Rewritten {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(tag) = Tag::read(rest) else {
            kept.push('<');
            rest = &rest[1..];
            continue;
        };
        let end = match tag.name.as_str() {
            "style" if !tag.is_closing => element_end(rest, tag.length, "</style"),
            _ => tag.length,
        };
        let source = &rest[..end];
        rest = &rest[end..];
        if tag.carries {
            kept.push_str(source);
        } else {
            leave_out(
                &mut kept,
                source,
                rest,
                INLINE.binary_search(&tag.name.as_str()).is_ok(),
            );
        }
        // A script is text: what looks like tags in it is none.
        if tag.name == "script" && !tag.is_closing {
            let end = element_end(rest, 0, "</script");
            let script = rest[..end].rfind("</").unwrap_or(end);
            kept.push_str(&rest[..script]);
            rest = &rest[script..];
        }
    }
    kept.push_str(rest);
    without_blank_lines(&kept)
}

/// Push the newlines of a tag that is left out, or a blank where it separates words.
fn leave_out(kept: &mut String, source: &str, rest: &str, is_inline: bool) {
    let newlines = source.matches('\n').count();
    kept.extend(std::iter::repeat_n('\n', newlines));
    let separates = !kept.ends_with(char::is_whitespace) && !rest.starts_with(char::is_whitespace);
    if separates && !is_inline {
        kept.push(' ');
    }
}

/// Return where the element ends whose closing tag begins with `close`, or the end of the text.
fn element_end(text: &str, from: usize, close: &str) -> usize {
    let bytes = text.as_bytes();
    let found = bytes[from..]
        .windows(close.len())
        .position(|window| window.eq_ignore_ascii_case(close.as_bytes()));
    let Some(at) = found.map(|at| from + at) else {
        return text.len();
    };
    text[at..].find('>').map_or(text.len(), |end| at + end + 1)
}

/// Drop the blank lines behind each blank line, and keep which line was which.
fn without_blank_lines(text: &str) -> Rewritten {
    let mut kept = Rewritten {
        text: String::with_capacity(text.len()),
        lines: Vec::new(),
    };
    let mut was_blank = true;
    for (number, line) in (1..).zip(text.split('\n')) {
        let is_blank = line.trim().is_empty();
        if !(is_blank && was_blank) {
            kept.text.push_str(line.trim_end());
            kept.text.push('\n');
            kept.lines.push(number);
        }
        was_blank = is_blank;
    }
    kept
}

/// Most bytes of a tag. Without a bound, brackets that nothing closes would be read again and again.
const LONGEST_TAG: usize = 4 * 1024;

/// A tag at the start of a text.
struct Tag {
    /// Lower case.
    name: String,
    is_closing: bool,
    /// Whether it says something that a search may ask for.
    carries: bool,
    /// Bytes, brackets included.
    length: usize,
}

impl Tag {
    /// Read a tag; `None` when the bracket begins none. Comments are text.
    fn read(text: &str) -> Option<Self> {
        let text = &text[..text.floor_char_boundary(LONGEST_TAG)];
        let is_closing = text.starts_with("</");
        let start = 1 + usize::from(is_closing);
        if text.starts_with("<!") && !text.starts_with("<!--") {
            let length = text.find('>')? + 1;
            return Some(Self {
                name: "!".to_owned(),
                is_closing,
                carries: false,
                length,
            });
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
        let name = &text[start..start + text[start..].find(|c| !is_name(c))?];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let mut at = start + name.len();
        let mut carries = !is_closing
            && ELEMENTS.binary_search(&name).is_err()
            && ELEMENTS
                .binary_search(&name.to_ascii_lowercase().as_str())
                .is_err();
        loop {
            at += text[at..].len() - text[at..].trim_start().len();
            let rest = &text[at..];
            if let Some(end) = rest
                .strip_prefix("/>")
                .map(|_| 2)
                .or(rest.strip_prefix('>').map(|_| 1))
            {
                let length = at + end;
                let name = name.to_ascii_lowercase();
                return Some(Self {
                    name,
                    is_closing,
                    carries,
                    length,
                });
            }
            let (attribute, length) = attribute(rest)?;
            let is_link =
                name.eq_ignore_ascii_case("a") && matches!(attribute, "href" | "title" | "name");
            let is_data = attribute.starts_with("data-") || attribute.starts_with("aria-");
            let lower = attribute.to_ascii_lowercase();
            carries |= LOOKS.binary_search(&lower.as_str()).is_err() && !is_link && !is_data;
            at += length;
        }
    }
}

/// Return the name of the attribute that begins a text, and its length with its value.
fn attribute(text: &str) -> Option<(&str, usize)> {
    let mut depth = 0_u32;
    let name_end = text.find(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (c.is_whitespace() || matches!(c, '=' | '>' | '<' | '"' | '\''))
    })?;
    let name = &text[..name_end];
    if name.is_empty() {
        return None;
    }
    let rest = &text[name_end..];
    let Some(value) = rest.strip_prefix('=') else {
        return (!rest.starts_with(['<', '"', '\''])).then_some((name, name_end));
    };
    let length = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].find(quote)? + 2,
        '{' => braces_end(value)?,
        _ => value.find(|c: char| c.is_whitespace() || c == '>')?,
    };
    Some((name, name_end + 1 + length))
}

/// Return where the braces close that open a text.
fn braces_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(
            [ELEMENTS, INLINE, LOOKS]
                .iter()
                .all(|list| list.is_sorted())
        );
    }

    #[test]
    fn text_and_script_stay_tags_and_styles_go() {
        let page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>Pay</title>\n<style>\nb { color: red }\n</style>\n<script>\nif (a < b && c) { go(\"<p>\"); }\n</script>\n</head>\n<body class=\"x\">\n<h1>How to <b>p</b>ay</h1>\n<td>one</td><td>two</td>\n<form id=\"f\" action=\"/pay\">\n<my-card :items=\"list\" @click=\"save\"></my-card>\n<!-- a note -->\n1 < 2\n</body>\n</html>\n";
        let found = without_tags(page);
        let expected = "Pay\n\nif (a < b && c) { go(\"<p>\"); }\n\nHow to pay\none two\n<form id=\"f\" action=\"/pay\">\n<my-card :items=\"list\" @click=\"save\">\n<!-- a note -->\n1 < 2\n";
        assert_eq!(found.text.trim(), expected.trim());
        for (line, number) in found.text.lines().zip(&found.lines) {
            let original = page.lines().nth(*number as usize - 1).expect("a line");
            let word = line.split_whitespace().next().unwrap_or_default();
            assert!(original.contains(word), "{line}: {original}");
        }
    }

    #[test]
    fn components_keep_their_expressions() {
        let text = "<template>\n  <div v-if=\"ready\">{{ name }}</div>\n  <Card {...props} title={a > b ? 1 : 2} />\n</template>\n";
        let found = without_tags(text).text;
        assert!(found.contains("<div v-if=\"ready\">{{ name }}"), "{found}");
        assert!(
            found.contains("<Card {...props} title={a > b ? 1 : 2} />"),
            "{found}"
        );
        assert!(!found.contains("template"), "{found}");
    }
}
