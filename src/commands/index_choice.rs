//! Which index a command reads: the one that the command line names, or the only one of the output folder.

use super::environment;
use super::query::no_index;
use crate::exit_code::{Exit, ExitCode};
use crate::store::locate;
use crate::store::names::is_routing;
use std::path::{Path, PathBuf};

/// Most indexes that a message lists.
const MOST_LISTED: usize = 12;

/// Return the path of the index that a command reads. `usage` is the command line, with INDEX for the index.
///
/// # Errors
/// Without a named one: [`ExitCode::NoSuchOutput`] if the output folder has no index, [`ExitCode::Usage`] if it has several.
pub fn choose(named: Option<&Path>, usage: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_path_buf());
    }
    let out = environment::out_dir();
    let found = locate::all_in(&out).map_err(no_index)?;
    let found: Vec<PathBuf> = found.iter().map(|database| short(database)).collect();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            let out = out.display();
            let text = format!(
                "no index in {out}-sharded or {out}: build one with `helix-build FOLDER`, or name it, as in \
                 `helix-build {usage}`"
            );
            Err(Exit::error(ExitCode::NoSuchOutput, text))
        }
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

/// Return the path by which people name an index: of a sharded one its folder.
fn short(database: &Path) -> PathBuf {
    match database.parent() {
        Some(folder) if is_routing(database) => folder.to_path_buf(),
        _ => database.to_path_buf(),
    }
}
