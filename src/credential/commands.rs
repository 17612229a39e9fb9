//! Passwords among the arguments of commands: `docker login -p x`, `curl -u user:x`, `htpasswd -b file user x`.
//!
//! Flags are those that each tool's manual documents.

use super::forms::{Form, floor};
use super::keys::Key;
use super::values::{self, How};
use super::{Found, Style, stand_ins};
use std::ops::Range;

/// Where a command takes its password.
#[derive(Clone, Copy)]
enum Rule {
    /// Behind one of these flags, or joined to it.
    Flag(&'static [&'static str]),
    /// Joined to this flag; a word behind it is something else.
    Joined(&'static str),
    /// Behind the user's name and this character, behind one of these flags or joined to it.
    User(&'static [&'static str], char),
    /// The word of this number, counted from 0 without flags.
    Nth(usize),
    /// The last word.
    Last,
    /// Behind the user's name and a slash, up to `@`: `scott/tiger@db`.
    Slash,
}

use Rule::{Flag, Joined, Last, Nth, Slash, User};

/// Commands in lower case. Short names have a flag behind, or they would be found in every text.
const COMMANDS: &[(&str, Rule)] = &[
    ("docker login", Flag(&["-p"])),
    ("podman login", Flag(&["-p"])),
    ("buildah login", Flag(&["-p"])),
    ("skopeo login", Flag(&["-p"])),
    ("oras login", Flag(&["-p"])),
    ("registry login", Flag(&["-p"])),
    ("oc login", Flag(&["-p"])),
    ("az login", Flag(&["-p"])),
    ("cf login", Flag(&["-p"])),
    ("mysql", Joined("-p")),
    ("mariadb", Joined("-p")),
    ("7z a ", Joined("-p")),
    ("7z x ", Joined("-p")),
    ("7za a ", Joined("-p")),
    ("7za x ", Joined("-p")),
    ("redis-cli", Flag(&["-a"])),
    ("zip -", Flag(&["-P"])),
    ("unzip -", Flag(&["-P"])),
    ("ldapsearch", Flag(&["-w"])),
    ("ldapadd", Flag(&["-w"])),
    ("ldapmodify", Flag(&["-w"])),
    ("ldapdelete", Flag(&["-w"])),
    ("ldappasswd", Flag(&["-w", "-s"])),
    ("mongo", Flag(&["-p"])),
    ("snmpget", Flag(&["-A", "-X", "-c"])),
    ("snmpwalk", Flag(&["-A", "-X", "-c"])),
    ("snmpbulkwalk", Flag(&["-A", "-X", "-c"])),
    ("snmpset", Flag(&["-A", "-X", "-c"])),
    ("ipmitool", Flag(&["-P"])),
    ("sqlcmd", Flag(&["-P"])),
    ("bcp ", Flag(&["-P"])),
    ("cqlsh", Flag(&["-p"])),
    ("gh secret set", Flag(&["-b", "--body"])),
    ("openssl enc", Flag(&["-k"])),
    ("xfreerdp", Joined("/p:")),
    ("wfreerdp", Joined("/p:")),
    ("curl ", User(&["-u", "-U", "--user", "--proxy-user"], ':')),
    ("http -a", User(&["-a"], ':')),
    ("http --auth", User(&["--auth"], ':')),
    ("lftp ", User(&["-u"], ',')),
    ("smbclient", User(&["-U"], '%')),
    ("rpcclient", User(&["-U"], '%')),
    ("htpasswd -", Last),
    ("openssl passwd", Last),
    ("net use ", Last),
    ("net user ", Nth(1)),
    ("wpa_passphrase ", Nth(1)),
    ("rabbitmqctl add_user", Nth(1)),
    ("rabbitmqctl change_password", Nth(1)),
    ("vault login", Nth(0)),
    ("sqlplus", Slash),
    ("sqlldr", Slash),
    ("impdp", Slash),
    ("expdp", Slash),
    ("oracle:thin:", Slash),
];

/// Return what each begins with, and the rule for it.
pub(super) fn stems() -> impl Iterator<Item = (&'static str, Form)> {
    COMMANDS.iter().map(|(name, _)| (*name, command as Form))
}

/// What is looked at behind a command.
const MAX_BYTES: usize = 512;

