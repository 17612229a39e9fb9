//! What holds for every text, in every language.

use super::*;
use proptest::prelude::*;

/// One extension for each grammar, for Markdown, for plain text, and for a language without a grammar.
const EXTENSIONS: [&str; 33] = [
    "sh", "c", "cpp", "cs", "go", "html", "java", "js", "json", "lua", "py", "rb", "rs", "sql",
    "toml", "tsx", "ts", "yaml", "md", "txt", "php", "css", "dart", "ex", "graphql", "mk", "nix",
    "ps1", "proto", "r", "zig", "cmake", "swift",
];

fn path(extension: &str) -> RelPath {
    RelPath::from_spelling(&format!("a.{extension}")).expect("a plain name")
}

fn recipe(chunker: Chunker, chunk_chars: u32) -> Recipe {
    Recipe {
        chunker,
        chunk_chars,
        ..Recipe::default()
    }
}

fn ast<'a>(text: &'a str, extension: &str, chunk_chars: u32) -> Vec<Chunk<'a>> {
    chunk(text, &path(extension), &recipe(Chunker::Ast, chunk_chars))
}

fn texts<'a>(chunks: &'a [Chunk]) -> Vec<&'a str> {
    chunks.iter().map(|chunk| chunk.text.as_ref()).collect()
}

/// Where a chunk lies in the text that it is a slice of; `None` when it is not a slice of it.
fn range(text: &str, chunk: &Chunk) -> Option<std::ops::Range<usize>> {
    let start = chunk
        .text
        .as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())?;
    let range = start..start + chunk.text.len();
    (text.get(range.clone()) == Some(chunk.text.as_ref())).then_some(range)
}

fn is_named(place: &Place) -> bool {
    let is_name = |name: &String| !name.trim().is_empty() && name.len() <= 80;
    place.symbols.len() <= 8 && place.symbols.iter().all(is_name)
}

/// The promises of [`chunk`] for [`Chunker::Ast`]; says which one is broken.
fn check(text: &str, extension: &str, chunk_chars: u32) -> Result<(), String> {
    let chunks = ast(text, extension, chunk_chars);
    let mut end = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        let range = range(text, chunk).ok_or("not a slice of its text")?;
        let gap = text.get(end..range.start).ok_or("overlap")?;
        let holds = [
            (gap.chars().all(is_space), "text left out"),
            (
                chunk.text.trim_matches(is_space) == chunk.text,
                "not trimmed",
            ),
            (!chunk.text.is_empty(), "blank"),
            (
                chunk.text.chars().count() <= chunk_chars as usize,
                "too long",
            ),
            (chunk.sequence as usize == number, "numbers"),
            (chunk.hash == ContentHash::of(&chunk.text), "hash"),
            (is_named(&chunk.place), "symbols"),
        ];
        if let Some((_, broken)) = holds.iter().find(|(holds, _)| !holds) {
            return Err(format!("{extension}: chunk {number}: {broken}"));
        }
        end = range.end;
    }
    if !text[end..].chars().all(is_space) {
        return Err(format!("{extension}: end left out"));
    }
    if chunks != ast(text, extension, chunk_chars) {
        return Err(format!("{extension}: differs the second time"));
    }
    Ok(())
}

/// Pieces that mean something to some grammar, with every kind of white space.
const PIECES: &[&str] = &[
    "fn a() {",
    "}\n",
    "{",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";\n",
    "\n",
    "\n\n",
    "    ",
    "\t",
    "\r",
    "\u{1c}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{0}",
    "\u{feff}",
    "/// doc\n",
    "# heading\n",
    "```\n",
    "\"",
    "'",
    "/*",
    "*/",
    "<a>",
    "</a>",
    "<!--",
    "- a: b\n",
    "  c: |\n",
    "def f():\n",
    "class A:\n",
    "@dec\n",
    "#[attr]\n",
    "select 1;\n",
    "{\"k\": [1, 2]}",
    "<<EOF\n",
    "${",
    "end\n",
    "word ",
    "Sentence. ",
    "\u{e9}",
    "\u{4e2d}\u{6587}\u{3002}",
    "\u{1f600}",
    "\\",
    "`",
    "=",
    "[[t]]\n",
    // Beyond what scanners' tables hold.
    "\u{ff11}",
    "\u{e01d9}",
    "\u{10ffff}",
    "1",
    "..",
    "$(",
    "((",
    "<<-'A'\n",
    "A\n",
    "%w[",
    "%q(",
    "#{",
    "R\"x(",
    ")x\"",
    "r#\"",
    "\"#",
    "$t$",
    "--[[",
    "]]",
    "\"\"\"",
    "'''",
    "f\"",
    "}}",
    "<script>",
    "</script>",
    "|+2\n",
    "&a *a !!t",
    "---\n",
    "=begin\n",
    "=end\n",
    "case a in",
    ";;",
    "\\\n",
    "\n#if A\n",
    "#define A \\\n",
    "$\"",
    "<A>{",
];

