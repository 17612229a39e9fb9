//! Writes what `inspect` found as text: a heading, then a line for each field, lists as tables.
//!
//! Fields are those of the JSON output, by name, so that nothing is left out, but ranges are one column, and a flag is
//! shown where it is not as usual.

use crate::progress;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Fields that the heading shows.
const NAMES: [&str; 3] = ["label", "path", "gene_id"];
/// Fields in bytes.
const SIZES: [&str; 2] = ["bytes", "size"];
/// Flags as people say them, each with the value that is worth saying.
const FLAGS: [(&str, &str, bool); 2] = [
    ("is_fragment", "cut within a line", true),
    ("is_owner", "first in another file", false),
];
/// Ranges: first, last, and the name of both.
const RANGES: [(&str, &str, &str); 2] = [
    ("line_start", "line_end", "lines"),
    ("byte_start", "byte_end", "at bytes"),
];
/// Lines are longer only if one value is.
const MAX_WIDTH: usize = 100;

/// Return the lines for one shard, file or chunk.
pub fn lines(kind: &str, value: &Value) -> Vec<String> {
    let Value::Object(fields) = value else {
        return vec![format!("{kind} {}", scalar("", value))];
    };
    // A chunk's shard has a name as well.
    let name = match kind {
        "file" => "path",
        "chunk" => "gene_id",
        _ => "label",
    };
    debug_assert!(NAMES.contains(&name));
    let heading = fields
        .get(name)
        .map_or_else(String::new, |name| scalar("", name));
    let mut lines = vec![format!("{kind} {heading}")];
    let rest: Map<String, Value> = fields
        .iter()
        .filter(|(key, _)| *key != name)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    object(&rest, 2, &mut lines);
    lines
}

fn object(fields: &Map<String, Value>, indent: usize, lines: &mut Vec<String>) {
    let width = fields
        .keys()
        .map(|key| key.chars().count())
        .max()
        .unwrap_or(0);
    for (key, value) in fields {
        let name = key.replace('_', " ");
        let start = format!("{:indent$}{name:width$}  ", "");
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                lines.push(start.trim_end().to_owned());
                object(inner, indent + 2, lines);
            }
            Value::Array(items) if items.iter().all(Value::is_object) && !items.is_empty() => {
                lines.push(start.trim_end().to_owned());
                table(items, indent + 2, lines);
            }
            Value::Array(items) => list(&start, items, lines),
            Value::String(text) if text.contains('\n') => {
                lines.push(start.trim_end().to_owned());
                let inner = text
                    .lines()
                    .map(|line| format!("{:1$}| {line}", "", indent + 2));
                lines.extend(inner);
            }
            value => lines.push(format!("{start}{}", scalar(key, value))),
        }
    }
}

/// Values one behind the other, on as many lines as they need.
fn list(start: &str, items: &[Value], lines: &mut Vec<String>) {
    let mut line = start.to_owned();
    for (n, item) in items.iter().enumerate() {
        let text = scalar("", item);
        let is_full = line.chars().count() + text.chars().count() > MAX_WIDTH;
        if n > 0 && is_full {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(start.chars().count());
        }
        line.push_str(&text);
        if n + 1 < items.len() {
            line.push_str(", ");
        }
    }
    if items.is_empty() {
        line.push_str("none");
    }
    lines.push(line);
}

/// Put flags and ranges of an object into words.
fn in_words(item: &Value) -> Value {
    let Value::Object(fields) = item else {
        return item.clone();
    };
    let mut said = fields.clone();
    for (key, name, telling) in FLAGS {
        if said.remove(key) == Some(Value::Bool(telling)) {
            said.insert(name.to_owned(), Value::Bool(true));
        }
    }
    for (first, last, name) in RANGES {
        if let (Some(from), Some(to)) = (fields.get(first), fields.get(last)) {
            said.insert(name.to_owned(), format!("{from}-{to}").into());
            said.remove(first);
            said.remove(last);
        }
    }
    Value::Object(said)
}

/// A row for each object below their keys; what all lack has no column.
fn table(items: &[Value], indent: usize, lines: &mut Vec<String>) {
    let items: Vec<Value> = items.iter().map(in_words).collect();
    let mut keys: Vec<&String> = Vec::new();
    for item in items.iter().filter_map(Value::as_object) {
        for key in item
            .keys()
            .filter(|key| !keys.contains(key))
            .collect::<Vec<_>>()
        {
            keys.push(key);
        }
    }
    let cell = |item: &Value, key: &str| item.get(key).map_or_else(String::new, |v| scalar(key, v));
    let header: Vec<String> = keys.iter().map(|key| key.replace('_', " ")).collect();
    let rows = items
        .iter()
        .map(|item| keys.iter().map(|key| cell(item, key)).collect());
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let widths: Vec<usize> = (0..keys.len())
        .map(|n| {
            rows.iter()
                .map(|row| row[n].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (text, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{text:width$}  ");
        }
        lines.push(line.trim_end().to_owned());
    }
}

fn scalar(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(bytes) if SIZES.contains(&key) && bytes >= 1000 => {
                format!("{bytes} ({})", progress::bytes(bytes))
            }
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| scalar("", item)).collect();
            items.join(" > ")
        }
        value @ Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_stand_below_a_heading_and_lists_are_tables() {
        let file = json!({
            "shard": "src",
            "path": "/src/a.rs",
            "size": 12345,
            "skip_reason": null,
            "chunks": [
                {"sequence": 0, "gene_id": "c1", "is_owner": true, "is_fragment": false, "symbols": ["a", "b"],
                 "line_start": 1, "line_end": 3},
                {"sequence": 1, "gene_id": "c22", "is_owner": false, "is_fragment": false, "symbols": [],
                 "line_start": 4, "line_end": 12},
            ],
            "tags": ["one", "two"],
            "text": "first\nsecond",
        });
        let expected = [
            "file /src/a.rs",
            "  chunks",
            "    gene id  lines  sequence  symbols  first in another file",
            "    c1       1-3    0         a > b",
            "    c22      4-12   1                  yes",
            "  shard        src",
            "  size         12345 (12 KiB)",
            "  skip reason  none",
            "  tags         one, two",
            "  text",
            "    | first",
            "    | second",
        ];
        assert_eq!(lines("file", &file), expected);
    }
}
