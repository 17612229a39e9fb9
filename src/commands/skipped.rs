//! Prints what was skipped: by reason and kind of file, or every file.

use super::output;
use crate::report::{SkippedFile, SkippedGroup};
use serde::Serialize;
use std::io::{self, Write};

/// Lines of groups that fit on a screen beside the rest.
const MOST_LINES: usize = 20;

/// Print one line for each reason and kind of file, with examples.
pub fn print_groups(out: &mut impl Write, groups: &[SkippedGroup]) -> io::Result<()> {
    let mut shown: Vec<&SkippedGroup> = groups.iter().collect();
    shown.sort_by_key(|group| std::cmp::Reverse(group.count));
    shown.truncate(MOST_LINES);
    shown.sort_by_key(|group| group.reason);
    for group in &shown {
        let (reason, kind, count) = (group.reason.as_str(), &group.kind, group.count);
        let examples = group.examples.join(", ");
        writeln!(out, "    {reason:12} {kind:16} {count:>6}  {examples}")?;
    }
    if groups.len() > shown.len() {
        let more = groups.len() - shown.len();
        writeln!(out, "    and {more} more kinds; --skipped lists every file")?;
    }
    Ok(())
}

/// Print one line for each file.
pub fn print_files(out: &mut impl Write, files: &[SkippedFile]) -> io::Result<()> {
    for file in files {
        let SkippedFile {
            root,
            path,
            reason,
            detail,
        } = file;
        writeln!(out, "{reason}: {root}/{path} ({detail})")?;
    }
    Ok(())
}

/// Print one line of JSON for each file.
pub fn print_json(out: &mut impl Write, profile: &str, files: &[SkippedFile]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        profile: &'a str,
        #[serde(flatten)]
        file: &'a SkippedFile,
    }
    for file in files {
        output::json_line(out, "skipped", &Line { profile, file })?;
    }
    Ok(())
}
