//! Jupyter notebooks: their cells as Markdown, with code in fences. Outputs are left out.
//!
//! Reads versions 3 and 4 of the format. Keeps the line of the file that each line stands in.

use serde::Deserialize;

/// A text made of another one.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewritten {
    pub text: String,
    /// For each line of the text the line of the other one, from 1.
    pub lines: Vec<u32>,
}

#[derive(Deserialize)]
struct Notebook {
    cells: Option<Vec<Cell>>,
    /// Version 3.
    worksheets: Option<Vec<Worksheet>>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Worksheet {
    #[serde(default)]
    cells: Vec<Cell>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    language_info: Option<LanguageInfo>,
    kernelspec: Option<KernelSpec>,
}

#[derive(Deserialize)]
struct LanguageInfo {
    name: Option<String>,
}

#[derive(Deserialize)]
struct KernelSpec {
    language: Option<String>,
}

#[derive(Deserialize)]
struct Cell {
    cell_type: String,
    source: Option<Source>,
    /// Of code in version 3.
    input: Option<Source>,
    /// Of headings in version 3.
    level: Option<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
    Whole(String),
    Lines(Vec<String>),
}

/// Return the cells of a notebook; `None` when the text is none.
pub fn cells(text: &str) -> Option<Rewritten> {
    let notebook: Notebook = serde_json::from_str(text).ok()?;
    let cells = match (notebook.cells, notebook.worksheets) {
        (Some(cells), _) => cells,
        (None, Some(worksheets)) => worksheets
            .into_iter()
            .flat_map(|sheet| sheet.cells)
            .collect(),
        (None, None) => return None,
    };
    let metadata = notebook.metadata;
    let language = metadata.language_info.and_then(|info| info.name);
    let language = language.or(metadata.kernelspec.and_then(|kernel| kernel.language));
    let language = language.unwrap_or_else(|| "python".to_owned());
    let mut places = Strings::new(text);
    let mut written = Rewritten {
        text: String::new(),
        lines: Vec::new(),
    };
    for cell in cells {
        let Some(source) = cell.source.or(cell.input) else {
            continue;
        };
        places.skip_to_source();
        let pieces = match source {
            Source::Whole(piece) => vec![piece],
            Source::Lines(pieces) => pieces,
        };
        let lines = placed_lines(&pieces, &mut places);
        if lines.iter().all(|(line, _)| line.trim().is_empty()) {
            continue;
        }
        let first = lines[0].1;
        let last = lines[lines.len() - 1].1;
        let is_code = cell.cell_type == "code";
        let fence = match lines.iter().any(|(line, _)| line.contains("```")) {
            true => "````",
            false => "```",
        };
        if is_code {
            written.push(&format!("{fence}{language}"), first);
        }
        if let Some(level) = cell.level.filter(|_| cell.cell_type == "heading") {
            let marks = "#".repeat(usize::from(level.clamp(1, 6)));
            written.push(&format!("{marks} {}", lines[0].0), first);
        } else {
            for (line, number) in &lines {
                written.push(line, *number);
            }
        }
        if is_code {
            written.push(fence, last);
        }
        written.push("", last);
    }
    Some(written)
}

impl Rewritten {
    fn push(&mut self, line: &str, number: u32) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines.push(number);
    }
}

/// Return the lines of a cell with their lines in the file. A piece usually is a line.
fn placed_lines(pieces: &[String], places: &mut Strings) -> Vec<(String, u32)> {
    let mut lines = vec![(String::new(), 0)];
    for piece in pieces {
        let number = places.next_line();
        let piece = piece.replace("\r\n", "\n").replace('\r', "\n");
        for (n, part) in piece.split('\n').enumerate() {
            if n > 0 {
                lines.push((String::new(), number));
            }
            if let Some((line, at)) = lines.last_mut() {
                line.push_str(part);
                // The rest of a line that the piece before began stays where it began.
                *at = if *at == 0 || line.len() == part.len() {
                    number
                } else {
                    *at
                };
            }
        }
    }
    if lines.len() > 1 && lines.last().is_some_and(|(line, _)| line.is_empty()) {
        lines.pop();
    }
    lines
}

/// The strings of a JSON text in order, with the lines that they stand in.
struct Strings<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Strings<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// Go behind the next key `source` or `input`.
    fn skip_to_source(&mut self) {
        while let Some(string) = self.next() {
            let rest = self.text[self.at..].trim_start();
            if matches!(string, "source" | "input") && rest.starts_with(':') {
                return;
            }
        }
    }

    /// Return the line of the next string, and go behind it.
    fn next_line(&mut self) -> u32 {
        let found = self.next();
        found.map_or(self.line, |_| self.line)
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    /// Return what stands between the next string's quotes.
    fn next(&mut self) -> Option<&'a str> {
        let open = self.at + self.text[self.at..].find('"')?;
        let bytes = self.text.as_bytes();
        let mut close = open + 1;
        while *bytes.get(close)? != b'"' {
            close += if bytes[close] == b'\\' { 2 } else { 1 };
        }
        self.line += self.text[self.at..open].matches('\n').count() as u32;
        self.at = close + 1;
        self.text.get(open + 1..close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_markdown_and_outputs_go() {
        let notebook = "{\n \"cells\": [\n  {\n   \"cell_type\": \"markdown\",\n   \"metadata\": {},\n   \"source\": [\n    \"# Retries\\n\",\n    \"How payments are tried again.\"\n   ]\n  },\n  {\n   \"cell_type\": \"code\",\n   \"outputs\": [{\"data\": {\"image/png\": \"iVBOR\"}, \"text\": [\"x = 1\\n\"]}],\n   \"source\": [\n    \"x = 1\\n\",\n    \"print(\\\"x\\\", x)\"\n   ]\n  },\n  {\"cell_type\": \"code\", \"outputs\": [], \"source\": \"y = 2\\nz = 3\"}\n ],\n \"metadata\": {\"language_info\": {\"name\": \"julia\"}},\n \"nbformat\": 4\n}\n";
        let found = cells(notebook).expect("a notebook");
        assert_eq!(
            found.text,
            "# Retries\nHow payments are tried again.\n\n```julia\nx = 1\nprint(\"x\", x)\n```\n\n```julia\ny = 2\nz = 3\n```\n\n"
        );
        for (line, number) in found.text.lines().zip(&found.lines) {
            let original = notebook.lines().nth(*number as usize - 1).expect("a line");
            let word = line.split(['"', ' ']).next().unwrap_or_default();
            assert!(
                line.starts_with("```") || original.contains(word),
                "{line}: {original}"
            );
        }
    }

    #[test]
    fn version_3_has_worksheets_and_headings() {
        let notebook = "{\"worksheets\": [{\"cells\": [{\"cell_type\": \"heading\", \"level\": 2, \"source\": [\"Top\"]}, {\"cell_type\": \"code\", \"input\": [\"print 1\"], \"outputs\": []}]}], \"nbformat\": 3}";
        assert_eq!(
            cells(notebook).expect("a notebook").text,
            "## Top\n\n```python\nprint 1\n```\n\n"
        );
    }

    #[test]
    fn other_texts_are_no_notebooks() {
        for text in ["", "{", "[]", "{\"a\": 1}", "{\"cells\": 3}"] {
            assert_eq!(cells(text), None, "{text}");
        }
    }
}
