//! Credentials known by what stands around them: private keys, passwords in URLs, arguments of tools.

use super::issuers::follows_escape;
use super::random::{Mix, is_digest_word};
use super::{Found, letters, stand_ins, values};

/// Adds what it makes of the text from a byte on.
pub(super) type Form = fn(&str, usize, &mut Vec<Found>);

/// What each form begins with, and the rule for it.
pub(super) const FORMS: &[(&str, Form)] = &[
    ("-----BEGIN ", private_key),
    ("://", user_info),
    (" -u ", user_argument),
    (" --user ", user_argument),
    ("bearer ", bearer),
    ("basic ", basic),
    ("~", azure),
    (":AA", telegram),
    ("-us", mailchimp),
    ("pat", airtable),
];

/// A key of 8,192 bits takes 6,400 characters.
const MAX_KEY_BYTES: usize = 16 << 10;

/// `-----BEGIN RSA PRIVATE KEY-----` up to its end, or as far as its lines go.
fn private_key(text: &str, start: usize, found: &mut Vec<Found>) {
    let rest = &text[start..floor(text, start + MAX_KEY_BYTES)];
    let line = rest.find('\n').map_or(rest, |end| &rest[..end]);
    let Some(kind_end) = line.get(11..).and_then(|kind| kind.find("-----")) else {
        return;
    };
    let kind = &line[11..11 + kind_end];
    if !kind.contains("PRIVATE KEY") {
        return;
    }
    let body = 11 + kind_end + 5;
    let end = match rest[body..].find("-----END") {
        Some(end) => body + end,
        None => {
            let of_key = |c: char| c.is_ascii_alphanumeric() || "+/=\\-:, \t\r\n\"'".contains(c);
            rest[body..]
                .find(|c| !of_key(c))
                .map_or(rest.len(), |end| body + end)
        }
    };
    let inside = rest[body..end].trim();
    if inside.bytes().filter(u8::is_ascii_alphanumeric).count() >= 16 {
        let at = start + body + rest[body..end].find(inside).unwrap_or_default();
        found.push(Found::certain(at..at + inside.len(), "private key"));
    }
}

/// Return whether `value` is a URL with a user or a password in it.
pub(super) fn has_user_info(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or(rest);
    host.contains('@') || odd_user_info(rest).is_some()
}

/// `scheme://user:password@host`, `scheme://token@host`: `start` is where `://` stands.
fn user_info(text: &str, start: usize, found: &mut Vec<Found>) {
    const MAX_BYTES: usize = 512;
    let start = start + 3;
    let rest = &text[start..floor(text, start + MAX_BYTES)];
    let ends = |c: char| c.is_whitespace() || "/?#\"'`<>".contains(c);
    let authority = rest.find(ends).map_or(rest, |end| &rest[..end]);
    let Some(at) = authority.rfind('@').or_else(|| odd_user_info(rest)) else {
        return;
    };
    let info = &rest[..at];
    match info.split_once(':') {
        Some((user, password)) => {
            let range = start + user.len() + 1..start + at;
            if password.is_empty() || stand_ins::is_reference(password) {
                return;
            }
            let is_plain =
                stand_ins::is_example(password) || password == user && password.len() < 12;
            let mix = Mix::of(password);
            let is_certain = !is_plain && (mix.digits > 0 || mix.other > 0 || password.len() >= 6);
            found.push(match is_certain {
                true => Found::certain(range, "password in a URL"),
                false => Found::doubtful(range),
            });
        }
        None => {
            let mix = Mix::of(info);
            if info.len() >= 16 && mix.digits > 0 && !stand_ins::is_reference(info) {
                found.push(Found::certain(start..start + at, "token in a URL"));
            }
        }
    }
}

/// Return where user and password end, if the password holds `/`, `?` or `#` as it should not: `user:a/1#b@host`. Ports,
/// and paths with versions (`npm/@scope/name@2`), are none.
fn odd_user_info(rest: &str) -> Option<usize> {
    let ends = |c: char| c.is_whitespace() || "\"'`<>{}()[]|\\".contains(c);
    let word = rest.find(ends).map_or(rest, |end| &rest[..end]);
    let (user, behind) = word.split_once(':')?;
    let is_user = |c: char| c.is_ascii_alphanumeric() || "_-.+%".contains(c);
    let port = behind.bytes().take_while(u8::is_ascii_digit).count();
    let is_port = port > 0 && behind[port..].starts_with(['/', '?', '#']);
    if user.is_empty() || !user.chars().all(is_user) || is_port {
        return None;
    }
    // A later `@` belongs to the path.
    let at = behind.find("@").map(|first| {
        let host = behind[first + 1..].find(['/', '?', '#']);
        let host = &behind[first + 1..host.map_or(behind.len(), |end| first + 1 + end)];
        first + host.rfind('@').map_or(0, |last| last + 1)
    })?;
    let password = &behind[..at];
    let host = &behind[at + 1..];
    let length = host.find(['/', '?', '#', ':', ',']).unwrap_or(host.len());
    let host = &host[..length];
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let mix = Mix::of(password);
    // A word of the path is none: `a/b:c3d4/e5@v2`.
    let is_strong =
        mix.digits > 0 && mix.is_mixed() && mix.len >= 8 || mix.digits > 0 && mix.other > 2;
    let is_path = password.starts_with("//");
    (is_host && is_strong && !is_path).then_some(user.len() + 1 + at)
}

