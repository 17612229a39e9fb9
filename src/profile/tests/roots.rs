//! Root folders: globs, labels, links, folders that are away.

use super::*;

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
