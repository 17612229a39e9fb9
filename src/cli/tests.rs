use super::*;

fn read(line: &str) -> Result<(Command, GlobalFlags), String> {
    let arguments = std::iter::once("helix-build")
        .chain(line.split_whitespace())
        .map(OsString::from);
    parse(arguments).map_err(|error| error.to_string())
}

fn build_flags(line: &str) -> BuildFlags {
    match read(line) {
        Ok((Command::Build(flags), _)) => flags,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_definition_is_valid() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_means_build() {
    let flags =
        build_flags("--profile medium --mode sharded --shard-workers 2 --shard-file-workers 3");
    assert_eq!(flags.profile.as_deref(), Some("medium"));
    assert_eq!(flags.mode, Some(OutputMode::Sharded));
    assert_eq!(flags.shard_workers, Some(2));
    assert_eq!(flags.shard_file_workers, Some(3));
}

#[test]
fn the_python_scripts_flags_are_understood() {
    let flags = build_flags("build --profile xl --parallel 4 --workers 3 --chunksize 8");
    assert_eq!(flags.shard_workers, Some(4));
    assert_eq!(flags.shard_file_workers, Some(3));
}

#[test]
fn global_flags_may_stand_before_a_command() {
    let (command, global) = read("-v --json plan --profile small").expect("parses");
    assert!(matches!(command, Command::Plan { .. }));
    assert!(global.json);
    assert_eq!(global.verbose, 1);
}

#[test]
fn build_flags_before_another_command_are_explained() {
    let error = read("--profile small plan").expect_err("is refused");
    assert!(error.contains("helix-build plan --profile"), "{error}");
    let error = read("--rebuild verify somewhere").expect_err("is refused");
    assert!(error.contains("`verify` does not accept it"), "{error}");
}

fn query(line: &str) -> Result<(Option<PathBuf>, Option<String>), String> {
    match read(line)? {
        (Command::Query(query), _) => Ok((query.index, query.text)),
        (other, _) => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_query_needs_a_text_or_a_file_of_them() {
    let (out, text) = (Some(PathBuf::from("out")), Some("text".to_owned()));
    assert_eq!(query("query out text"), Ok((out.clone(), text.clone())));
    assert_eq!(
        query("query out -k 3 text"),
        Ok((out.clone(), text.clone()))
    );
    assert_eq!(query("query text -k 3"), Ok((None, text)));
    assert_eq!(query("query out --queries file"), Ok((out, None)));
    assert_eq!(query("query --queries file"), Ok((None, None)));
    assert!(query("query out text --queries file").is_err());
    let error = query("query").expect_err("no text");
    assert!(
        error.contains("the text to search for is missing"),
        "{error}"
    );
}

#[test]
fn folders_are_built_with_or_without_the_command() {
    for line in ["src docs --name all", "build src docs --name all"] {
        let flags = build_flags(line);
        assert_eq!(flags.paths, [PathBuf::from("src"), PathBuf::from("docs")]);
        assert_eq!(flags.name.as_deref(), Some("all"));
    }
    assert!(matches!(
        read("plan src").map(|(command, _)| command),
        Ok(Command::Plan { .. })
    ));
    let error = read("src --profile small").expect_err("two sources");
    assert!(error.contains("leave out one"), "{error}");
    assert!(read("plan src --profile small").is_err());
    for flag in ["--name x", "--include *.rs", "--exclude *.rs"] {
        assert!(read(&format!("--profile small {flag}")).is_err(), "{flag}");
    }
}

#[test]
fn mistyped_commands_are_recognised() {
    assert_eq!(similar_command("qurey").as_deref(), Some("query"));
    assert_eq!(similar_command("verfy").as_deref(), Some("verify"));
    assert_eq!(similar_command("index").as_deref(), Some("build"));
    assert_eq!(similar_command("search").as_deref(), Some("query"));
    assert_eq!(similar_command("find").as_deref(), Some("query"));
    assert_ne!(similar_command("prob").as_deref(), Some("probe"));
    assert_eq!(similar_command("serch").as_deref(), Some("query"));
    assert_eq!(similar_command("serv").as_deref(), Some("serve"));
    assert_eq!(similar_command("somewhere"), None);
    assert!(is_command("plan") && !is_command("worker") && !is_command("src"));
}
