//! Which lines define or import something, and its name.
//!
//! A definition is told by the words with which its line begins. `the type of thing` is none: after
//! a name comes a bracket, a colon, an equals sign or the end of the line.

use super::dictionary::{DefinitionKind, Role};
use super::format::Family;
use super::lexer::Shape;
use super::outline::{Line, LineKind, Outline};

/// Longer names are generated.
const NAME_BYTES: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub kind: DefinitionKind,
    /// Position of its name in [`Outline::words`].
    pub word: usize,
}

/// Marks the lines that define or import, and collects the names.
pub(super) fn find(outline: &mut Outline) {
    let mut definitions = Vec::new();
    let mut imports = Vec::new();
    for at in 0..outline.lines.len() {
        let line = &outline.lines[at];
        if line.kind != LineKind::Plain || !line.is_code || line.words.is_empty() {
            continue;
        }
        let kind = if is_import(outline, line) {
            imports.extend(imported(outline, line));
            LineKind::Import
        } else {
            let before = definitions.len();
            define(outline, line, &mut definitions);
            if definitions.len() == before {
                continue;
            }
            LineKind::Definition
        };
        outline.lines[at].kind = kind;
    }
    outline.definitions = definitions;
    outline.imports = imports;
}

fn is_import(outline: &Outline, line: &Line) -> bool {
    let mut first = line.words.start;
    if matches!(outline.spelling(first), "pub" | "export") && line.words.len() > 1 {
        first += 1;
    }
    let text = outline.line_text(line);
    if outline.format.name == "go" && text.starts_with('"') && text.ends_with('"') {
        return true;
    }
    // `from` and `include` also begin sentences, and `use (x)` calls something.
    is_plain(outline, first)
        && outline.term(first).meaning.role == Role::Import
        && line.words.end - first > 1
        && matches!(outline.byte_after(first), b' ' | b'<' | b'"')
}

/// The word that names the imported module, if there is one.
fn imported(outline: &Outline, line: &Line) -> Option<usize> {
    let mut words = line.words.clone();
    let text = outline.line_text(line);
    if let Some(open) = text.find(['"', '\'', '<']) {
        let quoted = words.rfind(|word| {
            outline.words[*word].start > line.start + open
                && !matches!(outline.spelling(*word), "h" | "hpp" | "js" | "ts" | "css")
        });
        return quoted;
    }
    if matches!(outline.format.name, "java" | "kotlin" | "scala" | "csharp") {
        return words.next_back();
    }
    words.find(|word| {
        let is_own = matches!(
            outline.spelling(*word),
            "std" | "core" | "alloc" | "pub" | "export"
        );
        !is_own
            && !matches!(
                outline.term(*word).meaning.role,
                Role::Import | Role::Keyword
            )
    })
}

fn define(outline: &Outline, line: &Line, found: &mut Vec<Definition>) {
    let mut word = line.words.start;
    let mut is_modified = false;
    while word < line.words.end {
        match role(outline, word) {
            Role::Modifier => {
                is_modified = true;
                word += 1;
                word += usize::from(is_qualifier(outline, line, word));
            }
            Role::Define(kind) => return define_named(outline, line, word, kind, found),
            _ => break,
        }
    }
    let definition = constant(outline, line, word, is_modified)
        .or_else(|| function_without_keyword(outline, line, is_modified));
    found.extend(definition);
}

/// Keywords count in lower case, in SQL also in upper case.
fn role(outline: &Outline, word: usize) -> Role {
    if is_plain(outline, word) {
        outline.term(word).meaning.role
    } else {
        Role::None
    }
}

fn is_plain(outline: &Outline, word: usize) -> bool {
    let shape = outline.words[word].shape;
    !shape.has(Shape::UPPER) || (outline.format.family == Family::Dash && shape.is_capitals())
}

/// `crate` of `pub(crate)`, `"C"` of `extern "C"`.
fn is_qualifier(outline: &Outline, line: &Line, word: usize) -> bool {
    word < line.words.end && matches!(outline.byte_before(word), b'(' | b'"')
}

