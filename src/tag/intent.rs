//! The purpose of a chunk, in words and as one of the format's classes.

use super::dictionary::{DefinitionKind, Role};
use super::fields::clean;
use super::format::Family;
use super::labels::called;
use super::lines::{LineKind, body};
use super::outline::Outline;
use super::{IntentClass, TagInput};

const MAX_CHARS: usize = 200;
const MAX_NAMES: usize = 6;

/// Return `defines A, B in file.rs`, `sets a, b in file.toml` or `explains Title in file.md`.
pub(super) fn intent(outline: &Outline, input: &TagInput, key_values: &[String]) -> String {
    let (verb, names) = purpose(outline, key_values);
    let path = input.path.spelling();
    let file = path.rsplit('/').next().unwrap_or(&path);
    if names.is_empty() {
        let part = u64::from(input.sequence) + 1;
        return clean(&format!("part {part} of {file}"), MAX_CHARS);
    }
    // The file comes last and must fit the limit.
    let file = clean(file, MAX_CHARS / 2);
    let names = clean(
        &names.join(", "),
        MAX_CHARS - verb.len() - file.chars().count() - " in ".len() - 1,
    );
    clean(&format!("{verb} {names} in {file}"), MAX_CHARS)
}

fn purpose<'a>(outline: &Outline<'a>, key_values: &'a [String]) -> (&'static str, Vec<&'a str>) {
    let headings = outline
        .lines
        .iter()
        .filter(|line| line.kind == LineKind::Heading);
    let headings = headings.map(|line| body(outline.line_text(line)));
    let headings: Vec<&str> = headings
        .filter(|text| !text.is_empty())
        .take(MAX_NAMES)
        .collect();
    if !headings.is_empty() {
        return ("explains", headings);
    }
    let mut defined: Vec<&str> = Vec::new();
    for definition in &outline.definitions {
        let name = outline.spelling(definition.word);
        if defined.len() < MAX_NAMES && !defined.contains(&name) {
            defined.push(name);
        }
    }
    if !defined.is_empty() {
        return ("defines", defined);
    }
    if !key_values.is_empty() {
        let keys = key_values.iter().filter_map(|pair| pair.split('=').next());
        return ("sets", keys.take(MAX_NAMES).collect());
    }
    let mut called = called(outline);
    called.truncate(MAX_NAMES);
    ("calls", called)
}

pub(super) fn class(outline: &Outline, key_values: &[String]) -> IntentClass {
    let counts = Counts::of(outline);
    match outline.format.family {
        _ if counts.lines == 0 => IntentClass::Unknown,
        Family::Config | Family::Json if key_values.is_empty() => IntentClass::DataStructure,
        Family::Config | Family::Json => IntentClass::ConfigKnob,
        Family::Prose | Family::Markup => prose_class(&counts, outline),
        _ => code_class(&counts, key_values.len()),
    }
}

fn prose_class(counts: &Counts, outline: &Outline) -> IntentClass {
    if counts.steps >= 2 && counts.steps * 5 >= counts.lines
        || counts.items * 2 >= counts.lines && counts.items >= 3 && counts.code > 0
    {
        IntentClass::ProcessStep
    } else if outline.words.is_empty() {
        IntentClass::Unknown
    } else {
        IntentClass::Fact
    }
}

fn code_class(counts: &Counts, n_key_values: usize) -> IntentClass {
    let n_code = counts.lines - counts.comments;
    if n_code * 4 <= counts.lines {
        return IntentClass::Fact;
    }
    if counts.imports * 2 >= n_code {
        return IntentClass::Relationship;
    }
    // The shares of lines come from reading about a hundred chunks.
    let is_guarded = counts.conditions * 4 >= n_code && counts.conditions >= 4;
    match (counts.functions, counts.types) {
        (0, 1..) => IntentClass::DataStructure,
        (functions, types) if types > functions => IntentClass::DataStructure,
        _ if is_guarded => IntentClass::TriggerCondition,
        (1.., _) => IntentClass::Mechanism,
        _ if counts.implementations > 0 => IntentClass::Relationship,
        _ if n_key_values * 3 >= n_code || counts.constants * 2 >= n_code => {
            IntentClass::ConfigKnob
        }
        _ if counts.calls > 0 => IntentClass::Mechanism,
        _ => IntentClass::Unknown,
    }
}

