//! Credentials in the text of files appear nowhere except in the text.
//!
//! Draws values from a seed, plants them in files of many formats, and searches every column of every table and all output
//! of the program for them.

use crate::world::{Dice, Ran, World};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the text itself is stored, in whole or as the words of a full-text index.
const TEXT: [(&str, &str); 3] = [
    ("genes", "content"),
    ("genes_fts", ""),
    // Word pieces of the text, a few letters each.
    ("splade_terms", "term"),
];

/// File, and how it writes the value `{v}` of the key `{k}`.
const FORMATS: [(&str, &str); 24] = [
    ("app.properties", "service.{k}={v}\nservice.port=80\n"),
    ("env.conf", "export {k}={v}\nMODE='release'\n"),
    ("quoted.conf", "{k}='{v}'\nMODE=\"release\"\n"),
    ("deploy.yaml", "service:\n  {k}: {v}\n  port: 80\n"),
    ("quoted.yaml", "service:\n  {k}: \"{v}\"\n  'port': 80\n"),
    (
        "pod.yaml",
        "env:\n  - name: {k}\n    value: {v}\n  - name: PORT\n    value: 80\n",
    ),
    ("app.json", "{\n  \"{k}\": \"{v}\",\n  \"port\": 80\n}\n"),
    ("app.toml", "[service]\n{k} = \"{v}\"\nport = 80\n"),
    ("app.ini", "[service]\n{k} = {v}\nport = 80\n"),
    (
        "app.xml",
        "<service>\n  <{k}>{v}</{k}>\n  <add key=\"{k}\" value=\"{v}\"/>\n</service>\n",
    ),
    (
        "mail.py",
        "# Settings of the mailer of the service.\n{k} = '{v}'\ndef login(client):\n    return client.login('me', '{v}')\n",
    ),
    (
        "mail.rs",
        "/// Settings of the mailer.\nconst {k}: &str = \"{v}\";\nfn login() -> Client {\n    connect({k})\n}\n",
    ),
    (
        "mail.js",
        "// Settings of the mailer.\nconst {k} = `{v}`;\nexport default { {k}: '{v}' };\n",
    ),
    (
        "start.sh",
        "#!/bin/sh\n{k}={v} ./start --{k} {v} --{k}='{v}' --port 80\n",
    ),
    (
        "url.py",
        "# Connects to the store.\nclient = connect('postgres://app:{v}@db.host.org:5432/shop')\n",
    ),
    (
        "url.yaml",
        "store:\n  url: postgres://app:{v}@db.host.org:5432/shop\n  port: 80\n",
    ),
    (
        "notes.md",
        "# Access\n\nLog in as `app`. The {k} is {v}.\n\n- {k}: `{v}`\n",
    ),
    (
        "before.md",
        "# Access\n\n`{v}` is the password of the store. Ask before it is changed.\n",
    ),
    (
        "before.yaml",
        "env:\n  - value: {v}\n    name: {k}\n  - name: PORT\n    value: 80\n",
    ),
    (
        "anchor.yaml",
        "service:\n  password: &word !!str {v}\n  port: 80\n",
    ),
    (
        "template.py",
        "# Settings of the store of the shop.\npassword = '{v}{}{v}'\n",
    ),
    (
        "tools.sh",
        "#!/bin/sh\nset -e\ncurl -su app:{v} https://host.org/page\ndocker login -u app -p {v} host.org\nmysql -u app -p{v} shop\n",
    ),
    (
        "document.sh",
        "#!/bin/sh\nset -e\nPASSWORD=$(cat <<EOF\n{v}\nEOF\n)\nhtpasswd -b file app {v}\n",
    ),
    (
        "notes.txt",
        "How to get in: use {k}={v} and then press the large button below.\n",
    ),
];

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A key, and a value that begins with `first` where the value has no form of its own.
fn draw(dice: &mut Dice, kind: usize, first: char) -> (&'static str, String) {
    let mut some = |from: &str, count: usize| -> String {
        let mut one = || char::from(from.as_bytes()[dice.roll(from.len() as u64) as usize]);
        std::iter::repeat_with(&mut one).take(count).collect()
    };
    let capitals = &LETTERS[..26];
    let digits = &LETTERS[52..];
    match kind % 8 {
        0 => ("github_token", format!("ghp_{}", some(LETTERS, 36))),
        1 => ("aws_access_key_id", format!("AKIA{}", some(capitals, 16))),
        2 => ("stripe_key", format!("sk_live_{}", some(LETTERS, 24))),
        3 => (
            "slack_token",
            format!("xoxb-{}-{}", some(digits, 12), some(LETTERS, 24)),
        ),
        4 => (
            "aws_secret",
            format!("{first}{}7{}", some(LETTERS, 24), some(LETTERS, 14)),
        ),
        5 => (
            "db_pass",
            format!("{first}{}4{}9", some(&LETTERS[..52], 5), some(LETTERS, 4)),
        ),
        6 => (
            "db_password",
            format!("{first}{}8{}", some(&LETTERS[26..52], 6), some(LETTERS, 5)),
        ),
        _ => (
            "api_key",
            format!("{first}3{}", some(&[digits, "abcdef"].concat(), 30)),
        ),
    }
}