fn command(text: &str, start: usize, found: &mut Vec<Found>) {
    let before = text.as_bytes()[..start].last();
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)) {
        return;
    }
    let rest = &text[start..floor(text, start + MAX_BYTES)];
    let has = |name: &str| {
        let head = rest.get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name))
    };
    for (name, rule) in COMMANDS.iter().filter(|(name, _)| has(name)) {
        // Short names have their first flag behind them.
        let flag = name.find([' ', '-']).filter(|_| name.contains('-'));
        let begin = match rule {
            Slash if name.ends_with(':') => start + name.len(),
            Slash | Nth(_) | Last => start + name.trim_end_matches('-').len(),
            _ => start + flag.unwrap_or(name.len()),
        };
        let words = words(text, begin, start + rest.len());
        for range in arguments(text, &words, *rule) {
            add(text, range, found);
        }
    }
}

/// Return the words from `at` up to the end of the command, quotes and continued lines heeded.
fn words(text: &str, mut at: usize, end: usize) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    loop {
        while at < end && b" \t".contains(&bytes[at]) {
            at += 1;
        }
        if text[at..end].starts_with("\\\n") {
            at += 2;
            continue;
        }
        if at >= end || b"\r\n|;#<>".contains(&bytes[at]) || text[at..end].starts_with("&&") {
            return words;
        }
        let start = at;
        let mut quote = None;
        while at < end && bytes[at] != b'\n' {
            match (bytes[at], quote) {
                (byte, Some(open)) if byte == open => quote = None,
                (_, Some(_)) => {}
                (byte @ (b'"' | b'\''), None) => quote = Some(byte),
                (b' ' | b'\t' | b'\r' | b'|' | b';', None) => break,
                _ => {}
            }
            at += 1;
        }
        words.push(start..at);
    }
}

/// Return where the rule says that passwords stand.
fn arguments(text: &str, words: &[Range<usize>], rule: Rule) -> Vec<Range<usize>> {
    let plain = || {
        let is_plain = |word: &&Range<usize>| !text[(*word).clone()].starts_with('-');
        words.iter().filter(is_plain)
    };
    match rule {
        Flag(flags) => flagged(text, words, flags),
        Joined(flag) => words
            .iter()
            .filter(|word| text[(*word).clone()].len() > flag.len())
            .filter(|word| text[(*word).clone()].starts_with(flag))
            .map(|word| word.start + flag.len()..word.end)
            .collect(),
        User(flags, sign) => flagged(text, words, flags)
            .into_iter()
            .filter_map(|word| {
                let user = text[word.clone()].find(sign)?;
                Some(word.start + user + 1..word.end)
            })
            .collect(),
        Nth(n) => plain().nth(n).cloned().into_iter().collect(),
        Last if plain().count() >= 1 => plain().next_back().cloned().into_iter().collect(),
        Last => Vec::new(),
        Slash => plain()
            .take(1)
            .filter_map(|word| {
                let name = &text[word.clone()];
                let slash = name.find('/')?;
                let end = name.rfind('@').unwrap_or(name.len());
                (slash + 1 < end).then_some(word.start + slash + 1..word.start + end)
            })
            .collect(),
    }
}

fn flagged(text: &str, words: &[Range<usize>], flags: &[&str]) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let name = &text[word.clone()];
        for flag in flags {
            let Some(behind) = behind_flag(name, flag) else {
                continue;
            };
            if !behind.is_empty() {
                values.push(word.end - behind.len()..word.end);
            } else if let Some(next) = words.get(n + 1) {
                values.push(next.clone());
            }
        }
    }
    values
}

/// Return what is joined to a flag: `x` of `-px`, `-p=x`, `--body=x`; nothing for the flag alone, also among others
/// (`-su`).
fn behind_flag<'t>(word: &'t str, flag: &str) -> Option<&'t str> {
    if let Some(behind) = word.strip_prefix(flag) {
        let is_long = flag.starts_with("--");
        return match behind.strip_prefix('=') {
            Some(value) => Some(value),
            None if behind.is_empty() || !is_long => Some(behind),
            None => None,
        };
    }
    let letters = word.strip_prefix('-')?;
    let is_group = letters.len() <= 4 && letters.bytes().all(|b| b.is_ascii_alphabetic());
    (flag.len() == 2 && is_group && letters.ends_with(&flag[1..])).then_some("")
}

fn add(text: &str, range: Range<usize>, found: &mut Vec<Found>) {
    const QUOTES: [char; 2] = ['"', '\''];
    let value = &text[range.clone()];
    let inside = value.trim_start_matches(QUOTES);
    let start = range.start + (value.len() - inside.len());
    let value = inside.trim_end_matches(QUOTES).trim_end_matches('\\');
    if value.is_empty() || stand_ins::is_reference(value) {
        return;
    }
    let how = match start > range.start {
        true => How::Quoted,
        false => How::Argument,
    };
    if let Some(is_certain) = values::judge(Key::Password, value, how, Style::Any) {
        found.push(Found {
            range: start..start + value.len(),
            is_certain,
            what: "password of a command",
        });
    }
}
