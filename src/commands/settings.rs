//! Merges flags, environment variables, the profile and defaults into a build request.
//!
//! Precedence: flag, environment variable, profile, default. Keeps the origin of each value for `plan`.

use super::environment;
use super::folders;
use super::profile_lookup::{name_of, search_dirs, split_names};
use crate::cli::{BuildFlags, ModelFlags, OutputMode, ShardCategory};
use crate::engine::devices::{self, DevicePreference, DeviceSearch, Devices};
use crate::engine::watchdog::config::{ConfigOrigin, CrawlConfig, CrawlFlags, ResolvedCrawlConfig};
use crate::engine::{self, BuildRequest, Layout, ProcessCommand};
use crate::exit_code::{Exit, ExitCode};
use crate::plan::{Mode, Pace, PlanOptions, SUBSHARD_BYTES, SUBSHARD_FILES, ShardOrder};
use crate::profile::encoders::{EncoderChoice, ModelSource, Precision};
use crate::profile::{DeviceSetting, Profile, list_profiles};
use crate::store;
use anyhow::Context as _;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A flag or its environment variable.
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

impl Setting {
    fn new(name: &'static str, value: impl ToString, origin: Origin) -> Self {
        Self {
            name,
            value: value.to_string(),
            origin,
        }
    }

    /// A setting that a profile cannot have.
    fn given_or(name: &'static str, given: Option<impl ToString>, default: &str) -> Self {
        match given {
            Some(value) => Self::new(name, value, Origin::Given),
            None => Self::new(name, default, Origin::Default),
        }
    }
}

/// A build request and the origin of its values.
#[derive(Debug)]
pub struct Settings {
    pub request: BuildRequest,
    pub devices: Devices,
    /// What the devices were chosen by, for the sparse and the dense encoder.
    pub preferences: [DevicePreference; 2],
    /// The settings to show to people.
    pub listed: Vec<Setting>,
}

impl Settings {
    pub fn resolve(flags: &BuildFlags, mut profile: Profile) -> anyhow::Result<Self> {
        let (out_dir, mode) = output(flags);
        let out_dir = std::path::absolute(&out_dir)
            .with_context(|| format!("--out-dir {}", out_dir.display()))?;
        let mut listed = listed_flags(flags);
        let mut encoders = encoders(flags, &profile, &mut listed)?;
        let plan = PlanOptions {
            pace: engine::pace(&encoders),
            ..plan_options(flags, &profile, mode)
        };
        let (sparse, dense, origins) = device_preferences(flags, &profile)?;
        let probe = ProcessCommand::this_program("probe")?;
        let search = DeviceSearch {
            probe: &probe,
            libraries: &environment::library_paths(),
        };
        let devices = devices::choose(sparse, dense, &mut encoders, search)?;
        let [sparse_origin, dense_origin] = origins;
        listed.extend([
            Setting::new("sparse-device", encoders.sparse_device, sparse_origin),
            Setting::new("dense-device", encoders.dense_device, dense_origin),
        ]);
        let crawl = crawl_config(flags)?;
        listed.extend(crawl_settings(&crawl));
        if let Some(file) = &flags.metrics_file {
            profile.exclude_output(file);
        }
        // HELIX_BUILD_VRAM_PROBE may be set for other machines: ignore it if `auto` has chosen the CPU.
        let is_cpu = encoders.device().is_none();
        let is_chosen = !origins.contains(&Origin::Default);
        let worker = ProcessCommand::this_program("worker")?;
        let mut request = BuildRequest {
            workers: flags.shard_workers.unwrap_or(0),
            file_workers: flags.shard_file_workers.unwrap_or(0),
            rebuild: flags.rebuild,
            prune: flags.prune,
            take_over: flags.take_over,
            list_skipped: flags.skipped,
            stall_timeout: Duration::from_secs(flags.stall_timeout.into()),
            worker_memory: u64::from(flags.worker_memory) << 20,
            category: flags.shard_category.unwrap_or_default().into(),
            plan,
            encoders,
            device_memory: devices.memory.clone(),
            vram_limit: u64::from(flags.vram_limit.unwrap_or(0)) << 20,
            reuse_from: flags.reuse_from.clone(),
            source_date_epoch: source_date_epoch()?,
            crawl: crawl.config,
            vram_probe: flags.vram_probe.clone(),
            plays_device: flags.vram_probe.is_some() && is_cpu && is_chosen,
            ..BuildRequest::new(profile, &out_dir, worker)?
        };
        request.recall_roots();
        Ok(Self {
            request,
            devices,
            preferences: [sparse, dense],
            listed,
        })
    }

