//! What stands where a credential would: references, constants, examples.

use super::REDACTED;
use super::keys;
use super::letters;
use super::random::{self, Mix};
use std::borrow::Cow;

/// Return whether this is a placeholder for a value that is elsewhere: `${DB_PASS}`, `{{ secret }}`, `<token>`, `%s`, `ENC[...]`. The whole
/// of it does: passwords may hold the signs of templates.
pub(super) fn is_reference(value: &str) -> bool {
    let whole = |open: char, close: char| {
        let inside = value.strip_prefix(open).and_then(|v| v.strip_suffix(close));
        inside.is_some_and(|inside| !random::is_random(inside))
    };
    let is_variable = value.strip_prefix('$').is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    });
    is_elsewhere(value)
        || whole('<', '>')
        || whole('%', '%')
        || whole('[', ']')
        || whole('+', '+')
        || is_variable
        || is_name_of_variable(value)
        || value == "REDACTED"
        || value.starts_with(REDACTED)
        || is_one_character(value)
        || !without_templates(value).contains(char::is_alphanumeric)
}

/// `$home`, `$offset:$MAX_LENGTH`, and the rest of `'--password='.$values['password']`: names that read like words.
fn is_name_of_variable(value: &str) -> bool {
    let name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && !random::is_random(name)
            && name
                .split('_')
                .all(|word| word.is_empty() || letters::is_ordinary(word))
    };
    let joined = value
        .strip_prefix(".$")
        .map(|rest| rest.trim_end_matches(['[', '(', '-', '>']));
    joined.is_some_and(name)
        || value.starts_with('$')
            && value
                .split(':')
                .all(|part| part.strip_prefix('$').is_some_and(name))
}

/// Return whether this is the name of an entry in a store of secrets, of a variable, of a file.
fn is_elsewhere(value: &str) -> bool {
    const STORES: [&str; 24] = [
        "ENC[",
        "vault:",
        "!vault",
        "!secret",
        "env:",
        "file:",
        "op://",
        "ref+",
        "arn:",
        "ssm:",
        "projects/",
        "@Microsoft.KeyVault",
        "secretsmanager:",
        "process.env",
        "os.environ",
        "os.getenv",
        "System.getenv",
        "Deno.env",
        "secrets.",
        "var.",
        "local.",
        "data.",
        "module.",
        "${",
    ];
    let Some(store) = STORES.iter().find(|store| value.starts_with(**store)) else {
        return false;
    };
    let name = &value[store.len()..];
    match *store {
        "ENC[" => name.ends_with(']'),
        // Cut off.
        "${" => !name.contains('}'),
        _ => {
            let of_names = |c: char| c.is_alphanumeric() || "_-./:#@=?&+()[]'\"<>|, ".contains(c);
            let mut words = name.split(|c: char| !c.is_alphanumeric());
            name.chars().all(of_names) && !words.any(random::is_random)
        }
    }
}

/// How templates open and close.
const TEMPLATES: [(&str, &str); 12] = [
    ("${{", "}}"),
    ("{{", "}}"),
    ("{%", "%}"),
    ("<%", "%>"),
    ("${", "}"),
    ("$(", ")"),
    ("$[", "]"),
    ("#{", "}"),
    ("%{", "}"),
    ("@{", "}"),
    ("%(", ")s"),
    ("{", "}"),
];

/// Longer templates do not count.
const MAX_TEMPLATE_BYTES: usize = 200;

/// `value` without what is filled in: `a{}b` is `ab`.
pub(super) fn without_templates(value: &str) -> Cow<'_, str> {
    if !value.contains(['{', '$', '%']) {
        return Cow::Borrowed(value);
    }
    let mut left = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let length = template(rest).unwrap_or_else(|| {
            left.push(first);
            first.len_utf8()
        });
        rest = &rest[length..];
    }
    Cow::Owned(left)
}