/// A root with values planted in every format, and the values.
fn planted(dice: &mut Dice, world: &World) -> Vec<String> {
    let mut values = Vec::new();
    let firsts: Vec<char> = "7xK0aZ9q".chars().collect();
    for (at, (file, format)) in FORMATS.iter().enumerate() {
        for n in 0..4 {
            let (key, value) = draw(dice, at + n * 3, firsts[(at + n) % firsts.len()]);
            let text = format.replace("{k}", key).replace("{v}", &value);
            world.write(&format!("r/d{n}/{file}"), text);
            values.push(value);
        }
    }
    world.write(
        "r/clean.md",
        "# Clean\n\nNothing to hide stands in here, for once and for all.\n",
    );
    values
}

/// How files write keys and values where the value is of letters alone, 8 to 14 of them.
const LETTER_FORMATS: [(&str, &str); 14] = [
    (
        "env.md",
        "# Start\n\nSet these before the start:\n\nCLIENT_SECRET={v}\nMODE=release\n",
    ),
    (
        "start.sh",
        "#!/bin/sh\nset -e\nexport DB_PASSWORD={v}\n./start --port 80\n",
    ),
    (
        "api.yaml",
        "service:\n  api_key: \"{v}\"\n  client_secret: {v}\n  port: 80\n",
    ),
    (
        "pod.yaml",
        "env:\n  - name: CLIENT_SECRET\n    value: {v}\n  - name: PORT\n    value: 80\n",
    ),
    (
        "pairs.json",
        "{\"env\": [{\"name\": \"API_KEY\", \"kind\": \"plain\", \"value\": \"{v}\"}], \"port\": 80}\n",
    ),
    (
        "beans.xml",
        "<beans>\n  <property name=\"client.secret\" value=\"{v}\"/>\n  <property name=\"port\" value=\"80\"/>\n</beans>\n",
    ),
    (
        "main.tf",
        "variable \"db_password\" {\n  type = string\n  description = \"of {x}\"\n  default = \"{v}\"\n}\n",
    ),
    (
        "table.md",
        "# Access\n\n| Name | Value |\n|------|-------|\n| CLIENT_SECRET | {v} |\n| API key | `{v}` |\n",
    ),
    (
        "table.html",
        "<table>\n<tr><th>user</th><th>password</th></tr>\n<tr><td>bob</td><td>{v}</td></tr>\n</table>\n<p>Ask the owner of the shop.</p>\n",
    ),
    (
        "below.md",
        "# Access\n\nAsk the owner of the shop before you change it.\n\n## Password\n\n{v}\n",
    ),
    (
        "cookie.http",
        "GET / HTTP/1.1\nHost: shop.example.org\nCookie: theme=dark; session={v}\n\n",
    ),
    (
        "sign.js",
        "// Signs in users of the shop.\nconst token = jwt.sign({ id: user.id }, \"{v}\");\n",
    ),
    (
        "secret.sh",
        "#!/bin/sh\nset -e\nkubectl create secret generic shop --from-literal=db={v}\n",
    ),
    (
        "clave.yaml",
        "servicio:\n  contrase\u{f1}a: {v}\n  mot_de_passe: {v}\n  puerto: 80\n",
    ),
];

