//! Tells words from letters that someone drew or typed at random.
//!
//! Judges a value by its letters alone. Behind a key that announces a credential the question is not whether a value is
//! random, but whether it is an ordinary word; see [`super::random`] for the first.

use super::keys;
use super::random::Mix;

/// Mean frequency of pairs, in tenths, from which letters read like words. Of 12,000 words of 6 to 14 lower-case
/// letters in published crates 93 to 98 % lie above (most of the rest are abbreviations); of random letters 7 %
/// (6 letters) to 0.6 % (14).
const COMMON_PAIRS: u32 = 48;
/// The same for values that look odd wherever they stand: 1 % of the words, 85 to 93 % of random letters.
const ODD_PAIRS: u32 = 40;

/// Return whether these are letters, with the signs that join the words of a name.
pub(super) fn are_letters(value: &str) -> bool {
    value
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, '_' | '-' | '.' | '/'))
}

/// Return whether letters read like words in one of the usual spellings: `sunshine`, `my-service`, `userName`.
pub(super) fn is_ordinary(letters: &str) -> bool {
    has_plain_case(letters) && !Mix::of(letters).has_rare_pairs(COMMON_PAIRS)
}

/// Return whether letters are not a word in any language we know of: `qwJzabKd`, `xkvbqzpwjt`.
pub(super) fn is_odd(letters: &str) -> bool {
    let is_one = letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    let mix = Mix::of(letters);
    is_one
        && mix.len >= MIN_ODD_BYTES
        && (mix.has_rare_pairs(ODD_PAIRS)
            || !has_plain_case(letters) && mix.has_rare_pairs(COMMON_PAIRS))
}

/// Shorter ones are abbreviations.
const MIN_ODD_BYTES: usize = 8;

/// Lower case, capitals, `Capital`, `camelCase`: all words but one have three letters or more.
fn has_plain_case(letters: &str) -> bool {
    let mix = Mix::of(letters);
    !mix.is_mixed() || keys::words(letters).filter(|word| word.len() < 3).count() <= 1
}

/// Words that stand where a password would and say something about it: `password: required`, `password=invalid`.
pub(super) fn is_remark(value: &str) -> bool {
    const REMARKS: &[&str] = &[
        "mandatory",
        "needed",
        "invalid",
        "incorrect",
        "wrong",
        "missing",
        "mismatch",
        "changed",
        "change",
        "updated",
        "encrypted",
        "hashed",
        "plain",
        "plaintext",
        "cleartext",
        "masked",
        "obfuscated",
        "generated",
        "random",
        "provided",
        "supplied",
        "given",
        "expired",
        "disabled",
        "enabled",
        "supported",
        "unsupported",
        "unset",
        "unused",
        "needs",
        "see",
        "above",
        "below",
        "same",
        "protected",
        "prompt",
        "ask",
        "interactive",
        "manual",
        "external",
        "internal",
        "public",
        "private",
        "secure",
        "insecure",
        "secured",
        "strong",
        "weak",
        "short",
        "long",
        "valid",
        "verified",
        "accepted",
        "rejected",
        "denied",
        "allowed",
        "forbidden",
        "ignored",
        "deprecated",
        "removed",
        "authentication",
        "authorization",
        "authenticate",
        "authorize",
        "login",
        "logon",
        "signin",
        "account",
        "credential",
        "credentials",
        "value",
        "values",
        "content",
        "contents",
        "variable",
        "environment",
        "config",
        "configuration",
        "setting",
        "settings",
        "option",
        "options",
        "param",
        "params",
        "parameter",
        "argument",
        "property",
        "attribute",
        "column",
        "table",
        "database",
        "server",
        "client",
        "service",
        "system",
        "standard",
        "custom",
        "current",
        "currently",
        "existing",
        "initial",
        "temporary",
        "previous",
        "another",
        "other",
        "something",
        "anything",
        "nothing",
        "nobody",
        "everyone",
        "always",
        "never",
        "sometimes",
        "often",
        "sensitive",
        "confidential",
        "localhost",
        "keyring",
        "keychain",
        "keystore",
        "vault",
        "store",
        "stored",
        "file",
        "files",
        "stdin",
        "literal",
        "function",
        "method",
        "class",
        "struct",
        "interface",
        "boolean",
        "double",
        "float",
        "number",
        "numeric",
        "date",
        "datetime",
        "timestamp",
        "regex",
        "pattern",
        "format",
        "length",
        "minimum",
        "maximum",
        "label",
        "title",
        "description",
        "message",
        "error",
        "warning",
        "success",
        "failure",
        "failed",
        "passed",
        "skipped",
        "pending",
        "securestring",
        "charsequence",
        "bytearray",
        "textfield",
        "identity",
        "certificate",
        "kerberos",
        "digest",
        "obligatoria",
        "obligatorio",
        "obligatoire",
        "obrigatoria",
        "requis",
        "requerido",
        "erforderlich",
        "pflichtfeld",
        "verplicht",
        "wymagane",
        "zwingend",
        "valor",
        "leer",
        "negotiate",
        "ntlm",
        "ldap",
        "saml",
        "openid",
        "totp",
        "otp",
    ];
    let lower = value.to_ascii_lowercase();
    REMARKS.contains(&lower.as_str())
}
