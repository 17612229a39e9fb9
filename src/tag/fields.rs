//! Makes the text of fields: one line, no control characters, a bounded length.
//!
//! Fields go into JSON and full-text indexes, so all of them pass through here.

/// Put `text` on one line: replace runs of white space and control characters by one space, trim the ends, and keep
/// at most `limit` Unicode scalar values.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    append_clean(&mut line, &mut 0, text, limit);
    line
}

/// Append `text`, cleaned, to `line`, with a space between. `n_chars` is the length of `line` in Unicode scalar
/// values, which this updates; it does not exceed `limit`.
pub(super) fn append_clean(line: &mut String, n_chars: &mut usize, text: &str, limit: usize) {
    let mut gap = !line.is_empty();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() || c.is_control() || c == '\u{feff}' {
            gap = !line.is_empty();
            rest = &rest[c.len_utf8()..];
            continue;
        }
        // Write a space only together with the next character, so that none trails.
        let room = limit.saturating_sub(*n_chars + usize::from(gap));
        if room == 0 {
            return;
        }
        if gap {
            line.push(' ');
            *n_chars += 1;
            gap = false;
        }
        // Nearly all text is ASCII, where a run of characters is a run of bytes.
        let run = rest
            .bytes()
            .take(room)
            .take_while(u8::is_ascii_graphic)
            .count();
        let n_bytes = if run > 0 { run } else { c.len_utf8() };
        *n_chars += run.max(1);
        line.push_str(&rest[..n_bytes]);
        rest = &rest[n_bytes..];
    }
}

/// Append `item` unless `list` is full or already has it, ignoring ASCII case.
pub(super) fn push_distinct(list: &mut Vec<String>, limit: usize, item: &str) {
    if list.len() < limit && !item.is_empty() && !has(list, item) {
        list.push(item.to_owned());
    }
}

/// Whether `list` has `item`, ignoring ASCII case.
pub(super) fn has(list: &[String], item: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_field_is_one_line() {
        assert_eq!(clean("  a\t\r\n b\0c \u{feff}", 99), "a b c");
        assert_eq!(clean("ab cd", 3), "ab");
        assert_eq!(clean("", 3), "");
    }

    #[test]
    fn lists_hold_no_doubles_and_keep_their_limit() {
        let mut list = Vec::new();
        for item in ["Foo", "foo", "", "bar", "baz"] {
            push_distinct(&mut list, 2, item);
        }
        assert_eq!(list, ["Foo", "bar"]);
    }

    proptest! {
        #[test]
        fn limits_hold(text in "\\PC{0,40}|[\\s\\x00-\\x20a-c]{0,60}", limit in 0usize..30) {
            let line = clean(&text, limit);
            prop_assert!(line.chars().count() <= limit);
            prop_assert!(!line.contains(char::is_control));
            prop_assert_eq!(line.trim(), line.as_str());
            prop_assert!(!line.contains("  "));
        }
    }
}