/// `keyword` introduces a definition of `kind`.
fn define_named(
    outline: &Outline,
    line: &Line,
    keyword: usize,
    kind: DefinitionKind,
    found: &mut Vec<Definition>,
) {
    if kind == DefinitionKind::Implementation {
        return implementation(outline, line, keyword, found);
    }
    let (keyword, kind) = last_keyword(outline, line, keyword, kind);
    let mut name = keyword + 1;
    let is_sql = outline.format.name == "sql";
    while is_sql && name < line.words.end && is_filler(outline.spelling(name)) {
        name += 1;
    }
    if outline.spelling(keyword) == "typedef" && outline.line_text(line).ends_with(';') {
        name = line.words.end - 1;
    } else if gap(outline, name - 1).starts_with(" (") && outline.format.name == "go" {
        // The receiver of a method.
        while name < line.words.end && outline.byte_after(name) != b'(' {
            name += 1;
        }
    } else if !leads_to_name(gap(outline, name - 1)) {
        return;
    }
    let is_local = kind == DefinitionKind::Constant
        && line.indent > 0
        && matches!(
            outline.format.name,
            "javascript" | "typescript" | "kotlin" | "scala"
        );
    if name < line.words.end && !is_local && is_name(outline, name) && ends_name(outline, name) {
        found.push(Definition { kind, word: name });
    }
}

/// The last of several keywords: `const fn f`, `enum class E`, `typedef struct s`.
fn last_keyword(
    outline: &Outline,
    line: &Line,
    mut keyword: usize,
    mut kind: DefinitionKind,
) -> (usize, DefinitionKind) {
    while keyword + 2 < line.words.end
        && let Role::Define(inner) = role(outline, keyword + 1)
        && gap(outline, keyword + 1) == " "
    {
        (keyword, kind) = (keyword + 1, inner);
    }
    (keyword, kind)
}

/// Whether `gap` may stand between a keyword and a name: blanks, `!` of a macro, `*` of a generator,
/// quotes in SQL.
fn leads_to_name(gap: &str) -> bool {
    gap.len() <= 16 && gap.bytes().all(|b| b" \t!*\"`".contains(&b))
}

fn is_filler(word: &str) -> bool {
    ["if", "not", "exists", "concurrently", "only"]
        .iter()
        .any(|filler| word.eq_ignore_ascii_case(filler))
}

/// `impl<T> Trait<T> for Type`: both names.
fn implementation(outline: &Outline, line: &Line, keyword: usize, found: &mut Vec<Definition>) {
    let kind = DefinitionKind::Implementation;
    let mut word = keyword + 1;
    if outline.byte_after(keyword) == b'<' {
        word = after_generics(outline, line, keyword);
    }
    let mut add_path = |mut word: usize| {
        while word + 1 < line.words.end && gap(outline, word) == "::" {
            word += 1;
        }
        if word < line.words.end && is_name(outline, word) {
            found.push(Definition { kind, word });
        }
    };
    add_path(word);
    let target = (word..line.words.end).find(|word| outline.spelling(*word) == "for");
    if let Some(keyword) = target {
        add_path(keyword + 1);
    }
}

/// The first word after the angle brackets that open behind `keyword`.
fn after_generics(outline: &Outline, line: &Line, keyword: usize) -> usize {
    let mut depth = 0_i32;
    let start = outline.words[keyword].end;
    let mut end = line.end;
    for (at, byte) in outline.text.as_bytes()[start..line.end].iter().enumerate() {
        depth += i32::from(*byte == b'<') - i32::from(*byte == b'>');
        if depth == 0 {
            end = start + at;
            break;
        }
    }
    let words = &outline.words[line.words.clone()];
    line.words.start + words.partition_point(|word| word.start < end)
}

