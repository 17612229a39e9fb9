//! The library that runs the graphs: named where it is missing, and silent.

use super::*;

#[test]
fn a_named_runtime_that_is_not_there_is_named() {
    let model = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let choice = EncoderChoice {
        ort_lib: Some(PathBuf::from("no/such/library.so")),
        ..model.choice(EncoderKind::Dense)
    };
    let error = Encoders::open(&choice).err();
    assert!(
        matches!(&error, Some(EncodeError::RuntimeBad { path, .. }) if path.is_absolute())
            || matches!(&error, Some(EncodeError::RuntimeTaken { wanted, .. }) if wanted.contains("library.so")),
        "{error:?}"
    );
}

/// The built-in encoders need no runtime, so that none is unpacked for them.
#[cfg(all(unix, feature = "embedded-runtime"))]
#[test]
fn the_built_in_encoders_unpack_no_runtime() {
    let names = cache_after("encode::tests::embedded::nothing_gives_nothing");
    assert_eq!(names, [""; 0]);
}

/// The runtime would leave a device id and an event store beside our own directory.
#[cfg(all(unix, feature = "embedded-runtime"))]
#[test]
fn the_runtime_collects_nothing() {
    let names = cache_after("encode::tests::builtin::tables_give_the_vectors_of_the_onnx_files");
    assert_eq!(names, ["helix-build"]);
}

/// Run one test in a process with an empty cache, and return what it leaves there.
#[cfg(all(unix, feature = "embedded-runtime"))]
fn cache_after(test: &str) -> Vec<String> {
    let cache = crate::test_folder::create();
    let this = std::env::current_exe().expect("a test runs in a program");
    let output = std::process::Command::new(this)
        .args(["--exact", test])
        .env("XDG_CACHE_HOME", cache.path())
        .env("HOME", cache.path())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("ORT_RUNNING_UNIT_TESTS")
        .env_remove("CI")
        .output()
        .expect("runs one test");
    assert!(output.status.success(), "{output:?}");
    let entries = fs::read_dir(cache.path()).expect("lists");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("lists").file_name();
    entries
        .map(|e| name(e).to_string_lossy().into_owned())
        .collect()
}
