//! `models fetch`: downloads a model and checks it.

use super::models;
use super::output;
use crate::cli::{GlobalFlags, ModelsCheck, ModelsFetch};
use crate::encode;
use crate::exit_code::{Exit, ExitCode};
use crate::hub::{self, HubError, Limits, Order, Source};
use crate::progress;
use crate::terminal;
use serde_json::json;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between two lines about progress.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

pub fn run(args: &ModelsFetch, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let source = Source::parse(&args.model).map_err(failed)?;
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| default_folder().join(source.model()));
    let token = std::env::var("HF_TOKEN").ok();
    let token = token
        .as_deref()
        .map(str::trim)
        .filter(|token| !token.is_empty());
    let order = Order {
        source: &source,
        endpoint: &args.endpoint,
        token,
        file: args.file.as_deref(),
        out: &out,
        is_static: encode::is_static_model,
        limits: Limits::default(),
    };
    let mut last = Instant::now();
    let mut report = |now: hub::Progress<'_>| {
        if global.quiet > 0 || last.elapsed() < BETWEEN_LINES {
            return;
        }
        last = Instant::now();
        let of = now
            .size
            .map(|size| format!(" of {}", progress::bytes(size)));
        let of = of.unwrap_or_default();
        let line = format!("{}: {}{of}", now.file, progress::bytes(now.bytes));
        let _ = writeln!(io::stderr(), "{}", terminal::line(&line));
    };
    let fetched = hub::fetch(&order, &mut report).map_err(failed)?;
    output::text(|to| {
        if global.json {
            let line = json!({
                "path": out.display().to_string(), "repository": source.repository, "revision": fetched.revision,
                "licence": fetched.licence, "files": fetched.files, "bytes": fetched.bytes, "sha256": fetched.sha256,
            });
            return output::json_line(to, "fetched", &line);
        }
        writeln!(
            to,
            "{}: {} files, {}, of {} at {}",
            out.display(),
            fetched.files,
            progress::bytes(fetched.bytes),
            source.repository,
            fetched.revision
        )
    })?;
    let check = ModelsCheck {
        dirs: vec![out],
        ort_lib: args.ort_lib.clone(),
    };
    models::check(&check, global)
}

/// Return the folder of models that `models list` looks into: the one that the environment names, else the user's.
fn default_folder() -> PathBuf {
    let set = std::env::var_os("HELIX_BUILD_MODEL_DIR").map(PathBuf::from);
    let last = || models::search_dirs().pop();
    set.or_else(last).unwrap_or_else(|| "models".into())
}

fn failed(error: HubError) -> anyhow::Error {
    let code = match &error {
        HubError::Name(_) => ExitCode::Usage,
        HubError::Unwritten { .. } => ExitCode::Failure,
        _ => ExitCode::Unavailable,
    };
    Exit::error(code, error.to_string())
}