    /// Return the layout of another profile of the same run.
    pub fn layout_of(&self, profile: &str) -> Layout {
        Layout::new(&self.request.out_dir, profile, self.request.mode())
    }
}

/// List the settings that only flags and their environment variables can change.
fn listed_flags(flags: &BuildFlags) -> Vec<Setting> {
    let mode = flags.mode.map(|mode| match mode {
        OutputMode::Blob => "blob",
        OutputMode::Sharded => "sharded",
    });
    let category = |c: ShardCategory| store::routing::ShardCategory::from(c).as_str();
    let out_dir = flags.out_dir.as_ref().map(|dir| dir.display());
    let category = flags.shard_category.map(category);
    vec![
        Setting::given_or("mode", mode, "sharded"),
        Setting::given_or("out-dir", out_dir, "./genomes"),
        Setting::given_or("shard-workers", flags.shard_workers, "0 (auto)"),
        Setting::given_or("shard-file-workers", flags.shard_file_workers, "0 (auto)"),
        Setting::given_or("shard-category", category, "reference"),
    ]
}

fn plan_options(flags: &BuildFlags, profile: &Profile, mode: Mode) -> PlanOptions {
    PlanOptions {
        mode,
        blob_label: profile.name.clone(),
        order: match flags.no_shard_sort {
            true => ShardOrder::Declared,
            false => ShardOrder::LargestFirst,
        },
        subshard_bytes: flags
            .auto_subshard_threshold_bytes
            .unwrap_or(SUBSHARD_BYTES),
        subshard_files: flags
            .auto_subshard_threshold_files
            .unwrap_or(SUBSHARD_FILES),
        pace: Pace::default(),
    }
}

