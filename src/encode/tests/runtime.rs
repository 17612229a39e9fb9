//! The library that runs the graphs: named where it is missing, and silent.

use super::*;

#[test]
fn a_named_runtime_that_is_not_there_is_named() {
    let choice = EncoderChoice {
        ort_lib: Some(PathBuf::from("no/such/library.so")),
        ..EncoderChoice::default()
    };
    let error = Encoders::open(&choice).err();
    assert!(
        matches!(&error, Some(EncodeError::RuntimeBad { path, .. }) if path.is_absolute())
            || matches!(&error, Some(EncodeError::RuntimeTaken { wanted, .. }) if wanted.contains("library.so")),
        "{error:?}"
    );
}

/// The runtime would leave a device id and an event store beside our own directory.
#[cfg(all(unix, feature = "embedded-runtime"))]
#[test]
fn the_runtime_collects_nothing() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    let this = std::env::current_exe().expect("a test runs in a program");
    let output = std::process::Command::new(this)
        .args(["--exact", "encode::tests::embedded::nothing_gives_nothing"])
        .env("XDG_CACHE_HOME", cache.path())
        .env("HOME", cache.path())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("ORT_RUNNING_UNIT_TESTS")
        .env_remove("CI")
        .output()
        .expect("runs one test");
    assert!(output.status.success(), "{output:?}");
    let entries = fs::read_dir(cache.path()).expect("lists");
    let names: Vec<_> = entries.map(|e| e.expect("lists").file_name()).collect();
    assert_eq!(names, ["helix-build"]);
}
