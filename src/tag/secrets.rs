//! Keeps passwords and keys out of the tags.
//!
//! A tag is copied into several tables and shown in answers, apart from its text. So a value that
//! looks like a credential is left out, at the price of losing some harmless ones.

/// Parts of keys whose text values are left out.
const SECRET_KEYS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "privatekey",
    "credential",
    "access_key",
    "authorization",
];

/// How credentials of well-known services begin.
const SECRET_STARTS: [&str; 12] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "AIza",
    "eyJ",
];

/// From this length on, a mixture of letters and digits is taken for a key. Names with digits are
/// shorter; keys of 64 bits or more, written in base64 or in hexadecimal, are longer or equal.
const RANDOM_BYTES: usize = 16;

/// Whether the text `value` of `key` must not be copied.
pub(super) fn is_secret(key: &str, value: &str) -> bool {
    // A tokenizer is no token.
    let key = key.to_ascii_lowercase().replace("tokeniz", "");
    SECRET_KEYS.iter().any(|part| key.contains(part))
        || SECRET_STARTS.iter().any(|start| value.starts_with(start))
        || value.starts_with("-----BEGIN")
        || has_user_info(value)
        || value.split(|c: char| !is_key_char(c)).any(is_random)
}

/// Whether `word` looks drawn by lot: long, with digits strewn among letters.
pub(super) fn is_random(word: &str) -> bool {
    if word.len() < RANDOM_BYTES {
        return false;
    }
    // Steps between letters and digits, and from capitals to lower case and back.
    let mut steps = 0_usize;
    let mut n_digits = 0_usize;
    let mut last = b'a';
    for byte in word.bytes() {
        let class = match byte {
            b'0'..=b'9' => b'0',
            b'A'..=b'Z' => b'A',
            b'a'..=b'z' => b'a',
            _ => last,
        };
        n_digits += usize::from(class == b'0');
        steps += usize::from(class != last);
        last = class;
    }
    // A hash changes its class at every second or third character, a CamelCase name at every fifth.
    n_digits >= 3 && steps * 5 >= word.len() || n_digits * 4 >= word.len() * 3
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '/' | '=')
}

/// `scheme://user:password@host`.
fn has_user_info(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or(rest);
    host.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_secret() {
        for (key, value) in [
            ("db_password", "hunter2"),
            ("GITHUB_TOKEN", "x"),
            ("url", "postgres://app:pw@db/x"),
            ("key", "sk-abc"),
            ("digest", "9f86d081884c7d659a2feaa0c55ad015"),
            ("k", "dGhpcyBpcyBhIHNl+Y3JldCB2YWx1ZQ4x9Q2zZ7=="),
            ("id", "4111111111111111"),
        ] {
            assert!(is_secret(key, value), "{key}={value}");
        }
    }

    #[test]
    fn plain_settings_are_not() {
        for (key, value) in [
            ("host", "db.example.org"),
            ("author", "Ovid"),
            ("tokenizer", "bert"),
            ("name", "InternationalizationProvider2"),
            ("image", "python:3.11-slim-bookworm"),
            ("path", "/usr/local/share/applications"),
            ("model", "all_minilm_l6_v2_quantized"),
            ("date", "2024-01-31T00:00:00"),
        ] {
            assert!(!is_secret(key, value), "{key}={value}");
        }
    }
}
