//! Names as people use them, with the rates that the documentation states.

use super::*;

/// Found at least, in parts of a thousand of [`SECRET`].
const LEAST_FOUND: usize = 980;

/// Taken for secrets at most, in parts of a thousand of [`INNOCENT`].
const MOST_FALSE: usize = 20;

fn path(spelling: &str) -> RelPath {
    RelPath::from_spelling(spelling).expect(spelling)
}

/// One a line, since some have blanks.
fn names(list: &str) -> Vec<&str> {
    let lines = list.lines().map(str::trim);
    let mut names: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name is listed twice");
    names
}

const SECRET: &str = include_str!("secret-names.txt");
const INNOCENT: &str = include_str!("innocent-names.txt");

#[test]
fn secrets_are_recognised() {
    let secret = names(SECRET);
    assert!(secret.len() >= 150, "{}", secret.len());
    let missed: Vec<_> = secret
        .iter()
        .filter(|name| pattern_on_the_way(&path(name)).is_none())
        .collect();
    let found = secret.len() - missed.len();
    println!("{found} of {} found; missed: {missed:?}", secret.len());
    assert!(found * 1000 >= secret.len() * LEAST_FOUND, "{missed:?}");
}

#[test]
fn sources_are_not_taken_for_secrets() {
    let innocent = names(INNOCENT);
    assert!(innocent.len() >= 150, "{}", innocent.len());
    let hits: Vec<_> = innocent
        .iter()
        .filter_map(|name| Some((name, pattern_on_the_way(&path(name))?)))
        .collect();
    println!(
        "{} of {} taken for secrets: {hits:?}",
        hits.len(),
        innocent.len()
    );
    assert!(hits.len() * 1000 <= innocent.len() * MOST_FALSE, "{hits:?}");
}

#[test]
fn the_pattern_names_what_was_recognised() {
    let pattern = |name: &str| secret_pattern(&path(name)).unwrap_or_default();
    assert_eq!(pattern("a/.ENV.local"), ".env.*");
    assert_eq!(pattern("TLS.KEY"), "*.key");
    assert_eq!(pattern("x/.aws/config"), ".aws/config");
    assert_eq!(pattern("id_rsa_work"), "id_rsa*");
    assert_eq!(
        pattern("prod-firebase-adminsdk-1.json"),
        "*-firebase-adminsdk*.json"
    );
    assert_eq!(pattern("credentials.json.bak"), "credentials.json");
}

#[test]
fn folders_of_keys_are_recognised() {
    assert_eq!(folder_pattern(&path("home/.ssh")), Some(".ssh/".into()));
    assert_eq!(folder_pattern(&path("home/ssh")), None);
    assert_eq!(
        pattern_on_the_way(&path(".gnupg/a/b.txt")),
        Some(".gnupg/".into())
    );
    assert_eq!(pattern_on_the_way(&path("a/.env")), Some(".env".into()));
    assert_eq!(pattern_on_the_way(&path("a/b.txt")), None);
}
