//! Texts that are hard on parsers.

use super::any_text::check;
use super::*;

#[test]
fn texts_made_to_hang_a_parser_are_cut() {
    // What takes quadratic time is noticed at a part of the length as well.
    let is_long = std::env::var_os("HELIX_TEST_LONG").is_some();
    let third = |n: usize| if is_long { n } else { n / 3 };
    let sixth = |n: usize| if is_long { n } else { n / 6 };
    let nested = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    let hostile = [
        ("json", nested("[", "]", sixth(200_000))),
        ("json", nested("{\"a\":[", "]}", third(20_000))),
        ("json", format!("[{}0]", "1,".repeat(sixth(500_000)))),
        ("js", "a".repeat(sixth(1_000_000))),
        ("py", "_".repeat(sixth(200_000))),
        ("rs", "(".repeat(sixth(200_000))),
        ("sh", ")".repeat(third(50_000))),
        ("c", "<!--".repeat(third(10_000))),
        ("c", "%w(".repeat(third(10_000))),
        ("html", "<b>".repeat(third(10_000))),
        ("yaml", "- ".repeat(sixth(100_000))),
        ("yaml", (0..600).map(|i| " ".repeat(i) + "a:\n").collect()),
        (
            "py",
            (0..1_200).map(|i| " ".repeat(i) + "if a:\n").collect(),
        ),
        ("py", deep_python()),
        (
            "rb",
            format!("a = <<{}\n", "A".repeat(300)) + &"b\n".repeat(2_000),
        ),
        ("rb", format!("f({})\n", "<<AAAAAAA,".repeat(1_000))),
        ("php", format!("<?php {}", "<<<A\n".repeat(third(2_000)))),
        ("php", format!("<?php {}", "[".repeat(sixth(100_000)))),
        ("php", "<?php \"{$a".repeat(third(10_000))),
        ("css", "a{".repeat(third(50_000))),
        ("css", "(".repeat(sixth(100_000))),
        ("dart", "\"${".repeat(third(20_000))),
        ("dart", "a<".repeat(third(50_000))),
        ("ex", "fn -> ".repeat(third(20_000))),
        ("ex", "\"#{".repeat(third(20_000))),
        ("ex", "~s(".repeat(third(30_000))),
        ("graphql", "{a".repeat(third(50_000))),
        ("mk", "$(".repeat(third(50_000))),
        ("mk", "ifdef a\n".repeat(third(20_000))),
        ("nix", "''${".repeat(third(20_000))),
        ("nix", "{a=".repeat(third(30_000))),
        ("ps1", "$(".repeat(third(50_000))),
        ("ps1", "@{".repeat(third(50_000))),
        ("proto", "message a{".repeat(third(20_000))),
        ("r", "{".repeat(sixth(100_000))),
        ("r", "r\"---(".repeat(third(20_000))),
        ("r", "if(a)".repeat(third(30_000))),
        ("zig", "a.{".repeat(third(40_000))),
        ("zig", "((".repeat(third(50_000))),
        ("cmake", "a([==[".repeat(third(20_000))),
        ("cmake", "if(a)\n".repeat(third(20_000))),
        (
            "swift",
            (0..third(3_000))
                .map(|i| " ".repeat(i % 700) + "func a() {\n")
                .collect(),
        ),
        ("txt", format!("a{}b", " ".repeat(sixth(1_000_000)))),
        ("md", "#".repeat(sixth(200_000))),
        ("md", "a\n---\n".repeat(third(50_000))),
    ];
    for (extension, text) in hostile {
        assert_eq!(check(&text, extension, 2_000), Ok(()));
    }
}

/// The most levels that a section has room for, with lines continued to hide how far they are indented, and
/// as many open strings.
fn deep_python() -> String {
    let mut text = String::new();
    for column in 1..=390 {
        if column <= 250 {
            text += &"\t".repeat(column / 8);
        } else {
            text += &format!("{}\\\n{}", "\t".repeat(31), "\t".repeat(column / 8 - 31));
        }
        text += &" ".repeat(column % 8);
        text += "if a:\n";
    }
    text.truncate(text.len() - "if a:\n".len());
    text + "x = " + &"f\"{".repeat(255) + "1" + &"}\"".repeat(255) + "\n"
}

#[test]
fn shell_scripts_with_any_character_behind_a_brace_are_cut() {
    // Bash's scanner looks each of these up in a table of 256 characters.
    let wide: String = (0x100..=0x10_ffff)
        .step_by(0x80)
        .filter_map(char::from_u32)
        .map(|c| format!("a={{{c}}}\nb={{1{c}..{c}}}\nc={{12..34{c}}}\n\n"))
        .collect();
    assert_eq!(check(&wide, "sh", 2_000), Ok(()));
}

#[test]
fn ruby_with_many_heredocs_and_strings_is_cut_at_its_methods() {
    let method = "def a\n  b <<~SQL, \"c\", \"d\", 'e', 'f'\n    select 1\n  SQL\nend\n\n";
    let text = method.repeat(400);
    let chunks = ast(&text, "rb", 80);
    assert_eq!(chunks.len(), 400);
    assert!(chunks.iter().all(|chunk| chunk.text == method.trim()));
}

#[test]
fn sql_functions_are_cut_apart_whatever_quotes_their_bodies() {
    let function = |n: usize| {
        format!(
            "create function f{n}() returns int as $f{n}$\n  select '$\u{e9}$';\n\n  select 2;\n$f{n}$ language sql;"
        )
    };
    let functions: Vec<String> = (0..400).map(function).collect();
    let text = functions.join("\n\n");
    assert_eq!(texts(&ast(&text, "sql", 110)), functions);
}

#[test]
fn items_are_found_in_every_section_of_a_long_file() {
    let item = "/// Adds.\nfn add(a: u32) -> u32 {\n    let b = 1;\n\n    a + b\n}\n\n";
    let text = item.repeat(2_000);
    let chunks = ast(&text, "rs", 120);
    assert_eq!(chunks.len(), 2_000);
    assert!(chunks.iter().all(|chunk| chunk.text == item.trim()));
}