/// `curl -u user:password`.
fn user_argument(text: &str, start: usize, found: &mut Vec<Found>) {
    let start = start + text[start..].find('u').unwrap_or_default();
    let Some(blank) = text[start..].find(' ') else {
        return;
    };
    let start = start + blank + 1;
    let rest = text[start..].trim_start_matches(['"', '\'']);
    let start = text.len() - rest.len();
    let rest = &text[start..floor(text, start + 256)];
    let ends = |c: char| c.is_whitespace() || "\"'`|<>".contains(c);
    let argument = rest.find(ends).map_or(rest, |end| &rest[..end]);
    let Some((user, password)) = argument.split_once(':') else {
        return;
    };
    let range = start + user.len() + 1..start + argument.len();
    if password.len() < 3 || stand_ins::is_reference(password) || password.contains(['/', ':']) {
        return;
    }
    let mix = Mix::of(password);
    let is_certain = !stand_ins::is_example(password)
        && password.len() >= 6
        && (mix.digits > 0 || mix.other > 0 || letters::is_odd(password));
    found.push(match is_certain {
        true => Found::certain(range, "password of a command"),
        false => Found::doubtful(range),
    });
}

/// `Bearer <token>`.
fn bearer(text: &str, start: usize, found: &mut Vec<Found>) {
    let Some(range) = argument(text, start + "bearer ".len(), b"._~+/=-") else {
        return;
    };
    let token = &text[range.clone()];
    let mix = Mix::of(token);
    let is_word = mix.digits == 0 && letters::is_ordinary(token);
    if token.len() < 8
        || is_word
        || stand_ins::is_reference(token)
        || values::is_word_of_trade(token)
    {
        return;
    }
    let is_certain =
        token.len() >= 20 && mix.steps >= 3 && mix.digits > 0 && !stand_ins::is_example(token);
    found.push(match is_certain {
        true => Found::certain(range, "bearer token"),
        false => Found::doubtful(range),
    });
}

/// `Basic <user:password in base64>`.
fn basic(text: &str, start: usize, found: &mut Vec<Found>) {
    let Some(range) = argument(text, start + "basic ".len(), b"+/=") else {
        return;
    };
    let token = &text[range.clone()];
    let mix = Mix::of(token);
    let capitals_inside = token.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    if token.len() >= 8
        && token.len().is_multiple_of(4)
        && mix.lower > 0
        && capitals_inside
        && mix.steps * 3 >= mix.len
    {
        found.push(Found::certain(range, "user and password in base64"));
    }
}

/// Client secrets of Microsoft Entra: three characters, a digit, `Q~`, 31 to 34 more.
fn azure(text: &str, start: usize, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let of_secret = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.~".contains(byte);
    let Some(first) = start.checked_sub(5) else {
        return;
    };
    let head = &bytes[first..start];
    let is_head = head.iter().all(of_secret) && head[3].is_ascii_digit() && head[4] == b'Q';
    if !is_head || first > 0 && of_secret(&bytes[first - 1]) {
        return;
    }
    let length = bytes[start + 1..]
        .iter()
        .take(64)
        .take_while(|byte| of_secret(byte))
        .count();
    if (30..=40).contains(&length) {
        found.push(Found::certain(
            first..start + 1 + length,
            "Azure client secret",
        ));
    }
}

/// Bots of Telegram: the bot's number, a colon, `AA` and 33 characters.
fn telegram(text: &str, start: usize, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let digits = bytes[..start]
        .iter()
        .rev()
        .take(12)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let length = bytes[start + 1..]
        .iter()
        .take(64)
        .take_while(|byte| of_token(byte))
        .count();
    if (8..=10).contains(&digits) && (34..=36).contains(&length) && bytes[start + 1] == b'A' {
        found.push(Found::certain(
            start - digits..start + 1 + length,
            "Telegram token",
        ));
    }
}

/// Keys of Mailchimp: 32 hexadecimal digits, `-us`, the number of a data centre.
fn mailchimp(text: &str, start: usize, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let Some(begin) = start.checked_sub(32) else {
        return;
    };
    let end = start + "-us".len();
    let behind = bytes[end..].iter().take(4);
    let digits = behind.take_while(|b| b.is_ascii_digit()).count();
    let is_key = text.get(begin..start).is_some_and(is_digest_word);
    if is_key && begins_word(bytes, begin) && (1..=2).contains(&digits) {
        found.push(Found::certain(begin..end + digits, "Mailchimp key"));
    }
}

fn begins_word(bytes: &[u8], start: usize) -> bool {
    start == 0 || !bytes[start - 1].is_ascii_alphanumeric() || follows_escape(bytes, start)
}

/// Tokens of Airtable: `pat`, 14 letters and digits, a dot, 64 hexadecimal digits.
fn airtable(text: &str, start: usize, found: &mut Vec<Found>) {
    let dot = start + 17;
    let end = dot + 65;
    let Some(token) = text.get(start..end) else {
        return;
    };
    let begins = begins_word(text.as_bytes(), start);
    let Some((head, digits)) = token.split_once('.') else {
        return;
    };
    let is_head = head.len() == 17 && head.bytes().all(|b| b.is_ascii_alphanumeric());
    if begins && is_head && is_digest_word(digits) {
        found.push(Found::certain(start..end, "Airtable token"));
    }
}

/// Return the word of letters, digits and `others` at `start`.
fn argument(text: &str, start: usize, others: &[u8]) -> Option<std::ops::Range<usize>> {
    let rest = text.as_bytes().get(start..)?;
    let length = rest
        .iter()
        .take(4096)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || others.contains(byte))
        .count();
    let word = text[start..start + length].trim_end_matches(['.', '-']);
    (!word.is_empty()).then_some(start..start + word.len())
}

/// Return the last character boundary at or before `at`, the end of the text at most.
pub(super) fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}
