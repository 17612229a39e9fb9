//! Flags, environment, profile and defaults, made into one set of settings.
//!
//! Precedence: flag, then environment variable, then profile, then default. Where each value came
//! from is kept, for `plan` to show.

use super::devices::{self, Devices};
use super::layout::Layout;
use super::provenance::Provenance;
use super::watch;
use crate::cli::{BuildFlags, ModelFlags, OutputMode, ShardCategory};
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::plan::{Mode, Pace, PlanOptions, SUBSHARD_BYTES, SUBSHARD_FILES, ShardOrder};
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::profile::{Profile, ProfileError, find_profile, list_profiles};
use crate::watchdog::knobs::Knobs;
use anyhow::Context as _;
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A flag, or the environment variable that stands for it.
    Given,
    Profile,
    Default,
}

/// A setting with its origin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    pub name: &'static str,
    pub value: String,
    pub origin: Origin,
}

/// Everything a build of one profile needs to know.
#[derive(Debug)]
pub struct Settings {
    pub profile: Profile,
    pub mode: Mode,
    pub out_dir: PathBuf,
    /// 0: choose.
    pub workers: u32,
    /// 0: choose.
    pub file_workers: u32,
    pub rebuild: bool,
    /// Delete the shards of roots that are away.
    pub prune: bool,
    /// Replace what another profile file of the same name has built.
    pub take_over: bool,
    pub stall_timeout: Duration,
    /// Bytes of memory for each worker; 0: choose.
    pub worker_memory: u64,
    pub category: &'static str,
    pub plan: PlanOptions,
    pub encoders: EncoderChoice,
    pub devices: Devices,
    /// Bytes of device memory for each worker's arenas; 0: choose.
    pub vram_limit: u64,
    pub reuse_from: Vec<PathBuf>,
    pub crawl: Knobs,
    pub vram_probe: Option<String>,
    /// What worker processes are started with.
    pub worker_arguments: Vec<OsString>,
    /// For people.
    pub listed: Vec<Setting>,
}

impl Settings {
    pub fn resolve(flags: &BuildFlags, mut profile: Profile) -> anyhow::Result<Self> {
        let mut listed = Vec::new();
        let mut pick = |name, given: Option<String>, default: &str| {
            let origin = if given.is_some() {
                Origin::Given
            } else {
                Origin::Default
            };
            listed.push(Setting {
                name,
                value: given.unwrap_or_else(|| default.to_owned()),
                origin,
            });
        };
        let (out_dir, mode) = output(flags);
        let mode_name = |mode| match mode {
            OutputMode::Blob => "blob".to_owned(),
            OutputMode::Sharded => "sharded".to_owned(),
        };
        pick("mode", flags.mode.map(mode_name), "sharded");
        let out_dir = std::path::absolute(&out_dir)
            .with_context(|| format!("--out-dir {}", out_dir.display()))?;
        let shown = flags.out_dir.as_ref().map(|d| d.display().to_string());
        pick("out-dir", shown, "./genomes");
        let shown = |n: Option<u32>| n.map(|n| n.to_string());
        pick("shard-workers", shown(flags.shard_workers), "0 (auto)");
        pick(
            "shard-file-workers",
            shown(flags.shard_file_workers),
            "0 (auto)",
        );
        let category = flags.shard_category.unwrap_or_default();
        let shown = flags
            .shard_category
            .map(|c: ShardCategory| c.as_str().to_owned());
        pick("shard-category", shown, "reference");
        let (sparse, sparse_from) = model(
            flags.models.sparse_model.as_deref(),
            &profile.sparse,
            profile.typed.encoders.sparse.is_some(),
        )?;
        let (dense, dense_from) = model(
            flags.models.dense_model.as_deref(),
            &profile.dense,
            profile.typed.encoders.dense.is_some(),
        )?;
        listed.push(Setting {
            name: "sparse-model",
            value: model_name(&sparse),
            origin: sparse_from,
        });
        listed.push(Setting {
            name: "dense-model",
            value: model_name(&dense),
            origin: dense_from,
        });
        let plan = PlanOptions {
            mode,
            blob_label: profile.name.clone(),
            order: if flags.no_shard_sort {
                ShardOrder::Declared
            } else {
                ShardOrder::LargestFirst
            },
            subshard_bytes: flags
                .auto_subshard_threshold_bytes
                .unwrap_or(SUBSHARD_BYTES),
            subshard_files: flags
                .auto_subshard_threshold_files
                .unwrap_or(SUBSHARD_FILES),
            pace: pace([&sparse, &dense]),
        };
        let (precision, precision_from) = devices::precision(flags, &profile)?;
        listed.push(Setting {
            name: "precision",
            value: precision.to_string(),
            origin: precision_from,
        });
        let mut encoders = EncoderChoice {
            precision,
            sparse,
            dense,
            coverage: profile.recipe.coverage,
            ort_lib: flags.models.ort_lib.clone(),
            max_batch: flags.batch_size.unwrap_or(0),
            ..EncoderChoice::default()
        };
        let devices = devices::settle(flags, &profile, &mut encoders)?;
        listed.extend(devices.listed.iter().cloned());
        let layout = Layout::new(&out_dir, &profile.name, mode);
        if let Some(known) = Provenance::read(&layout)
            && !flags.prune
        {
            profile.remember(&known.roots());
        }
        let crawl = watch::knobs(flags)?;
        listed.extend(watch::listed(&crawl));
        if let Some(file) = &flags.metrics_file {
            profile.leave_out(file);
        }
        Ok(Self {
            mode,
            out_dir,
            workers: flags.shard_workers.unwrap_or(0),
            file_workers: flags.shard_file_workers.unwrap_or(0),
            rebuild: flags.rebuild,
            prune: flags.prune,
            take_over: flags.take_over,
            stall_timeout: Duration::from_secs(flags.stall_timeout.into()),
            worker_memory: u64::from(flags.worker_memory) << 20,
            category: category.as_str(),
            plan,
            encoders,
            devices,
            vram_limit: u64::from(flags.vram_limit.unwrap_or(0)) << 20,
            reuse_from: flags.reuse_from.clone(),
            crawl: crawl.knobs,
            vram_probe: flags.vram_probe.clone(),
            worker_arguments: vec!["worker".into()],
            listed,
            profile,
        })
    }

