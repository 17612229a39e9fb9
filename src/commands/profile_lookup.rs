//! Finds and loads the profiles that `--profile` selects, or makes one of the folders that the command line names.

use super::folders;
use crate::cli::BuildFlags;
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::failure::with_causes;
use crate::named_file;
use crate::profile::{Profile, ProfileError, find_profile, list_profiles};
use std::path::{Path, PathBuf};

/// The profiles of a run.
pub struct Profiles {
    pub found: Vec<Profile>,
    /// Names of the profiles of `all` that have no root on this machine.
    pub absent: Vec<String>,
}

/// Return the profiles of a command line: that of its folders, or those that `--profile` selects.
///
/// # Errors
/// The first profile that cannot be loaded.
pub fn select(flags: &BuildFlags) -> Result<Profiles, Failed> {
    let Some(name) = folders::name(flags) else {
        return load_named(flags.profile.as_deref());
    };
    let profile = folders::profile(flags).map_err(Failed::of_profile(&name))?;
    Ok(Profiles {
        found: vec![profile],
        absent: Vec::new(),
    })
}

/// Load the profiles that `--profile` selects: a name, a comma-separated list, `all`, or the path of a TOML file. Skips
/// profiles of `all` that have no root on this machine, with a warning.
///
/// # Errors
/// The first profile that cannot be loaded.
fn load_named(flag: Option<&str>) -> Result<Profiles, Failed> {
    let Some(names) = flag else {
        let known = list_profiles(&search_dirs());
        let known: Vec<_> = known.into_iter().map(|p| p.name).collect();
        let known = match known.is_empty() {
            true => {
                "no profile found; `helix-build profile list` shows the folders searched".to_owned()
            }
            false => format!("profiles: {}", known.join(", ")),
        };
        let text = format!(
            "nothing to build: name a folder, as in `helix-build src`, or pass --profile with a name, a comma-separated \
             list, all, or the path of a TOML file; {known}"
        );
        return Err(Exit::error(ExitCode::Usage, text).into());
    };
    let mut profiles: Vec<Profile> = Vec::new();
    let mut absent = Vec::new();
    for name in split_names(names) {
        let found = match name {
            "all" => {
                let all = all_profiles()?;
                absent.extend(all.absent);
                all.found
            }
            name => {
                let found = find(name).and_then(|file| load(&file));
                vec![found.map_err(Failed::of_profile(&name_of(name)))?]
            }
        };
        for profile in found {
            match profiles.iter().find(|known| known.name == profile.name) {
                None => profiles.push(profile),
                Some(known) if known.file == profile.file => {}
                Some(known) => {
                    let (one, two) = (known.file.display(), profile.file.display());
                    let text = format!("{one} and {two} have the same output: rename one of them");
                    let error = Exit::error(ExitCode::Usage, text);
                    return Err(Failed::of_profile(&profile.name)(error));
                }
            }
        }
    }
    match profiles.is_empty() {
        true => {
            let text = format!(
                "--profile {names} contains no name: run `helix-build profile list` for the profiles found"
            );
            Err(Exit::error(ExitCode::Usage, text).into())
        }
        false => Ok(Profiles {
            found: profiles,
            absent,
        }),
    }
}