/// `NAME = value` and `NAME: Type = value`, outermost or with modifiers.
fn constant(outline: &Outline, line: &Line, first: usize, is_modified: bool) -> Option<Definition> {
    if line.indent > 0 && !is_modified {
        return None;
    }
    let mut word = first;
    // The type in C's order, or `mut`.
    if is_modified && word < line.words.end && !outline.words[word].shape.is_capitals() {
        word += 1;
    }
    if word >= line.words.end || !outline.words[word].shape.is_capitals() {
        return None;
    }
    let after = outline.text[outline.words[word].end..line.end].trim_start();
    let is_set = after.starts_with(':') || (after.starts_with('=') && !after.starts_with("=="));
    (is_set && is_name(outline, word)).then_some(Definition {
        kind: DefinitionKind::Constant,
        word,
    })
}

/// `int name(..) {`, `public void name(..) {`, `name(..) {` in a class, `name() {` in a shell.
fn function_without_keyword(
    outline: &Outline,
    line: &Line,
    is_modified: bool,
) -> Option<Definition> {
    let languages = [
        "c",
        "cpp",
        "java",
        "csharp",
        "javascript",
        "typescript",
        "dart",
        "shell",
        "",
    ];
    if !languages.contains(&outline.format.name) {
        return None;
    }
    let text = outline.line_text(line);
    let opens = text.strip_suffix('{').map(str::trim_end);
    let has_body = opens.is_some_and(|head| head.ends_with(')'));
    let is_outermost =
        line.indent == 0 && !text.ends_with(';') && outline.format.family == Family::Brace;
    let may_define = has_body || is_outermost || (is_modified && opens.is_some());
    if !may_define {
        return None;
    }
    let name = line
        .words
        .clone()
        .find(|word| outline.byte_after(*word) == b'(')?;
    let head = &outline.text[line.start..outline.words[name].start];
    let is_call = head.contains(['=', '.', '(', '"', '\'']) || (head.is_empty() && !has_body);
    let argument = outline.text.as_bytes().get(outline.words[name].end + 1);
    let is_statement = is_statement(outline, line.words.start) || is_statement(outline, name);
    let is_function = !is_call && !is_statement && !matches!(argument, Some(b'"' | b'\'' | b'`'));
    (is_function && is_name(outline, name)).then_some(Definition {
        kind: DefinitionKind::Function,
        word: name,
    })
}

/// `if`, `for`, `return` and the like.
fn is_statement(outline: &Outline, word: usize) -> bool {
    outline.term(word).meaning.role == Role::Condition
        || matches!(
            outline.spelling(word),
            "for"
                | "while"
                | "do"
                | "return"
                | "new"
                | "await"
                | "yield"
                | "let"
                | "var"
                | "else"
                | "function"
                | "sizeof"
                | "foreach"
                | "synchronized"
                | "elif"
                | "with"
        )
}

fn is_name(outline: &Outline, word: usize) -> bool {
    let word = &outline.words[word];
    word.shape.has_letter()
        && !word.shape.has(Shape::STARTS_DIGIT)
        && word.end - word.start <= NAME_BYTES
}

/// Whether what follows `word` may follow the name of a definition.
fn ends_name(outline: &Outline, word: usize) -> bool {
    let rest = &outline.text[outline.words[word].end..];
    let after = rest.trim_start_matches([' ', '"', '`', '?', '!']);
    if after.starts_with(['(', '{', ':', '<', '=', ';', ',', '[', '.', '\n', '\r'])
        || after.is_empty()
    {
        return true;
    }
    let is_sql = outline.format.name == "sql";
    let is_macro = outline.text[..outline.words[word].start].ends_with("define ");
    is_sql || is_macro || {
        let next = after.split(|c: char| !c.is_ascii_alphabetic()).next();
        let follows = [
            "extends",
            "implements",
            "for",
            "where",
            "struct",
            "interface",
            "is",
            "do",
            "on",
        ];
        next.is_some_and(|next| follows.contains(&next))
    }
}

