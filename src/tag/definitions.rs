//! Which lines define something, and its name.
//!
//! The first words of a line tell. `the type of thing` defines nothing: after a name comes a bracket, a
//! colon, an equals sign or the end of the line.

mod functions;

use super::dictionary::{DefinitionKind, Role};
use super::lexer::Shape;
use super::lines::Line;
use super::outline::{Definition, Outline};

/// Longer names are generated.
const NAME_BYTES: usize = 80;

/// Add the names that `line` defines to `found`.
pub(super) fn find(outline: &Outline, line: &Line, found: &mut Vec<Definition>) {
    let mut word = line.words.start;
    let mut is_modified = false;
    while word < line.words.end {
        match outline.role(word) {
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
        .or_else(|| functions::without_keyword(outline, line, is_modified));
    found.extend(definition);
}

/// Whether `word` qualifies a modifier: `crate` of `pub(crate)`, `"C"` of `extern "C"`.
fn is_qualifier(outline: &Outline, line: &Line, word: usize) -> bool {
    word < line.words.end && matches!(outline.byte_before(word), b'(' | b'"')
}

/// Add the definition of `kind` that `keyword` introduces.
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
    } else if outline.gap(name - 1).starts_with(" (") && outline.format.name == "go" {
        // Skip the receiver of a method.
        while name < line.words.end && outline.byte_after(name) != b'(' {
            name += 1;
        }
    } else if !leads_to_name(outline.gap(name - 1)) {
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

/// Return the last of several keywords: `const fn f`, `enum class E`, `typedef struct s`.
fn last_keyword(
    outline: &Outline,
    line: &Line,
    mut keyword: usize,
    mut kind: DefinitionKind,
) -> (usize, DefinitionKind) {
    while keyword + 2 < line.words.end
        && let Role::Define(inner) = outline.role(keyword + 1)
        && outline.gap(keyword + 1) == " "
    {
        (keyword, kind) = (keyword + 1, inner);
    }
    (keyword, kind)
}

/// Whether `gap` may separate a keyword from a name: blanks, `!` of a macro, `*` of a generator, quotes in SQL.
fn leads_to_name(gap: &str) -> bool {
    gap.len() <= 16 && gap.bytes().all(|b| b" \t!*\"`".contains(&b))
}

fn is_filler(word: &str) -> bool {
    ["if", "not", "exists", "concurrently", "only"]
        .iter()
        .any(|filler| word.eq_ignore_ascii_case(filler))
}

/// Add both names of `impl<T> Trait<T> for Type`.
fn implementation(outline: &Outline, line: &Line, keyword: usize, found: &mut Vec<Definition>) {
    let kind = DefinitionKind::Implementation;
    let mut word = keyword + 1;
    if outline.byte_after(keyword) == b'<' {
        word = after_generics(outline, line, keyword);
    }
    let mut add_path = |mut word: usize| {
        while word + 1 < line.words.end && outline.gap(word) == "::" {
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

/// Return the first word after the angle brackets that open after `keyword`.
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

/// Find `NAME = value` and `NAME: Type = value`, at the outermost level or with modifiers.
fn constant(outline: &Outline, line: &Line, first: usize, is_modified: bool) -> Option<Definition> {
    if line.indent > 0 && !is_modified {
        return None;
    }
    let mut word = first;
    // Skip a type before the name, as in C, or `mut`.
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

fn is_name(outline: &Outline, word: usize) -> bool {
    let word = &outline.words[word];
    word.shape.has_letter()
        && !word.shape.has(Shape::STARTS_DIGIT)
        && word.end - word.start <= NAME_BYTES
}

/// Whether the text after `word` may follow the name of a definition.
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

#[cfg(test)]
mod tests {
    use crate::file::RelPath;
    use crate::tag::format::Format;
    use crate::tag::outline::Outline;

    fn names<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        let outline = Outline::read(text, Format::of(&path));
        let words = outline.definitions.iter().map(|d| d.word);
        words.map(|word| outline.spelling(word)).collect()
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

    fn standard_names<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        let format = Format::standard(crate::language::of(&path, text));
        let outline = Outline::read(text, format);
        let words = outline.definitions.iter().map(|d| d.word);
        words.map(|word| outline.spelling(word)).collect()
    }

    #[test]
    fn standard_rules_know_functions_with_a_space_before_their_parameters() {
        for (file, text, name) in [
            ("a.ts", "  async handle ({ path }) {", "handle"),
            ("a.c", "size_t ring_size (const ring *r)", "ring_size"),
            ("a.sh", "cleanup () {", "cleanup"),
            ("a.kts", "fun load(key: String) {", "load"),
        ] {
            assert_eq!(standard_names(file, text), [name], "{text}");
        }
        for (file, text) in [
            ("a.js", "  if (ready (x)) {"),
            ("a.js", "describe ('a ring', function () {"),
            ("a.js", "x.then (function (y) {"),
            ("a.rs", "    call (x) {"),
        ] {
            assert_eq!(standard_names(file, text), Vec::<&str>::new(), "{text}");
        }
        // With compat rules tags stay as they were.
        assert_eq!(
            names("a.c", "size_t ring_size (const ring *r)"),
            Vec::<&str>::new()
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
}
