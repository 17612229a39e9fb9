//! The folders of a command line: checks them and makes a profile of them.

use crate::cli::{self, BuildFlags};
use crate::exit_code::{Exit, ExitCode};
use crate::failure::with_causes;
use crate::named_file;
use crate::platform;
use crate::profile::{FolderOptions, Profile, slug};
use crate::report::marks;
use crate::store::names::{ROUTING_NAME, SHARDS_FOLDER};
use anyhow::Context as _;
use std::path::Path;

/// Return the profile of the folders that the command line names.
///
/// # Errors
/// [`ExitCode::Usage`] for a path that is not a folder, or is an index, a bad name or a bad pattern; each with the fix.
pub fn profile(flags: &BuildFlags) -> anyhow::Result<Profile> {
    for path in &flags.paths {
        check(path, || missing(path, flags))?;
    }
    if let Some(name) = &flags.name {
        check_name(name)?;
    }
    let options = FolderOptions {
        name: flags.name.clone(),
        include: flags.include.clone(),
        exclude: flags.exclude.clone(),
    };
    Profile::of_folders(&flags.paths, &options).map_err(|error| usage(with_causes(&error)))
}

/// Return the name of the index of these folders; `None` if the command line names none.
pub fn name(flags: &BuildFlags) -> Option<String> {
    let first = flags.paths.first()?;
    let folder = || {
        let real = platform::real_path(first).unwrap_or_else(|_| first.clone());
        slug(&real.file_name().unwrap_or_default().to_string_lossy())
    };
    Some(flags.name.clone().unwrap_or_else(folder))
}

fn usage(text: String) -> anyhow::Error {
    Exit::error(ExitCode::Usage, text)
}

/// Refuse a name that is not safe for folders and labels.
///
/// # Errors
/// [`ExitCode::Usage`], with a name that is.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let safe = slug(name);
    if safe == name {
        return Ok(());
    }
    let text = format!(
        "--name {name}: a name has lower-case letters, digits and single `-`: write --name {safe}"
    );
    Err(usage(text))
}

/// Refuse what is no folder of sources.
///
/// # Errors
/// [`ExitCode::Usage`], with the fix.
pub fn check_folder(path: &Path) -> anyhow::Result<()> {
    let missing = || {
        usage(format!(
            "{}: no such folder: correct the path",
            path.display()
        ))
    };
    check(path, missing)
}

fn check(path: &Path, missing: impl FnOnce() -> anyhow::Error) -> anyhow::Result<()> {
    let shown = path.display();
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Err(missing()),
        Err(error) => return Err(error).with_context(|| format!("reading {shown}")),
    };
    if !found.is_dir() {
        return Err(usage(no_folder(path)));
    }
    let real = platform::real_path(path).with_context(|| format!("reading {shown}"))?;
    match index_at(&real) {
        None => Ok(()),
        Some(what) => {
            let text = format!(
                "{shown} is {what}, not a folder of sources: name the folder that you want to index, or search this \
                 one with `helix-build query {shown} TEXT`"
            );
            Err(usage(text))
        }
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Explain a path that does not exist. A single word may be a mistyped or misplaced command.
fn missing(path: &Path, flags: &BuildFlags) -> anyhow::Error {
    let shown = path.display();
    let is_word = path.components().count() == 1;
    let word = path.to_str().filter(|_| is_word).unwrap_or_default();
    let is_first = flags.paths.first().is_some_and(|first| first == path);
    let text = if is_first && let Some(similar) = cli::similar_command(word) {
        format!(
            "{shown}: no such folder, and no such command: did you mean `helix-build {similar}`?"
        )
    } else if !is_first && cli::is_command(word) {
        format!("{shown}: no such folder; a command comes first: helix-build {word} ...")
    } else if is_first && is_word {
        format!(
            "{shown}: no such folder, and no such command; `helix-build --help` lists the commands, \
             `helix-build --profile {shown}` builds a profile of that name"
        )
    } else {
        format!("{shown}: no such folder: correct the path, or leave it out")
    };
    usage(text)
}

fn no_folder(path: &Path) -> String {
    let shown = path.display();
    let head = named_file::head(path, marks::HEAD_BYTES).unwrap_or_default();
    if marks::is_database(&head) {
        return format!(
            "{shown} is a database: search it with `helix-build query {shown} TEXT`, or name a folder of sources"
        );
    }
    if path.extension().is_some_and(|it| it == "toml") {
        return format!("{shown} is a file: if it is a profile, pass it with --profile {shown}");
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new(".")).display();
    match path.is_file() {
        true => {
            let name = path.file_name().unwrap_or_default().display();
            format!(
                "{shown} is a file: name its folder, as in `helix-build {above} --include {name}`"
            )
        }
        false => format!("{shown} is not a folder: name a folder of sources"),
    }
}

/// Say what a folder is if it holds nothing but what builds write. `folder` is free of links.
fn index_at(folder: &Path) -> Option<&'static str> {
    let has_routing = |folder: &Path| folder.join(ROUTING_NAME).is_file();
    let name = folder.file_name().unwrap_or_default();
    if has_routing(folder) {
        return Some("an index");
    }
    let lock = || named_file::head(&folder.join("lock"), marks::HEAD_BYTES);
    if marks::is_work_name(&name.to_string_lossy()) && lock().is_ok_and(|it| marks::is_lock(&it)) {
        return Some("the work folder of a build");
    }
    if name == SHARDS_FOLDER && folder.parent().is_some_and(has_routing) {
        return Some("the shards of an index");
    }
    let mut has_index = false;
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let head = || named_file::head(&path, marks::HEAD_BYTES).unwrap_or_default();
        let is_index = has_routing(&path) || (name.ends_with(".db") && marks::is_database(&head()));
        let is_beside = marks::is_work_name(&name)
            || name == ".manifest.lock"
            || (name == marks::MANIFEST_NAME && marks::is_manifest(&head()));
        if !is_index && !is_beside {
            return None;
        }
        has_index |= is_index;
    }
    has_index.then_some("a folder of indexes")
}
