//! One pass over the text for all that a credential may begin with or stand behind.
//!
//! Most texts have none of these, and most of those that do are done with after a look at a few characters.

use super::arguments::ARGUMENTS;
use super::issuers::{self, ISSUERS};
use super::own_syntax::OWN_SYNTAX;
use super::{Found, Style, assigned, commands, forms};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

/// Parts of keys, see [`super::keys`].
const KEYS: &[&str] = &[
    "pass",
    "passe",
    "kennwort",
    "senha",
    "contrasen",
    "clave",
    "mdp",
    "wachtwoord",
    "haslo",
    "heslo",
    "losenord",
    "adgangskode",
    "jelszo",
    "salasana",
    "sifr",
    "parol",
    "parool",
    "lozinka",
    "geslo",
    "sandi",
    "matkhau",
    "geheimnis",
    "sessid",
    "community",
    "pwd",
    "psw",
    "secret",
    "token",
    "apikey",
    "key",
    "cred",
    "auth",
    "bearer",
    "sas",
    "jwt",
    "psk",
    "sessionid",
    "pw",
];

/// Passwords in languages whose words are none of [`super::keys`]' or hold other letters. Upper case stands apart
/// where the search, which folds ASCII alone, cannot fold it.
const FOREIGN: &[&str] = &[
    "contrase\u{f1}a",
    "contrase\u{d1}a",
    "clave de acceso",
    "mot de passe",
    "has\u{142}o",
    "has\u{141}o",
    "l\u{f6}senord",
    "L\u{d6}SENORD",
    "jelsz\u{f3}",
    "m\u{1ead}t kh\u{1ea9}u",
    "\u{3ba}\u{3c9}\u{3b4}\u{3b9}\u{3ba}\u{3cc}\u{3c2}",
    "\u{5e1}\u{5d9}\u{5e1}\u{5de}\u{5d4}",
    "\u{15f}ifre",
    "\u{15e}ifre",
    "parola d'ordine",
    "\u{645}\u{631}\u{648}\u{631}",
    "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}",
    "\u{41f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}",
    "\u{41f}\u{410}\u{420}\u{41e}\u{41b}\u{42c}",
    "\u{5bc6}\u{7801}",
    "\u{5bc6}\u{78bc}",
    "\u{53e3}\u{4ee4}",
    "\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}",
    "\u{be44}\u{bc00}\u{bc88}\u{d638}",
];

enum Stem {
    Key,
    Foreign,
    Issuer(usize),
    Form(forms::Form),
}

struct Stems {
    /// Indexes of `texts` by [`bucket`]. Quick to make: every process shows some messages, and small builds read little.
    buckets: Vec<Vec<usize>>,
    /// Quick to run, built when enough has been read.
    automaton: OnceLock<AhoCorasick>,
    /// Bytes read without it.
    n_read: AtomicUsize,
    texts: Vec<&'static str>,
    stems: Vec<Stem>,
}

/// A stem in a text, and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hit {
    start: usize,
    end: usize,
    stem: usize,
}

/// About where building the automaton pays: an estimate, as texts differ.
const WORTH_BYTES: usize = 64 << 10;

static STEMS: LazyLock<Stems> = LazyLock::new(Stems::load);

impl Stems {
    fn load() -> Self {
        let mut texts = Vec::new();
        let mut stems = Vec::new();
        for key in KEYS {
            texts.push(*key);
            stems.push(Stem::Key);
        }
        for word in FOREIGN {
            texts.push(*word);
            stems.push(Stem::Foreign);
        }
        for (at, issuer) in ISSUERS.iter().enumerate() {
            texts.push(issuer.prefix);
            stems.push(Stem::Issuer(at));
        }
        let forms = forms::FORMS
            .iter()
            .chain(ARGUMENTS)
            .chain(OWN_SYNTAX)
            .copied();
        for (text, form) in forms.chain(commands::stems()) {
            texts.push(text);
            stems.push(Stem::Form(form));
        }
        let mut buckets = vec![Vec::new(); N_BUCKETS];
        for (at, text) in texts.iter().enumerate() {
            match *text.as_bytes() {
                [first, second, ..] => buckets[bucket(first, second)].push(at),
                [only] => (0..32).for_each(|second| buckets[bucket(only, second)].push(at)),
                [] => unreachable!("a stem says something"),
            }
        }
        Self {
            buckets,
            automaton: OnceLock::new(),
            n_read: AtomicUsize::new(0),
            texts,
            stems,
        }
    }

