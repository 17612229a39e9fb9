//! Functions of languages that have no keyword for them.

use super::is_name;
use crate::tag::dictionary::{DefinitionKind, Role};
use crate::tag::format::Family;
use crate::tag::lines::Line;
use crate::tag::outline::{Definition, Outline};

/// Find `int name(..) {`, `public void name(..) {`, `name(..) {` in a class, `name() {` in a shell. In some
/// languages a space may stand before the parameters.
pub(super) fn without_keyword(
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
    let (name, parameters) = line
        .words
        .clone()
        .find_map(|word| Some((word, parameters(outline, word)?)))?;
    let head = &outline.text[line.start..outline.words[name].start];
    let is_call = head.contains(['=', '.', '(', '"', '\'']) || (head.is_empty() && !has_body);
    let argument = outline.text.as_bytes().get(parameters + 1);
    let is_statement = is_statement(outline, line.words.start) || is_statement(outline, name);
    let is_function = !is_call && !is_statement && !matches!(argument, Some(b'"' | b'\'' | b'`'));
    (is_function && is_name(outline, name)).then_some(Definition {
        kind: DefinitionKind::Function,
        word: name,
    })
}

/// Return where the bracket opens behind `word`. With standard rules a space may stand before it in some languages.
fn parameters(outline: &Outline, word: usize) -> Option<usize> {
    const WITH_SPACE: [&str; 5] = ["c", "cpp", "javascript", "typescript", "shell"];
    let has_space = || outline.format.is_standard() && WITH_SPACE.contains(&outline.format.name);
    let end = outline.words[word].end;
    match outline.text.as_bytes()[end..] {
        [b'(', ..] => Some(end),
        [b' ', b'(', ..] if has_space() => Some(end + 1),
        _ => None,
    }
}

/// Whether `word` begins a statement: `if`, `for`, `return` and others.
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
