//! Secrets in the own syntax of a protocol or a tool: cookies, hashes of passwords, community strings of SNMP, literals of
//! Kubernetes' secrets, secrets of calls that sign, tokens of Discord.

use super::forms::{Form, floor};
use super::keys::Key;
use super::values::{self, How};
use super::{Found, Style, letters, random};
use std::ops::Range;

/// What each begins with, and the rule for it.
pub(super) const OWN_SYNTAX: &[(&str, Form)] = &[
    ("cookie: ", cookies),
    ("cookie\": \"", cookies),
    ("cookie', '", cookies),
    ("cookie\", \"", cookies),
    (".cookie = ", cookies),
    ("--cookie ", cookies),
    (" -b \"", cookies),
    (" -b '", cookies),
    ("cookies={", cookies),
    ("cookies = {", cookies),
    ("$1$", hash),
    ("$2a$", hash),
    ("$2b$", hash),
    ("$2y$", hash),
    ("$5$", hash),
    ("$6$", hash),
    ("$7$", hash),
    ("$y$", hash),
    ("$apr1$", hash),
    ("$argon2", hash),
    ("$scrypt$", hash),
    ("$pbkdf2-", hash),
    ("pbkdf2_sha256$", hash),
    ("{sha}", digest),
    ("{ssha}", digest),
    ("{ssha256}", digest),
    ("{ssha512}", digest),
    ("{smd5}", digest),
    ("--from-literal", literal),
    ("snmp-server community ", community),
    ("snmp community ", community),
    ("rocommunity ", community),
    ("rwcommunity ", community),
    ("rocommunity6 ", community),
    ("rwcommunity6 ", community),
    ("com2sec ", community),
    ("jwt.sign(", second_argument),
    ("jwt.verify(", second_argument),
    ("jwt.encode(", second_argument),
    ("jwt.decode(", second_argument),
    ("jwt.encode ", second_argument),
    ("jwt.decode ", second_argument),
    ("jwt::encode(", second_argument),
    ("jwt::decode(", second_argument),
    ("createhmac(", second_argument),
    ("hmac.new(", first_argument),
    ("hash_hmac(", third_argument),
    ("cookieparser(", first_argument),
    ("cookie-session(", first_argument),
    ("mt", discord),
    ("nt", discord),
    ("od", discord),
    ("oti", discord),
];

/// What is looked at behind each.
const MAX_BYTES: usize = 512;

fn line_at(text: &str, start: usize) -> &str {
    let rest = &text[start..floor(text, start + MAX_BYTES)];
    rest.lines().next().unwrap_or_default()
}

/// `Cookie: theme=dark; sid=x`, `Set-Cookie: session=x; Path=/`, `cookies={"session": "x"}`: the values that look like
/// no word, and those of names that speak of sessions.
fn cookies(text: &str, start: usize, found: &mut Vec<Found>) {
    const SESSIONS: [&str; 9] = [
        "sess", "sid", "token", "auth", "csrf", "xsrf", "remember", "login", "jwt",
    ];
    let line = line_at(text, start);
    let mut at = 0;
    while let Some(sign) = line[at..].find(['=', ':']) {
        let sign = at + sign;
        at = sign + 1;
        let marks = |c: char| c.is_whitespace() || "\"'".contains(c);
        let named = line[..sign].trim_end_matches(marks);
        let of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let name = &named[named.trim_end_matches(of_name).len()..];
        let rest = line[at..].trim_start_matches(marks);
        let begin = line.len() - rest.len();
        let ends = |c: char| c.is_whitespace() || "\"';,<>".contains(c);
        let value = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if name.is_empty() || value.len() < 6 || value.contains(['=', ':']) && begin == at {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let is_session = SESSIONS.iter().any(|part| lower.contains(part));
        let is_word = letters::are_letters(value) && letters::is_ordinary(value);
        if !is_session && (is_word || !random::is_random(value)) {
            continue;
        }
        let range = start + begin..start + begin + value.len();
        add(
            text,
            range,
            How::Variable,
            Key::Token,
            "session in a cookie",
            found,
        );
        at = begin + value.len();
    }
}

/// Hashes as `crypt` writes them, in `/etc/shadow`, in files of `htpasswd`, in tables of users.
fn hash(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let of_hash = |c: char| c.is_ascii_alphanumeric() || "$./,=+-_".contains(c);
    let length = line.find(|c| !of_hash(c)).unwrap_or(line.len());
    let value = line[..length].trim_end_matches(['.', ',', '-']);
    let last = value.rsplit('$').next().unwrap_or_default();
    let before = text[..start].chars().next_back();
    let is_inside = before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '$' || c == '{');
    // 22 characters are a hash of 128 bits, the shortest of these.
    if is_inside || value.matches('$').count() < 2 || last.len() < 22 {
        return;
    }
    found.push(Found::certain(
        start..start + value.len(),
        "hash of a password",
    ));
}

/// `bob:{SHA}...`, `userPassword: {SSHA}...`.
fn digest(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let Some(open) = line.find('}') else {
        return;
    };
    let of_digest = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let rest = &line[open + 1..];
    let length = rest.find(|c| !of_digest(c)).unwrap_or(rest.len());
    if length >= 20 {
        let range = start + open + 1..start + open + 1 + length;
        found.push(Found::certain(range, "hash of a password"));
    }
}

