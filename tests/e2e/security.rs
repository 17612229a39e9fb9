//! Builds never widen permissions, leave their folders, follow planted links, run unchecked libraries or build SQL from data.

use crate::world::{BARE, World, count, files_below};
use std::fs;
use std::path::Path;

/// A build of `p.toml` into `o` without encoders.
fn build_arguments() -> Vec<&'static str> {
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    arguments
}

#[cfg(unix)]
#[test]
fn nothing_is_wider_than_the_umask_asks() {
    use std::os::unix::fs::PermissionsExt as _;
    fn visit(path: &Path, umask: u32, seen: &mut Vec<String>) {
        let metadata = fs::symlink_metadata(path).expect("looked at");
        let mode = metadata.permissions().mode() & 0o777;
        let most = if metadata.is_dir() { 0o777 } else { 0o666 };
        assert_eq!(mode & !(most & !umask), 0, "{} {mode:o}", path.display());
        // Nor narrower for the owner, who has to go on with it.
        assert_eq!(mode & 0o600, 0o600, "{} {mode:o}", path.display());
        seen.push(path.display().to_string());
        if metadata.is_dir() {
            for entry in fs::read_dir(path).expect("lists").flatten() {
                visit(&entry.path(), umask, seen);
            }
        }
    }
    for umask in [0o077, 0o027, 0o022].into_iter().take(count(2, 3) as usize) {
        let world = World::corpus(2, 4);
        for (mode, folder) in [("sharded", "o-sharded"), ("blob", "o")] {
            // On a simulated device, so that the runtime is unpacked into the cache as well.
            let program = env!("CARGO_BIN_EXE_helix-build");
            let line = format!(
                "umask {umask:03o}; exec {program} --profile p.toml --out-dir o --mode {mode} --device cuda --batch-size 2 --dense-model none --log-file log/{mode}.txt"
            );
            fs::create_dir_all(world.path("log")).expect("a folder");
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &line]).current_dir(world.path(""));
            shell.env("XDG_CACHE_HOME", world.path("cache"));
            shell.env("FAILPOINTS", "encode::device=return(skip)");
            shell
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            assert!(
                shell.status().is_ok_and(|status| status.success()),
                "{line}"
            );
            let mut seen = Vec::new();
            visit(&world.path(folder), umask, &mut seen);
            visit(&world.path(&format!("log/{mode}.txt")), umask, &mut seen);
            visit(&world.path("cache"), umask, &mut seen);
            assert!(seen.iter().any(|name| name.ends_with("manifest.json")));
            assert!(
                seen.iter().any(|name| name.contains("onnxruntime")),
                "{seen:?}"
            );
        }
    }
}

#[test]
fn labels_do_not_lead_out_of_the_shards_folder() {
    let world = World::corpus(1, 3);
    let long = "x".repeat(300);
    let bad = [
        "../x",
        "a/b",
        "/abs",
        "..",
        ".",
        "",
        "CON",
        "a b",
        "k\u{e4}se",
        "\u{202e}x",
        "a\\b",
        "a.b",
        "-a",
        "a-",
        "a--b",
        "nul:",
        "x\\u0000y",
        "c:",
        &long,
    ];
    for label in bad {
        let escaped = label.replace('\\', "\\\\").replace("\\\\u0000", "\\u0000");
        world.write(
            "p.toml",
            format!("roots = [{{ path = \"root0\", label = \"{escaped}\" }}]\n"),
        );
        let ran = world.run(&build_arguments());
        assert_eq!(ran.code, Some(2), "{label:?}: {ran:?}");
        assert!(ran.stderr.contains("p.toml"), "{label:?}: {ran:?}");
    }
    assert!(!world.path("o-sharded").exists());
}

