//! Whether a chunk defines a name. Pure.

use super::{Candidate, weights};

/// Words before the name that they define, in some language or other.
const KEYWORDS: &str = " class struct interface trait enum union protocol extension impl module mod namespace object record \
type typedef newtype data def defp defmodule defmacro defprotocol defimpl fn func fun function sub proc macro macro_rules \
const constexpr let var val static instance actor concept using package alias define ";

/// Those before a function whose name follows its owner: `using a.Name` defines nothing.
const FUNCTIONS: &str = " def func fun fn function sub proc ";

/// Languages in which a function is declared in one file and defined in another.
const WITH_PROTOTYPES: [&str; 3] = ["c", "cpp", "objectivec"];

/// Return how surely a chunk defines a name, 0 to 1.
pub fn degree(name: &str, candidate: &Candidate) -> f64 {
    let Candidate { defined, text, .. } = candidate;
    if defined.iter().any(|known| known == name) {
        let language = candidate.language.as_deref().unwrap_or_default();
        let may_be_declared = WITH_PROTOTYPES.contains(&language) && !shows(name, text);
        return match may_be_declared && is_only_declared(name, text) {
            true => weights::DECLARATION,
            false => 1.0,
        };
    }
    if shows(name, text) {
        return weights::SEEN_DEFINITION;
    }
    let name = name.to_lowercase();
    match defined.iter().any(|known| known.to_lowercase() == name) {
        true => weights::OTHER_CASE,
        false => 0.0,
    }
}

/// Return whether a text shows a definition of the name, for the ranking.
fn shows(name: &str, text: &str) -> bool {
    shown(name, text, Heads::Plain).is_some()
}

/// Return the byte at which a text first shows a definition of the name, for people. Sees more than the ranking, which gains
/// nothing by it (.8786 instead of .8794 on code search).
pub fn shown_at(name: &str, text: &str) -> Option<usize> {
    shown(name, text, Heads::Any)
}

/// What may stand between a name and the word that defines it.
#[derive(Clone, Copy)]
enum Heads {
    Plain,
    /// Also an owner, a receiver or type parameters.
    Any,
}

