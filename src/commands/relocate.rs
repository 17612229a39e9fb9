//! `relocate`: from flags to new paths of an index.

use super::{index_choice, output};
use crate::cli::{GlobalFlags, RelocateArgs};
use crate::engine::relocate::{Map, relocate};
use crate::exit_code::ExitCode;
use crate::store::locate::locate_ours;
use anyhow::Context as _;
use std::io::Write as _;
use std::path::{Path, absolute};

pub fn run(args: &RelocateArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let index =
        locate_ours(&args.index).map_err(|error| index_choice::not_found(&args.index, error))?;
    let maps = args
        .map
        .iter()
        .map(|(old, new)| Ok((full(old)?, full(new)?)));
    let maps: Vec<Map> = maps.collect::<anyhow::Result<_>>()?;
    let done = relocate(&index, &maps)?;
    output::text(|out| {
        if global.json {
            return output::json_line(out, "relocated", &done);
        }
        for root in &done.roots {
            writeln!(out, "{}: {} is now {}", root.label, root.from, root.to)?;
        }
        let (n, index) = (done.shards, &done.index);
        writeln!(
            out,
            "{index}: {n} shards registered, {} rewritten; nothing was encoded",
            done.rewritten
        )
    })
}

/// Return the absolute path of a folder, which need not exist.
fn full(path: &Path) -> anyhow::Result<std::path::PathBuf> {
    absolute(path).with_context(|| format!("--map {}", path.display()))
}