/// Folders' own names become labels; whatever they are, shards lie in `shards/`.
#[test]
fn names_of_folders_do_not_lead_out_of_the_shards_folder() {
    let world = World::new();
    let text = "fn ordinary() -> u32 {\n    // text that is long enough to be indexed\n    1\n}\n";
    let mut names = vec![
        "-rf".to_owned(),
        "main".to_owned(),
        // On Windows the whole path may be no longer than that, where long paths are not allowed.
        "x".repeat(if cfg!(unix) { 250 } else { 150 }),
        "k\u{e4}se \u{65e5}\u{672c}".to_owned(),
        "a~b".to_owned(),
        "$HOME".to_owned(),
    ];
    if cfg!(unix) {
        names.extend([
            "con".to_owned(),
            "aux".to_owned(),
            "lpt1".to_owned(),
            "a\\..\\b".to_owned(),
            "new\nline".to_owned(),
            "\u{202e}gnp".to_owned(),
        ]);
    }
    for (n, name) in names.iter().enumerate() {
        world.write(
            &format!("all/{name}/{n}.rs"),
            text.replace("ordinary", &format!("f{n}")),
        );
    }
    world.write("p.toml", "roots = [\"all/*\"]\n");
    let summary = world.build("o", &[]);
    let shards = fs::canonicalize(world.path("o-sharded/p/shards")).expect("a folder");
    let listed = summary["shards"].as_array().expect("a list");
    assert_eq!(listed.len(), names.len());
    for shard in listed {
        let path = fs::canonicalize(shard["path"].as_str().expect("a path")).expect("a file");
        assert_eq!(path.parent(), Some(shards.as_path()), "{shard}");
        // Windows takes these for devices, whatever stands behind the dot.
        let name = path
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        let stem = name.split('.').next().unwrap_or_default();
        assert!(
            !["con", "aux", "nul", "prn", "lpt1"].contains(&stem),
            "{name}"
        );
    }
    let outside: Vec<_> = files_below(&world.path("o-sharded"))
        .into_iter()
        .filter(|name| {
            name.ends_with(".db") && !name.starts_with("p/shards/") && name != "p/main.genome.db"
        })
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    world.verified("o-sharded/p");
}

