mod mistakes;
mod roots;

use super::encoders::{Device, ModelSource};
use super::recipe::{Chunker, Coverage, DensityGate, Recipe, RuleSet, SecretsInText};
use super::*;
use crate::file::RelPath;
use crate::platform;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a profile in it, and folders beside the profile.
struct Setup {
    dir: TempDir,
}

impl Setup {
    fn with_folders(folders: &[&str]) -> Self {
        let dir = crate::test_folder::create();
        for folder in folders {
            fs::create_dir_all(dir.path().join(folder)).expect("folder");
        }
        Self { dir }
    }

    fn path(&self, below: &str) -> PathBuf {
        let path = platform::real_path(self.dir.path()).expect("exists");
        if below.is_empty() {
            path
        } else {
            path.join(below)
        }
    }

    fn load(&self, text: &str) -> Result<Profile, ProfileError> {
        let file = self.path("p.toml");
        fs::write(&file, text).expect("profile");
        let home = self.path("home").to_string_lossy().into_owned();
        Profile::load(&file, &|name| (name == "HOME").then(|| home.clone()))
    }

    fn loaded(&self, text: &str) -> Profile {
        self.load(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The message without the profile's path in front.
    fn error(&self, text: &str) -> String {
        let message = self.load(text).expect_err(text).to_string();
        let file = self.path("p.toml").to_string_lossy().into_owned();
        message
            .strip_prefix(&file)
            .expect("names the file")
            .to_string()
    }
}

fn labels(profile: &Profile) -> Vec<&str> {
    profile
        .roots
        .iter()
        .map(|root| root.label.as_str())
        .collect()
}

#[test]
fn every_key_reaches_its_place() {
    let setup = Setup::with_folders(&["src", "models/s"]);
    let profile = setup.loaded(
        r#"
        description = "all keys"
        missing_hint = "run fetch"
        rules = "compat"
        extensions = [".RS", "md"]
        skip_dirs = ["...", "saves/"]
        skip_names = ["*.gen.rs"]
        max_file_bytes = 1_000
        min_file_bytes = 10
        gitignore = true
        follow_links = true
        secrets = "allow"
        secrets_in_text = "redact"
        chunker = "compat"
        chunk_chars = 500
        density_gate = "compat"
        roots = [{ path = "src", label = "code", include = ["*.rs"], exclude = ["/old"] }]
        [encoders]
        sparse = "models/s"
        dense = "none"
        coverage = "head"
        device = "cuda:1"
        sparse_device = "auto"
        dense_device = "cpu"
        "#,
    );
    assert_eq!(
        (profile.name.as_str(), profile.description.as_str()),
        ("p", "all keys")
    );
    let rules = &profile.rules;
    assert_eq!(rules.set, RuleSet::Compat);
    assert_eq!(
        rules.names.extensions,
        ["rs", "md"].map(String::from).into()
    );
    assert!(rules.skip_dirs.contains("saves") && rules.skip_dirs.contains("node_modules"));
    assert!(rules.skip_names.matching(Path::new("a/x.gen.rs")).is_some());
    assert!(rules.skip_names.matching(Path::new("yarn.lock")).is_none());
    let limits = Limits {
        min_file_bytes: 10,
        max_file_bytes: 1_000,
        large_files: LargeFiles::Skip,
        follow_links: true,
    };
    assert_eq!(
        (rules.limits, rules.gitignore, rules.secrets),
        (limits, true, Secrets::Allow)
    );
    let recipe = Recipe {
        rules: RuleSet::Compat,
        chunker: Chunker::Compat,
        chunk_chars: 500,
        density_gate: DensityGate::Compat,
        coverage: Coverage::Head,
        secrets_in_text: SecretsInText::Redact,
    };
    assert_eq!(profile.recipe, recipe);
    assert_eq!(
        profile.sparse,
        ModelSource::Directory(setup.path("models/s"))
    );
    assert_eq!(profile.dense, ModelSource::None);
    assert_eq!(profile.device, Some(DeviceSetting::Fixed(Device::Cuda(1))));
    assert_eq!(profile.sparse_device, Some(DeviceSetting::Auto));
    let cpu = DeviceSetting::Fixed(Device::Cpu);
    assert_eq!(profile.dense_device, Some(cpu));
    let root = &profile.roots[0];
    assert_eq!(
        (root.label.as_str(), &root.path),
        ("code", &setup.path("src"))
    );
    assert!(root.include.matching(Path::new("a/b.rs")).is_some());
    assert!(root.exclude.matching(Path::new("old")).is_some());
}

#[test]
fn a_profile_of_roots_alone_has_the_defaults() {
    let setup = Setup::with_folders(&["src"]);
    let profile = setup.loaded("roots = ['src']");
    assert_eq!(profile.rules.limits, Limits::default());
    assert!(profile.rules.names.all && profile.rules.gitignore);
    let compat = setup.loaded("roots = ['src']\nrules = 'compat'");
    assert_eq!(compat.rules.limits.max_file_bytes, 200_000);
    assert_eq!(compat.rules.names.extensions.len(), 32);
    assert_eq!(compat.rules.skip_dirs.len(), 38);
    assert!(!compat.rules.names.all && !compat.rules.gitignore);
    assert_eq!(profile.recipe, Recipe::default());
    assert_eq!(profile.sparse, ModelSource::Embedded);
    assert_eq!(profile.device, None);
    assert_eq!(profile.typed.chunker, None);
}

#[test]
fn paths_are_expanded_and_relative_to_the_profile() {
    let setup = Setup::with_folders(&["home/a", "b", "deep/c"]);
    let profile = setup.loaded("roots = ['~/a', './b', 'deep/../deep/c/']");
    let paths: Vec<PathBuf> = profile.roots.iter().map(|root| root.path.clone()).collect();
    assert_eq!(
        paths,
        ["home/a", "b", "deep/c"].map(|path| setup.path(path))
    );
    assert_eq!(labels(&profile), ["a", "b", "c"]);
}

#[test]
fn profiles_are_found_by_name_or_path() {
    let setup = Setup::with_folders(&["one", "two/dir.toml"]);
    for file in [
        "one/small.toml",
        "two/small.toml",
        "two/medium.toml",
        "two/notes.md",
    ] {
        fs::write(setup.path(file), "").expect("file");
    }
    let folders = [setup.path("one"), setup.path("none"), setup.path("two")];
    let names: Vec<String> = list_profiles(&folders)
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["medium", "small"]);
    assert_eq!(
        find_profile("small", &folders).expect("found"),
        setup.path("one/small.toml")
    );
    assert_eq!(
        find_profile("x/y.toml", &folders).expect("a path"),
        Path::new("x/y.toml")
    );
    let error = find_profile("smal", &folders).expect_err("none");
    let expected = "no profile `smal`; did you mean `small`? Available: medium, small";
    assert_eq!(error.to_string(), expected);
    let error = find_profile("zzz", &[]).expect_err("none").to_string();
    assert!(error.contains("there are no profiles"), "{error}");
}

#[test]
fn a_profile_that_cannot_be_read_is_named() {
    let error = Profile::load(Path::new("/none/x.toml"), &|_| None).expect_err("gone");
    assert!(matches!(error, ProfileError::Read { .. }));
    assert_eq!(error.to_string(), "reading profile /none/x.toml");
}

#[test]
fn devices_parse() {
    for (text, device) in [
        ("auto", DeviceSetting::Auto),
        ("cpu", DeviceSetting::Fixed(Device::Cpu)),
        ("cuda", DeviceSetting::Fixed(Device::Cuda(0))),
        ("cuda:3", DeviceSetting::Fixed(Device::Cuda(3))),
    ] {
        assert_eq!(text.parse(), Ok(device));
    }
    for bad in ["", "CPU", "cuda:", "cuda:-1", "cuda:x", "gpu"] {
        assert_eq!(bad.parse::<DeviceSetting>(), Err(NoSuchDevice(bad.into())));
    }
}

#[test]
fn a_folder_without_a_profile_is_as_a_profile_with_defaults() {
    let setup = Setup::with_folders(&["My Notes"]);
    let of_folder = Profile::of_folder(&setup.path("My Notes")).expect("a folder");
    let loaded = setup.loaded(r#"roots = ["My Notes"]"#);
    assert_eq!(labels(&of_folder), labels(&loaded));
    assert_eq!(of_folder.roots[0].path, loaded.roots[0].path);
    assert_eq!(of_folder.name, "my-notes");
    assert_eq!(of_folder.recipe, loaded.recipe);
    assert_eq!(of_folder.rules.names, loaded.rules.names);
    assert_eq!(of_folder.sparse, loaded.sparse);
    let absent = Profile::of_folder(&setup.path("absent"));
    assert!(matches!(absent, Err(ProfileError::Read { .. })));
    let file = Profile::of_folder(&setup.path("p.toml"));
    assert!(matches!(file, Err(ProfileError::Read { .. })));
}