/// Choose the encoders and list their settings. The devices are not chosen yet.
fn encoders(
    flags: &BuildFlags,
    profile: &Profile,
    listed: &mut Vec<Setting>,
) -> anyhow::Result<EncoderChoice> {
    let typed = &profile.typed.encoders;
    let given = flags.models.sparse_model.as_deref();
    let (sparse, sparse_origin) = model(given, &profile.sparse, typed.sparse.is_some())?;
    let given = flags.models.dense_model.as_deref();
    let (dense, dense_origin) = model(given, &profile.dense, typed.dense.is_some())?;
    let (precision, precision_origin) = precision(flags, profile)?;
    listed.extend([
        Setting::new("sparse-model", model_name(&sparse), sparse_origin),
        Setting::new("dense-model", model_name(&dense), dense_origin),
        Setting::new("precision", precision, precision_origin),
    ]);
    Ok(EncoderChoice {
        precision,
        sparse,
        dense,
        coverage: profile.recipe.coverage,
        ort_lib: flags.models.ort_lib.clone(),
        max_batch: flags.batch_size.unwrap_or(0),
        visible_devices: environment::visible_devices(),
        ..EncoderChoice::default()
    })
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

/// Parse the value of `--sparse-model` or `--dense-model`.
pub fn model_source(text: &str) -> anyhow::Result<ModelSource> {
    let named = ModelSource::unless_folder(text);
    if let Some(named) = named.map_err(|error| Exit::error(ExitCode::Usage, error.to_string()))? {
        return Ok(named);
    }
    let path = std::path::absolute(text).with_context(|| format!("model {text}"))?;
    Ok(ModelSource::Directory(path))
}

/// Refuse a choice of no encoder.
pub fn require_encoder(choice: &EncoderChoice) -> anyhow::Result<()> {
    if choice.sparse == ModelSource::None && choice.dense == ModelSource::None {
        let text = "nothing to encode with: leave out --sparse-model none or --dense-model none";
        return Err(Exit::error(ExitCode::Usage, text));
    }
    Ok(())
}

/// Choose the encoders by flags alone, without a profile. The default is the embedded encoder.
pub fn encoder_choice(flags: &ModelFlags) -> anyhow::Result<EncoderChoice> {
    let source = |text: Option<&str>| text.map_or(Ok(ModelSource::default()), model_source);
    Ok(EncoderChoice {
        sparse: source(flags.sparse_model.as_deref())?,
        dense: source(flags.dense_model.as_deref())?,
        ort_lib: flags.ort_lib.clone(),
        ..EncoderChoice::default()
    })
}

/// Return the requested device of the sparse and the dense encoder, and the origins of both.
fn device_preferences(
    flags: &BuildFlags,
    profile: &Profile,
) -> anyhow::Result<(DevicePreference, DevicePreference, [Origin; 2])> {
    let both = device("device", flags.device.as_deref(), profile.device)?;
    let kind = |name, given: &Option<String>, in_profile| {
        let (setting, origin) = device(name, given.as_deref(), in_profile)?;
        // --device overrides the profile's setting for one encoder.
        let overruled = both.1 == Origin::Given && origin == Origin::Profile;
        let is_specific = origin != Origin::Default && !overruled;
        let (setting, origin) = if is_specific { (setting, origin) } else { both };
        let preference = DevicePreference {
            setting,
            is_specific,
        };
        anyhow::Ok((preference, origin))
    };
    let (sparse, sparse_origin) =
        kind("sparse-device", &flags.sparse_device, profile.sparse_device)?;
    let (dense, dense_origin) = kind("dense-device", &flags.dense_device, profile.dense_device)?;
    Ok((sparse, dense, [sparse_origin, dense_origin]))
}

/// Read `SOURCE_DATE_EPOCH`, in seconds since 1970.
fn source_date_epoch() -> anyhow::Result<Option<u32>> {
    let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let parsed = text.trim().parse().map_err(|_| {
        Exit::error(
            ExitCode::Usage,
            format!("SOURCE_DATE_EPOCH={text} is not a number of seconds since 1970: correct or unset it"),
        )
    })?;
    Ok(Some(parsed))
}

/// Choose the precision of the user's models on a device.
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

fn device(
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

/// Read the watchdog settings. An invalid flag is a usage error, an invalid environment variable a warning.
fn crawl_config(flags: &BuildFlags) -> anyhow::Result<ResolvedCrawlConfig> {
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

fn crawl_settings(resolved: &ResolvedCrawlConfig) -> [Setting; 3] {
    let [factor, window, action] = &resolved.origins;
    let config = &resolved.config;
    let origin = |origin: &ConfigOrigin| match origin {
        ConfigOrigin::Flag | ConfigOrigin::Environment(_) => Origin::Given,
        ConfigOrigin::Default => Origin::Default,
    };
    [
        Setting::new("crawl-factor", config.factor, origin(factor)),
        Setting::new("crawl-window", config.window, origin(window)),
        Setting::new("crawl-action", config.action, origin(action)),
    ]
}

pub fn model_name(source: &ModelSource) -> String {
    match source {
        ModelSource::Embedded => "embedded".to_owned(),
        ModelSource::None => "none".to_owned(),
        ModelSource::Directory(path) => path.display().to_string(),
        ModelSource::Server(address) => address.to_string(),
    }
}

/// Return the outputs that a build with these flags writes, as far as known without reading the profiles, and those of the
/// same profiles in the other mode, which a later build may write.
pub fn layouts(flags: &BuildFlags) -> Vec<Layout> {
    let (out_dir, _) = output(flags);
    let Ok(out_dir) = std::path::absolute(out_dir) else {
        return Vec::new();
    };
    let folders = folders::name(flags);
    let typed = split_names(flags.profile.as_deref().unwrap_or_default());
    let names = typed.into_iter().flat_map(|name| match name {
        "all" => {
            let all = list_profiles(&search_dirs());
            all.into_iter().map(|profile| profile.name).collect()
        }
        name => vec![name_of(name)],
    });
    names
        .chain(folders)
        .flat_map(|name| {
            let modes = [Mode::Sharded, Mode::Blob];
            modes.map(|mode| Layout::new(&out_dir, &name, mode))
        })
        .collect()
}

/// Return the output folder as typed, or its default, and the mode.
fn output(flags: &BuildFlags) -> (PathBuf, Mode) {
    let mode = match flags.mode {
        Some(OutputMode::Blob) => Mode::Blob,
        Some(OutputMode::Sharded) | None => Mode::Sharded,
    };
    let out_dir = flags.out_dir.clone();
    (
        out_dir.unwrap_or_else(|| PathBuf::from(environment::DEFAULT_OUT_DIR)),
        mode,
    )
}
