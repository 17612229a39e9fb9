//! Where chunks stand in their files, as an index tells it.

use crate::world::World;
use serde_json::Value;
use std::fs;
use std::ops::Range;

/// What `inspect` says of the one file whose path ends in `path`.
fn file(world: &World, path: &str) -> Value {
    let ran = world.run(&["inspect", "o-sharded/p", path, "--json"]);
    assert_eq!(ran.lines().len(), 1, "{ran:?}");
    ran.last_line()
}

fn text_of(world: &World, chunk: &Value) -> String {
    let id = chunk["gene_id"].as_str().expect("an id");
    let ran = world.run(&["inspect", "o-sharded/p", id, "--json"]);
    let content = ran.last_line()["columns"]["content"].clone();
    content.as_str().expect("a text").to_owned()
}

fn chunks(file: &Value) -> &Vec<Value> {
    file["chunks"].as_array().expect("a list")
}

fn lines(chunk: &Value) -> (u64, u64) {
    let number = |key: &str| chunk[key].as_u64().expect("a number");
    (number("line_start"), number("line_end"))
}

fn bytes(chunk: &Value) -> Option<Range<usize>> {
    let number = |key: &str| chunk[key].as_u64().map(|at| at as usize);
    Some(number("byte_start")?..number("byte_end")?)
}

/// Functions of five lines each, with a blank line between them.
fn functions(count: usize, line_end: &str) -> String {
    let function = |n: usize| {
        let body = format!("    value = {n}\n    again = value * {n}\n    return again + {n}");
        format!("def function_{n}():\n    \"\"\"The function number {n} é.\"\"\"\n{body}\n\n")
    };
    let text: String = (0..count).map(function).collect();
    text.replace('\n', line_end)
}

#[test]
fn chunks_say_which_bytes_and_lines_of_the_file_on_disk_they_are() {
    let world = World::new();
    world.write("r/unix.py", functions(60, "\n"));
    world.write("r/windows.py", format!("\u{feff}{}", functions(60, "\r\n")));
    world.profile(&["r"]);
    world.build("o", &[]);
    for path in ["unix.py", "windows.py"] {
        let on_disk = fs::read_to_string(world.path(&format!("r/{path}"))).expect("read");
        let file = file(&world, path);
        assert_eq!(file["encoding"], "UTF-8", "{file}");
        assert_eq!(file["language"], "python", "{file}");
        assert!(chunks(&file).len() > 3, "{file}");
        for chunk in chunks(&file) {
            let text = text_of(&world, chunk);
            let bytes = bytes(chunk).expect("bytes");
            let there = on_disk[bytes.clone()].replace("\r\n", "\n");
            assert_eq!(there, text, "{path}: {chunk}");
            let line = |at: usize| 1 + on_disk[..at].matches('\n').count() as u64;
            assert_eq!(
                lines(chunk),
                (line(bytes.start), line(bytes.end)),
                "{chunk}"
            );
        }
    }
    world.verified("o-sharded/p");
}

#[test]
fn another_encoding_or_a_redacted_text_leaves_the_lines() {
    let world = World::new();
    let utf16: Vec<u8> = functions(60, "\r\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    world.write("r/wide.py", [&[0xff, 0xfe], utf16.as_slice()].concat());
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(20)
    );
    let before = functions(60, "\n");
    world.write(
        "r/key.py",
        format!(
            "{before}KEY = \"\"\"\n{key}\"\"\"\n\n{}",
            functions(3, "\n")
        ),
    );
    world.write("p.toml", "roots = ['r']\nsecrets_in_text = 'redact'\n");
    world.build("o", &[]);
    let wide = file(&world, "wide.py");
    assert_eq!(wide["encoding"], "UTF-16LE", "{wide}");
    let last = chunks(&wide).last().expect("a chunk").clone();
    assert_eq!((bytes(&last), lines(&last).1), (None, 60 * 6 - 1), "{wide}");
    let redacted = file(&world, "key.py");
    let last = chunks(&redacted).last().expect("a chunk").clone();
    assert!(text_of(&world, &last).ends_with("return again + 2"));
    // `KEY`, 22 lines of the key, two of its end, and three functions of six lines, the last of which is blank.
    let expected = 60 * 6 + 1 + 22 + 1 + 1 + 3 * 6 - 1;
    assert_eq!(
        (bytes(&last), lines(&last).1),
        (None, expected),
        "{redacted}"
    );
    world.verified("o-sharded/p");
}

#[test]
fn later_parts_of_a_function_are_found_by_its_name_under_the_standard_rules() {
    let world = World::new();
    let body: String = (0..200)
        .map(|n| format!("        total = total + entries[{n}] * rate\n"))
        .collect();
    world.write(
        "r/ledger.py",
        format!("class Ledger:\n    def settleAccounts(self, entries, rate):\n        total = 0\n{body}        return total\n"),
    );
    for n in 0..30 {
        world.write(
            &format!("r/f{n}.md"),
            format!("# Filler {n}\n\nText about rivers and mountains, number {n}.\n"),
        );
    }
    for (rules, found) in [("standard", "all"), ("compat", "one")] {
        world.write("p.toml", format!("roots = ['r']\nrules = '{rules}'\n"));
        let out = format!("o-{rules}");
        world.build(&out, &[]);
        let index = format!("{out}-sharded/p");
        let ran = world.run(&["inspect", &index, "ledger.py", "--json"]);
        let parts = chunks(&ran.last_line()).len();
        assert!(parts > 2, "{ran:?}");
        let ran = world.run(&[
            "query",
            &index,
            "settle accounts",
            "--mode",
            "lexical",
            "-k",
            "40",
            "--json",
        ]);
        let expected = if found == "all" { parts } else { 1 };
        assert_eq!(ran.lines().len(), expected, "{rules}: {ran:?}");
        // Found, and not quoted.
        assert_eq!(
            ran.stdout.matches("def settleAccounts").count(),
            1,
            "{rules}"
        );
        world.verified(&index);
    }
}