/// The same for values of letters alone, in three files for each format.
fn planted_letters(dice: &mut Dice, world: &World) -> Vec<String> {
    let mut values = Vec::new();
    for (file, format) in LETTER_FORMATS {
        for n in 0..3 {
            let letters = if n == 0 {
                &LETTERS[26..52]
            } else {
                &LETTERS[..52]
            };
            let length = 8 + dice.roll(7) as usize;
            let mut one =
                || char::from(letters.as_bytes()[dice.roll(letters.len() as u64) as usize]);
            let value: String = std::iter::repeat_with(&mut one).take(length).collect();
            world.write(&format!("r/d{n}/{file}"), format.replace("{v}", &value));
            values.push(value);
        }
    }
    values
}

#[test]
fn letters_behind_a_key_leave_nothing_but_the_text() {
    let (mut dice, seed) = Dice::seeded(4004);
    let world = World::new();
    let values = planted_letters(&mut dice, &world);
    let extensions = "extensions = ['...', 'xml', 'tf', 'http', 'html']\nmin_file_bytes = 10\n";
    let profile = |setting: &str| format!("roots = ['r']\n{extensions}{setting}\n");
    world.write("p.toml", profile(""));
    let ran = world.encoded_build("o").args(["--progress", "json"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_silent("the output", &said(&ran), &values, seed);
    for database in databases(&world.path("o-sharded")) {
        for (place, value) in columns(&database) {
            assert_silent(&place, &value, &values, seed);
        }
    }
    world.write("p.toml", profile("secrets_in_text = 'redact'"));
    let summary = world.build("redacted", &[]);
    assert_eq!(summary["files"], values.len(), "{summary}");
    for file in crate::world::files_below(&world.path("redacted-sharded")) {
        let bytes = fs::read(world.path("redacted-sharded").join(&file)).expect("a file");
        assert_silent(&file, &String::from_utf8_lossy(&bytes), &values, seed);
    }
}

fn databases(folder: &Path) -> Vec<PathBuf> {
    let files = crate::world::files_below(folder);
    let databases = files.into_iter().filter(|name| name.ends_with(".db"));
    databases.map(|name| folder.join(name)).collect()
}

/// Opens a database so that nothing appears beside it.
fn open(database: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", database.display());
    Connection::open_with_flags(uri, flags).expect("opens")
}

/// Table and column of each value in lower case, but for those that hold the text.
fn columns(database: &Path) -> Vec<(String, String)> {
    let conn = open(database);
    let tables: Vec<String> = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .expect("tables");
    let mut all = Vec::new();
    for table in tables {
        let mut statement = conn
            .prepare(&format!("SELECT * FROM \"{table}\""))
            .expect("reads");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).expect("reads");
        while let Some(row) = rows.next().expect("reads") {
            for (at, name) in names.iter().enumerate() {
                let is_text = TEXT.iter().any(|(of, column)| match *column {
                    "" => table.starts_with(of),
                    column => table == *of && name == column,
                });
                let value = match row.get_ref(at).expect("a value") {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
                    _ => continue,
                };
                if !is_text {
                    let value = String::from_utf8_lossy(value).to_lowercase();
                    all.push((format!("{table}.{name}"), value));
                }
            }
        }
    }
    assert!(!all.is_empty(), "{} is empty", database.display());
    all
}

/// What of a value must not be found: the whole, and each run of letters and digits that says much of it.
fn traces(value: &str) -> Vec<String> {
    let value = value.to_lowercase();
    let parts = value.split(|c: char| !c.is_ascii_alphanumeric());
    let mut traces: Vec<String> = parts
        .filter(|part| part.len() >= 10)
        .map(str::to_owned)
        .collect();
    traces.push(value);
    traces
}

fn assert_silent(what: &str, said: &str, values: &[String], seed: u64) {
    let said = said.to_lowercase();
    for value in values {
        for trace in traces(value) {
            assert!(
                !said.contains(&trace),
                "{trace} in {what}, seed {seed}: {said}"
            );
        }
    }
}

fn said(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

fn profile(world: &World, setting: &str) {
    world.write(
        "p.toml",
        format!("roots = ['r']\nextensions = ['...', 'xml']\nmin_file_bytes = 10\n{setting}\n"),
    );
}

#[test]
fn no_value_leaves_the_text() {
    let (mut dice, seed) = Dice::seeded(4001);
    let world = World::new();
    let values = planted(&mut dice, &world);
    profile(&world, "");
    let ran = world
        .encoded_build("o")
        .args([
            "--progress",
            "json",
            "--metrics-file",
            "metrics.prom",
            "--log-file",
            "build.log",
            "-v",
        ])
        .run();
    let summary = ran.lines().pop().expect("a summary");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut text = String::new();
    let databases = databases(&world.path("."));
    assert!(databases.len() >= 2, "{databases:?}");
    for database in &databases {
        for (place, value) in columns(database) {
            assert_silent(&place, &value, &values, seed);
        }
        let conn = open(database);
        if let Ok(mut statement) = conn.prepare("SELECT content FROM genes") {
            let rows = statement
                .query_map([], |row| row.get::<_, String>(0))
                .expect("reads");
            text.extend(rows.map(|row| row.expect("text")));
        }
    }
    // The text is kept, so there was something to leave.
    for value in &values {
        assert!(text.contains(value), "{value} is not in the text");
    }
    assert_silent("the output", &said(&ran), &values, seed);
    for file in ["o-sharded/manifest.json", "metrics.prom", "build.log"] {
        let text = fs::read_to_string(world.path(file)).expect(file);
        assert_silent(file, &text, &values, seed);
    }
    let again = world.helix().profile("p.toml").out("o").run();
    assert_silent("the next run", &said(&again), &values, seed);
    // Counted and listed, also when nothing was done.
    for secrets in [
        &summary["secrets_in_text"],
        &manifest(&world)["secrets_in_text"],
    ] {
        assert_eq!(secrets["setting"], "keep");
        let files = secrets["files"].as_array().expect("a list");
        assert!(files.len() >= FORMATS.len() * 3, "{secrets}");
        assert!(
            files
                .iter()
                .all(|file| file["root"] == "r" && file["path"] != "clean.md")
        );
        let sum: u64 = files
            .iter()
            .filter_map(|file| file["values"].as_u64())
            .sum();
        assert_eq!(secrets["values"], sum);
    }
    assert!(
        again.stdout.contains("unchanged") && again.stdout.contains("credentials in text:"),
        "{again:?}"
    );
    let said = again.stdout.clone() + &again.stderr;
    assert_eq!(said.matches("secrets_in_text").count(), 1, "{again:?}");
    world.verified("o-sharded/p");
}

fn manifest(world: &World) -> Value {
    let text = fs::read_to_string(world.path("o-sharded/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    manifest["targets"]["p-sharded"].clone()
}

#[test]
fn redacted_values_are_nowhere_and_the_rest_is_found() {
    let (mut dice, seed) = Dice::seeded(4002);
    let world = World::new();
    let values = planted(&mut dice, &world);
    profile(&world, "secrets_in_text = 'redact'");
    let summary = world.build("o", &[]);
    assert_eq!(summary["secrets_in_text"]["setting"], "redact");
    assert_eq!(summary["skipped"], serde_json::json!({}));
    let mut text = Vec::new();
    for file in crate::world::files_below(&world.path("o-sharded")) {
        text.extend(fs::read(world.path("o-sharded").join(file)).expect("a file"));
    }
    let text = String::from_utf8_lossy(&text).to_lowercase();
    assert!(text.contains("[redacted]"));
    for value in &values {
        assert!(
            !text.contains(&value.to_lowercase()),
            "{value} is left, seed {seed}"
        );
    }
    world.verified("o-sharded/p");
    let ran = world.run(&[
        "query",
        "o-sharded/p",
        "settings of the mailer",
        "--mode",
        "lexical",
    ]);
    assert!(ran.stdout.contains("mail."), "{ran:?}");
    // The same again, from nothing.
    let other = world.build("o2", &[]);
    assert_eq!(summary["digest"], other["digest"]);
    // An index of another setting is not taken for this one's.
    profile(&world, "");
    let refused = world.helix().profile("p.toml").out("o").bare().run();
    assert_eq!(refused.code, Some(12), "{refused:?}");
}

#[test]
fn files_with_values_are_left_out_on_request() {
    let (mut dice, seed) = Dice::seeded(4003);
    let world = World::new();
    let values = planted(&mut dice, &world);
    profile(&world, "secrets_in_text = 'skip'");
    let summary = world.build("o", &[]);
    assert_eq!(summary["exit"], 0);
    assert_eq!(summary["files"], 1, "{summary}");
    assert_eq!(summary["skipped"]["secret_in_text"], FORMATS.len() * 4);
    for database in databases(&world.path("o-sharded")) {
        for (place, value) in columns(&database) {
            assert_silent(&place, &value, &values, seed);
        }
    }
    for (file, verdict) in [
        ("deploy.yaml", "secret_in_text"),
        ("../clean.md", "indexed"),
    ] {
        let path = format!("r/d0/{file}");
        let ran = world.run(&["plan", "--profile", "p.toml", "--why", &path, "--json"]);
        assert_eq!(ran.last_line()["verdict"], verdict, "{ran:?}");
        assert_silent("plan --why", &said(&ran), &values, seed);
    }
    let ran = world.run(&["inspect", "o-sharded/p", "d0/deploy.yaml"]);
    assert!(said(&ran).contains("line 2: "), "{ran:?}");
    assert_silent("inspect", &said(&ran), &values, seed);
    world.verified("o-sharded/p");
}

/// Credentials that people type: in a command, a question, a root.
#[test]
fn no_value_of_the_command_line_is_written_down() {
    let token = "ghp_Zk39vbQw81LmXsT6RyU2pEoN4dHaJc7FgK5i";
    let world = World::corpus(1, 2);
    let header = format!("Authorization: Bearer {token}");
    let probe = format!("false -H '{header}'");
    let quoted = format!("false -H \"{header}\" --password qW7tZk2PxR9m");
    let away = format!("https://u:{token}@x");
    world.write(
        "p.toml",
        format!("roots = ['root0', '{away}']\nmin_file_bytes = 10\n"),
    );
    let build = [
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--log-file",
        "t.log",
    ];
    let json = [
        &build[..],
        &["--json", "--metrics-file", "m.prom", "--vram-probe", &probe],
    ]
    .concat();
    let rebuild = [&build[..], &["--rebuild", "--vram-probe", &quoted]].concat();
    let query = ["query", "o-sharded/p", &header, "--log-file", "t.log"];
    let lexical = [&query[..], &["--mode", "lexical", "--json"]].concat();
    let plan = [
        "plan",
        "--profile",
        "p.toml",
        "--log-file",
        "t.log",
        "--json",
    ];
    let plain = ["plan", "--profile", "p.toml", "--log-file", "t.log"];
    let wrong = ["inspect", &away, "--log-file", "t.log"];
    let refused = ["query", "o-sharded/p", "x", &format!("--token={token}")];
    let values = [token.to_owned(), "qW7tZk2PxR9m".to_owned()];
    for arguments in [
        &refused[..],
        &json,
        &rebuild,
        &query,
        &lexical,
        &plan,
        &plain,
        &wrong,
    ] {
        let ran = world.run(arguments);
        assert_silent("the output", &said(&ran), &values, 0);
        let log = fs::read_to_string(world.path("t.log")).unwrap_or_default();
        assert_silent("t.log", &log, &values, 0);
        assert!(log.is_empty() || log.contains(arguments[0]), "{log}");
    }
    for file in ["o-sharded/manifest.json", "m.prom"] {
        let text = fs::read_to_string(world.path(file)).expect(file);
        assert_silent(file, &text, &values, 0);
    }
}