/// What lies between `word` and the next word; empty at the end.
fn gap<'a>(outline: &Outline<'a>, word: usize) -> &'a str {
    match outline.words.get(word + 1) {
        Some(next) => &outline.text[outline.words[word].end..next.start],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::file::RelPath;
    use crate::tag::format::Format;
    use crate::tag::outline::Outline;

    fn outline<'a>(name: &str, text: &'a str) -> Outline<'a> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        Outline::read(text, Format::of(&path))
    }

    fn names<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let outline = outline(name, text);
        let words = outline.definitions.iter().map(|d| d.word);
        words.map(|word| outline.spelling(word)).collect()
    }

    fn imports<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let outline = outline(name, text);
        outline
            .imports
            .iter()
            .map(|word| outline.spelling(*word))
            .collect()
    }

    #[test]
    fn definitions_of_many_languages() {
        for (file, text, name) in [
            ("a.rs", "pub(crate) const fn probe(x: u8) -> u8 {", "probe"),
            ("a.rs", "    pub struct Ring<T> {", "Ring"),
            ("a.rs", "macro_rules! ensure_all {", "ensure_all"),
            ("a.rs", "pub extern \"C\" fn entry() {", "entry"),
            ("a.rs", "static mut COUNTER: u32 = 0;", "COUNTER"),
            ("a.py", "async def fetch(self):", "fetch"),
            ("a.py", "class Store(Base):", "Store"),
            ("a.py", "MAX_ITEMS = 5", "MAX_ITEMS"),
            (
                "a.go",
                "func (s *Server) Listen(addr string) error {",
                "Listen",
            ),
            ("a.go", "type Server struct {", "Server"),
            (
                "a.c",
                "static int ring_push(struct ring *r, int x)",
                "ring_push",
            ),
            ("a.c", "typedef unsigned long word_t;", "word_t"),
            ("a.c", "#define RING_SIZE 64", "RING_SIZE"),
            ("a.c", "struct ring {", "ring"),
            (
                "A.java",
                "    public void onClose(Event e) throws IOException {",
                "onClose",
            ),
            ("a.ts", "export interface Options {", "Options"),
            ("a.ts", "  handle(request) {", "handle"),
            ("a.js", "export default async function load() {", "load"),
            ("a.sql", "CREATE TABLE IF NOT EXISTS \"orders\" (", "orders"),
            (
                "a.sql",
                "create unique index idx_orders_day on orders(day);",
                "idx_orders_day",
            ),
            ("a.sh", "cleanup() {", "cleanup"),
            ("a.rb", "  def call", "call"),
        ] {
            assert_eq!(names(file, text), [name], "{text}");
        }
        assert_eq!(
            names("a.rs", "impl<T: Into<u8>> fmt::Display for Ring<T> {"),
            ["Display", "Ring"]
        );
    }

    #[test]
    fn statements_and_sentences_define_nothing() {
        for (file, text) in [
            ("a.rs", "    let x = foo(y);"),
            ("a.py", "type of the thing"),
            ("a.c", "    if (ready(x)) {"),
            ("a.c", "int ring_push(struct ring *r, int x);"),
            ("a.js", "describe('a ring', function() {"),
            ("a.js", "  const x = 5;"),
            ("a.ts", "  return handle(request) {"),
            ("a.md", "class of problems:"),
            ("a.py", "message = gettext(x)"),
        ] {
            assert_eq!(names(file, text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn imports_name_their_module() {
        for (file, text, name) in [
            ("a.rs", "pub use tokio::sync::mpsc;", "tokio"),
            ("a.rs", "use std::collections::BTreeMap;", "collections"),
            ("a.rs", "use super::lexer::hash;", "lexer"),
            ("a.py", "from numpy.linalg import norm", "numpy"),
            ("a.c", "#include <sys/epoll.h>", "epoll"),
            ("a.ts", "import { a, b } from \"react\";", "react"),
            (
                "A.java",
                "import java.util.concurrent.Semaphore;",
                "Semaphore",
            ),
            ("a.go", "\"github.com/acme/widget\"", "widget"),
        ] {
            assert_eq!(imports(file, text), [name], "{text}");
        }
    }
}
