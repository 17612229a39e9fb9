//! Flags, environment, profile and defaults, made into one set of settings.
//!
//! Precedence: flag, then environment variable, then profile, then default. Where each value came
//! from is kept, for `plan` to show.

use super::environment;
use crate::cli::{BuildFlags, ModelFlags, OutputMode, ShardCategory};
use crate::engine::devices::{self, DevicePreference, DeviceSearch, Devices};
use crate::engine::watchdog::config::{ConfigOrigin, CrawlConfig, CrawlFlags, ResolvedCrawlConfig};
use crate::engine::{self, BuildRequest, Layout, ProcessCommand};
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::plan::{Mode, Pace, PlanOptions, SUBSHARD_BYTES, SUBSHARD_FILES, ShardOrder};
use crate::profile::encoders::{EncoderChoice, ModelSource, Precision};
use crate::profile::{DeviceSetting, Profile, ProfileError, find_profile, list_profiles};
use crate::store;
use anyhow::Context as _;
use serde::Serialize;
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

/// A request, and where its values came from.
#[derive(Debug)]
pub struct Settings {
    pub request: BuildRequest,
    pub devices: Devices,
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
            .map(|c: ShardCategory| store::routing::ShardCategory::from(c).as_str().to_owned());
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
        let mut plan = PlanOptions {
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
            pace: Pace::default(),
        };
        let (precision, precision_from) = precision(flags, &profile)?;
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
            visible_devices: environment::visible_devices(),
            ..EncoderChoice::default()
        };
        plan.pace = engine::pace(&encoders);
        let (sparse, dense, from) = device_preferences(flags, &profile)?;
        let probe = ProcessCommand::this_program("probe")?;
        let devices = devices::choose(
            sparse,
            dense,
            &mut encoders,
            DeviceSearch {
                probe: &probe,
                libraries: &environment::library_paths(),
            },
        )?;
        listed.extend(from.iter().map(|(name, origin)| Setting {
            name,
            value: match *name {
                "sparse-device" => encoders.sparse_device.to_string(),
                _ => encoders.dense_device.to_string(),
            },
            origin: *origin,
        }));
        let crawl = config(flags)?;
        listed.extend(crawl_settings(&crawl));
        if let Some(file) = &flags.metrics_file {
            profile.exclude_output(file);
        }
        // A probe that is set for other machines means nothing where `auto` has come down to the CPU.
        let is_cpu = encoders.device().is_none();
        let asked = from.iter().all(|(_, origin)| *origin != Origin::Default);
        let worker = ProcessCommand::this_program("worker")?;
        let mut request = BuildRequest {
            workers: flags.shard_workers.unwrap_or(0),
            file_workers: flags.shard_file_workers.unwrap_or(0),
            rebuild: flags.rebuild,
            prune: flags.prune,
            take_over: flags.take_over,
            stall_timeout: Duration::from_secs(flags.stall_timeout.into()),
            worker_memory: u64::from(flags.worker_memory) << 20,
            category: category.into(),
            plan,
            encoders,
            device_memory: devices.memory.clone(),
            vram_limit: u64::from(flags.vram_limit.unwrap_or(0)) << 20,
            reuse_from: flags.reuse_from.clone(),
            source_date_epoch: source_date_epoch()?,
            crawl: crawl.config,
            vram_probe: flags.vram_probe.clone(),
            plays_device: flags.vram_probe.is_some() && is_cpu && asked,
            ..BuildRequest::new(profile, &out_dir, worker)?
        };
        request.recall_roots();
        Ok(Self {
            request,
            devices,
            listed,
        })
    }

    /// The same for another profile of this run.
    pub fn layout_of(&self, profile: &str) -> Layout {
        Layout::new(&self.request.out_dir, profile, self.request.mode())
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

/// The name of a listed setting, with its origin.
type Named = (&'static str, Origin);

/// Return the device setting of each kind of encoder: flags, then the profile.
fn device_preferences(
    flags: &BuildFlags,
    profile: &Profile,
) -> anyhow::Result<(DevicePreference, DevicePreference, [Named; 2])> {
    let both = pick("device", flags.device.as_deref(), profile.device)?;
    let kind = |name, given: &Option<String>, of_profile| {
        let (setting, origin) = pick(name, given.as_deref(), of_profile)?;
        // A flag for both is nearer than a profile's word on one.
        let overruled = both.1 == Origin::Given && origin == Origin::Profile;
        let is_specific = origin != Origin::Default && !overruled;
        let (setting, origin) = if is_specific { (setting, origin) } else { both };
        let preference = DevicePreference {
            setting,
            is_specific,
        };
        anyhow::Ok((preference, (name, origin)))
    };
    let (sparse, sparse_from) = kind("sparse-device", &flags.sparse_device, profile.sparse_device)?;
    let (dense, dense_from) = kind("dense-device", &flags.dense_device, profile.dense_device)?;
    Ok((sparse, dense, [sparse_from, dense_from]))
}

/// `SOURCE_DATE_EPOCH`, when it is set.
fn source_date_epoch() -> anyhow::Result<Option<u32>> {
    let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let parsed = text.trim().parse().map_err(|_| {
        Exit::error(
            ExitCode::Usage,
            format!("SOURCE_DATE_EPOCH={text} is not a number of seconds since 1970"),
        )
    })?;
    Ok(Some(parsed))
}

/// What the user's models compute in on a device: flag, then profile.
fn precision(flags: &BuildFlags, profile: &Profile) -> anyhow::Result<(Precision, Origin)> {
    let Some(given) = &flags.precision else {
        let found = profile
            .precision
            .map(|precision| (precision, Origin::Profile));
        return Ok(found.unwrap_or((Precision::default(), Origin::Default)));
    };
    let parsed = given.parse::<Precision>();
    let parsed =
        parsed.map_err(|error| Exit::error(ExitCode::Usage, format!("--precision: {error}")))?;
    Ok((parsed, Origin::Given))
}

fn pick(
    name: &str,
    given: Option<&str>,
    profile: Option<DeviceSetting>,
) -> anyhow::Result<(DeviceSetting, Origin)> {
    Ok(match (given, profile) {
        (Some(text), _) => {
            let setting = text
                .parse()
                .map_err(|error| Exit::error(ExitCode::Usage, format!("--{name}: {error}")))?;
            (setting, Origin::Given)
        }
        (None, Some(setting)) => (setting, Origin::Profile),
        (None, None) => (DeviceSetting::Auto, Origin::Default),
    })
}

/// What flags and environment say. A flag without sense is a usage error, a variable a warning.
fn config(flags: &BuildFlags) -> anyhow::Result<ResolvedCrawlConfig> {
    let typed = CrawlFlags {
        factor: flags.crawl_factor.as_deref(),
        window: flags.crawl_window.as_deref(),
        action: flags.crawl_action.as_deref(),
    };
    let resolved = CrawlConfig::resolve(typed, &|name| std::env::var(name).ok())
        .map_err(|error| Exit::error(ExitCode::Usage, error.to_string()))?;
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    Ok(resolved)
}

/// For `plan`.
fn crawl_settings(resolved: &ResolvedCrawlConfig) -> [Setting; 3] {
    let [factor, window, action] = &resolved.origins;
    let config = &resolved.config;
    let setting = |name, value, origin: &ConfigOrigin| Setting {
        name,
        value,
        origin: match origin {
            ConfigOrigin::Flag | ConfigOrigin::Environment(_) => Origin::Given,
            ConfigOrigin::Default => Origin::Default,
        },
    };
    [
        setting("crawl-factor", config.factor.to_string(), factor),
        setting("crawl-window", config.window.to_string(), window),
        setting("crawl-action", config.action.to_string(), action),
    ]
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
            true => "none found in the folders searched".to_owned(),
            false => format!("available: {}", known.join(", ")),
        };
        let text = format!(
            "no profile given: pass --profile NAME, NAME,NAME, all, or the path of a TOML file; {known}"
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
                tracing::warn!("profile {} is skipped: {error:#}", profile.name);
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
