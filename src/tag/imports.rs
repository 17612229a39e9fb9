//! Which lines import a module, and its name.

use super::dictionary::Role;
use super::lines::Line;
use super::outline::Outline;

/// Whether `line` imports something.
pub(super) fn is_import(outline: &Outline, line: &Line) -> bool {
    let mut first = line.words.start;
    if matches!(outline.spelling(first), "pub" | "export") && line.words.len() > 1 {
        first += 1;
    }
    let text = outline.line_text(line);
    if outline.format.name == "go" && text.starts_with('"') && text.ends_with('"') {
        return true;
    }
    // `from` and `include` also begin sentences, and `use (x)` is a call.
    outline.role(first) == Role::Import
        && line.words.end - first > 1
        && matches!(outline.byte_after(first), b' ' | b'<' | b'"')
}

/// Return the word that names the imported module, if there is one.
pub(super) fn module(outline: &Outline, line: &Line) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use crate::file::RelPath;
    use crate::tag::format::Format;
    use crate::tag::outline::Outline;

    fn imports<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        let outline = Outline::read(text, Format::of(&path));
        outline
            .imports
            .iter()
            .map(|word| outline.spelling(*word))
            .collect()
    }

    #[test]
    fn imports_name_their_module() {
        for (file, text, name) in [
            ("a.rs", "pub use mio::sync::mpsc;", "mio"),
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