fn code() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(PIECES);
    proptest::collection::vec(pieces, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_cut_soundly_in_every_language(text in "\\PC{0,300}", limit in 1u32..80) {
        for extension in EXTENSIONS {
            prop_assert_eq!(check(&text, extension, limit), Ok(()));
        }
    }

    #[test]
    fn anything_like_code_is_cut_soundly_in_every_language(text in code(), limit in 1u32..200) {
        for extension in EXTENSIONS {
            prop_assert_eq!(check(&text, extension, limit), Ok(()));
        }
    }

    #[test]
    fn any_bytes_decode_and_cut(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for chunker in [Chunker::Ast, Chunker::Compat] {
            if let Decoded::Text(DecodedText { text, .. }) = decode(&bytes, chunker) {
                prop_assert!(!text.contains('\r'));
                for extension in ["py", "txt"] {
                    let chunks = chunk(&text, &path(extension), &recipe(chunker, 40));
                    prop_assert!(!chunks.is_empty());
                    prop_assert!(chunks.iter().all(|chunk| !chunk.text.chars().all(is_space)));
                }
            }
        }
    }
}

/// Lines and what ends them, of one and of several bytes.
const FILE_PIECES: &[&str] = &[
    "fn a() {",
    "}",
    "\n",
    "\n",
    "\r\n",
    "\r\n",
    "\r",
    "\n\n",
    "  ",
    "word ",
    "\u{e9}",
    "\u{1f600}",
    "\u{2028}",
];

/// The text of a part of a file, with line feeds alone.
fn with_line_feeds(part: &str) -> String {
    part.replace("\r\n", "\n").replace('\r', "\n")
}

proptest! {
    /// With any line ends, with or without a mark: the bytes of a place are the chunk, and its lines are the file's.
    #[test]
    fn a_place_is_where_the_chunk_stands_on_disk(
        pieces in proptest::collection::vec(proptest::sample::select(FILE_PIECES), 0..120),
        mark in proptest::sample::select(&["", "\u{feff}"][..]),
        limit in 1u32..60,
    ) {
        let file = format!("{mark}{}", pieces.concat());
        for chunker in [Chunker::Ast, Chunker::Compat] {
            let Decoded::Text(decoded) = decode(file.as_bytes(), chunker) else {
                continue;
            };
            for extension in ["rs", "txt"] {
                for chunk in chunk(&decoded.text, &path(extension), &recipe(chunker, limit)) {
                    let place = decoded.origin.trace(chunk.place);
                    let bytes = place.bytes.expect("the file is UTF-8");
                    let on_disk = &file[bytes.start as usize..bytes.end as usize];
                    match (chunker, extension) {
                        // Paragraphs are joined with other white space between them.
                        (Chunker::Compat, "txt") => {
                            let solid = |text: &str| text.split(is_space).collect::<String>();
                            prop_assert_eq!(solid(on_disk), solid(&chunk.text));
                        }
                        _ => prop_assert_eq!(with_line_feeds(on_disk), chunk.text),
                    }
                    let line = |at: u64| 1 + with_line_feeds(&file[..at as usize]).matches('\n').count() as u32;
                    prop_assert_eq!(place.lines, (line(bytes.start), line(bytes.end)));
                }
            }
        }
    }
}