/// The number of lines of each kind. Blank lines do not count.
#[derive(Default)]
struct Counts {
    lines: usize,
    comments: usize,
    imports: usize,
    steps: usize,
    items: usize,
    /// Lines in fenced blocks of a document.
    code: usize,
    /// Lines of code that begin with a condition.
    conditions: usize,
    calls: usize,
    functions: usize,
    types: usize,
    implementations: usize,
    constants: usize,
}

impl Counts {
    fn of(outline: &Outline) -> Self {
        let mut counts = Self::default();
        for line in &outline.lines {
            let kind = line.kind;
            counts.lines += usize::from(kind != LineKind::Blank);
            counts.comments += usize::from(kind == LineKind::Comment);
            counts.imports += usize::from(kind == LineKind::Import);
            counts.steps += usize::from(kind == LineKind::Step);
            counts.items += usize::from(kind == LineKind::Item);
            if kind == LineKind::Plain && line.is_code {
                counts.code += 1;
                let first = line.words.clone().next();
                let is_condition =
                    first.is_some_and(|w| outline.term(w).meaning.role == Role::Condition);
                counts.conditions += usize::from(is_condition);
                let calls = line
                    .words
                    .clone()
                    .any(|word| outline.byte_after(word) == b'(');
                counts.calls += usize::from(calls);
            }
        }
        for definition in &outline.definitions {
            *match definition.kind {
                DefinitionKind::Function => &mut counts.functions,
                DefinitionKind::Type | DefinitionKind::Table => &mut counts.types,
                DefinitionKind::Implementation => &mut counts.implementations,
                DefinitionKind::Module => &mut counts.imports,
                DefinitionKind::Constant => &mut counts.constants,
            } += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::profile::recipe::RuleSet;
    use crate::tag::Kind;
    use crate::tag::format::Format;
    use crate::tag::key_values::key_values;

    fn both(name: &str, text: &str) -> (String, IntentClass) {
        let path = RelPath::from_spelling(name).expect("a relative path");
        let outline = Outline::read(text, Format::of(&path));
        let pairs = key_values(&outline);
        let input = TagInput {
            text,
            path: &path,
            root_label: "r",
            sequence: 2,
            around: &[],
            kind: Kind::of(RuleSet::Compat, &path, None),
        };
        (intent(&outline, &input, &pairs), class(&outline, &pairs))
    }

    #[test]
    fn intents_and_classes() {
        use IntentClass::*;
        for (name, text, intent, class) in [
            (
                "d/a.toml",
                "[s]\nport = 1",
                "sets port in a.toml",
                ConfigKnob,
            ),
            (
                "a.rs",
                "struct A {\n  b: u8,\n}",
                "defines A in a.rs",
                DataStructure,
            ),
            (
                "a.rs",
                "fn go() {\n  step();\n}",
                "defines go in a.rs",
                Mechanism,
            ),
            (
                "a.rs",
                "use b::c;\nuse d::e;",
                "part 3 of a.rs",
                Relationship,
            ),
            (
                "a.md",
                "# How\n1. Pour.\n2. Stir.",
                "explains How in a.md",
                ProcessStep,
            ),
            ("a.txt", "Water boils.", "part 3 of a.txt", Fact),
            (
                "a.py",
                "if a:\n  raise X()\nif b:\n  raise Y()\nelse:\n  zap()",
                "calls zap in a.py",
                TriggerCondition,
            ),
            ("a.rs", "", "part 3 of a.rs", Unknown),
        ] {
            assert_eq!(both(name, text), (intent.to_owned(), class), "{text}");
        }
    }
}
