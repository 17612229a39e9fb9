//! Whether the value of a key is a credential, stands for one, or is something else.

use super::Style;
use super::forms::floor;
use super::keys::{self, Key};
use super::letters;
use super::patterns;
use super::random::{self, Mix};
use super::stand_ins::{is_constant, is_example, is_reference, without_templates};

/// How a value stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// In quotes, or between tags.
    Quoted,
    /// Bare, the rest of a line that begins with the key.
    Line,
    /// The same without blanks around `=`, or behind `export` or `-e`: a variable of a shell.
    Variable,
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

/// What a value is shows in its first bytes; a text of nothing but keys has as many values as keys, each up to the
/// end of the line.
const JUDGED_BYTES: usize = 256;

/// `None`: no credential. Else whether that is certain.
pub(super) fn judge(key: Key, value: &str, how: How, style: Style) -> Option<bool> {
    let value = &value[..floor(value, JUDGED_BYTES)];
    let says_nothing = !value.contains(char::is_alphanumeric);
    if says_nothing || is_reference(value) || is_constant(value) || patterns::is_one(value) {
        return None;
    }
    let plain = without_templates(value);
    let is_filled_in = plain.len() < value.len();
    if is_filled_in && !plain.bytes().any(|byte| byte.is_ascii_digit()) {
        return matches!(how, How::Quoted | How::Line | How::Variable).then_some(false);
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
    let is_letters = letters::are_letters(value);
    let reads_odd = match is_letters {
        true => !letters::is_ordinary(value),
        false => reads_odd_with_digits(value),
    };
    if is_bare && style == Style::Any {
        if is_code(value) {
            return None;
        }
        let is_known = is_drawn || reads_odd;
        let is_name = is_name_of_constant(value) && !random::is_random(value);
        if is_name || !reads_odd && is_type(value) || !is_known && is_name_of_one(value) {
            let may_be = key == Key::Password || how == How::Variable;
            return may_be.then_some(false);
        }
    }
    let is_name = how != How::Variable && is_name_of_words(value);
    if is_bare && (is_name || is_call(value)) {
        return Some(false);
    }
    let is_code_number = key == Key::Token || value.starts_with("0x");
    if is_bare && is_code_number && is_typed_number(value) && !reads_odd {
        return None;
    }
    if is_letters && !is_drawn {
        return judge_letters(key, value, how, style);
    }
    let has_mark = value.bytes().any(|byte| b"!@#$%^&*+=?~".contains(&byte));
    let is_example = is_example(value);
    let is_odd = reads_odd_with_digits(value);
    match (key, how) {
        (_, How::Inside) => {
            let may_be = mix.digits > 0 && mix.len >= 6 && (key == Key::Password || has_mark);
            let is_sure = is_drawn || is_odd && key == Key::Password && mix.digits > 0;
            match is_sure || may_be || is_odd {
                true => Some(!is_example && is_sure),
                false => None,
            }
        }
        (Key::Password, How::Joined) if mix.digits == 0 && !has_mark && !is_drawn => Some(false),
        (_, How::Said) if is_word_of_trade(value) => None,
        (_, How::Said) if mix.digits == 0 && !has_mark && !is_drawn => None,
        (Key::Password, _) => {
            let strong = is_drawn || mix.digits > 0 || has_mark || is_odd;
            let least = if how == How::Said { 6 } else { 4 };
            if mix.len < 3 || mix.digits == mix.len && mix.len < 4 {
                return None;
            }
            let is_other = is_place(value) || is_word_of_trade(value);
            Some(!is_example && mix.len >= least && strong && !is_other)
        }
        (Key::Token, _) => {
            if mix.digits == mix.len && mix.len < 12 {
                return None;
            }
            let strong = is_drawn && mix.len >= 10
                || mix.digits > 0 && mix.digits < mix.len && mix.len >= 8 && mix.steps >= 2
                || is_odd && mix.digits > 0;
            let is_name = is_name_of_constant(value) && !random::is_random(value);
            let is_said = how == How::Said && !strong;
            let is_certain = !is_example && strong && !is_place(value) && !is_name;
            (!is_said).then_some(is_certain)
        }
    }
}

/// Return whether the letters of a value with digits or marks read like no words: `zKqpwLmx4`.
fn reads_odd_with_digits(value: &str) -> bool {
    let letters: String = value.chars().filter(|c| c.is_alphabetic()).collect();
    value.len() >= 8 && letters.len() >= 5 && !letters::is_ordinary(&letters)
}

/// The same for letters alone. Behind a key nearly all of them are kept out of what is derived. What is certain is
/// shorter: letters that read like no word, and words where a setting leaves nothing else for them to be.
fn judge_letters(key: Key, value: &str, how: How, style: Style) -> Option<bool> {
    const MIN_BYTES: usize = 6;
    const MIN_TOKEN_BYTES: usize = 8;
    let is_odd = value.split('/').any(letters::is_odd);
    let reads_odd = !letters::is_ordinary(value);
    let is_other = is_example(value)
        || is_place(value)
        || is_word_of_trade(value)
        || letters::is_remark(value)
        || value.len() < MIN_BYTES;
    // `password: Password` is a translation, `my-service` a name.
    let is_plain = value.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_word = match how {
        How::Quoted => is_plain,
        How::Line => is_plain && style == Style::Settings,
        How::Variable => is_plain || value.bytes().all(|byte| byte.is_ascii_alphabetic()),
        How::Argument | How::Said | How::Joined | How::Inside => false,
    };
    let is_certain = match (key, how) {
        (Key::Password, How::Inside | How::Said) => is_odd || is_word,
        (Key::Password, _) => is_odd || is_word || reads_odd,
        (Key::Token, How::Inside | How::Said) => is_odd,
        (Key::Token, _) => (is_odd || reads_odd) && value.len() >= MIN_TOKEN_BYTES,
    };
    match how {
        // Code and sentences: only what is not a word.
        How::Inside | How::Said if style == Style::Any || how == How::Said => {
            (reads_odd && value.len() >= MIN_BYTES).then_some(is_certain && !is_other)
        }
        _ => (value.len() >= 3).then_some(is_certain && !is_other),
    }
}

/// Several words: messages and labels, seldom a phrase that lets in.
fn phrase(key: Key, mix: &Mix, how: How, style: Style) -> Option<bool> {
    let may_be = matches!(how, How::Quoted) || matches!(how, How::Line) && style == Style::Settings;
    // `"token": "unexpected end of the input"`.
    let is_short = mix.len <= if key == Key::Password { 160 } else { 40 };
    (may_be && is_short).then_some(false)
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

/// `z.string().min(8)`, `varchar(60)`.
fn is_call(value: &str) -> bool {
    let name = value.split('(').next().unwrap_or(value);
    name.len() < value.len()
        && name.len() >= 3
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
        && !random::is_random(name)
        && !is_strewn(name, &Mix::of(name))
}

/// `password2`, `old_token`.
fn is_name_of_one(value: &str) -> bool {
    keys::key(value).is_some()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `proxy_auth`: small letters and underscores, however odd the first word.
fn is_name_of_words(value: &str) -> bool {
    value.contains('_')
        && keys::key(value).is_some()
        && value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        && !random::is_random(value)
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
    number.len() <= 24 && number.contains(|c: char| c.is_ascii_digit()) && random::is_number(number)
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
        "/", "#/", "./", "../", "~/", "http://", "https://", "C:\\", "s3://", "gs://",
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