    /// Call `visit` for each stem in `text`, in any case of ASCII letters: by their ends, longer ones first.
    fn each(&self, text: &str, visit: impl FnMut(Hit)) {
        let is_worth_it =
            || self.n_read.fetch_add(text.len(), Ordering::Relaxed) + text.len() >= WORTH_BYTES;
        match self.automaton.get().is_some() || is_worth_it() {
            true => self.by_automaton(text).for_each(visit),
            false => self.by_bucket(text).into_iter().for_each(visit),
        }
    }

    fn by_automaton<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Hit> + 't {
        let automaton = self.automaton.get_or_init(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(AhoCorasickKind::DFA))
                // A table for the start alone: tables for the states behind it take most of the time.
                .dense_depth(1)
                .build(&self.texts)
                .expect("a few short patterns make an automaton")
        });
        automaton.find_overlapping_iter(text).map(|hit| Hit {
            start: hit.start(),
            end: hit.end(),
            stem: hit.pattern().as_usize(),
        })
    }

    fn by_bucket(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        let bytes = text.as_bytes();
        for (start, first) in bytes.iter().enumerate() {
            let second = bytes.get(start + 1).copied().unwrap_or_default();
            for &stem in &self.buckets[bucket(*first, second)] {
                let end = start + self.texts[stem].len();
                let found = bytes.get(start..end);
                if found.is_some_and(|it| it.eq_ignore_ascii_case(self.texts[stem].as_bytes())) {
                    hits.push(Hit { start, end, stem });
                }
            }
        }
        hits.sort_unstable_by_key(|hit| (hit.end, hit.start, hit.stem));
        hits
    }
}

const N_BUCKETS: usize = 1 << 10;

/// Return the bucket of what begins with these bytes. Their low five bits are those of both cases of a letter.
fn bucket(first: u8, second: u8) -> usize {
    usize::from(first & 31) << 5 | usize::from(second & 31)
}

/// Add what the forms of issuers, keys and URLs show.
pub(super) fn visit(text: &str, style: Style, found: &mut Vec<Found>) {
    // Several stems lie in one key.
    let mut key_end = 0;
    STEMS.each(text, |hit| match &STEMS.stems[hit.stem] {
        Stem::Key if hit.start < key_end => {}
        Stem::Key => key_end = assigned::value(text, hit.start, hit.end, style, found),
        Stem::Foreign => assigned::foreign(text, hit.start, hit.end, style, found),
        Stem::Issuer(at) => issuers::token(text, hit.start, &ISSUERS[*at], found),
        Stem::Form(form) => form(text, hit.start, found),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_ways_find_the_same(pieces in vec((0..STEMS.texts.len(), 0..4usize, any::<char>()), 0..12)) {
            let mut text = String::new();
            for (stem, shape, between) in pieces {
                let stem = STEMS.texts[stem];
                let half = stem.char_indices().nth(stem.chars().count() / 2);
                text += &match shape {
                    0 => stem.to_owned(),
                    1 => stem.to_uppercase(),
                    2 => stem[half.map_or(0, |(at, _)| at)..].to_owned(),
                    _ => format!("{stem}{between}"),
                };
            }
            let by_automaton: Vec<Hit> = STEMS.by_automaton(&text).collect();
            prop_assert_eq!(STEMS.by_bucket(&text), by_automaton);
        }
    }

    #[test]
    fn every_stem_is_found_in_itself() {
        for (at, text) in STEMS.texts.iter().enumerate() {
            let hits = STEMS.by_bucket(text);
            assert!(hits.iter().any(|hit| hit.stem == at), "{text}");
        }
    }
}
