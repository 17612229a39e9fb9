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
        let dir = tempfile::tempdir().expect("temporary folder");
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
    assert_eq!(rules.extensions, ["rs", "md"].map(String::from).into());
    assert!(rules.skip_dirs.contains("saves") && rules.skip_dirs.contains("node_modules"));
    assert!(rules.skip_names.matching(Path::new("a/x.gen.rs")).is_some());
    assert!(rules.skip_names.matching(Path::new("yarn.lock")).is_none());
    let limits = Limits {
        min_file_bytes: 10,
        max_file_bytes: 1_000,
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
    assert_eq!(profile.rules.extensions.len(), DEFAULT_EXTENSIONS.len());
    assert!(!profile.rules.gitignore);
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
fn a_glob_gives_several_roots() {
    let setup = Setup::with_folders(&["src/b", "src/a", "src/.hidden", "src/a/deep", "x[1]"]);
    fs::write(setup.path("src/file"), "").expect("file");
    let profile = setup.loaded("roots = ['src/*', 'x[1]', { path = 'src/b', label = 'mine' }]");
    let found: Vec<(&str, &Path)> = profile
        .roots
        .iter()
        .map(|root| (root.label.as_str(), root.path.as_path()))
        .collect();
    let [a, x, b] = ["src/a", "x[1]", "src/b"].map(|path| setup.path(path));
    assert_eq!(found, [("a", a.as_path()), ("x-1", &x), ("mine", &b)]);
}

#[test]
fn a_glob_matches_as_in_a_shell() {
    let folders = ["s/a/x", "s/b/c/x", "s/.h/x", "s/.i/x", "s/a/.j/x"];
    let setup = Setup::with_folders(&folders);
    let found = |pattern: &str| -> Vec<PathBuf> {
        let profile = setup.loaded(&format!("roots = ['{pattern}']"));
        profile.roots.into_iter().map(|root| root.path).collect()
    };
    let paths = |paths: &[&str]| -> Vec<PathBuf> { paths.iter().map(|p| setup.path(p)).collect() };
    assert_eq!(found("s/**/x"), paths(&["s/a/x", "s/b/c/x"]));
    assert_eq!(found("s/.*/x"), paths(&["s/.h/x", "s/.i/x"]));
    assert_eq!(found("s/[ab]/"), paths(&["s/a", "s/b"]));
    assert_eq!(found("s/?/../b/c"), paths(&["s/b/c"]));
    for bad in ["s/[a", "s/a**"] {
        let error = setup.error(&format!("roots = ['{bad}']"));
        assert!(
            error.starts_with(&format!(":1: bad pattern `{bad}`")),
            "{error}"
        );
    }
}

/// Not everywhere can such a name be made.
#[cfg(target_os = "linux")]
#[test]
fn a_glob_matches_names_that_are_not_unicode() {
    use std::os::unix::ffi::OsStrExt as _;
    let setup = Setup::with_folders(&["s/a"]);
    let odd = setup.path("s").join(std::ffi::OsStr::from_bytes(b"b\xff"));
    fs::create_dir(&odd).expect("folder");
    let profile = setup.loaded("roots = ['s/*']");
    assert_eq!(labels(&profile), ["a", "b"]);
    assert_eq!(profile.roots[1].path, odd);
}

#[test]
fn labels_are_unique_and_independent_of_order() {
    let setup = Setup::with_folders(&["a/src", "b/src", "c/SRC", "d/src-2", "e/src"]);
    let profile = setup.loaded(
        "roots = ['c/SRC', 'd/src-2', 'b/src', 'a/src', { path = 'e/src', label = 'src' }]",
    );
    assert_eq!(
        labels(&profile),
        ["src-5", "src-2", "src-4", "src-3", "src"]
    );
}

#[test]
fn inner_roots_are_known_to_the_outer_ones() {
    let setup = Setup::with_folders(&["a/b/c", "ab"]);
    let profile = setup.loaded("roots = ['a', 'a/b/c', 'ab']");
    let inner = RelPath::from_spelling("b/c").expect("a path");
    assert_eq!(profile.roots[0].inner, [inner]);
    assert!(profile.roots[1].inner.is_empty() && profile.roots[2].inner.is_empty());
}

#[cfg(unix)]
#[test]
fn a_link_and_its_target_are_one_root() {
    let setup = Setup::with_folders(&["a"]);
    std::os::unix::fs::symlink(setup.path("a"), setup.path("current")).expect("link");
    assert_eq!(labels(&setup.loaded("roots = ['current']")), ["current"]);
    let error = setup.error("roots = ['a',\n'current']");
    assert_eq!(
        error,
        ":2: roots `a` and `current` are one folder: remove one"
    );
}

#[test]
fn missing_roots_are_listed_and_no_root_at_all_is_its_own_error() {
    let setup = Setup::with_folders(&["a"]);
    let profile = setup.loaded("roots = ['a', 'gone', 'none/*']");
    let missing: Vec<&str> = profile
        .missing
        .iter()
        .map(|root| root.typed.as_str())
        .collect();
    assert_eq!(missing, ["gone", "none/*"]);
    assert_eq!(
        profile.missing[0].resolved,
        setup.path("gone").to_string_lossy()
    );

    let error = setup
        .load("roots = ['gone', 'too']\nmissing_hint = 'run fetch'")
        .expect_err("none");
    assert!(
        matches!(&error, ProfileError::NoRoots { hint: Some(hint), .. } if hint == "run fetch")
    );
    assert!(
        error
            .to_string()
            .ends_with("no root folder exists (gone, too); run fetch")
    );
}

#[test]
fn a_root_that_is_away_keeps_its_label_from_others() {
    let setup = Setup::with_folders(&["a/src", "b/src", "c/one-src", "c/two-src"]);
    let text = "roots = ['a/src', 'b/src', 'c/*-src', { path = 'x', label = 'mine' }]";
    let all = setup.loaded(text);
    assert_eq!(labels(&all), ["src", "src-2", "one-src", "two-src"]);
    let known = |profile: &Profile| -> Vec<KnownRoot> {
        let roots = profile.roots.iter();
        roots
            .map(|root| KnownRoot {
                typed: root.typed.clone(),
                path: root.path.clone(),
                label: root.label.clone(),
            })
            .collect()
    };
    let known = known(&all);
    let away = |folder: &str| fs::remove_dir(setup.path(folder)).expect("removed");
    let expected = |profile: &Profile, typed: &str| {
        let missing = profile.missing.iter().filter(|it| it.typed == typed);
        missing
            .filter_map(|it| it.expected.clone())
            .map(|it| (it.path, it.label))
            .collect::<Vec<_>>()
    };
    away("a/src");
    away("c/one-src");
    let mut some = setup.loaded(text);
    // What is named and missing counts without any memory; a pattern has to be told.
    assert_eq!(labels(&some), ["src-2", "two-src"]);
    assert_eq!(
        expected(&some, "a/src"),
        [(setup.path("a/src"), "src".to_owned())]
    );
    assert_eq!(expected(&some, "c/*-src"), []);
    some.keep_labels(&known);
    assert_eq!(labels(&some), ["src-2", "two-src"]);
    let one = (setup.path("c/one-src"), "one-src".to_owned());
    assert_eq!(expected(&some, "c/*-src"), std::slice::from_ref(&one));
    assert_eq!(expected(&some, "x"), [(setup.path("x"), "mine".to_owned())]);
    // Told twice, or of roots that the profile names no longer, it is the same.
    let n_missing = some.missing.len();
    some.keep_labels(&known);
    assert_eq!(some.missing.len(), n_missing);
    away("c/two-src");
    let mut fewer = setup.loaded("roots = ['b/src', 'c/*-src']");
    fewer.keep_labels(&known);
    let two = (setup.path("c/two-src"), "two-src".to_owned());
    assert_eq!(expected(&fewer, "c/*-src"), [one, two]);
    assert_eq!(labels(&fewer), ["src"]);
    assert!(expected(&fewer, "a/src").is_empty());
}

#[test]
fn mistakes_name_line_key_and_fix() {
    let setup = Setup::with_folders(&["a", "b"]);
    fs::write(setup.path("file"), "").expect("file");
    for (text, expected) in [
        (
            "roots = ['a']\nextentions = []",
            ":2: unknown key `extentions`: did you mean `extensions`?",
        ),
        (
            "roots = ['a']\n[encoders]\nspars = ''",
            ":3: unknown key `spars`: did you mean `sparse`?",
        ),
        (
            "roots = ['b', { path = 'a', lable = 'x' }]",
            ":1: unknown key `lable`: did you mean `label`?",
        ),
        (
            "[[roots]]\npath = 'a'\nexclud = []",
            ":3: unknown key `exclud`: did you mean `exclude`?",
        ),
        (
            "zzzzzz = 1",
            ":1: unknown key `zzzzzz`: the keys here are description, roots",
        ),
        ("roots = []", ":1: roots is empty: name at least one folder"),
        ("description = 'x'", ":1: roots is empty"),
        (
            "roots = ['a']\nsecrets = 'hide'",
            ":2: unknown variant `hide`, expected `skip` or `allow`",
        ),
        (
            "roots = ['a']\ngitignore = 'yes'",
            ":2: gitignore: expected true or false, found string \"yes\"",
        ),
        (
            "roots = ['a']\nmax_file_bytes = -1",
            ":2: max_file_bytes: expected a whole number that is not negative, found integer `-1`",
        ),
        (
            "roots = 'r'",
            ":1: roots is not a list: put brackets around it, as in roots = [\"r\"]",
        ),
        (
            "roots = ['a']\nextensions = '.rs'",
            ":2: extensions: expected a list in brackets, as in [\"...\"], found string \".rs\"",
        ),
        (
            "roots = ['a']\nencoders = 'none'",
            ":2: encoders: expected a table, found string \"none\"",
        ),
        (
            "roots = ['a', 3]",
            ":1: roots: expected a path, or a table with `path`, found integer `3`",
        ),
        ("roots = [{ label = 'x' }]", ":1: missing field `path`"),
        ("roots = ['a'", ":1: "),
        ("roots = ['a']\nroots = ['b']", ":2: duplicate key"),
        (
            "roots = ['file']",
            ":1: root `file` is a file: name the folder it lies in",
        ),
        (
            "roots = ['a', 'b',\n './a']",
            ":2: roots `a` and `./a` are one folder: remove one",
        ),
        (
            "roots = [\n'$NOPE/a']",
            ":2: $NOPE is not set: set it, or write ${NOPE:-default}",
        ),
        ("roots = ['a[']", ":1: bad pattern `a[`"),
        (
            "roots = [\n{ path = 'a', exclude = ['ok', 'x['] }]",
            ":2: bad pattern `x[`",
        ),
        ("roots = ['a']\nskip_names = ['{']", ":2: bad pattern `{`"),
        (
            "roots = [{ path = 'a', label = 'My_X' }]",
            ":1: label `My_X` may hold lower-case letters, digits and single `-`: write `my-x`",
        ),
        (
            "roots = [{ path = 'a', label = 'x' },\n{ path = 'b', label = 'x' }]",
            ":2: label `x` is given twice: rename one",
        ),
        (
            "roots = ['a']\nchunk_chars = 5",
            ":2: chunk_chars must be at least 100",
        ),
        (
            "roots = ['a']\nmin_file_bytes = 300000",
            ":2: min_file_bytes (300000) is above max_file_bytes (200000)",
        ),
        (
            "roots = ['a']\nmax_file_bytes = 9",
            ":2: min_file_bytes (50) is above max_file_bytes (9)",
        ),
        (
            "roots = ['a']\n[encoders]\ndevice = 'gpu'",
            ":3: `gpu` is not a device: write auto, cpu, cuda or cuda:N",
        ),
    ] {
        let error = setup.error(text);
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}

/// The key lists are written out by hand; serde knows the truth.
#[test]
fn the_key_lists_are_those_of_the_types() {
    let known = |text: &str| {
        let error = toml::from_str::<ProfileFile>(text).expect_err("unknown");
        let keys: Vec<String> = error
            .message()
            .split('`')
            .skip(3)
            .step_by(2)
            .map(Into::into)
            .collect();
        keys
    };
    assert_eq!(known("zzz = 1"), parse::PROFILE_KEYS);
    assert_eq!(known("encoders.zzz = 1"), parse::ENCODER_KEYS);
    assert_eq!(known("roots = [{ zzz = 1 }]"), parse::ROOT_KEYS);
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
    assert_eq!(of_folder.rules.extensions, loaded.rules.extensions);
    assert_eq!(of_folder.sparse, loaded.sparse);
    let absent = Profile::of_folder(&setup.path("absent"));
    assert!(matches!(absent, Err(ProfileError::Read { .. })));
    let file = Profile::of_folder(&setup.path("p.toml"));
    assert!(matches!(file, Err(ProfileError::Read { .. })));
}
