//! `models`: lists, checks and prepares models.

use super::models_fetch;
use super::output;
use super::{profile_lookup, settings};
use crate::cli::{self, GlobalFlags, ModelsAction, ModelsCheck, ModelsPrepare};
use crate::encode::{self, EncodeError, ModelReport, PrepareOptions, PreparedModel};
use crate::exit_code::{Exit, ExitCode};
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::profile::{Profile, list_profiles};
use crate::progress;
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub fn run(action: &ModelsAction, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    match action {
        ModelsAction::List => list(global),
        ModelsAction::Check(args) => check(args, global),
        ModelsAction::Prepare(args) => prepare(args, global),
        ModelsAction::Fetch(args) => models_fetch::run(args, global),
    }
}

/// A model that is available on this machine.
#[derive(Serialize)]
struct Known {
    name: String,
    /// `None`: built in.
    path: Option<String>,
    kind: String,
    /// What led to it: `embedded`, a variable, a profile or a folder.
    from: String,
    licence: Option<String>,
    /// Why it cannot be used, if that is known without loading it.
    problem: Option<String>,
}

fn list(global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let mut known = embedded()?;
    for (path, from) in directories() {
        known.push(known_directory(&path, from));
    }
    output::text(|out| {
        for model in &known {
            if global.json {
                output::json_line(out, "model", model)?;
                continue;
            }
            let place = model.path.as_deref().unwrap_or("built in");
            writeln!(
                out,
                "{:24} {:7} {place} ({})",
                model.name, model.kind, model.from
            )?;
            if let Some(problem) = &model.problem {
                writeln!(out, "{:24} {problem}", "")?;
            }
        }
        Ok(())
    })
}

fn embedded() -> anyhow::Result<Vec<Known>> {
    let info = encode::describe(&EncoderChoice::default()).map_err(unavailable)?;
    let kinds = [("sparse", info.sparse), ("dense", info.dense)];
    let known = kinds.into_iter().filter_map(|(kind, info)| {
        info.map(|info| Known {
            name: info.name,
            path: None,
            kind: kind.to_owned(),
            from: "embedded".to_owned(),
            licence: info.licence,
            problem: None,
        })
    });
    Ok(known.collect())
}

fn known_directory(path: &Path, from: String) -> Known {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let mut known = Known {
        name: name.to_string_lossy().into_owned(),
        path: Some(path.display().to_string()),
        kind: String::new(),
        from,
        licence: None,
        problem: None,
    };
    match encode::list_model(path) {
        Ok((kind, licence)) => {
            known.kind = kind.to_string();
            known.licence = licence;
        }
        Err(error) => known.problem = Some(error.to_string()),
    }
    known
}

/// Find model directories, without duplicates: those named by environment variables and profiles, then those below
/// `$HELIX_BUILD_MODEL_DIR`, `./models` and `models` in the user's data folder.
fn directories() -> Vec<(PathBuf, String)> {
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    let mut add = |path: PathBuf, from: String| {
        let same = |known: &(PathBuf, String)| match (known.0.canonicalize(), path.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => known.0 == path,
        };
        if !found.iter().any(same) {
            found.push((path, from));
        }
    };
    for name in ["HELIX_BUILD_SPARSE_MODEL", "HELIX_BUILD_DENSE_MODEL"] {
        let value = std::env::var(name).ok();
        let source = value.and_then(|value| settings::model_source(&value).ok());
        if let Some(ModelSource::Directory(path)) = source {
            add(path, name.to_owned());
        }
    }
    for listed in list_profiles(&profile_lookup::search_dirs()) {
        let profile = Profile::load(&listed.file, &|name| std::env::var(name).ok());
        let sources = profile.map(|profile| [profile.sparse, profile.dense]);
        for source in sources.into_iter().flatten() {
            if let ModelSource::Directory(path) = source {
                add(path, format!("profile {}", listed.name));
            }
        }
    }
    for folder in search_dirs() {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| encode::looks_like_model(path))
            .collect();
        paths.sort();
        for path in paths {
            add(path, folder.display().to_string());
        }
    }
    found
}

pub(super) fn search_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    dirs.extend(std::env::var_os("HELIX_BUILD_MODEL_DIR").map(PathBuf::from));
    dirs.push(PathBuf::from("models"));
    if let Ok(base) = etcetera::choose_base_strategy() {
        use etcetera::BaseStrategy as _;
        dirs.push(base.data_dir().join("helix-build").join("models"));
    }
    dirs
}

/// Check all given models. Exit code 13 if any of them cannot be used.
pub(super) fn check(args: &ModelsCheck, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let mut all_usable = true;
    for (position, dir) in args.dirs.iter().enumerate() {
        if dir.as_os_str() == "embedded" && !dir.exists() {
            built_in(global)?;
            continue;
        }
        let mut report = encode::check_model(dir, args.ort_lib.as_deref());
        if let (true, Ok(report)) = (position > 0, &mut report) {
            // Not measurable: the model reuses memory that earlier ones have freed.
            report.memory_bytes = None;
        }
        all_usable &= report.is_ok();
        output::text(|out| match (&report, global.json) {
            (Ok(report), true) => {
                let mut line = serde_json::to_value(report)?;
                line["path"] = json!(dir.display().to_string());
                line["ok"] = json!(true);
                output::json_line(out, "model", &line)
            }
            (Err(error), true) => {
                let (path, problem) = (dir.display().to_string(), error.to_string());
                let line = json!({"path": path, "ok": false, "problem": problem});
                output::json_line(out, "model", &line)
            }
            (Ok(report), false) => show(out, dir, report),
            (Err(error), false) => {
                writeln!(out, "{}: unusable", dir.display())?;
                writeln!(out, "  {error}")
            }
        })?;
    }
    Ok(match all_usable {
        true => ExitCode::Success,
        false => ExitCode::Unavailable,
    })
}