/// `kubectl create secret generic x --from-literal=db=x`; literals of a `configmap` are settings.
fn literal(text: &str, start: usize, found: &mut Vec<Found>) {
    let command = &text[text.floor_char_boundary(start.saturating_sub(MAX_BYTES))..start];
    let lines = command.rsplit('\n');
    let is_secret = lines
        .enumerate()
        .take_while(|(n, line)| *n == 0 || line.trim_end().ends_with(['\\', '`']))
        .any(|(_, line)| line.contains("secret"));
    let line = line_at(text, start);
    let behind = line["--from-literal".len()..].strip_prefix(['=', ' ']);
    let Some(behind) = behind.filter(|_| is_secret) else {
        return;
    };
    let inside = behind.trim_start_matches(['"', '\'']);
    let Some((_, value)) = inside.split_once('=') else {
        return;
    };
    let bare = value.trim_start_matches(['"', '\'']);
    let ends = |c: char| c.is_whitespace() || "\"'".contains(c);
    let length = bare.find(ends).unwrap_or(bare.len());
    let begin = start + line.len() - bare.len();
    let range = begin..begin + length;
    add(
        text,
        range,
        How::Variable,
        Key::Password,
        "literal of a secret",
        found,
    );
}

/// `snmp-server community x RO`, `rocommunity x`, `com2sec name source x`. `public` and `private` are the defaults that
/// everyone knows.
fn community(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let is_mapping = line[..3].eq_ignore_ascii_case("com");
    let is_command = line[..4].eq_ignore_ascii_case("snmp");
    let words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let n = match (is_mapping, is_command) {
        (true, _) => 3,
        (_, true) => 2,
        _ => 1,
    };
    let Some(word) = words.clone().nth(n) else {
        return;
    };
    let begin = start + (word.as_ptr() as usize - line.as_ptr() as usize);
    let bare = word.trim_matches(['"', '\'', ';']);
    let begin = begin + word.find(bare).unwrap_or_default();
    let known = ["public", "private", "string", "name", "community"];
    let is_known = known.iter().any(|word| bare.eq_ignore_ascii_case(word));
    if bare.is_empty() || is_known {
        return;
    }
    let range = begin..begin + bare.len();
    // In a sentence a word follows: `the snmp-server community string`.
    add(
        text,
        range,
        How::Argument,
        Key::Password,
        "community string",
        found,
    );
}

fn first_argument(text: &str, start: usize, found: &mut Vec<Found>) {
    nth_argument(text, start, 0, found);
}

/// `jwt.sign(payload, "x")`.
fn second_argument(text: &str, start: usize, found: &mut Vec<Found>) {
    nth_argument(text, start, 1, found);
}

fn third_argument(text: &str, start: usize, found: &mut Vec<Found>) {
    nth_argument(text, start, 2, found);
}

/// Look at the argument of this number if it is text in quotes. Commas within brackets and quotes separate no arguments.
fn nth_argument(text: &str, start: usize, n: usize, found: &mut Vec<Found>) {
    let rest = &text[start..floor(text, start + MAX_BYTES)];
    let Some(open) = rest.find(['(', ' ']) else {
        return;
    };
    let (mut depth, mut commas, mut quote) = (0, 0, None);
    let mut begin = open + 1;
    for (at, c) in rest[open + 1..].char_indices() {
        let at = open + 1 + at;
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'' | '`', None) => quote = Some(c),
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) if depth > 0 => depth -= 1,
            (',' | ')' | '\n', None) if depth == 0 => {
                if commas == n || c != ',' {
                    break;
                }
                commas += 1;
                begin = at + 1;
            }
            _ => {}
        }
    }
    if commas < n {
        return;
    }
    let argument = rest[begin..].trim_start();
    let argument = argument.strip_prefix('b').unwrap_or(argument);
    let Some(quote) = argument.chars().next().filter(|c| "\"'`".contains(*c)) else {
        return;
    };
    let Some(length) = argument[1..].find(quote) else {
        return;
    };
    let begin = start + rest.len() - argument.len() + 1;
    let range = begin..begin + length;
    add(
        text,
        range,
        How::Quoted,
        Key::Password,
        "secret of a signature",
        found,
    );
}

/// Tokens of bots: the bot's number in base64, 6 characters of a time, 27 or more of a signature.
fn discord(text: &str, start: usize, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    if !matches!(bytes[start], b'M' | b'N' | b'O') || start > 0 && of_token(&bytes[start - 1]) {
        return;
    }
    let mut at = start;
    for (least, most) in [(23, 28), (6, 7), (27, 40)] {
        let part = bytes[at..].iter().take(most + 1);
        let length = part.take_while(|byte| of_token(byte)).count();
        if !(least..=most).contains(&length) {
            return;
        }
        at += length;
        if least < 27 {
            if bytes.get(at) != Some(&b'.') {
                return;
            }
            at += 1;
        }
    }
    found.push(Found::certain(start..at, "Discord token"));
}

fn of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-".contains(byte)
}

fn add(
    text: &str,
    range: Range<usize>,
    how: How,
    key: Key,
    what: &'static str,
    found: &mut Vec<Found>,
) {
    if range.is_empty() {
        return;
    }
    if let Some(is_certain) = values::judge(key, &text[range.clone()], how, Style::Any) {
        found.push(Found {
            range,
            is_certain,
            what,
        });
    }
}