/// Split a list of names at its commas, except within the path of an existing TOML file.
pub fn split_names(names: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = names;
    while !rest.is_empty() {
        let ends = rest.match_indices(',').map(|(at, _)| at);
        let ends: Vec<usize> = ends.chain([rest.len()]).collect();
        let is_file = |end: &&usize| {
            let path = rest[..**end].trim();
            path.ends_with(".toml") && Path::new(path).is_file()
        };
        let end = *ends.iter().rev().find(is_file).unwrap_or(&ends[0]);
        found.push(rest[..end].trim());
        rest = rest[end..].strip_prefix(',').unwrap_or_default();
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Load all profiles of the first folder that has any, so that the shipped profiles do not add to the user's.
fn all_profiles() -> Result<Profiles, Failed> {
    let dirs = search_dirs();
    let mut lists = dirs
        .iter()
        .map(|dir| list_profiles(std::slice::from_ref(dir)));
    let first = lists.find(|list| !list.is_empty()).unwrap_or_default();
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    let mut skipped = None;
    for profile in first {
        match load(&profile.file) {
            Ok(profile) => found.push(profile),
            Err(error) if ExitCode::of(&error) == ExitCode::NothingToIndex => {
                tracing::warn!("profile {} is skipped: {error:#}", profile.name);
                absent.push(profile.name);
                skipped = Some(error);
            }
            Err(error) => return Err(Failed::of_profile(&profile.name)(error)),
        }
    }
    match skipped {
        Some(error) if found.is_empty() => Err(error.into()),
        _ => Ok(Profiles { found, absent }),
    }
}

/// Return the name of a profile given by name or path: the file name without its extension.
pub fn name_of(typed: &str) -> String {
    match typed.ends_with(".toml") {
        true => {
            let stem = Path::new(typed).file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
        false => typed.to_owned(),
    }
}

/// Find the file of a profile given by name or path.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    find_profile(name, &search_dirs()).map_err(usage)
}

/// Load a profile.
///
/// # Errors
/// [`ExitCode::NothingToIndex`] if it has no root on this machine, [`ExitCode::Usage`] for any other problem.
pub fn load(file: &Path) -> anyhow::Result<Profile> {
    Profile::load(file, &|name| std::env::var(name).ok()).map_err(usage)
}

/// Return all mistakes of a profile; none if it cannot be read.
pub fn mistakes(file: &Path) -> Vec<ProfileError> {
    let text = named_file::read_text(file, named_file::MOST_TEXT_BYTES);
    let env = |name: &str| std::env::var(name).ok();
    text.map_or_else(|_| Vec::new(), |text| Profile::mistakes(file, &text, &env))
}

fn usage(error: ProfileError) -> anyhow::Error {
    let code = match error {
        ProfileError::NoRoots { .. } => ExitCode::NothingToIndex,
        _ => ExitCode::Usage,
    };
    Exit::error(code, with_causes(&error))
}

/// List the existing folders in which `--profile NAME` is searched: `$HELIX_BUILD_PROFILE_DIR`, `./profiles`, the user's
/// configuration, and `profiles` beside or above the executable (for `target/release` of a checkout).
pub fn search_dirs() -> Vec<PathBuf> {
    let mut dirs = searched_dirs();
    dirs.retain(|dir| dir.is_dir());
    dirs
}

/// List the same folders, whether or not they exist.
pub fn searched_dirs() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Some(dir) = std::env::var_os("HELIX_BUILD_PROFILE_DIR") {
        dirs.push(PathBuf::from(dir));
    }
    dirs.push(PathBuf::from("profiles"));
    if let Ok(base) = etcetera::choose_base_strategy() {
        use etcetera::BaseStrategy as _;
        dirs.push(base.config_dir().join("helix-build").join("profiles"));
    }
    if let Ok(program) = std::env::current_exe() {
        let above = program.ancestors().skip(1).take(3);
        dirs.extend(above.map(|folder| folder.join("profiles")));
    }
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_an_existing_path_do_not_split_it() {
        let folder = crate::test_folder::create();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(folder.path().join("a,b")).expect("a folder");
        for name in ["a,b/p,q.toml", "r.toml"] {
            std::fs::write(path(name), "").expect("written");
        }
        let (one, two) = (path("a,b/p,q.toml"), path("r.toml"));
        assert_eq!(split_names(&one), [one.as_str()]);
        let both = format!("demo, {one} ,{two},,x.toml");
        assert_eq!(split_names(&both), ["demo", &one, &two, "x.toml"]);
        assert_eq!(split_names("a,b"), ["a", "b"]);
        assert!(split_names(" , ").is_empty());
    }
}
