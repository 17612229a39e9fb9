//! The tagger's dictionary: which words are common, which belong to a topic, and which introduce a
//! definition.
//!
//! Its lists are data files: `common.txt` (words too frequent in code and English prose to find a chunk
//! by; counted over about 4,000 public source and documentation files, then edited by hand) and
//! `topics.txt` (one topic a line, best known first). Changing them changes the tags.

use super::lexer::hash;
use std::sync::LazyLock;

/// The dictionary's entry for one word, in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub is_common: bool,
    /// Up to two topics, as 1 + position in the list of topics; 0 for none.
    pub topics: [u8; 2],
    pub role: Role,
    /// A word of licences and copyright notices, which begin many files.
    pub is_legal: bool,
}

/// The function of a word in code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    None,
    /// May stand before a definition: `pub`, `static`, `create`.
    Modifier,
    /// The next word is the name of a definition.
    Define(DefinitionKind),
    /// The line names another module.
    Import,
    /// Branches, fails or waits: `if`, `match`, `raise`.
    Condition,
    /// Any other keyword, and names that every program has.
    Keyword,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DefinitionKind {
    Function,
    Type,
    Implementation,
    Module,
    Constant,
    Table,
}

const ROLES: [(Role, &str); 10] = [
    (
        Role::Modifier,
        "pub export default async public private protected internal abstract final unsafe extern \
         virtual inline override local declare sealed partial open data create or replace temp \
         temporary unique materialized synchronized native suspend readonly explicit constexpr \
         static template",
    ),
    (
        Role::Define(DefinitionKind::Function),
        "fn def func function fun sub defp procedure macro_rules macro trigger",
    ),
    (
        Role::Define(DefinitionKind::Type),
        "class struct enum trait interface type union record protocol typedef object message \
         service",
    ),
    (
        Role::Define(DefinitionKind::Implementation),
        "impl extension",
    ),
    (
        Role::Define(DefinitionKind::Module),
        "mod module namespace package defmodule",
    ),
    (Role::Define(DefinitionKind::Constant), "const val define"),
    (Role::Define(DefinitionKind::Table), "table view index"),
    (Role::Import, "use import from include using require"),
    (
        Role::Condition,
        "if elif else match when switch case unless raise throw throws except catch rescue panic \
         assert error err guard ensure abort bail retry timeout",
    ),
    (
        Role::Keyword,
        "let var return self this super true false none null nil for while loop do in is not and \
         as with yield await try finally break continue pass lambda del global nonlocal new delete \
         sizeof typeof instanceof void int char bool float double long short unsigned signed string \
         str usize isize u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 size_t vec option result some ok box \
         mut ref dyn where move crate select insert update set values into end then begin elseif fi \
         done esac echo print println printf format len range list dict tuple \
         note args kwargs cls goto volatile auto register mutable friend operator \
         implements extends undefined nan foreach go defer chan map make append cap copy integer text \
         real blob primary foreign references constraint exists varchar boolean timestamp",
    ),
];

/// One word. Slots hold 1 + position of an entry, 0 when free.
struct Entry {
    word: &'static str,
    meaning: Meaning,
}

struct Dictionary {
    slots: Vec<u16>,
    entries: Vec<Entry>,
    topics: Vec<&'static str>,
}

/// At least two slots for each word, so that most look-ups of unknown words end at the first slot.
const N_SLOTS: usize = 8192;

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(Dictionary::load);

/// Look up `word`, whose hash (see [`hash`]) is `hash`.
pub(super) fn meaning(word: &str, hash: u32) -> Meaning {
    DICTIONARY
        .find(word, hash)
        .map_or(Meaning::default(), |entry| {
            DICTIONARY.entries[entry].meaning
        })
}

/// Return the topics in dictionary order.
pub(super) fn topics() -> &'static [&'static str] {
    &DICTIONARY.topics
}

impl Dictionary {
    fn load() -> Self {
        let mut dictionary = Self {
            slots: vec![0; N_SLOTS],
            entries: Vec::new(),
            topics: Vec::new(),
        };
        for word in include_str!("common.txt").split_ascii_whitespace() {
            dictionary.entry(word).is_common = true;
        }
        for (role, words) in ROLES {
            for word in words.split_ascii_whitespace() {
                dictionary.entry(word).role = role;
            }
        }
        for line in include_str!("topics.txt").lines() {
            let (topic, words) = line.split_once(':').unwrap_or((line, ""));
            dictionary.topics.push(topic);
            let number = dictionary.topics.len() as u8;
            for word in words.split_ascii_whitespace() {
                let meaning = dictionary.entry(word);
                meaning.is_legal |= topic == "licensing";
                if let Some(free) = meaning.topics.iter_mut().find(|known| **known == 0) {
                    *free = number;
                }
            }
        }
        dictionary
    }

    fn find(&self, word: &str, hash: u32) -> Option<usize> {
        let mut slot = slot_of(hash);
        while self.slots[slot] != 0 {
            let entry = usize::from(self.slots[slot]) - 1;
            if self.entries[entry].word.eq_ignore_ascii_case(word) {
                return Some(entry);
            }
            slot = (slot + 1) % N_SLOTS;
        }
        None
    }

    fn entry(&mut self, word: &'static str) -> &mut Meaning {
        let hash = hash(word);
        let entry = self.find(word, hash).unwrap_or_else(|| {
            let mut slot = slot_of(hash);
            while self.slots[slot] != 0 {
                slot = (slot + 1) % N_SLOTS;
            }
            self.entries.push(Entry {
                word,
                meaning: Meaning::default(),
            });
            self.slots[slot] = self.entries.len() as u16;
            self.entries.len() - 1
        });
        &mut self.entries[entry].meaning
    }
}

fn slot_of(hash: u32) -> usize {
    (hash ^ hash >> 15) as usize % N_SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(word: &str) -> Meaning {
        meaning(word, hash(word))
    }

    #[test]
    fn words_are_known_in_any_case() {
        assert!(known("the").is_common && known("The").is_common);
        assert_eq!(known("CLASS").role, Role::Define(DefinitionKind::Type));
        assert_eq!(known("zyzzyva"), Meaning::default());
        let topic = known("mutex").topics[0];
        assert_eq!(topics()[usize::from(topic) - 1], "concurrency");
    }

    #[test]
    fn the_table_is_sparse_and_its_words_are_lower_case() {
        assert!(
            DICTIONARY.entries.len() * 4 <= N_SLOTS * 2,
            "{}",
            DICTIONARY.entries.len()
        );
        assert!(topics().len() < usize::from(u8::MAX));
        for entry in &DICTIONARY.entries {
            assert_eq!(entry.word, entry.word.to_ascii_lowercase());
        }
    }

    #[test]
    fn topics_can_be_asked_for_as_one_word() {
        for topic in topics() {
            assert!(
                topic.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{topic}"
            );
        }
    }
}
