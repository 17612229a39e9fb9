//! From the profile as typed to the profile as it applies here.

use super::encoders::{ModelSource, Precision};
use super::expand::expand;
use super::parse::invalid;
use super::recipe::Recipe;
use super::roots::resolve_roots;
use super::rules::{DEFAULT_EXTENSIONS, DEFAULT_SKIP_DIRS, DEFAULT_SKIP_NAMES};
use super::{DeviceSetting, Env, Limits, Patterns, Profile, ProfileError, ProfileFile, Rules};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Characters of a chunk at least: below, chunks are words rather than passages.
const MIN_CHUNK_CHARS: u32 = 100;

/// Stands for the default list.
const DEFAULTS: &str = "...";

/// Where a profile stands, for relative paths and for messages.
pub struct Place<'p> {
    pub path: &'p Path,
    pub text: &'p str,
    /// The profile's folder, absolute.
    pub folder: PathBuf,
    pub env: Env<'p>,
}

impl Place<'_> {
    /// An error at a value.
    pub fn invalid<T>(&self, value: &Spanned<T>, message: &str) -> ProfileError {
        self.invalid_at(value.span().start, message)
    }

    pub fn invalid_at(&self, at: usize, message: &str) -> ProfileError {
        invalid(self.path, self.text, at, message)
    }
}

