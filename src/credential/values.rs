//! Whether the value of a key is a credential, stands for one, or is something else.

use super::Style;
use super::keys::{self, Key};
use super::random::{self, Mix};
use super::stand_ins::{is_constant, is_example, is_reference, without_templates};

/// How a value stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// In quotes, or between tags.
    Quoted,
    /// Bare, the rest of a line that begins with the key.
    Line,
    /// Bare, behind a flag of a command or in a `.netrc`.
    Argument,
    /// Behind `is` in a sentence.
    Said,
    /// Bare, right behind `=` or `:`, with something before the key or behind the value: an argument, an address,
    /// code without blanks.
    Joined,
    /// The same with a blank: code more often than not.
    Inside,
}

/// `None`: no credential. Else whether that is certain.
pub(super) fn judge(key: Key, value: &str, how: How, style: Style) -> Option<bool> {
    let says_nothing = !value.contains(char::is_alphanumeric);
    if says_nothing || is_reference(value) || is_constant(value) {
        return None;
    }
    let plain = without_templates(value);
    let is_filled_in = plain.len() < value.len();
    if is_filled_in && !plain.bytes().any(|byte| byte.is_ascii_digit()) {
        return matches!(how, How::Quoted | How::Line).then_some(false);
    }
    match judge_plain(key, &plain, how, style) {
        None if is_filled_in && !is_code(&plain) => Some(false),
        judged => judged,
    }
}

fn judge_plain(key: Key, value: &str, how: How, style: Style) -> Option<bool> {
    let mix = Mix::of(value);
    if value.contains(char::is_whitespace) {
        return phrase(key, &mix, how, style);
    }
    // A digest is the digest of something unless a key calls it a key.
    let is_drawn = random::is_random(value)
        || random::is_random_run(value)
        || random::is_digest_word(value)
        || is_strewn(value, &mix);
    let is_bare = !matches!(how, How::Quoted);
    if is_bare && style == Style::Any {
        if is_code(value) {
            return None;
        }
        let is_name = is_name_of_constant(value) && !random::is_random(value);
        if is_name || is_type(value) || !is_drawn && is_name_of_one(value) {
            return (key == Key::Password).then_some(false);
        }
    }
    if is_bare && key == Key::Token && is_typed_number(value) {
        return None;
    }
    let has_mark = value.bytes().any(|byte| b"!@#$%^&*+=?~".contains(&byte));
    let is_example = is_example(value);
    match (key, how) {
        (_, How::Inside) => {
            let may_be = mix.digits > 0 && mix.len >= 6 && (key == Key::Password || has_mark);
            match is_drawn || may_be {
                true => Some(!is_example && is_drawn),
                false => None,
            }
        }
        (Key::Password, How::Joined) if mix.digits == 0 && !is_drawn => None,
        (_, How::Said) if is_word_of_trade(value) || mix.digits == 0 && !has_mark && !is_drawn => {
            None
        }
        (Key::Password, How::Argument | How::Said) if mix.digits == 0 && !has_mark && !is_drawn => {
            None
        }
        (Key::Password, _) => {
            let strong = is_drawn || mix.digits > 0 || has_mark;
            // `password: Password` is a translation.
            let word = style == Style::Settings && is_bare && mix.len >= 6 && mix.upper == 0;
            let least = if how == How::Said { 6 } else { 4 };
            if mix.len < 3 || mix.digits == mix.len && mix.len < 4 {
                return None;
            }
            let is_other = is_place(value) || is_word_of_trade(value);
            Some(!is_example && mix.len >= least && (strong || word) && !is_other)
        }
        (Key::Token, _) => {
            if mix.digits == mix.len && mix.len < 12 {
                return None;
            }
            let strong = is_drawn && mix.len >= 10
                || mix.digits > 0 && mix.digits < mix.len && mix.len >= 8 && mix.steps >= 2;
            if !strong && is_bare {
                // A name: of a variable, of an entry of a vault; a weak token.
                let may_be = mix.digits > 0 && mix.digits < mix.len && mix.len >= 6;
                return (style == Style::Settings || may_be).then_some(false);
            }
            // Names of symbols and states: `token("import")`.
            if mix.digits == 0 && mix.len < 16 {
                return None;
            }
            let is_name = is_name_of_constant(value) && !random::is_random(value);
            Some(!is_example && strong && !is_place(value) && !is_name)
        }
    }
}

