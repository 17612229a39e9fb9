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

#[test]
fn a_query_needs_a_text_or_a_file_of_them() {
    assert!(read("query out").is_err());
    assert!(read("query out text").is_ok());
    assert!(read("query out --queries file").is_ok());
    assert!(read("query out text --queries file").is_err());
}