/// Print the built-in encoders, which are checked when the program is built.
fn built_in(global: &GlobalFlags) -> anyhow::Result<()> {
    let known = embedded()?;
    output::text(|out| {
        for model in &known {
            if global.json {
                let line =
                    json!({"name": model.name, "kind": model.kind, "path": null, "ok": true});
                output::json_line(out, "model", &line)?;
                continue;
            }
            writeln!(
                out,
                "{}: built in, a usable {} encoder",
                model.name, model.kind
            )?;
        }
        Ok(())
    })?;
    Ok(())
}

fn show(out: &mut impl Write, dir: &Path, report: &ModelReport) -> io::Result<()> {
    writeln!(out, "{}: a usable {} encoder", dir.display(), report.kind)?;
    let mut line = |name: &str, value: String| writeln!(out, "  {name:12} {value}");
    if !report.inputs.is_empty() {
        line("inputs", report.inputs.join(", "))?;
    }
    line("outputs", report.outputs.join(", "))?;
    line("read", format!("{} of {}", report.read, report.graph))?;
    line(
        "pooling",
        format!("{} (by {})", report.pooling, report.pooling_from),
    )?;
    let prefix = |text: &str| match text {
        "" => "none".to_owned(),
        text => format!("{text:?}"),
    };
    line(
        "prefixes",
        format!(
            "{} for queries, {} for chunks",
            prefix(&report.query_prefix),
            prefix(&report.passage_prefix)
        ),
    )?;
    if report.kind == "sparse" {
        let through = match &report.query_table {
            Some(table) => format!("by the weights of their tokens in {table}"),
            None => "through the encoder".to_owned(),
        };
        line("queries", through)?;
    }
    line("max_len", format!("{} tokens", report.max_len))?;
    line("vocabulary", report.vocabulary.to_string())?;
    line("dim", report.dim.to_string())?;
    match report.norm {
        Some(norm) => line("norm", format!("{norm:.4}"))?,
        None => line("terms", format!("{:?} of two sentences", report.terms))?,
    }
    line(
        "similarity",
        format!(
            "{:.4} between two sentences on the same subject",
            report.similarity
        ),
    )?;
    line(
        "speed",
        format!("{:.0} tokens per CPU-second", report.tokens_per_cpu_second),
    )?;
    line("files", progress::bytes(report.file_bytes))?;
    let grown = report.memory_bytes;
    line(
        "memory",
        grown.map_or_else(
            || "only measured for the first model".to_owned(),
            progress::bytes,
        ),
    )?;
    let licence = report.licence.as_deref();
    line("licence", licence.unwrap_or("not stated").to_owned())?;
    line("sha256", report.sha256.clone().unwrap_or_default())?;
    line("hash", report.hash.clone())?;
    for unused in &report.unused {
        line("not used", unused.clone())?;
    }
    for advice in &report.advice {
        line("advice", advice.clone())?;
    }
    Ok(())
}

fn prepare(args: &ModelsPrepare, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    if args.out.symlink_metadata().is_ok() {
        let text = format!(
            "{} exists: choose another --out, or remove it",
            args.out.display()
        );
        return Err(Exit::error(ExitCode::Usage, text));
    }
    let options = PrepareOptions {
        dir: &args.dir,
        out: &args.out,
        top_k: args.top_k.map_or(encode::TOP_K, |k| k as usize),
        quantize: args.quantize.map(|quantization| match quantization {
            cli::Quantization::Int8 => encode::Quantization::Int8,
            cli::Quantization::Fp16 => encode::Quantization::Fp16,
        }),
        ort_lib: args.ort_lib.as_deref(),
    };
    let made = encode::prepare_model(&options).map_err(unavailable)?;
    output::text(|out| {
        if global.json {
            return output::json_line(out, "prepared", &made);
        }
        describe(out, &made)
    })
}

fn describe(out: &mut impl Write, made: &PreparedModel) -> io::Result<()> {
    writeln!(
        out,
        "{}: a {} encoder, {} of {}",
        made.out.display(),
        made.kind,
        progress::bytes(made.bytes_after),
        progress::bytes(made.bytes_before)
    )?;
    match made.folded {
        Some("product") => writeln!(out, "  pooling and cut folded in, at the last product")?,
        Some("logits") => writeln!(out, "  pooling and cut folded in, at the logits")?,
        Some(_) => writeln!(out, "  cut folded in")?,
        None => {}
    }
    if made.products > 0 {
        let (products, tables) = (made.products, made.tables);
        writeln!(out, "  {products} products and {tables} tables in 8 bits")?;
    }
    writeln!(
        out,
        "  lowest similarity to the vectors of the given one: {:.6}",
        made.similarity
    )
}

fn unavailable(error: EncodeError) -> anyhow::Error {
    let code = match &error {
        EncodeError::Unwritten { .. } => ExitCode::Failure,
        _ => ExitCode::Unavailable,
    };
    Exit::error(code, error.to_string())
}