/// Several words: messages and labels, seldom a phrase that lets in.
fn phrase(key: Key, mix: &Mix, how: How, style: Style) -> Option<bool> {
    let may_be = matches!(how, How::Quoted) || matches!(how, How::Line) && style == Style::Settings;
    (may_be && key == Key::Password && mix.len <= 160).then_some(false)
}

/// Letters and digits in turn, in a word too short to be told by itself.
fn is_strewn(value: &str, mix: &Mix) -> bool {
    value.len() >= 8 && mix.digits >= 2 && mix.steps >= 3 && mix.steps * 4 >= mix.len
}

/// Bare text that is code: calls, paths of names, types.
fn is_code(value: &str) -> bool {
    let is_path = value.contains("::")
        || value.contains("->")
        || value.split('.').count() > 1
            && value.split('.').all(|part| {
                part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !random::is_random(part)
            });
    is_path
        || is_primitive(value)
        || value.contains(['(', ')', '{', '}', '[', ']', '<', '>', '"', '\''])
}

/// `password2`, `old_token`.
fn is_name_of_one(value: &str) -> bool {
    keys::key(value).is_some()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `Uint8Array`, `NonZeroI32`: one number, and letters as names have them.
fn is_type(value: &str) -> bool {
    let mix = Mix::of(value);
    let mut numbers = value.split(|c: char| !c.is_ascii_digit());
    value.bytes().all(|b| b.is_ascii_alphanumeric())
        && value.starts_with(|c: char| c.is_ascii_uppercase())
        && mix.digits <= 3
        && mix.lower > 0
        && numbers.by_ref().filter(|number| !number.is_empty()).count() <= 1
        && !random::is_random(value)
}

/// `D3D11_STENCIL_OP`, `Win32_Security`.
pub(super) fn is_name_of_constant(value: &str) -> bool {
    value.contains('_')
        && value.split('_').all(|part| {
            part.starts_with(|c: char| c.is_ascii_uppercase())
                && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// `0x80041064`, `16384i32`.
fn is_typed_number(value: &str) -> bool {
    let kinds = ["8", "16", "32", "64", "128", "size"];
    let number = kinds
        .iter()
        .filter_map(|kind| value.strip_suffix(kind)?.strip_suffix(['i', 'u', 'f']))
        .find(|number| !number.is_empty())
        .unwrap_or(value);
    number.len() <= 24 && random::is_number(number)
}

/// `u8`, `int64`, `float32`.
fn is_primitive(value: &str) -> bool {
    let name = value.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(
        name,
        "int" | "uint" | "float" | "varchar" | "string" | "bytes" | "i" | "u" | "f"
    )
}

/// Return whether this is a path, an address or a version: where a credential is, or of what.
pub(super) fn is_place(value: &str) -> bool {
    let begins = [
        "/", "./", "../", "~/", "http://", "https://", "C:\\", "s3://", "gs://",
    ];
    begins.iter().any(|start| value.starts_with(start))
        && !random::is_random_run(value)
        && !random::is_random(value.rsplit('/').next().unwrap_or(value))
}

/// Return whether this is a word that describes passwords and tokens: `the token is base64`.
pub(super) fn is_word_of_trade(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "sha1",
        "sha224",
        "sha256",
        "sha384",
        "sha512",
        "sha-1",
        "sha-256",
        "sha-512",
        "sha3",
        "scram-sha-256",
        "latin1",
        "md5",
        "base64",
        "base64url",
        "base64-encoded",
        "base32",
        "hex",
        "utf8",
        "utf-8",
        "utf16",
        "pbkdf2",
        "argon2",
        "argon2id",
        "bcrypt",
        "scrypt",
        "hs256",
        "rs256",
        "es256",
        "oauth2",
        "http2",
        "2fa",
        "ed25519",
        "x509",
        "p256",
        "ascii",
        "rfc6750",
        "rfc7519",
        "rfc7617",
        "aes256",
        "aes-256",
        "rsa2048",
        "i18n",
        "k8s",
    ];
    let lower = value.to_ascii_lowercase();
    WORDS.iter().any(|word| {
        lower == *word || lower.starts_with(word) && lower[word.len()..].starts_with('-')
    })
}
