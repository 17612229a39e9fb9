//! Resolves a profile file: what it means on this machine.

use super::device_setting::DeviceSetting;
use super::encoders::{ModelSource, Precision};
use super::error::ProfileError;
use super::expand::{Env, expand};
use super::file_names::FileNames;
use super::global_excludes::global_excludes;
use super::name_lists::{skip_dirs, skip_names};
use super::parse::ProfileFile;
use super::patterns::Patterns;
use super::recipe::{Recipe, RuleSet};
use super::resolved::Profile;
use super::roots::{Root, find_roots};
use super::rules::{Limits, Rules};
use super::source::ProfileSource;
use crate::{named_file, platform};
use std::path::Path;
use toml::Spanned;

/// Fewest characters of a chunk. Smaller chunks are words rather than passages.
const MIN_CHUNK_CHARS: u32 = 100;

/// Stands for the default list.
const DEFAULTS: &str = "...";

impl Profile {
    /// Read and resolve the profile in `path`. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// `Read` or `Invalid` for a mistake in the file; `NoRoots` if none of its folders exists.
    pub fn load(path: &Path, env: Env<'_>) -> Result<Self, ProfileError> {
        let text = read(path)?;
        Self::resolve(ProfileFile::parse(path, &text)?, path, &text, env)
    }

    /// Resolve `typed`, parsed from the `text` of the profile in `path`: look for the folders that it names.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn resolve(
        typed: ProfileFile,
        path: &Path,
        text: &str,
        env: Env<'_>,
    ) -> Result<Self, ProfileError> {
        resolve(typed, path, text, env)
    }

    /// Return the description in the profile file `path`, whether or not its folders exist.
    pub fn describe(path: &Path) -> Result<String, ProfileError> {
        let typed = ProfileFile::parse(path, &read(path)?)?;
        Ok(typed.description.unwrap_or_default())
    }
}

fn read(path: &Path) -> Result<String, ProfileError> {
    let text = named_file::read_text(path, named_file::MOST_TEXT_BYTES);
    text.map_err(|source| ProfileError::Read {
        path: path.to_path_buf(),
        source,
    })
}

fn resolve(
    typed: ProfileFile,
    path: &Path,
    text: &str,
    env: Env<'_>,
) -> Result<Profile, ProfileError> {
    let absolute = std::path::absolute(path).map_err(|source| ProfileError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let source = ProfileSource {
        path,
        text,
        folder: absolute.parent().unwrap_or(Path::new("/")).to_path_buf(),
        env,
    };
    let name = name(&absolute, &source)?;
    let rules = rules(&typed, &source)?;
    let recipe = recipe(&typed, &source)?;
    let encoders = &typed.encoders;
    let device = |typed: &Option<Spanned<String>>| device(typed.as_ref(), &source);
    let (both, sparse_device, dense_device) = (
        device(&encoders.device)?,
        device(&encoders.sparse_device)?,
        device(&encoders.dense_device)?,
    );
    let precision = precision(encoders.precision.as_ref(), &source)?;
    let sparse = model(typed.encoders.sparse.as_ref(), &source)?;
    let dense = model(typed.encoders.dense.as_ref(), &source)?;
    let (mut roots, missing) = find_roots(&typed.roots, &source)?;
    if roots.is_empty() {
        return Err(ProfileError::NoRoots {
            path: path.to_path_buf(),
            tried: missing.into_iter().map(|root| root.typed).collect(),
            hint: typed.missing_hint,
        });
    }
    if rules.set == RuleSet::Standard {
        leave_out(&absolute, &mut roots);
    }
    Ok(Profile {
        name,
        description: typed.description.clone().unwrap_or_default(),
        file: absolute,
        folders: Vec::new(),
        roots,
        missing,
        rules,
        recipe,
        sparse,
        dense,
        device: both,
        sparse_device,
        dense_device,
        precision,
        typed,
    })
}

/// Leave the profile `file` out of the roots: it says how the index is built and is no part of what is searched.
fn leave_out(file: &Path, roots: &mut [Root]) {
    let Some((folder, name)) = file.parent().zip(file.file_name()) else {
        return;
    };
    let Ok(folder) = platform::real_path(folder) else {
        return;
    };
    for root in roots {
        root.profile_file = root.relative(&folder.join(name));
    }
}

/// Return the file's name without `.toml`. It becomes a folder of the output, so it must not name another folder.
fn name(file: &Path, source: &ProfileSource<'_>) -> Result<String, ProfileError> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    if name == "." || name == ".." {
        let message = format!(
            "the file's name makes the profile's name `{name}`, which names another folder: rename it"
        );
        return Err(source.invalid_at(0, &message));
    }
    Ok(name.into_owned())
}

