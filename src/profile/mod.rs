//! Profiles: which folders are indexed, which of their files, and how.
//!
//! A profile is a TOML file. [`ProfileFile`] is its content, [`Profile`] what it means on this machine: variables and globs
//! expanded, folders found, labels unique. Reads the profile file and looks at the root folders, but not into them, which is
//! the work of `scan`. Reads no environment: the caller passes it in.
//!
//! The modules are listed from the bottom up: each imports only modules above it in this list.

mod patterns;

mod error;
pub mod recipe;

pub mod server_address;

pub mod encoders;
mod expand;
mod folders;
mod global_excludes;
mod labels;
mod suggest;

mod device_setting;
mod find;

mod name_lists;

mod file_names;
mod rules;

mod parse;

mod source;

mod roots;

mod resolved;

mod draft;
mod of_folders;
mod resolve;

mod mistakes;

pub use device_setting::{DeviceSetting, NoSuchDevice};
pub use draft::{ProfileDraft, RootDraft};
pub use error::ProfileError;
pub use expand::Env;
pub use file_names::FileNames;
pub use find::{ProfileName, find_profile, list_profiles};
pub use labels::{slug, unique_labels};
pub use name_lists::{LOCK_FILES, MINIFIED, SOURCE_MAPS};
pub use of_folders::FolderOptions;
pub use parse::{EncodersTable, ProfileFile, RootEntry, toml_message};
pub use patterns::{BadPattern, Patterns, literal};
pub use resolved::Profile;
pub use roots::{ExpectedRoot, KnownRoot, MissingRoot, Root};
pub use rules::{LargeFiles, Limits, Rules, Secrets};
pub use suggest::nearest;

#[cfg(test)]
mod tests;
