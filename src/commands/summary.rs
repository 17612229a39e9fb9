//! Prints the result of a build, for people or as one line of JSON.

use super::{output, secrets, skipped};
use crate::cli::GlobalFlags;
use crate::engine::{BuildOutcome, BuildRequest, Summary};
use crate::exit_code::ExitCode;
use crate::plan::Mode;
use crate::progress;
use crate::report::TextSummary;
use serde::Serialize;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// The last line with `--json`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// The exit code of the build.
    exit: u8,
}

/// Print the result on standard output, with `--json` as one line.
pub fn print(
    outcome: &BuildOutcome,
    request: &BuildRequest,
    code: ExitCode,
    global: &GlobalFlags,
) -> anyhow::Result<()> {
    let exit = code as u8;
    let summary = match outcome {
        BuildOutcome::Complete(summary) | BuildOutcome::Incomplete(summary) => Some(summary),
        BuildOutcome::Paused => None,
    };
    if let Some(summary) = summary
        && global.json
    {
        secrets::warn(&summary.index.secrets_in_text, &request.profile);
    }
    output::text(|out| match summary {
        Some(summary) if global.json => {
            skipped::print_json(out, &request.profile.name, &summary.skipped_files)?;
            output::json_line(out, "summary", &Line { summary, exit })
        }
        Some(summary) => {
            skipped::print_files(out, &summary.skipped_files)?;
            print_summary(out, summary, request)
        }
        None if global.json => {
            let profile = &request.profile.name;
            output::json_line(
                out,
                "paused",
                &serde_json::json!({"profile": profile, "exit": exit}),
            )
        }
        None => writeln!(
            out,
            "{}: paused; run the same command again to resume",
            request.profile.name
        ),
    })?;
    Ok(())
}

fn print_summary(
    out: &mut impl std::io::Write,
    summary: &Summary,
    request: &BuildRequest,
) -> std::io::Result<()> {
    let Summary { index, run, .. } = summary;
    let retained: usize = index.kept.iter().map(|root| root.shards.len()).sum();
    let retained = retained.min(index.shards.len());
    let nothing_new = run.deleted.is_empty()
        && run.unchanged_shards + retained as u64 >= index.shards.len() as u64;
    let how = if nothing_new && index.kept.is_empty() {
        "unchanged, nothing to do".to_owned()
    } else if nothing_new && index.mode == "blob" {
        "not updated, since a root is unavailable".to_owned()
    } else if nothing_new {
        "nothing to do, but a root is unavailable".to_owned()
    } else {
        format!(
            "built in {} ({:.0} s of CPU time, encoders busy {:.0} %)",
            progress::duration(Duration::from_secs_f64(run.elapsed_s)),
            run.cpu_s,
            run.encoder_busy * 100.0
        )
    };
    writeln!(out, "{}: {how}", index.profile)?;
    writeln!(
        out,
        "  {}, {}, {} of text in {}",
        progress::count(index.files, "file"),
        progress::count(index.chunks, "chunk"),
        progress::bytes(index.source_bytes),
        progress::count(index.shards.len() as u64, "shard"),
    )?;
    if run.reused_chunks + run.resumed_chunks > 0 {
        writeln!(
            out,
            "  resumed {}, reused {} of an earlier index",
            progress::count(run.resumed_chunks, "chunk"),
            progress::count(run.reused_chunks, "vector"),
        )?;
    }
    let counts: Vec<_> = index
        .skipped
        .iter()
        .map(|(r, n)| format!("{n} {r}"))
        .collect();
    if !counts.is_empty() {
        writeln!(out, "  skipped: {}", counts.join(", "))?;
        skipped::print_groups(out, &index.skipped_kinds)?;
    }
    if let Some(head) = index.heads.examples.first() {
        let files = progress::count(index.heads.files, "large file");
        let (root, path) = (&head.root, &head.path);
        let bytes = progress::bytes(head.indexed_bytes);
        writeln!(
            out,
            "  only the beginning of {files}: {bytes} of {root}/{path}, ..."
        )?;
    }
    for file in index.quarantined.iter().chain(&index.unreadable) {
        writeln!(
            out,
            "  {}: {}/{} {}",
            file.reason, file.root, file.path, file.detail
        )?;
    }
    secrets::print(out, &index.secrets_in_text, &request.profile)?;
    print_text(out, &index.text)?;
    for server in &index.servers {
        let revision = server.revision.as_deref();
        let revision = revision.map_or(String::new(), |revision| format!(" ({revision:.12})"));
        writeln!(
            out,
            "  not reproducible: {} vectors by {}{revision} at {}",
            server.kind, server.model, server.url
        )?;
    }
    for root in &index.missing_roots {
        writeln!(out, "  missing root: {root}")?;
    }
    for root in &index.kept {
        writeln!(
            out,
            "  unavailable root: {} ({}); its index is kept ({}); --prune deletes it",
            root.path,
            root.detail,
            root.shards.join(", ")
        )?;
    }
    if !index.not_indexed.is_empty() {
        writeln!(
            out,
            "  not indexed: changes in {}, until that root is available",
            index.not_indexed.join(", ")
        )?;
    }
    for label in &run.deleted {
        writeln!(
            out,
            "  deleted: shard {label}, whose root is gone from the profile or given up with --prune"
        )?;
    }
    writeln!(out, "  {}", index.output)?;
    writeln!(out, "  digest {}", index.digest)?;
    writeln!(out)?;
    writeln!(
        out,
        "next: helix-build query {} \"how do I ...\"",
        shown_path(&index.output, request)
    )
}

/// Return the path of the output to type in a command: relative if it is below the working directory.
fn shown_path(output: &str, request: &BuildRequest) -> String {
    let path = Path::new(output);
    // The folder is enough in sharded mode, and shorter.
    let path = match request.mode() {
        Mode::Sharded => path.parent().unwrap_or(path),
        Mode::Blob => path,
    };
    let here = std::env::current_dir().ok();
    let relative = here
        .as_deref()
        .and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

/// Print what is not as the files have it: other encodings, replaced bytes, encoded data.
fn print_text(out: &mut impl io::Write, text: &TextSummary) -> io::Result<()> {
    if !text.encodings.is_empty() {
        let names = text.encodings.iter();
        let names: Vec<String> = names
            .map(|(name, files)| format!("{files} {name}"))
            .collect();
        writeln!(out, "  other encodings: {}", names.join(", "))?;
    }
    if text.replaced > 0 {
        writeln!(
            out,
            "  replaced by U+FFFD: {} in {} that are not quite UTF-8",
            progress::count(text.replaced, "place"),
            progress::count(text.replaced_files, "file"),
        )?;
    }
    if text.elided > 0 {
        writeln!(
            out,
            "  left out: {} of encoded data in {}",
            progress::count(text.elided, "run"),
            progress::count(text.elided_files, "file"),
        )?;
    }
    Ok(())
}