fn rules(typed: &ProfileFile, source: &ProfileSource<'_>) -> Result<Rules, ProfileError> {
    let set = typed.rules.unwrap_or_default();
    let names = match &typed.extensions {
        Some(entries) => FileNames::typed(entries, DEFAULTS, set),
        None => FileNames::of(set),
    };
    let folders = list(typed.skip_dirs.as_ref(), skip_dirs(set));
    let folder = |name: &str| name.trim_end_matches('/').to_string();
    let patterns = typed.skip_names.as_ref();
    let skip_names = list(patterns.map(Spanned::get_ref), skip_names(set));
    let skip_names = Patterns::compile(skip_names).map_err(|bad| {
        source.invalid_at(patterns.map_or(0, |it| it.span().start), &bad.to_string())
    })?;
    Ok(Rules {
        names,
        skip_dirs: folders.into_iter().map(folder).collect(),
        skip_names,
        secrets: typed.secrets.unwrap_or_default(),
        gitignore: typed.gitignore.unwrap_or(set == RuleSet::Standard),
        global_excludes: match typed.git_global_excludes {
            Some(true) => global_excludes(source.env),
            _ => None,
        },
        limits: limits(typed, set, source)?,
        set,
    })
}

fn limits(
    typed: &ProfileFile,
    set: RuleSet,
    source: &ProfileSource<'_>,
) -> Result<Limits, ProfileError> {
    let defaults = Limits::of(set);
    let (min, max) = (&typed.min_file_bytes, &typed.max_file_bytes);
    let limits = Limits {
        min_file_bytes: value_or(min, defaults.min_file_bytes),
        max_file_bytes: value_or(max, defaults.max_file_bytes),
        follow_links: typed.follow_links.unwrap_or(defaults.follow_links),
        ..defaults
    };
    if let (Some(typed), true) = (
        min.as_ref().or(max.as_ref()),
        limits.min_file_bytes > limits.max_file_bytes,
    ) {
        let message = format!(
            "min_file_bytes ({}) is above max_file_bytes ({})",
            limits.min_file_bytes, limits.max_file_bytes
        );
        return Err(source.invalid(typed, &message));
    }
    Ok(limits)
}

fn value_or<T: Copy>(typed: &Option<Spanned<T>>, default: T) -> T {
    typed.as_ref().map_or(default, |value| *value.get_ref())
}

/// Return the list as typed, with [`DEFAULTS`] replaced by the defaults; without a list, the defaults.
fn list<'t>(typed: Option<&'t Vec<String>>, defaults: Vec<&'static str>) -> Vec<&'t str> {
    let Some(typed) = typed else {
        return defaults;
    };
    let mut list = Vec::new();
    for entry in typed {
        match entry.as_str() {
            DEFAULTS => list.extend_from_slice(&defaults),
            entry => list.push(entry),
        }
    }
    list
}

fn recipe(typed: &ProfileFile, source: &ProfileSource<'_>) -> Result<Recipe, ProfileError> {
    let defaults = Recipe::default();
    if let Some(chars) = &typed.chunk_chars
        && *chars.get_ref() < MIN_CHUNK_CHARS
    {
        let message = format!("chunk_chars must be at least {MIN_CHUNK_CHARS}");
        return Err(source.invalid(chars, &message));
    }
    Ok(Recipe {
        rules: typed.rules.unwrap_or(defaults.rules),
        chunker: typed.chunker.unwrap_or(defaults.chunker),
        chunk_chars: value_or(&typed.chunk_chars, defaults.chunk_chars),
        density_gate: typed.density_gate.unwrap_or(defaults.density_gate),
        coverage: typed.encoders.coverage.unwrap_or(defaults.coverage),
        secrets_in_text: typed.secrets_in_text.unwrap_or(defaults.secrets_in_text),
    })
}

fn device(
    typed: Option<&Spanned<String>>,
    source: &ProfileSource<'_>,
) -> Result<Option<DeviceSetting>, ProfileError> {
    let Some(device) = typed else {
        return Ok(None);
    };
    match device.get_ref().parse() {
        Ok(setting) => Ok(Some(setting)),
        Err(error) => Err(source.invalid(device, &error.to_string())),
    }
}

fn precision(
    typed: Option<&Spanned<String>>,
    source: &ProfileSource<'_>,
) -> Result<Option<Precision>, ProfileError> {
    let parse = |typed: &Spanned<String>| {
        let parsed = typed.get_ref().parse::<Precision>();
        parsed.map_err(|error| source.invalid(typed, &error.to_string()))
    };
    typed.map(parse).transpose()
}

fn model(
    typed: Option<&Spanned<String>>,
    source: &ProfileSource<'_>,
) -> Result<ModelSource, ProfileError> {
    let Some(typed) = typed else {
        return Ok(ModelSource::default());
    };
    let text = typed.get_ref();
    let named = ModelSource::unless_folder(text);
    if let Some(named) = named.map_err(|error| source.invalid(typed, &error.to_string()))? {
        return Ok(named);
    }
    let folder = expand(text, source.env);
    let folder = folder.map_err(|error| source.invalid(typed, &error.to_string()))?;
    Ok(ModelSource::Directory(source.folder.join(folder.literal)))
}
