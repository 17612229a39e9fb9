//! How files become texts: encodings, notebooks, pages, encoded data; and that compat rules leave all of it as it was.

use crate::world::World;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

/// Base64 as an image has it.
fn image() -> String {
    "QmFzZTY0IGRhdGEgb2YgYW4gaW1hZ2U4Rz5a".repeat(8)
}

fn latin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("latin"))
        .collect()
}

fn database(world: &World) -> Connection {
    let path = world.path("o-sharded/p/shards/r.genome.db");
    Connection::open(path).expect("opened")
}

/// The texts of a file's chunks, joined.
fn text_of(index: &Connection, file: &str) -> String {
    let sql = "SELECT group_concat(content, char(10)) FROM genes WHERE source_id LIKE '%/' || ?1";
    let text: Option<String> = index
        .query_row(sql, [file], |row| row.get(0))
        .expect("a row");
    text.unwrap_or_default()
}

/// Encoding, language, reason and detail of a file's row in the ledger.
fn ledger(index: &Connection, file: &str) -> [Option<String>; 4] {
    let sql = "SELECT encoding, language, skip_reason, detail FROM build_files WHERE path = ?1";
    let row = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    index.query_row(sql, [file], row).expect("a row")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn texts_in_other_encodings_come_out_right_or_are_listed() {
    let world = World::new();
    let japanese = b"# \x93\xfa\x96{\x8c\xea\x82\xcc\x83R\x83\x81\x83\x93\x83g: \x8ex\x95\xa5\x82\xa2\x82\xcc\x8d\xc4\x8e\x8e\x8ds\x8f\x88\x97\x9d\ndef retry_jp(x):\n    return x + 1\n";
    world.write("r/sjis.py", japanese);
    world.write("r/latin.py", latin("# W\u{fc}rkner module for the caf\u{e9} sensor\ndef kalibrieren(x):\n    return x * 2  # na\u{ef}ve\n"));
    world.write(
        "r/damaged.md",
        [
            &"Gr\u{f6}\u{df}e und L\u{e4}nge\n".repeat(5).into_bytes()[..],
            b"\xff\n",
        ]
        .concat(),
    );
    let noise: Vec<u8> = (1..=255u8).cycle().take(2_000).collect();
    world.write("r/noise.txt", noise);
    world.profile(&["r"]);
    let summary = world.build("o", &[]);
    let index = database(&world);
    assert_eq!(
        text_of(&index, "sjis.py").lines().next(),
        Some(
            "# \u{65e5}\u{672c}\u{8a9e}\u{306e}\u{30b3}\u{30e1}\u{30f3}\u{30c8}: \u{652f}\u{6255}\u{3044}\u{306e}\u{518d}\u{8a66}\u{884c}\u{51e6}\u{7406}"
        )
    );
    assert!(text_of(&index, "latin.py").contains("caf\u{e9}"));
    assert_eq!(
        ledger(&index, "sjis.py"),
        [some("Shift_JIS"), some("python"), None, None]
    );
    assert_eq!(ledger(&index, "latin.py")[0], some("windows-1252"));
    assert_eq!(
        ledger(&index, "damaged.md"),
        [some("UTF-8"), some("markdown"), None, some("replaced: 1")]
    );
    assert_eq!(ledger(&index, "noise.txt")[2], some("undecodable"));
    let text = &summary["text"];
    assert_eq!(
        (&text["encodings"]["Shift_JIS"], &text["replaced"]),
        (&1.into(), &1.into()),
        "{summary}"
    );
    assert_eq!(summary["skipped"]["undecodable"], 1, "{summary}");
    world.verified("o-sharded/p");
}

#[test]
fn notebooks_pages_and_encoded_data_keep_what_people_search_for() {
    let world = World::new();
    write_tree(&world);
    world.write(
        "p.toml",
        "roots = [\"r\"]\nextensions = [\"...\", \"ipynb\"]\n",
    );
    let summary = world.build("o", &[]);
    let index = database(&world);
    assert_eq!(
        text_of(&index, "note.ipynb"),
        "```python\nx = 1\nprint(x)\n```"
    );
    assert_eq!(text_of(&index, "page.html"), "How to pay an invoice twice");
    assert_eq!(
        text_of(&index, "image.md"),
        "# Payment\n\n![x](data:image/png;base64,[elided])\n\nText behind the image about retries."
    );
    assert_eq!(ledger(&index, "image.md")[3], some("elided: 1"));
    assert_eq!(
        (&summary["text"]["elided"], &summary["text"]["elided_files"]),
        (&1.into(), &1.into())
    );
    let names = |file: &str| -> String {
        let sql = "SELECT codons FROM genes WHERE source_id LIKE '%/' || ?1";
        index
            .query_row(sql, [file], |row| row.get(0))
            .expect("a row")
    };
    assert!(
        names("space.js").contains("define:handle") && names("space.js").contains("define:load")
    );
    assert!(names("quotes.py").contains("define:after_the_quotes"));
    world.verified("o-sharded/p");
}

fn write_tree(world: &World) {
    world.write("r/note.ipynb", "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"x = 1\\n\", \"print(x)\"], \"outputs\": [{\"text\": [\"1\"]}]}], \"nbformat\": 4}\n");
    world.write("r/page.html", "<html>\n<body class=\"wide\">\n<p>How to <b>pay</b> an invoice twice</p>\n<style>p { color: red }</style>\n</body>\n</html>\n");
    world.write("r/latin.py", latin("# W\u{fc}rkner module for the caf\u{e9} sensor\ndef kalibrieren(x):\n    return x * 2\n"));
    world.write(
        "r/image.md",
        format!(
            "# Payment\n\n![x](data:image/png;base64,{})\n\nText behind the image about retries.\n",
            image()
        ),
    );
    world.write("r/space.js", "class Store {\n  async handle ({ path }) {\n    return path + 1;\n  }\n}\n\nfunction load (key) {\n  return key;\n}\n");
    world.write("r/quotes.py", "x = f(\"\"\"\nOne of the texts\n\"\"\", 2)\ndef after_the_quotes(key):\n    return key + 1\n");
    let function =
        |n: u32| format!("load_{n} () {{\n  echo one of {n}\n\n  echo two of {n}\n}}\n\n");
    world.write("r/long.sh", (0..40).map(function).collect::<String>());
}

/// Texts, ids, tags and summaries of a small tree, as they were before there was a choice of rules.
#[test]
fn with_compat_rules_chunks_and_tags_stay_as_they_were() {
    let world = World::new();
    write_tree(&world);
    world.write(
        "p.toml",
        "roots = [\"r\"]\nrules = \"compat\"\nextensions = [\"...\", \"ipynb\"]\n",
    );
    world.build("o", &[]);
    let index = database(&world);
    let sql = "SELECT source_id, gene_id, codons, promoter, coalesce(key_values, ''), complement FROM genes \
        ORDER BY source_id, json_extract(promoter, '$.sequence_index')";
    let mut statement = index.prepare(sql).expect("prepared");
    let row = |row: &rusqlite::Row<'_>| {
        let column = |n: usize| row.get::<_, String>(n);
        let path = column(0)?;
        let name = path.rsplit(['/', '\\']).next().unwrap_or(&path);
        Ok(format!(
            "{name} {} {} {} {} {}\n",
            column(1)?,
            column(2)?,
            column(3)?,
            column(4)?,
            column(5)?
        ))
    };
    let rows = statement.query_map([], row).expect("run");
    let rows: String = rows.map(|row| row.expect("read")).collect();
    let hash: String = Sha256::digest(&rows)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hash, "ca51dba322f1b45fad33f43d7c86e5420267cc51c11ef2a5e2f70f0d3b35a12b",
        "{rows}"
    );
}