    /// Where the parts of the output lie.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.out_dir, &self.profile.name, self.mode)
    }

    /// The same for another profile of this run.
    pub fn layout_of(&self, profile: &str) -> Layout {
        Layout::new(&self.out_dir, profile, self.mode)
    }

    /// Whether a probe of device memory was given, and the CPU asked for: then it plays a device. Where `auto` has
    /// come down to the CPU, a probe that is set for other machines means nothing.
    pub fn plays_card(&self) -> bool {
        let asked = |setting: &Setting| setting.origin != Origin::Default;
        let is_cpu = self.encoders.device().is_none() && self.devices.listed.iter().all(asked);
        self.vram_probe.is_some() && is_cpu
    }

    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Blob => "blob",
            Mode::Sharded => "sharded",
        }
    }
}

fn model(
    given: Option<&str>,
    profile: &ModelSource,
    in_profile: bool,
) -> anyhow::Result<(ModelSource, Origin)> {
    Ok(match given {
        Some(text) => (model_source(text)?, Origin::Given),
        None if in_profile => (profile.clone(), Origin::Profile),
        None => (profile.clone(), Origin::Default),
    })
}

/// The meaning of a `--sparse-model` or `--dense-model`.
pub fn model_source(text: &str) -> anyhow::Result<ModelSource> {
    Ok(match text {
        "none" => ModelSource::None,
        "embedded" => ModelSource::Embedded,
        path => {
            let path = std::path::absolute(path).with_context(|| format!("model {path}"))?;
            ModelSource::Directory(path)
        }
    })
}

/// The encoders that model flags alone name; the embedded ones where they say nothing.
pub fn encoder_choice(flags: &ModelFlags) -> anyhow::Result<EncoderChoice> {
    let source = |text: Option<&str>| text.map_or(Ok(ModelSource::default()), model_source);
    Ok(EncoderChoice {
        sparse: source(flags.sparse_model.as_deref())?,
        dense: source(flags.dense_model.as_deref())?,
        ort_lib: flags.ort_lib.clone(),
        ..EncoderChoice::default()
    })
}

/// Only the user's models take long enough for short segments to pay.
fn pace(sources: [&ModelSource; 2]) -> Pace {
    let own = |source: &&ModelSource| matches!(source, ModelSource::Directory(_));
    match sources.iter().any(own) {
        true => Pace::Slow,
        false => Pace::Quick,
    }
}

fn model_name(source: &ModelSource) -> String {
    match source {
        ModelSource::Embedded => "embedded".to_owned(),
        ModelSource::None => "none".to_owned(),
        ModelSource::Directory(path) => path.display().to_string(),
    }
}

