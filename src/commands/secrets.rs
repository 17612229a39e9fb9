//! Reports credentials found in the text of files. Names files and counts values, but never prints a value.

use crate::profile::recipe::SecretsInText;
use crate::progress;
use crate::report::TextSecrets;
use std::io;

/// Log a warning if the index contains credentials, for users who do not read the summary.
pub fn warn(secrets: &TextSecrets) {
    let Some(first) = secrets.files.first() else {
        return;
    };
    if secrets.setting == SecretsInText::Keep {
        tracing::warn!(
            "{} in {} may be credentials and are in the index ({}/{}, ...): set secrets_in_text = \"redact\" or \
             \"skip\" in the profile to keep them out; the summary and the manifest list the files",
            progress::count(secrets.values, "value"),
            progress::count(secrets.files.len() as u64, "file"),
            first.root,
            first.path,
        );
    }
}

/// Most files listed in the summary; the manifest lists all.
const MAX_SHOWN: usize = 10;

/// Print how many credentials were found, and in which files.
pub fn print(out: &mut impl io::Write, secrets: &TextSecrets) -> io::Result<()> {
    let n_files = secrets.files.len();
    if n_files == 0 {
        return Ok(());
    }
    let files = if n_files == 1 { "file" } else { "files" };
    let values = if secrets.values == 1 {
        "value"
    } else {
        "values"
    };
    let what = match secrets.setting {
        SecretsInText::Redact => "redacted",
        SecretsInText::Keep | SecretsInText::Skip => {
            "in the index; set secrets_in_text to \"redact\" or \"skip\" to change that"
        }
    };
    writeln!(
        out,
        "  credentials in text: {} {values} in {n_files} {files}, {what}",
        secrets.values
    )?;
    for file in secrets.files.iter().take(MAX_SHOWN) {
        writeln!(out, "    {}/{} ({})", file.root, file.path, file.values)?;
    }
    if n_files > MAX_SHOWN {
        let more = n_files - MAX_SHOWN;
        writeln!(out, "    and {more} more, listed in the manifest")?;
    }
    Ok(())
}