#[cfg(unix)]
#[test]
fn a_profiles_name_does_not_lead_out_of_the_output() {
    let world = World::corpus(1, 3);
    for file in ["...toml", "..toml"] {
        world.write(file, "roots = [\"root0\"]\n");
        for mode in ["sharded", "blob"] {
            let mut arguments = build_arguments();
            arguments.extend(["--mode", mode]);
            arguments[1] = file;
            let ran = world.run(&arguments);
            assert_eq!(ran.code, Some(2), "{file}: {ran:?}");
            assert!(ran.stderr.contains(file), "{file}: {ran:?}");
        }
    }
    let left: Vec<_> = files_below(&world.path(""))
        .into_iter()
        .filter(|name| name.ends_with(".db"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn patterns_do_not_lead_out_of_their_root() {
    let world = World::corpus(2, 3);
    world.write(
        "outside/treasure.rs",
        "fn treasure() { /* not of any root, and long enough */ }\n",
    );
    let absolute = world
        .path("outside")
        .display()
        .to_string()
        .replace('\\', "/");
    let patterns = [
        "../outside",
        "../outside/*",
        "../**",
        "../../**",
        "dir0/../../outside/**",
        "./../outside/*.rs",
        "..",
        &absolute,
        &format!("{absolute}/**"),
        "/../outside/**",
    ];
    for pattern in patterns {
        world.write(
            "p.toml",
            format!("roots = [{{ path = \"root0\", include = [\"{pattern}\", \"dir0\"] }}]\n"),
        );
        let ran = world.run(&build_arguments());
        assert_eq!(ran.code, Some(0), "{pattern}: {ran:?}");
        let inspected = world.run(&["inspect", "o-sharded/p", "treasure.rs"]);
        assert_eq!(inspected.code, Some(2), "{pattern}: {inspected:?}");
        assert!(
            ran.summary()["files"]
                .as_u64()
                .is_some_and(|files| files > 0),
            "{pattern}"
        );
    }
}

/// A link in place of each thing that a build writes to. Whoever may write into an output can replace
/// what is in it; but a build must not be led to destroy something elsewhere.
#[cfg(unix)]
#[test]
fn links_planted_in_the_output_are_not_followed() {
    use std::os::unix::fs::symlink;
    const PRECIOUS: &str = "somebody else's work";
    for (mode, base, places) in [
        (
            "sharded",
            "o-sharded",
            &[
                "p/.build/lock",
                "p/main.genome.db",
                "p/main.genome.db-wal",
                "p/main.genome.db-journal",
                "p/main.genome.db-shm",
                "p/shards/root0.genome.db",
                "p/shards/root0.genome.db-wal",
                "manifest.json",
                ".manifest.lock",
            ][..],
        ),
        (
            "blob",
            "o",
            &[
                ".p.build/lock",
                "p.db",
                "p.db-wal",
                "manifest.json",
                ".manifest.lock",
            ][..],
        ),
    ] {
        for place in places {
            for is_dangling in [false, true] {
                let world = World::corpus(1, 3);
                let link = world.path(base).join(place);
                fs::create_dir_all(link.parent().expect("below")).expect("folders");
                let target = world.path("precious");
                if !is_dangling {
                    fs::write(&target, PRECIOUS).expect("written");
                }
                symlink(&target, &link).expect("a link");
                let mut arguments = build_arguments();
                arguments.extend(["--mode", mode]);
                let ran = world.run(&arguments);
                match fs::read_to_string(&target) {
                    Ok(text) => assert!(
                        !is_dangling && text == PRECIOUS,
                        "{place}: {text:?} {ran:?}"
                    ),
                    Err(_) => assert!(is_dangling, "{place}: removed: {ran:?}"),
                }
                match ran.code {
                    // It was replaced, and leads nowhere any more.
                    Some(0) => assert!(
                        !fs::symlink_metadata(&link).is_ok_and(|m| m.is_symlink()),
                        "{place} is still a link"
                    ),
                    Some(2) => {
                        let name = Path::new(place)
                            .file_name()
                            .expect("named")
                            .to_string_lossy();
                        assert!(
                            ran.stderr.contains(&*name) && ran.stderr.contains("link"),
                            "{ran:?}"
                        );
                    }
                    code => panic!("{place}: {code:?} {ran:?}"),
                }
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn folders_planted_as_links_are_not_emptied() {
    use std::os::unix::fs::symlink;
    for place in ["p/.build", "p/.build/segments", "p/shards"] {
        let world = World::corpus(1, 3);
        for name in [
            "segments/a.seg",
            "other.genome.db",
            "x.genome.db.tmp-1-1",
            "notes.txt",
        ] {
            world.write(&format!("precious/{name}"), "kept");
        }
        let before = files_below(&world.path("precious"));
        let link = world.path("o-sharded").join(place);
        fs::create_dir_all(link.parent().expect("below")).expect("folders");
        symlink(world.path("precious"), &link).expect("a link");
        for flags in [&[][..], &["--rebuild"][..]] {
            let mut arguments = build_arguments();
            arguments.extend(flags);
            let ran = world.run(&arguments);
            assert_eq!(ran.code, Some(2), "{place}: {ran:?}");
            assert!(ran.stderr.contains("link"), "{place}: {ran:?}");
            assert_eq!(files_below(&world.path("precious")), before, "{place}");
        }
    }
    // The output as a whole may lie behind a link: that is how people use another disk.
    let world = World::corpus(1, 3);
    fs::create_dir_all(world.path("disk")).expect("a folder");
    symlink(world.path("disk"), world.path("o-sharded")).expect("a link");
    world.build("o", &[]);
    world.verified("o-sharded/p");
}

/// A segment that is a link would be written through.
#[cfg(unix)]
#[test]
fn a_segment_planted_as_a_link_is_not_written_through() {
    use std::os::unix::fs::symlink;
    let world = World::corpus(1, 3);
    let link = world.path("o-sharded/p/.build/segments/x.seg");
    fs::create_dir_all(link.parent().expect("below")).expect("folders");
    symlink(world.path("precious"), &link).expect("a link");
    let ran = world.run(&build_arguments());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!world.path("precious").exists());
}

#[test]
fn the_unpacked_runtime_is_checked_before_it_is_loaded() {
    let world = World::corpus(1, 3);
    let run = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("XDG_CACHE_HOME", world.path("cache"));
        command.env("LOCALAPPDATA", world.path("cache"));
        command.env("FAILPOINTS", "encode::device=return(skip)");
        crate::world::finish(command.spawn().expect("starts"))
    };
    // On the CPU the built-in encoders need no runtime.
    let device = ["--device=cuda", "--batch-size=2", "--dense-model=none"];
    let build = [
        &["--profile", "p.toml", "--out-dir", "o", "--json"],
        &device[..],
    ]
    .concat();
    let ran = run(&build);
    if ran.code == Some(13) {
        return println!("skipped: this program was built without a runtime");
    }
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let files = files_below(&world.path("cache"));
    assert_eq!(files.len(), 1, "{files:?}");
    let library = world.path("cache").join(&files[0]);
    let good = fs::read(&library).expect("a library");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for damaged in [&flipped[..], &good[..good.len() / 3], b"#!/bin/sh\n", b""] {
        fs::write(&library, damaged).expect("written");
        let ran = run(&[&build[..], &["--rebuild"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            fs::read(&library).expect("a library") == good,
            "it was not replaced"
        );
    }
    assert_eq!(
        files_below(&world.path("cache")),
        files,
        "something was left"
    );
}

#[test]
fn a_model_that_is_not_the_one_stated_is_refused() {
    let world = World::corpus(1, 3);
    world.write("model/model.onnx", "not the model that was meant");
    world.write("model/tokenizer.json", "{}");
    world.write(
        "model/helix-model.toml",
        format!(
            "kind = \"dense\"\ndim = 4\nsha256 = \"{}\"\n",
            "0".repeat(64)
        ),
    );
    let mut arguments = build_arguments();
    arguments.truncate(5);
    arguments.extend(["--sparse-model", "none", "--dense-model", "model"]);
    let ran = world.run(&arguments);
    assert_eq!(ran.code, Some(13), "{ran:?}");
    assert!(
        ran.stderr.contains("sha256") && ran.stderr.contains("model.onnx"),
        "{ran:?}"
    );
    assert!(!world.path("o-sharded/p/main.genome.db").exists());
}

/// SQL that is put together at run time, and why that is not a way in: what is put in is fixed in the
/// program or an identifier of a database's own schema, never data. File, text, reason.
const PUT_TOGETHER: [(&str, &str, &str); 30] = [
    ("verify/full_text.rs", "FROM temp.{table}", "a name of ours"),
    (
        "store/connect.rs",
        "PRAGMA page_size = {PAGE_BYTES}",
        "a constant",
    ),
    (
        "store/connect.rs",
        "PRAGMA cache_size = -{LOAD_CACHE_KIB}",
        "a constant",
    ),
    (
        "store/shard/empty.rs",
        "PRAGMA page_size = {}; BEGIN",
        "a constant",
    ),
    (
        "store/connect.rs",
        "PRAGMA cache_size = -{INDEX_CACHE_KIB}; PRAGMA threads = {threads};",
        "numbers",
    ),
    (
        "store/connect.rs",
        "PRAGMA journal_mode = {mode}",
        "one of two words of the caller's",
    ),
    (
        "store/reuse.rs",
        "PRAGMA cache_size = -{CACHE_KIB}",
        "a constant",
    ),
    ("store/fts.rs", "('hashsize', {HASH_BYTES})", "a constant"),
    (
        "store/ledger.rs",
        "SELECT root_id, {} FROM build_files",
        "a constant list of columns",
    ),
    (
        "verify/ledger.rs",
        "SELECT file_id, root_id, {} FROM build_files",
        "a constant list of columns",
    ),
    (
        "store/provenance.rs",
        "INSERT INTO bed_provenance SELECT 1, row.* FROM ({ROW}) AS row",
        "a constant query",
    ),
    (
        "store/provenance.rs",
        "INTERSECT SELECT 1, row.* FROM ({ROW}) AS row",
        "a constant query",
    ),
    (
        "store/query/held/postings.rs",
        "SELECT rowid, {FUNCTION}(genes_fts) FROM genes_fts WHERE genes_fts MATCH ?1",
        "the name of a function, a constant",
    ),
    (
        "store/relocate.rs",
        "UPDATE {table} SET source_id = moved(source_id)",
        "one of two names",
    ),
    (
        "store/routing.rs",
        "ALTER TABLE participants ADD COLUMN {column} TEXT",
        "a constant list of columns",
    ),
    (
        "store/query/routes.rs",
        "SELECT shard_name FROM fingerprint_index WHERE {}",
        "one condition a word, each with `?`",
    ),
    (
        "store/shard/packed.rs",
        "CREATE TABLE {table}",
        "names of tables of the format; looked for in the schema",
    ),
    (
        "store/shard/packed.rs",
        "CREATE TABLE {}",
        "names of tables of the format",
    ),
    (
        "store/shard/packed.rs",
        "INSERT INTO main.{table} SELECT * FROM {packed}; DROP TABLE {packed}",
        "names of tables of the format",
    ),
    (
        "store/shard/packed.rs",
        "INSERT OR FAIL INTO {} {select}",
        "a name of the format and a constant",
    ),
    (
        "store/shard/postings.rs",
        "INSERT OR FAIL INTO {} VALUES (?1, ?2)",
        "a name of the format",
    ),
    (
        "store/shard/postings.rs",
        "INSERT OR FAIL INTO {} VALUES {}",
        "a name of the format and numbered parameters",
    ),
    (
        "store/shard/seal.rs",
        "PRAGMA quick_check('{}')",
        "a table of the schema just created",
    ),
    (
        "store/inspect/shard.rs",
        "SELECT count(*) FROM \\\"{}\\\"",
        "a table of the schema, quoted",
    ),
    (
        "verify/file.rs",
        "PRAGMA {check}({argument})",
        "a constant, and a number or a table of the schema, quoted",
    ),
    (
        "verify/server_edits.rs",
        "(SELECT count(*) FROM {table})",
        "constants",
    ),
    (
        "verify/server_edits.rs",
        "format!(\"SELECT {}\", counts",
        "constants",
    ),
    (
        "verify/routing.rs",
        "SELECT count(*) FROM {table} WHERE shard_name = ?1",
        "constants",
    ),
    (
        "verify/routing.rs",
        "WHERE g.gene_id NOT IN ({})",
        "a constant query",
    ),
    (
        "verify/shard.rs",
        "SELECT count(*) FROM {table}",
        "constants",
    ),
];

#[test]
fn sql_is_made_of_fixed_text_and_bound_values() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut used = [false; PUT_TOGETHER.len()];
    let mut wrong = Vec::new();
    for name in files_below(&sources) {
        let speaks_sql = name.starts_with("store/") || name.starts_with("verify/");
        if !speaks_sql || !name.ends_with(".rs") || name.contains("tests") {
            continue;
        }
        let text = fs::read_to_string(sources.join(&name)).expect("text");
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for call in formatted(text) {
            if !is_sql(call) {
                continue;
            }
            let known = PUT_TOGETHER
                .iter()
                .position(|(file, part, _)| name == *file && call.contains(part));
            match known {
                Some(known) => used[known] = true,
                None => wrong.push(format!("src/{name}: {call}")),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "bind values instead, or say why there is no data in it: {wrong:#?}"
    );
    let stale: Vec<_> = PUT_TOGETHER
        .iter()
        .zip(used)
        .filter(|(_, used)| !used)
        .collect();
    assert!(stale.is_empty(), "no longer there: {stale:#?}");
    assert!(PUT_TOGETHER.iter().all(|(_, _, reason)| !reason.is_empty()));
}

/// Every `format!` with the text up to the end of its first literal and a little more.
fn formatted(text: &str) -> Vec<&str> {
    let calls = text.match_indices("format!(").map(|(at, _)| {
        let rest = &text[at..];
        let open = rest.find('"').unwrap_or(0) + 1;
        let mut end = open;
        let bytes = rest.as_bytes();
        while end < bytes.len() && (bytes[end] != b'"' || bytes[end - 1] == b'\\') {
            end += 1;
        }
        &rest[..rest.floor_char_boundary(end + 10)]
    });
    calls.collect()
}

/// A statement by its first word, or a part of one by its keywords.
fn is_sql(call: &str) -> bool {
    const VERBS: [&str; 12] = [
        "SELECT ",
        "INSERT ",
        "UPDATE ",
        "DELETE ",
        "PRAGMA ",
        "CREATE ",
        "DROP ",
        "ATTACH ",
        "ALTER ",
        "REPLACE INTO",
        " WHERE ",
        " VALUES ",
    ];
    VERBS.iter().any(|verb| call.contains(verb))
}