/// Return how long the template is that `rest` begins with.
fn template(rest: &str) -> Option<usize> {
    let behind = rest.strip_prefix('%');
    if behind.is_some_and(|kind| kind.starts_with(['s', 'd', 'v', 'q', 'x', 'i', 'u'])) {
        return Some(2);
    }
    let near = &rest[..rest.floor_char_boundary(MAX_TEMPLATE_BYTES)];
    TEMPLATES.iter().find_map(|(open, close)| {
        let inside = near.strip_prefix(open)?;
        let length = inside.find(close)?;
        let is_drawn = random::is_random(inside[..length].trim());
        (!is_drawn).then_some(open.len() + length + close.len())
    })
}

/// `xxxx`, `****`, `....`.
fn is_one_character(value: &str) -> bool {
    let first = value.as_bytes()[0];
    value.len() >= 2 && value.bytes().all(|byte| byte == first)
        || value.bytes().all(|byte| b"xX*.-_#?".contains(&byte))
}

/// Words that say what would stand here, or that nothing does.
pub(super) fn is_constant(value: &str) -> bool {
    const CONSTANTS: &[&str] = &[
        "true",
        "false",
        "null",
        "nil",
        "none",
        "undefined",
        "yes",
        "no",
        "on",
        "off",
        "string",
        "str",
        "text",
        "bool",
        "int",
        "integer",
        "number",
        "bytes",
        "object",
        "array",
        "any",
        "void",
        "hidden",
        "required",
        "optional",
        "nullable",
        "sometimes",
        "confirmed",
        "min",
        "max",
        "unknown",
        "empty",
        "default",
        "auto",
        "self",
        "this",
        "password",
        "passwd",
        "pass",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "bearer",
        "basic",
        "oauth",
        "oauth2",
        "jwt",
        "username",
        "user",
        "email",
        "key",
        "input",
        "field",
        "varchar",
        "char",
        "body",
        "header",
        "query",
    ];
    let is_one = |value: &str| {
        let mut constants = CONSTANTS.iter();
        let value = value.trim_start_matches('&').trim_end_matches('!');
        constants.any(|word| value.eq_ignore_ascii_case(word))
    };
    // `true|false`, `required|string|min:8`.
    let rule = |part: &str| is_one(part.split(':').next().unwrap_or(part));
    value.split('|').all(is_one)
        || value.contains('|') && value.split('|').all(rule)
        // The name of a variable: `DB_PASSWORD`.
        || value.contains('_')
            && keys::key(value).is_some()
            && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Examples and placeholders.
pub(super) fn is_example(value: &str) -> bool {
    const PARTS: &[&str] = &[
        "example",
        "changeme",
        "change_me",
        "change-me",
        "placeholder",
        "redacted",
        "1234567890abcdef",
        "abcdef123456",
        "...",
        "\u{2026}",
    ];
    /// Short enough to turn up in what was drawn.
    const SHORT: &[&str] = &[
        "your", "dummy", "xxxx", "todo", "insert", "sample", "fixme", "replace",
    ];
    const WHOLE: &[&str] = &[
        "test",
        "tests",
        "testing",
        "foo",
        "bar",
        "foobar",
        "pw",
        "p4ssw0rd",
        "admin",
        "anonymous",
        "anonymous@",
    ];
    let lower = value.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    has(PARTS)
        || has(SHORT) && !random::is_random(value)
        || WHOLE.contains(&lower.as_str())
        || is_constant(value)
        || names_itself(&lower)
}

/// `user-password-2`, `my_secret`: a name of a credential, unless what is left of it was drawn.
fn names_itself(lower: &str) -> bool {
    let words = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "apikey",
        "api-key",
    ];
    words.iter().any(|word| {
        lower.find(word).is_some_and(|at| {
            let rest = [&lower[..at], &lower[at + word.len()..]].concat();
            let mix = Mix::of(&rest);
            mix.digits < 3 && !random::is_random(&rest)
        })
    })
}