pub fn resolve(
    typed: ProfileFile,
    path: &Path,
    text: &str,
    env: Env<'_>,
) -> Result<Profile, ProfileError> {
    let absolute = std::path::absolute(path).map_err(|source| ProfileError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let place = Place {
        path,
        text,
        folder: absolute.parent().unwrap_or(Path::new("/")).to_path_buf(),
        env,
    };
    let name = name(&absolute, &place)?;
    let rules = rules(&typed, &place)?;
    let recipe = recipe(&typed, &place)?;
    let encoders = &typed.encoders;
    let device = |typed: &Option<Spanned<String>>| device(typed.as_ref(), &place);
    let (both, sparse_device, dense_device) = (
        device(&encoders.device)?,
        device(&encoders.sparse_device)?,
        device(&encoders.dense_device)?,
    );
    let precision = precision(encoders.precision.as_ref(), &place)?;
    let sparse = model(typed.encoders.sparse.as_ref(), &place)?;
    let dense = model(typed.encoders.dense.as_ref(), &place)?;
    let (roots, missing) = resolve_roots(&typed.roots, &place)?;
    if roots.is_empty() {
        return Err(ProfileError::NoRoots {
            path: path.to_path_buf(),
            tried: missing.into_iter().map(|root| root.typed).collect(),
            hint: typed.missing_hint,
        });
    }
    Ok(Profile {
        name,
        description: typed.description.clone().unwrap_or_default(),
        file: absolute,
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

/// The file's name without `.toml`. It becomes a folder of the output, so it must be one of its own.
fn name(file: &Path, place: &Place<'_>) -> Result<String, ProfileError> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    if name == "." || name == ".." {
        let message = format!(
            "the file's name makes the profile's name `{name}`, which names another folder: rename it"
        );
        return Err(place.invalid_at(0, &message));
    }
    Ok(name.into_owned())
}

fn rules(typed: &ProfileFile, place: &Place<'_>) -> Result<Rules, ProfileError> {
    let limits = limits(typed, place)?;
    let extensions = list(typed.extensions.as_ref(), DEFAULT_EXTENSIONS);
    let skip_dirs = list(typed.skip_dirs.as_ref(), DEFAULT_SKIP_DIRS);
    let names = typed.skip_names.as_ref();
    let skip_names = Patterns::compile(list(names.map(Spanned::get_ref), DEFAULT_SKIP_NAMES))
        .map_err(|bad| place.invalid_at(names.map_or(0, |it| it.span().start), &bad.to_string()))?;
    let plain = |name: &str| name.trim_start_matches('.').to_lowercase();
    let folder = |name: &str| name.trim_end_matches('/').to_string();
    Ok(Rules {
        extensions: extensions.into_iter().map(plain).collect(),
        skip_dirs: skip_dirs.into_iter().map(folder).collect(),
        skip_names,
        secrets: typed.secrets.unwrap_or_default(),
        gitignore: typed.gitignore.unwrap_or_default(),
        limits,
    })
}

fn limits(typed: &ProfileFile, place: &Place<'_>) -> Result<Limits, ProfileError> {
    let defaults = Limits::default();
    let (min, max) = (&typed.min_file_bytes, &typed.max_file_bytes);
    let limits = Limits {
        min_file_bytes: value_or(min, defaults.min_file_bytes),
        max_file_bytes: value_or(max, defaults.max_file_bytes),
        follow_links: typed.follow_links.unwrap_or(defaults.follow_links),
    };
    if let (Some(typed), true) = (
        min.as_ref().or(max.as_ref()),
        limits.min_file_bytes > limits.max_file_bytes,
    ) {
        let message = format!(
            "min_file_bytes ({}) is above max_file_bytes ({})",
            limits.min_file_bytes, limits.max_file_bytes
        );
        return Err(place.invalid(typed, &message));
    }
    Ok(limits)
}

fn value_or<T: Copy>(typed: &Option<Spanned<T>>, default: T) -> T {
    typed.as_ref().map_or(default, |value| *value.get_ref())
}

/// The list as typed, with [`DEFAULTS`] replaced, or else the defaults.
fn list<'t>(typed: Option<&'t Vec<String>>, defaults: &[&'static str]) -> Vec<&'t str> {
    let Some(typed) = typed else {
        return defaults.to_vec();
    };
    let mut list = Vec::new();
    for entry in typed {
        match entry.as_str() {
            DEFAULTS => list.extend_from_slice(defaults),
            entry => list.push(entry),
        }
    }
    list
}

fn recipe(typed: &ProfileFile, place: &Place<'_>) -> Result<Recipe, ProfileError> {
    let defaults = Recipe::default();
    if let Some(chars) = &typed.chunk_chars
        && *chars.get_ref() < MIN_CHUNK_CHARS
    {
        let message = format!("chunk_chars must be at least {MIN_CHUNK_CHARS}");
        return Err(place.invalid(chars, &message));
    }
    Ok(Recipe {
        chunker: typed.chunker.unwrap_or(defaults.chunker),
        chunk_chars: value_or(&typed.chunk_chars, defaults.chunk_chars),
        density_gate: typed.density_gate.unwrap_or(defaults.density_gate),
        coverage: typed.encoders.coverage.unwrap_or(defaults.coverage),
        secrets_in_text: typed.secrets_in_text.unwrap_or(defaults.secrets_in_text),
    })
}

fn device(
    typed: Option<&Spanned<String>>,
    place: &Place<'_>,
) -> Result<Option<DeviceSetting>, ProfileError> {
    let Some(device) = typed else {
        return Ok(None);
    };
    match device.get_ref().parse() {
        Ok(setting) => Ok(Some(setting)),
        Err(error) => Err(place.invalid(device, &error.to_string())),
    }
}

fn precision(
    typed: Option<&Spanned<String>>,
    place: &Place<'_>,
) -> Result<Option<Precision>, ProfileError> {
    let parse = |typed: &Spanned<String>| {
        let parsed: Result<Precision, String> = typed.get_ref().parse();
        parsed.map_err(|error| place.invalid(typed, &error))
    };
    typed.map(parse).transpose()
}

fn model(typed: Option<&Spanned<String>>, place: &Place<'_>) -> Result<ModelSource, ProfileError> {
    let Some(typed) = typed else {
        return Ok(ModelSource::default());
    };
    match typed.get_ref().as_str() {
        "embedded" => Ok(ModelSource::Embedded),
        "none" => Ok(ModelSource::None),
        folder => {
            let folder = expand(folder, place.env);
            let folder = folder.map_err(|message| place.invalid(typed, &message))?;
            Ok(ModelSource::Directory(place.folder.join(folder.literal)))
        }
    }
}