/// Return the byte at which a text first shows the name behind a word that defines, or as a function of a shell.
fn shown(name: &str, text: &str, heads: Heads) -> Option<usize> {
    let is_shown = |at: &usize| {
        let (before, after) = (&text[..*at], &text[at + name.len()..]);
        if after.starts_with(is_letter) || before.ends_with(is_letter) {
            return false;
        }
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.trim().is_empty()
            && after.starts_with("()")
            && after[2..].trim_start().starts_with('{')
        {
            return true;
        }
        let (line, words, keywords) = match heads {
            Heads::Plain => (line, line.trim_end(), KEYWORDS),
            Heads::Any => {
                let rest = without_owner(line);
                let has_owner = rest.len() < line.len();
                let keywords = if has_owner { FUNCTIONS } else { KEYWORDS };
                (rest, without_group(rest.trim_end()), keywords)
            }
        };
        // `macro_rules! name` has a sign behind the word.
        let word = words.trim_end_matches('!');
        let start = word.rfind(|c: char| !is_letter(c)).map_or(0, |at| {
            at + word[at..].chars().next().map_or(1, char::len_utf8)
        });
        let keyword = &word[start..];
        words.len() < line.len()
            && !keyword.is_empty()
            && keywords.contains(&format!(" {keyword} "))
    };
    let places = text.match_indices(name).map(|(at, _)| at);
    places.filter(|_| !name.is_empty()).find(is_shown)
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Leave out the owner of a name at the end: `function M.name`, `def self.name`.
fn without_owner(mut line: &str) -> &str {
    while let Some(owner) = line.strip_suffix(['.', ':']) {
        line = owner.trim_end_matches(':').trim_end_matches(is_letter);
    }
    line
}

/// Leave out type parameters or a receiver at the end: `fun <T> name`, `func (c *Client) name`.
fn without_group(words: &str) -> &str {
    let open = match words.chars().next_back() {
        Some('>') => '<',
        Some(')') => '(',
        _ => return words,
    };
    words.find(open).map_or(words, |at| words[..at].trim_end())
}

/// Return whether a text has a function's head with `;` in place of a body: a prototype of C, a function of a C++ class
/// that is defined elsewhere. One with a body as well is a definition.
fn is_only_declared(name: &str, text: &str) -> bool {
    let mut is_declared = false;
    for (at, _) in text.match_indices(name) {
        let (before, after) = (&text[..at], text[at + name.len()..].trim_start());
        let line = before.rsplit('\n').next().unwrap_or_default();
        // A call has no type before the name.
        let has_type = line.trim_end_matches(['*', '&', ' ']).ends_with(is_letter);
        let is_call = line.contains(['=', '(', ';']) || line.trim_start().starts_with("return ");
        if !after.starts_with('(') || before.ends_with(is_letter) || !has_type || is_call {
            continue;
        }
        match after_parentheses(after)
            .and_then(|rest| rest.find(['{', ';', '}', '=']).map(|end| &rest[end..]))
        {
            Some(rest) if rest.starts_with(';') => is_declared = true,
            _ => return false,
        }
    }
    is_declared
}

/// Return what follows the parenthesis that closes the first one of `text`, with which it begins.
fn after_parentheses(text: &str) -> Option<&str> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[at + 1..]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(language: &str, defined: &[&str], text: &str) -> Candidate {
        Candidate {
            language: Some(language.to_owned()),
            defined: defined.iter().map(ToString::to_string).collect(),
            text: text.to_owned(),
            ..Candidate::default()
        }
    }

    #[test]
    fn a_prototype_is_less_than_a_definition() {
        let of = |text| degree("uv_read", &candidate("c", &["uv_read"], text));
        for text in [
            "UV_EXTERN int uv_read(uv_loop_t* loop,\n                      cb* done);\nint other() {\n}",
            "struct item *uv_read(void) __attribute__((noreturn));",
            "class A {\n  virtual int uv_read(int a) const;\n};",
        ] {
            assert_eq!(of(text), weights::DECLARATION, "{text}");
        }
        for text in [
            "int uv_read(void) {\n  return 1;\n}",
            "int uv_read(int a);\n\nint uv_read(int a)\n{\n  return a;\n}",
            "int\nuv_read(void) {\n  uv_read();\n}",
            "#define uv_read(x) other(x);",
            "class uv_read {\n  explicit uv_read(int);\n};",
            "",
        ] {
            assert_eq!(of(text), 1.0, "{text}");
        }
        let of_trait = candidate("rust", &["uv_read"], "fn uv_read(&self) -> u8;");
        assert_eq!(degree("uv_read", &of_trait), 1.0);
    }

    #[test]
    fn a_text_shows_its_definitions() {
        for text in [
            "data class Router(val x: Int)",
            "pub struct Router<S> {",
            "  #define Router 1",
            "newtype Router = Router Int",
            "Router() {\n  echo\n}",
            "macro_rules! Router {",
        ] {
            assert!(shows("Router", text), "{text}");
            assert!(shown_at("Router", text).is_some(), "{text}");
        }
        for text in [
            "func (c *Client) Router() {",
            "    inline fun <reified T> Router(): T {",
            "function M.Router()",
            "local function M.a:Router()",
            "  def self.Router",
            "fn<'a> Router",
        ] {
            assert!(!shows("Router", text), "{text}");
            assert_eq!(shown_at("Router", text), text.find("Router"), "{text}");
        }
        for text in [
            "let x = Router::new()",
            "struct RouterBuilder",
            "return Router",
            "Router() + 1",
            "class MyRouter",
            "let a = b.Router()",
            "if (a > b) Router()",
            "fun a(b: C) = d.Router",
            "import static a.b.Router;",
            "using a.Router;",
            "",
        ] {
            assert!(!shows("Router", text), "{text}");
            assert_eq!(shown_at("Router", text), None, "{text}");
        }
    }

    #[test]
    fn a_parsed_definition_counts_most() {
        let of = |name, text| degree(name, &candidate("rust", &["Router"], text));
        assert_eq!(of("Router", ""), 1.0);
        assert_eq!(of("router", ""), weights::OTHER_CASE);
        assert_eq!(of("route", "fn route("), weights::SEEN_DEFINITION);
        assert_eq!(of("serve", "serve()"), 0.0);
    }
}
