//! Parses a profile file.
//!
//! Pure: text in, values or a mistake with its line out. `resolve` decides what the values mean on this machine.

use super::error::ProfileError;
use super::recipe::{Chunker, Coverage, DensityGate, RuleSet, SecretsInText};
use super::rules::Secrets;
use super::suggest::nearest;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::fmt;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of a profile as typed; `None`: not set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileFile {
    pub description: Option<String>,
    pub roots: Vec<RootEntry>,
    /// Advice if no root exists, such as the command that downloads them.
    pub missing_hint: Option<String>,
    pub rules: Option<RuleSet>,
    /// In this and the next two, `"..."` includes the default list.
    pub extensions: Option<Vec<String>>,
    pub skip_dirs: Option<Vec<String>>,
    pub skip_names: Option<Spanned<Vec<String>>>,
    pub min_file_bytes: Option<Spanned<u64>>,
    pub max_file_bytes: Option<Spanned<u64>>,
    pub gitignore: Option<bool>,
    pub git_global_excludes: Option<bool>,
    pub follow_links: Option<bool>,
    pub secrets: Option<Secrets>,
    pub secrets_in_text: Option<SecretsInText>,
    pub chunker: Option<Chunker>,
    pub chunk_chars: Option<Spanned<u32>>,
    pub density_gate: Option<DensityGate>,
    pub encoders: EncodersTable,
}

/// An entry of `roots`: a string, or a table with these keys.
#[derive(Clone, Debug, PartialEq)]
pub struct RootEntry {
    /// With `~`, variables and globs.
    pub path: Spanned<String>,
    pub label: Option<String>,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

/// `[encoders]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncodersTable {
    /// `embedded`, `none` or a folder.
    pub sparse: Option<Spanned<String>>,
    pub dense: Option<Spanned<String>>,
    pub coverage: Option<Coverage>,
    pub device: Option<Spanned<String>>,
    pub sparse_device: Option<Spanned<String>>,
    pub dense_device: Option<Spanned<String>>,
    pub precision: Option<Spanned<String>>,
}

pub(super) const PROFILE_KEYS: &[&str] = &[
    "description",
    "roots",
    "missing_hint",
    "rules",
    "extensions",
    "skip_dirs",
    "skip_names",
    "min_file_bytes",
    "max_file_bytes",
    "gitignore",
    "git_global_excludes",
    "follow_links",
    "secrets",
    "secrets_in_text",
    "chunker",
    "chunk_chars",
    "density_gate",
    "encoders",
];
pub(super) const ROOT_KEYS: &[&str] = &["path", "label", "include", "exclude"];
pub(super) const ENCODER_KEYS: &[&str] = &[
    "sparse",
    "dense",
    "coverage",
    "device",
    "sparse_device",
    "dense_device",
    "precision",
];

impl ProfileFile {
    /// Parse `text`; `path` is for messages.
    ///
    /// # Errors
    /// `Invalid`, with the line, for bad TOML, unknown keys and values of the wrong type.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ProfileError> {
        let syntax = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            ProfileError::at(path, text, at, &toml_message(text, &error))
        };
        let table = DeTable::parse(text).map_err(syntax)?;
        check_keys(table.get_ref())
            .map_err(|(at, message)| ProfileError::at(path, text, at, &message))?;
        toml::from_str(text).map_err(syntax)
    }
}

/// Return what is wrong with a TOML text, on one line and without its position.
pub fn toml_message(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end().replace('\n', ", ");
    let at = error.span().map_or(0, |span| span.start);
    let start = text
        .get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next());
    let is_escape = message.contains("escape") || message.contains("unicode");
    match line {
        Some(line) if is_escape && line.contains('\\') => format!(
            "{message}: between double quotes a backslash begins an escape; put a Windows path in single quotes \
             ('C:\\Users\\me'), or write it with forward slashes"
        ),
        _ => typed(line.unwrap_or_default(), &message).unwrap_or(message),
    }
}

