//! Values behind a key and a blank: of flags, of settings without a sign, of sentences.

use super::super::Style;
use super::super::forms::floor;
use super::super::values::How;
use super::KeyInText;
use std::ops::Range;

impl KeyInText<'_> {
    /// Return what stands behind a key and a blank.
    pub(super) fn behind_blank(&self, at: usize) -> Option<(Range<usize>, How)> {
        let bytes = self.text.as_bytes();
        let rest = &self.text[at..floor(self.text, at + 48)];
        let lower = |word: &str| {
            rest.get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        for attribute in ["value=", "content=", "default="] {
            if lower(attribute) {
                return self.quoted(at + attribute.len());
            }
        }
        if let Some(found) = self.attribute(at).or_else(|| self.named_element(at)) {
            return Some(found);
        }
        if lower("to '") || lower("to \"") {
            return self.quoted(at + 3);
        }
        if lower("is:") {
            return self.below(at);
        }
        // Tests `pass "x"`, sentences pass things on.
        let before = self.line_before();
        let is_flag = before.ends_with("--")
            || before == "-"
            || before.ends_with(" -")
            || self.text[self.name.clone()].eq_ignore_ascii_case("sshpass");
        if !is_flag && self.text[self.name.clone()].eq_ignore_ascii_case("pass") {
            return None;
        }
        // SQL's `PASSWORD 'x'`.
        if matches!(bytes[at], b'\'' | b'"') {
            return self.quoted(at);
        }
        for verb in ["is ", "was ", "are "] {
            if lower(verb) {
                let start = self.skip_blanks(at + verb.len());
                return match self.in_quotes(start) {
                    Some(range) => Some((range, How::Said)),
                    None => self.word(start).map(|range| (range, How::Said)),
                };
            }
        }
        if is_flag {
            let start = at + if rest.starts_with("-p") { 2 } else { 0 };
            let start = self.skip_blanks(start);
            return match self.in_quotes(start) {
                Some(range) => Some((range, How::Quoted)),
                None => self.word(start).map(|range| (range, How::Argument)),
            };
        }
        let is_netrc = ["machine ", "login ", "user ", "host "]
            .iter()
            .any(|word| before.contains(word))
            || before.ends_with(" set ")
            || self.is_below_login()
            || self.is_directive()
            || is_setting(before)
            || is_command(before)
            || self.style == Style::Settings && before.trim().is_empty();
        if let Some(found) = self.of_whom(at) {
            return Some(found);
        }
        if !is_netrc && self.begins_line() {
            let alone = self.lone_word(at).filter(|(_, how)| *how == How::Line);
            return alone.or_else(|| self.typed(at));
        }
        if is_netrc && !rest.starts_with(['=', ':', '{', '[', '<']) {
            // Cisco's `password 7 x`: how it is written down.
            let is_kind = rest.len() > 2 && bytes[at].is_ascii_digit() && bytes[at + 1] == b' ';
            let at = if is_kind { at + 2 } else { at };
            return self.word(at).map(|range| (range, How::Argument));
        }
        self.typed(at)
            .or_else(|| self.word(at).map(|range| (range, How::Inside)))
    }
}

impl KeyInText<'_> {
    /// Return whether the line above names a user as `.netrc` does.
    fn is_below_login(&self) -> bool {
        let end = self.name.start - self.line_before().len();
        let near = &self.text[floor(self.text, end.saturating_sub(80))..end];
        let above = near.trim_end().rsplit('\n').next().unwrap_or_default();
        above.trim_start().starts_with("login ")
    }

    /// Return whether the key is a directive of a server's settings, which has no sign before its value.
    fn is_directive(&self) -> bool {
        let directives = ["requirepass", "masterauth", "wpa-psk", "wpa-passphrase"];
        directives.contains(&&self.text[self.name.clone()]) && self.line_before().trim().is_empty()
    }
}

/// Return whether a line begins like one that sets a password, of a command or of a switch.
fn is_command(before: &str) -> bool {
    let first = before.split_ascii_whitespace().next();
    first.is_some_and(|first| ["mysqladmin", "nmcli", "enable", "username"].contains(&first))
}

/// Return whether a command that sets a variable, name and value behind it, stands before the name.
fn is_setting(before: &str) -> bool {
    const COMMANDS: [&str; 7] = ["setenv", "setx", "set", "env", "-gx", "-Ux", "config"];
    let before = before.trim();
    let last = before.rsplit([' ', '\t']).next().unwrap_or(before);
    // In a sentence something else stands before: `the git config token setting`.
    let first = before.split([' ', '\t']).next().unwrap_or(before);
    COMMANDS
        .iter()
        .any(|known| last.eq_ignore_ascii_case(known))
        && (first == last || matches!(first, "set" | "git" | "npm" | "yarn" | "pip" | "$" | "RUN"))
}
