//! Values that say which of many things are meant: media types, patterns of paths, ranges of versions, atoms.

/// Return whether the whole of `value` is one.
pub(super) fn is_one(value: &str) -> bool {
    is_media_type(value) || is_glob(value) || is_version(value) || is_atom(value)
}

/// `text/*`, `application/vnd.api+json`.
fn is_media_type(value: &str) -> bool {
    const KINDS: [&str; 11] = [
        "*",
        "application",
        "audio",
        "chemical",
        "font",
        "image",
        "message",
        "model",
        "multipart",
        "text",
        "video",
    ];
    let Some((kind, name)) = value.split_once('/') else {
        return false;
    };
    let of_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".+-*".contains(&byte);
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    KINDS.contains(&kind) && !name.is_empty() && name.bytes().all(of_name) && digits <= 2
}

/// `src/**/*.rs`, `*.txt`, `vendor/*`: letters and the signs of paths.
fn is_glob(value: &str) -> bool {
    let of_path = |byte: u8| byte.is_ascii_alphabetic() || b"/._-*".contains(&byte);
    let is_pattern = value.starts_with("*.")
        || value.contains("*/")
        || value.ends_with("/*")
        || value.contains("/*.");
    is_pattern && value.bytes().all(of_path)
}

/// `^0.1.1`, `npm:^4.0.0`, `~> 1.2`, `>=2.0`.
fn is_version(value: &str) -> bool {
    let range = value.strip_prefix("npm:").unwrap_or(value);
    let number = range.trim_start_matches(['^', '~', '>', '<', '=', ' ']);
    let is_marked = number.len() < value.len();
    let parts = number.split('.').count();
    let is_number = |part: &str| {
        !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    is_marked && (2..=4).contains(&parts) && number.split('.').all(is_number)
}

/// Elixir's and Ruby's `:read_only`: short words of small letters.
fn is_atom(value: &str) -> bool {
    let Some(name) = value.strip_prefix(':') else {
        return false;
    };
    let words = name.split('_');
    name.contains('_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && words.into_iter().all(super::letters::is_ordinary)
}