#[test]
fn texts_made_to_hang_a_parser_are_cut() {
    // What takes quadratic time is noticed at a third of the length as well.
    let is_long = std::env::var_os("HELIX_TEST_LONG").is_some();
    let third = |n: usize| if is_long { n } else { n / 3 };
    let nested = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    let hostile = [
        ("json", nested("[", "]", third(200_000))),
        ("json", nested("{\"a\":[", "]}", third(20_000))),
        ("json", format!("[{}0]", "1,".repeat(third(500_000)))),
        ("js", "a".repeat(third(1_000_000))),
        ("py", "_".repeat(third(200_000))),
        ("rs", "(".repeat(third(200_000))),
        ("sh", ")".repeat(third(50_000))),
        ("c", "<!--".repeat(third(10_000))),
        ("c", "%w(".repeat(third(10_000))),
        ("html", "<b>".repeat(third(10_000))),
        ("yaml", "- ".repeat(third(100_000))),
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
        ("php", format!("<?php {}", "[".repeat(third(100_000)))),
        ("php", "<?php \"{$a".repeat(third(10_000))),
        ("css", "a{".repeat(third(50_000))),
        ("css", "(".repeat(third(100_000))),
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
        ("r", "{".repeat(third(100_000))),
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
        ("txt", format!("a{}b", " ".repeat(third(1_000_000)))),
        ("md", "#".repeat(third(200_000))),
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

#[test]
fn a_definition_keeps_its_comment_and_attributes() {
    let text = "use std::fmt;\n\n/// One.\n#[inline]\nfn one() {\n    1;\n}\n\n// Two.\nfn two() {\n    2;\n}\n";
    assert_eq!(
        texts(&ast(text, "rs", 50)),
        [
            "use std::fmt;",
            "/// One.\n#[inline]\nfn one() {\n    1;\n}",
            "// Two.\nfn two() {\n    2;\n}"
        ]
    );
}

#[test]
fn small_items_share_a_chunk_and_large_ones_are_entered() {
    let text = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n\nx = 1\ny = 2\n";
    assert_eq!(
        texts(&ast(text, "py", 60)),
        [
            "class A:\n    def f(self):\n        return 1",
            "def g(self):\n        return 2\n\nx = 1\ny = 2"
        ]
    );
}

#[test]
fn a_comment_behind_an_item_stays_with_it() {
    let text = "int first = 1; // about\nint second(\n    int a) {}\n";
    assert_eq!(
        texts(&ast(text, "c", 38)),
        ["int first = 1; // about", "int second(\n    int a) {}"]
    );
}

#[test]
fn markdown_is_cut_at_headings_and_not_inside_fences() {
    let text = "# One\n\nlonger text\n\n```sh\n# no heading\n\nls\n```\n\n## Two\n\nmore\n";
    assert_eq!(
        texts(&ast(text, "md", 50)),
        [
            "# One\n\nlonger text\n\n```sh\n# no heading\n\nls\n```",
            "## Two\n\nmore"
        ]
    );
}

#[test]
fn text_is_cut_at_paragraphs_then_lines_then_sentences_then_words() {
    let cut = |text| {
        ast(text, "txt", 10)
            .iter()
            .map(|chunk| (chunk.text.to_string(), chunk.is_fragment))
            .collect::<Vec<_>>()
    };
    let chunk = |text: &str, is_fragment| (text.to_owned(), is_fragment);
    assert_eq!(
        cut("aa bb\n\ncc\ndd"),
        [chunk("aa bb", false), chunk("cc\ndd", false)]
    );
    assert_eq!(
        cut("aa bb cc\ndd ee"),
        [chunk("aa bb cc", false), chunk("dd ee", false)]
    );
    assert_eq!(
        cut("aa bb. cc dd"),
        [chunk("aa bb.", true), chunk("cc dd", true)]
    );
    assert_eq!(
        cut("aa bb cc dd"),
        [chunk("aa bb cc", true), chunk("dd", true)]
    );
    assert_eq!(
        cut("aaaaaaaaaaaa"),
        [chunk("aaaaaaaaaa", true), chunk("aa", true)]
    );
}

#[test]
fn limits_count_characters() {
    let text = "\u{4e2d}".repeat(25);
    let lengths: Vec<usize> = ast(&text, "txt", 10)
        .iter()
        .map(|chunk| chunk.text.chars().count())
        .collect();
    assert_eq!(lengths, [10, 10, 5]);
}

/// The symbols of the chunk that holds `mark`, of a text cut small.
fn symbols(text: &str, extension: &str, mark: &str) -> String {
    let chunks = ast(text, extension, 40);
    let holds = |chunk: &&Chunk| chunk.text.contains(mark);
    let chunk = chunks.iter().find(holds).expect("a chunk with the mark");
    chunk.place.symbols.join(" > ")
}

#[test]
fn chunks_know_the_definitions_around_them() {
    let mut wrong = Vec::new();
    for (extension, symbol, text) in [
        (
            "rs",
            "store > Ring > push",
            "mod store {\n    impl<T> Ring<T> {\n        /// Adds a value to the end.\n        fn push(&mut self, value: T) {\n            let one = 1;\n            let two = 2;\n            MARK;\n            let three = 3;\n        }\n    }\n}\n",
        ),
        (
            "py",
            "Store > load",
            "class Store(Base):\n    @cached(1234567890)\n    def load(self, key, more):\n        one = 1 + 1 + 1\n        MARK = two(one)\n        return MARK + one\n\n    def save(self):\n        pass\n",
        ),
        (
            "go",
            "Server > Listen",
            "func (s *Server) Listen(addr string) error {\n\tone := 1\n\ttwo := 2 + MARK\n\tthree := 3 + two\n\treturn nil\n}\n\nfunc other() {\n\tx()\n}\n",
        ),
        (
            "c",
            "ring_push",
            "static int *ring_push(struct ring *r, int value) {\n    int one = 1;\n    int two = MARK;\n    return two;\n}\n\nint other(void) {\n    return 1;\n}\n",
        ),
        (
            "cpp",
            "store > Ring > push",
            "namespace store {\nclass Ring : public Base {\n  void push(int value) {\n    int one = 1;\n    int two = MARK;\n    int three = 3;\n  }\n};\n}\n",
        ),
        (
            "java",
            "Store > load",
            "public class Store {\n    public void load(String key) {\n        int one = 1;\n        int two = MARK;\n        int three = 3;\n    }\n}\n",
        ),
        (
            "cs",
            "App > Store > Load",
            "namespace App {\n  public class Store {\n    public void Load(string key) {\n        int one = 1;\n        int two = MARK;\n    }\n  }\n}\n",
        ),
        (
            "js",
            "load",
            "export const load = async (key) => {\n  const one = 1;\n  const two = MARK;\n  return one + two;\n};\n\nother();\nother(1);\nother(2);\n",
        ),
        (
            "ts",
            "Store > load",
            "export class Store {\n  async load(key: string) {\n    const one = 1;\n    const two = MARK;\n    return one + two;\n  }\n}\n",
        ),
        (
            "tsx",
            "Page",
            "export default function Page(props) {\n  const one = 1;\n  const two = MARK;\n  return <p>{one + two}</p>;\n}\n\nother();\nother(1);\n",
        ),
        (
            "rb",
            "Store > load",
            "class Store < Base\n  def load(key)\n    one = 1 + 1 + 1 + 1\n    two = MARK\n    one + two\n  end\nend\n",
        ),
        (
            "lua",
            "Store.load",
            "function Store.load(key)\n  local one = 1\n  local two = MARK\n  return one + two\nend\n\nfunction other()\n  return 1\nend\n",
        ),
        (
            "sh",
            "load",
            "load() {\n  one=1 two=2 three=3\n  echo MARK \"$one\"\n  echo done now\n}\n\nother() {\n  load more of it\n}\n",
        ),
        (
            "json",
            "scripts > test",
            "{\"name\": \"x\", \"scripts\": {\n  \"build\": \"make it all\",\n  \"test\": \"run MARK now\",\n  \"lint\": \"look at it\"\n}}\n",
        ),
        (
            "yaml",
            "jobs > build > name",
            "on: push\njobs:\n  build:\n    runs-on: linux\n    name: MARK of the thing\n    needs: nothing here\n  test:\n    runs-on: linux\n",
        ),
        (
            "toml",
            "dependencies",
            "[package]\nname = \"a\"\nversion = \"1\"\n\n[dependencies]\none = \"1 or more of it\"\nMARK = \"2\"\nthree = \"3 or more\"\n",
        ),
        (
            "php",
            "App > Store > load",
            "<?php\nnamespace App {\nclass Store {\n    public function load($key) {\n        $one = 1;\n        $two = MARK;\n        return $one;\n    }\n}\n}\n",
        ),
        (
            "css",
            ".card > .title",
            ".card > .title {\n  color: red;\n  margin: 1px;\n  MARK: 3px;\n}\n\n.other { color: blue; margin: 2px }\n",
        ),
        (
            "dart",
            "Store > load",
            "class Store extends Base {\n  int load(String key) {\n    final one = 1;\n    final two = MARK;\n    return one + two;\n  }\n}\n",
        ),
        (
            "ex",
            "Store > load",
            "defmodule Store do\n  def load(key, more) do\n    one = 1 + 1 + 1\n    two = MARK\n    one + two\n  end\nend\n",
        ),
        (
            "graphql",
            "Store",
            "type Store {\n  one: String!\n  MARK: String!\n  three: [Int!]!\n}\n\ntype Other {\n  one: String!\n}\n",
        ),
        (
            "mk",
            "build",
            "build: one two\n\tmake one of it\n\tmake MARK\n\tmake three of it\n\nother:\n\tmake other things\n",
        ),
        (
            "nix",
            "store > load",
            "{\n  store = {\n    load = [\n      \"one or more\"\n      \"MARK it\"\n      \"three\"\n    ];\n  };\n}\n",
        ),
        (
            "ps1",
            "Get-Store",
            "function Get-Store {\n  $one = 1\n  $two = 'MARK'\n  $three = 3\n  return $one\n}\n\nfunction Other { 1 }\n",
        ),
        (
            "proto",
            "Store",
            "syntax = \"proto3\";\n\nmessage Store {\n  string one = 1;\n  string MARK = 2;\n  string three = 3;\n}\n",
        ),
        (
            "r",
            "load",
            "load <- function(key) {\n  one <- 1 + 1\n  two <- MARK\n  three <- 3\n  one + two\n}\n\nother <- 1\n",
        ),
        (
            "zig",
            "Store > load",
            "const Store = struct {\n    fn load(key: u8) u8 {\n        const one = 1;\n        const two = MARK;\n        return one + two;\n    }\n};\n",
        ),
        (
            "cmake",
            "load",
            "function(load key)\n  set(one 1)\n  set(two MARK)\n  set(three 3)\nendfunction()\n\nset(other 1)\n",
        ),
        (
            "swift",
            "Store > load",
            "class Store: Base {\n    func load(key: String) -> Int {\n        let one = 1\n        let two = MARK\n        return one + two\n    }\n}\n",
        ),
        (
            "sql",
            "orders",
            "create table orders (\n  one integer not null,\n  MARK integer not null,\n  three integer not null\n);\n\nselect 1;\n",
        ),
        (
            "md",
            "Guide > Install",
            "# Guide\n\nIt is a long story.\n\n## Install\n\nFirst of all MARK it.\n\nThen do something else.\n\n## Use\n\nmore\n",
        ),
    ] {
        let found = symbols(text, extension, "MARK");
        if found != symbol {
            wrong.push(format!("{extension}: {found}, not {symbol}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn names_reach_over_the_ends_of_sections() {
    let method = |n: usize| {
        format!(
            "    public int method{n}(int a) {{\n        int b = a;\n\n        return b + {n};\n    }}\n\n"
        )
    };
    let methods: String = (0..1_000).map(method).collect();
    let text = format!("package a;\n\npublic class Long {{\n{methods}}}\n\nclass Other {{}}\n");
    let chunks = ast(&text, "java", 200);
    let last = chunks
        .iter()
        .find(|chunk| chunk.text.contains("method900("))
        .expect("there");
    assert_eq!(last.place.symbols[0], "Long");
    let known = chunks.iter().filter(|chunk| {
        chunk
            .place
            .symbols
            .first()
            .is_some_and(|name| name == "Long")
    });
    assert!(known.count() > chunks.len() - 3);
}

#[test]
fn a_definition_over_sections_is_named_once() {
    let method = |n: usize| {
        format!(
            "    pub fn method{n}(a: u32) -> u32 {{\n        let b = a;\n\n        b + {n}\n    }}\n\n"
        )
    };
    let methods: String = (0..400).map(method).collect();
    let rust = format!(
        "pub struct File {{\n    a: u32,\n}}\n\n/// A File.\nimpl File {{\n{methods}}}\n\nfn other() {{}}\n"
    );
    let foreign = rust.replace("impl File", "impl Read for File");
    let java = methods.replace("pub fn", "public int").replace("u32", "");
    let java = java
        .replace("(a: ) -> ", "(int a)")
        .replace("let b", "int b");
    let java = format!(
        "package a;\n\n/**\n * A Gson.\n */\npublic final class Gson {{\n    public Gson(int a) {{\n        this.a = a;\n\n        this.b = a;\n    }}\n\n{java}}}\n"
    );
    for (text, extension, owner) in [
        (rust, "rs", "File"),
        (foreign, "rs", "File"),
        (java, "java", "Gson"),
    ] {
        for chunk in ast(&text, extension, 100) {
            let symbols = chunk.place.symbols;
            let owners = symbols.iter().filter(|name| *name == owner).count();
            let is_constructor = chunk.text.contains("this.") || chunk.text.contains("Gson(");
            assert!(
                owners <= 1 + usize::from(is_constructor),
                "{symbols:?} {}",
                chunk.text
            );
            let has_method = chunk.text.contains("fn method") || chunk.text.contains("int method");
            // A chunk that begins before its owner, or ends after it, is not inside it.
            let is_inside = !["impl ", "class ", "fn other"]
                .iter()
                .any(|head| chunk.text.contains(head));
            if has_method && is_inside {
                let first = symbols.first().map(String::as_str);
                assert_eq!(first, Some(owner), "{extension}: {}", chunk.text);
            }
        }
    }
}
