//! Mistakes in profiles: line, key and fix.

use super::*;

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
        (
            "roots = [\"\"]",
            ":1: roots has an empty path: name a folder",
        ),
        (
            "roots = [\"a\", { path = \"\" }]",
            ":1: roots has an empty path",
        ),
        ("roots = []", ":1: roots is empty: name at least one folder"),
        ("description = 'x'", ":1: roots is empty"),
        (
            "roots = ['a']\nsecrets = 'hide'",
            ":2: unknown variant `hide`, expected `skip` or `allow`",
        ),
        (
            "roots = ['a']\nrules = true",
            ":2: rules: expected `standard` or `compat` in quotes",
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
            "roots = ['a']\nmin_file_bytes = 3000000",
            ":2: min_file_bytes (3000000) is above max_file_bytes (2000000)",
        ),
        (
            "roots = ['a']\nmax_file_bytes = 9\nrules = 'compat'",
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
fn a_check_reports_every_mistake_with_its_line() {
    let setup = Setup::with_folders(&["a"]);
    for (text, expected) in [
        (
            "roots = ['a', { path = 'a', lable = 'x' }]\nextentions = []\nmin_file_bytes = 'x'\n[encoders]\ndevice = 'gpu'\nspars = 'none'\nprecision = 'fp8'\n",
            &[1, 2, 3, 5, 6, 7][..],
        ),
        ("extentions = []\nchunk_chars = 5\n", &[1, 1, 2]),
        (
            "roots = ['a']\nchunk_chars = = 5\nextentions = 1\n",
            &[2, 3],
        ),
        ("roots = ['a']\n", &[]),
    ] {
        let file = setup.path("p.toml");
        let mistakes = Profile::mistakes(&file, text, &|_| None);
        let mut lines: Vec<usize> = mistakes
            .iter()
            .map(|mistake| match mistake {
                ProfileError::Invalid { line, .. } => *line,
                other => panic!("{other}"),
            })
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "{text}\n{mistakes:?}");
    }
}
