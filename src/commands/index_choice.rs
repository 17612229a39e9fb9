//! Which index a command reads: the one that the command line names, or the only one of the output folder.

use super::environment;
use super::query::no_index;
use crate::exit_code::{Exit, ExitCode};
use crate::failure::with_causes;
use crate::platform;
use crate::profile::{nearest, slug};
use crate::store::locate::{self, LocateError};
use crate::store::names::is_routing;
use std::path::{Path, PathBuf};

/// Most indexes that a message lists.
const MOST_LISTED: usize = 12;

/// Return the path of the index that a command reads. `usage` is the command line, with INDEX for the index.
///
/// # Errors
/// Without a named one: [`ExitCode::NoSuchOutput`] if the output folder has no index, [`ExitCode::Usage`] if it has several.
pub fn choose(named: Option<&Path>, usage: &str) -> anyhow::Result<PathBuf> {
    choose_if_any(named, usage)?.ok_or_else(|| {
        let out = environment::out_dir();
        let out = out.display();
        let text = format!(
            "no index in {out}-sharded or {out}: build one with `helix-build FOLDER`, or name it, as in \
             `helix-build {usage}`"
        );
        Exit::error(ExitCode::NoSuchOutput, text)
    })
}

/// As [`choose`], but `None` if none is named and the output folder has none.
///
/// # Errors
/// Without a named one: [`ExitCode::Usage`] if the output folder has several.
pub fn choose_if_any(named: Option<&Path>, usage: &str) -> anyhow::Result<Option<PathBuf>> {
    if let Some(named) = named {
        return Ok(Some(named.to_path_buf()));
    }
    let out = environment::out_dir();
    let found = locate::all_in(&out).map_err(no_index)?;
    let found: Vec<PathBuf> = found.iter().map(|database| short(database)).collect();
    match found.as_slice() {
        [only] => Ok(Some(only.clone())),
        [] => Ok(None),
        several => {
            let shown = several.iter().take(MOST_LISTED);
            let shown: Vec<_> = shown.map(|path| path.display().to_string()).collect();
            let more = match several.len() - shown.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!(
                "there are {} indexes: name one, as in `helix-build {}`; found {}{more}",
                several.len(),
                usage.replace("INDEX", &shown[0]),
                shown.join(", ")
            );
            Err(Exit::error(ExitCode::Usage, text))
        }
    }
}

/// Give the reason why there is no index at `named` its exit code, and name the index that was probably meant.
pub fn not_found(named: &Path, error: LocateError) -> anyhow::Error {
    let is_elsewhere = matches!(
        error,
        LocateError::NotFound { .. }
            | LocateError::NotADatabase { .. }
            | LocateError::Foreign { .. }
    );
    let Some(meant) = meant(named).filter(|_| is_elsewhere) else {
        return no_index(error);
    };
    let (named, meant) = (named.display(), meant.display());
    let text = match error {
        LocateError::NotFound { .. } => {
            format!("no index at {named}: did you mean {meant}?")
        }
        error => format!("{}; did you mean {meant}?", with_causes(&error)),
    };
    Exit::error(ExitCode::NoSuchOutput, text)
}

/// Return the index that a wrong path resembles: one below it, one of the same name in the output folder or beside it, or
/// one with a similar name there.
fn meant(named: &Path) -> Option<PathBuf> {
    let below = locate::all_in(&named.join(environment::DEFAULT_OUT_DIR)).unwrap_or_default();
    if let [only] = below.as_slice() {
        return Some(short(only));
    }
    let mut folders = vec![environment::out_dir()];
    folders.extend(named.parent().map(Path::to_path_buf));
    folders.retain(|folder| !folder.as_os_str().is_empty());
    let found = folders
        .iter()
        .filter_map(|folder| locate::all_in(folder).ok());
    let known: Vec<PathBuf> = found.flatten().map(|database| short(&database)).collect();
    let names: Vec<String> = known.iter().filter_map(|index| name_of(index)).collect();
    let real = platform::real_path(named).unwrap_or_else(|_| named.to_path_buf());
    let typed = slug(&name_of(&real)?);
    let nearest = nearest(&typed, names.iter().map(String::as_str))?;
    let at = names.iter().position(|name| name == nearest)?;
    known.into_iter().nth(at)
}

/// Return the name of an index: that of its folder, or of its database without the ending.
fn name_of(index: &Path) -> Option<String> {
    let is_database = index.extension().is_some_and(|it| it == "db");
    let name = match is_database {
        true => index.file_stem(),
        false => index.file_name(),
    };
    Some(name?.to_string_lossy().into_owned())
}

/// Return the path by which people name an index: of a sharded one its folder.
fn short(database: &Path) -> PathBuf {
    match database.parent() {
        Some(folder) if is_routing(database) => folder.to_path_buf(),
        _ => database.to_path_buf(),
    }
}
