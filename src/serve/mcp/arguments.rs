//! Checks arguments, and shortens them for messages.
//!
//! Pure.

use super::values::GetArguments;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Files and names in a message, or of a chunk.
pub const MOST_NAMED: usize = 20;

/// Characters of an argument in a message.
const MOST_QUOTED: usize = 200;

/// Refuse a number outside of its range.
pub fn within(name: &str, number: u32, range: RangeInclusive<u32>) -> Result<u32, String> {
    match range.contains(&number) {
        true => Ok(number),
        false => Err(format!(
            "`{name}` is {number}; it goes from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// Return the first and the last line that are asked for, of a file with `n_lines`.
pub fn lines_within(asked: &GetArguments, n_lines: i64) -> Result<(i64, i64), String> {
    let first = within("first_line", asked.first_line.unwrap_or(1), 1..=u32::MAX)?;
    let last = match asked.last_line {
        Some(last) => i64::from(within("last_line", last, 1..=u32::MAX)?),
        None => n_lines,
    };
    let first = i64::from(first);
    let count = match n_lines {
        0 => "the index has no lines of the file".to_owned(),
        1 => "the file has 1 line".to_owned(),
        n => format!("the file has {n} lines"),
    };
    // A file without lines, such as an empty one, is read whole.
    if first > n_lines.max(1) {
        return Err(format!("`first_line` is {first}: {count}"));
    }
    if last < first && asked.last_line.is_some() {
        return Err(format!(
            "`last_line` {last} is before `first_line` {first}: {count}"
        ));
    }
    Ok((first, last.min(n_lines)))
}

/// Return an argument for a message, shortened to its end: paths are told apart there.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let n_chars = text.chars().count();
    if n_chars <= MOST_QUOTED {
        return text.into();
    }
    let end: String = text.chars().skip(n_chars - MOST_QUOTED).collect();
    format!("...{end}").into()
}

/// Return names for a message, not too many and not too long.
pub fn listed(names: &[String]) -> String {
    let shown = names.len().min(MOST_NAMED);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown: Vec<Cow<'_, str>> = names[..shown].iter().map(|name| quoted(name)).collect();
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_within_the_file() {
        let of = |first_line, last_line, n_lines| {
            let asked = GetArguments {
                path: String::new(),
                first_line,
                last_line,
                view: None,
            };
            lines_within(&asked, n_lines)
        };
        assert_eq!(of(None, None, 9), Ok((1, 9)));
        assert_eq!(of(Some(9), Some(20), 9), Ok((9, 9)));
        assert_eq!(of(Some(1), None, 0), Ok((1, 0)));
        for (first, last, said) in [
            (Some(10), None, "`first_line` is 10: the file has 9 lines"),
            (
                Some(5),
                Some(4),
                "`last_line` 4 is before `first_line` 5: the file has 9 lines",
            ),
            (Some(0), None, "`first_line` is 0; it goes from 1"),
            (None, Some(0), "`last_line` is 0; it goes from 1"),
        ] {
            let error = of(first, last, 9).expect_err(said);
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn long_arguments_keep_their_end() {
        assert_eq!(quoted("a/b.rs"), "a/b.rs");
        let long = format!("{}/\u{e4}.rs", "x".repeat(5000));
        let short = quoted(&long);
        assert!(short.starts_with("...x") && short.ends_with("/\u{e4}.rs"));
        assert_eq!(short.chars().count(), MOST_QUOTED + 3);
    }
}