/// The profiles that `--profile` names: one, a comma list, `all`, or the path of a TOML file. Of
/// `all`, those whose folders are not on this machine are left out with a warning.
///
/// # Errors
/// Of the first that cannot be read; it is named as its output would be.
pub fn profiles(flag: Option<&str>) -> Result<Profiles, Failed> {
    let Some(names) = flag else {
        let known = list_profiles(&search_dirs());
        let known: Vec<_> = known.into_iter().map(|p| p.name).collect();
        let known = match known.is_empty() {
            true => "there are none in the folders searched".to_owned(),
            false => format!("there are: {}", known.join(", ")),
        };
        let text = format!(
            "which profile? --profile NAME, NAME,NAME, all, or the path of a TOML file; {known}"
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
                    let text = format!("{one} and {two} would write the same output: rename one");
                    let error = Exit::error(ExitCode::Usage, text);
                    return Err(Failed::of_profile(&profile.name)(error));
                }
            }
        }
    }
    match profiles.is_empty() {
        true => {
            let text = format!(
                "--profile {names} names no profile: `helix-build profile list` shows which there are"
            );
            Err(Exit::error(ExitCode::Usage, text).into())
        }
        false => Ok(Profiles {
            found: profiles,
            absent,
        }),
    }
}

/// The outputs that a build with these flags writes, as far as can be told without reading a profile.
pub fn layouts(flags: &BuildFlags) -> Vec<Layout> {
    let (out_dir, mode) = output(flags);
    let Ok(out_dir) = std::path::absolute(out_dir) else {
        return Vec::new();
    };
    let typed = split_names(flags.profile.as_deref().unwrap_or_default());
    let names = typed.into_iter().flat_map(|name| match name {
        "all" => {
            let all = list_profiles(&search_dirs());
            all.into_iter().map(|profile| profile.name).collect()
        }
        name => vec![name_of(name)],
    });
    names
        .map(|name| Layout::new(&out_dir, &name, mode))
        .collect()
}

fn output(flags: &BuildFlags) -> (PathBuf, Mode) {
    let mode = match flags.mode {
        Some(OutputMode::Blob) => Mode::Blob,
        Some(OutputMode::Sharded) | None => Mode::Sharded,
    };
    let out_dir = flags.out_dir.clone();
    (out_dir.unwrap_or_else(|| PathBuf::from("genomes")), mode)
}

/// The names between the commas; a path with commas in it is one name where there is such a file.
fn split_names(names: &str) -> Vec<&str> {
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

/// What `--profile` names.
pub struct Profiles {
    pub found: Vec<Profile>,
    /// Names of those without a root on this machine.
    pub absent: Vec<String>,
}

/// The profiles of the first folder that has any: one's own, not the shipped ones besides.
fn all_profiles() -> Result<Profiles, Failed> {
    let dirs = search_dirs();
    let mut lists = dirs
        .iter()
        .map(|dir| list_profiles(std::slice::from_ref(dir)));
    let first = lists.find(|list| !list.is_empty()).unwrap_or_default();
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    let mut why = None;
    for profile in first {
        match load(&profile.file) {
            Ok(profile) => found.push(profile),
            Err(error) if ExitCode::of(&error) == ExitCode::NothingToIndex => {
                tracing::warn!("profile {} is left out: {error:#}", profile.name);
                absent.push(profile.name);
                why = Some(error);
            }
            Err(error) => return Err(Failed::of_profile(&profile.name)(error)),
        }
    }
    match why {
        Some(error) if found.is_empty() => Err(error.into()),
        _ => Ok(Profiles { found, absent }),
    }
}

/// What a profile is called that was typed so: a path's file name without its extension.
pub fn name_of(typed: &str) -> String {
    match typed.ends_with(".toml") {
        true => {
            let stem = Path::new(typed).file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
        false => typed.to_owned(),
    }
}

/// The file of a profile by name or path.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    find_profile(name, &search_dirs()).map_err(usage)
}

/// Reads a profile; what is wrong with it is a usage error, no root at all is "nothing to index".
pub fn load(file: &Path) -> anyhow::Result<Profile> {
    Profile::load(file, &|name| std::env::var(name).ok()).map_err(usage)
}

fn usage(error: ProfileError) -> anyhow::Error {
    let code = match error {
        ProfileError::NoRoots { .. } => ExitCode::NothingToIndex,
        _ => ExitCode::Usage,
    };
    Exit::error(code, format!("{:#}", anyhow::Error::new(error)))
}

/// Where `--profile NAME` is looked for, in order: `$HELIX_BUILD_PROFILE_DIR`, `./profiles`, the
/// user's configuration, and beside or above the executable (a checkout's `target/release`).
pub fn search_dirs() -> Vec<PathBuf> {
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
    dirs.retain(|dir| dir.is_dir());
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_does_not_cut_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
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