/// Rephrase an error about a wrong type in the terms of a profile. `line` has the key. `None` for other errors.
fn typed(line: &str, message: &str) -> Option<String> {
    let key = line.split('=').next().map_or("", str::trim);
    if message == "wanted string or table" {
        // The parser names the values of a key only to a string that is none of them.
        let error = toml::from_str::<ProfileFile>(&format!("{key} = ''")).err()?;
        let (_, names) = error.message().split_once(", expected ")?;
        return Some(format!("{key}: expected {} in quotes", names.trim_end()));
    }
    let wrong = ["invalid type: ", "invalid value: "];
    let rest = wrong.iter().find_map(|start| message.strip_prefix(start))?;
    let (found, expected) = rest.split_once(", expected ")?;
    let expected = match expected {
        "a sequence" => "a list in brackets, as in [\"...\"]",
        "a boolean" => "true or false",
        "u32" | "u64" | "usize" => "a whole number that is not negative",
        "a map" | "struct EncodersTable" | "struct RootTable" => "a table",
        other => other,
    };
    Some(match key.is_empty() || key == line.trim() {
        true => format!("expected {expected}, found {found}"),
        false => format!("{key}: expected {expected}, found {found}"),
    })
}

const EMPTY_ROOT: &str =
    "roots has an empty path: name a folder, as in roots = [\"~/src\"]; \".\" is the profile's own";

const NO_ROOTS: &str = "roots is empty: name at least one folder, as in roots = [\"~/src\"]";

/// Check for unknown keys and missing roots. Return the position of the mistake and a message.
fn check_keys(profile: &DeTable<'_>) -> Result<(), (usize, String)> {
    check_table(profile, PROFILE_KEYS)?;
    if let Some(DeValue::Table(encoders)) = profile.get("encoders").map(Spanned::get_ref) {
        check_table(encoders, ENCODER_KEYS)?;
    }
    match profile
        .get("roots")
        .map(|roots| (roots.span().start, roots.get_ref()))
    {
        None => Err((0, NO_ROOTS.into())),
        Some((at, DeValue::Array(roots))) if roots.is_empty() => Err((at, NO_ROOTS.into())),
        Some((_, DeValue::Array(roots))) => {
            roots.iter().try_for_each(|root| match root.get_ref() {
                DeValue::Table(table) => {
                    check_table(table, ROOT_KEYS)?;
                    match table.get("path").map(Spanned::get_ref) {
                        Some(DeValue::String(path)) => check_root(path, root.span().start),
                        _ => Ok(()),
                    }
                }
                DeValue::String(path) => check_root(path, root.span().start),
                _ => Ok(()),
            })
        }
        Some((at, value)) => {
            let example = match value {
                DeValue::String(path) => path.as_ref(),
                _ => "~/src",
            };
            let message =
                format!("roots is not a list: put brackets around it, as in roots = [{example:?}]");
            Err((at, message))
        }
    }
}

/// An empty path would be the folder of the profile.
fn check_root(path: &str, at: usize) -> Result<(), (usize, String)> {
    match path.is_empty() {
        true => Err((at, EMPTY_ROOT.into())),
        false => Ok(()),
    }
}

fn check_table(table: &DeTable<'_>, known: &[&str]) -> Result<(), (usize, String)> {
    let unknown = table
        .keys()
        .find(|key| !known.contains(&key.get_ref().as_ref()));
    let Some(key) = unknown else { return Ok(()) };
    let typed = key.get_ref();
    let fix = match nearest(typed, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Err((key.span().start, format!("unknown key `{typed}`: {fix}")))
}

impl<'de> Deserialize<'de> for RootEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The span of the whole entry: a plain string has no finer one.
        let entry = Spanned::<StringOrTable>::deserialize(deserializer)?;
        let span = entry.span();
        Ok(match entry.into_inner() {
            StringOrTable::String(path) => Self {
                path: Spanned::new(span, path),
                label: None,
                include: Vec::new(),
                exclude: Vec::new(),
            },
            StringOrTable::Table(table) => Self {
                path: table.path,
                label: table.label,
                include: table.include,
                exclude: table.exclude,
            },
        })
    }
}

/// Not `#[serde(untagged)]`, whose error for a wrong type in the table names neither key nor type.
enum StringOrTable {
    String(String),
    Table(RootTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootTable {
    path: Spanned<String>,
    label: Option<String>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

impl<'de> Deserialize<'de> for StringOrTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = StringOrTable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a table with `path`")
            }

            fn visit_str<E>(self, path: &str) -> Result<StringOrTable, E> {
                Ok(StringOrTable::String(path.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StringOrTable, A::Error> {
                RootTable::deserialize(MapAccessDeserializer::new(map)).map(StringOrTable::Table)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
