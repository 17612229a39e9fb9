//! The definitions that chunks know.

use super::*;

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
