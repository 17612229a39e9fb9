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
    /// Quick to build: every process shows some messages, and small builds read little.
    small: AhoCorasick,
    /// Quick to run, built when enough has been read.
    fast: OnceLock<AhoCorasick>,
    /// Bytes read with the small one.
    n_read: AtomicUsize,
    texts: Vec<&'static str>,
    stems: Vec<Stem>,
}

/// About where building the fast automaton pays: an estimate, as texts differ.
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
        Self {
            small: automaton(AhoCorasickKind::NoncontiguousNFA, &texts),
            fast: OnceLock::new(),
            n_read: AtomicUsize::new(0),
            texts,
            stems,
        }
    }

    /// Return the automaton for a text of `len` bytes; both find the same.
    fn automaton(&self, len: usize) -> &AhoCorasick {
        if let Some(fast) = self.fast.get() {
            return fast;
        }
        let before = self.n_read.fetch_add(len, Ordering::Relaxed);
        if before + len < WORTH_BYTES {
            return &self.small;
        }
        let build = || automaton(AhoCorasickKind::DFA, &self.texts);
        self.fast.get_or_init(build)
    }
}

fn automaton(kind: AhoCorasickKind, texts: &[&str]) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(kind))
        // A table for the start alone: tables for the states behind it take most of the time.
        .dense_depth(1)
        .build(texts)
        .expect("a few short patterns make an automaton")
}

/// Add what the forms of issuers, keys and URLs show.
pub(super) fn visit(text: &str, style: Style, found: &mut Vec<Found>) {
    // Several stems lie in one key.
    let mut key_end = 0;
    for hit in STEMS.automaton(text.len()).find_overlapping_iter(text) {
        match &STEMS.stems[hit.pattern().as_usize()] {
            Stem::Key if hit.start() < key_end => {}
            Stem::Key => key_end = assigned::value(text, hit.start(), hit.end(), style, found),
            Stem::Foreign => assigned::foreign(text, hit.start(), hit.end(), style, found),
            Stem::Issuer(at) => issuers::token(text, hit.start(), &ISSUERS[*at], found),
            Stem::Form(form) => form(text, hit.start(), found),
        }
    }
}
