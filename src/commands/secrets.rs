//! Reports credentials found in the text of files. Names files and counts values, but never prints a value.

use crate::profile::Profile;
use crate::profile::recipe::SecretsInText;
use crate::progress;
use crate::report::TextSecrets;
use std::io;

/// Log a warning if the index contains credentials, for programs, which get the summary as JSON.
pub fn warn(secrets: &TextSecrets, profile: &Profile) {
    let Some(first) = secrets.files.first() else {
        return;
    };
    if secrets.setting == SecretsInText::Keep {
        let more = if secrets.files.len() > 1 { ", ..." } else { "" };
        tracing::warn!(
            "{} ({}/{}{more}); {}",
            statement(secrets),
            first.root,
            first.path,
            advice(profile),
        );
    }
}

/// Most files listed in the summary; the manifest lists all.
const MAX_SHOWN: usize = 10;

/// Print how many credentials were found, and in which files.
pub fn print(out: &mut impl io::Write, secrets: &TextSecrets, profile: &Profile) -> io::Result<()> {
    let n_files = secrets.files.len();
    if n_files == 0 {
        return Ok(());
    }
    match secrets.setting {
        SecretsInText::Redact => writeln!(
            out,
            "  credentials in text: {} in {}, redacted",
            progress::count(secrets.values, "value"),
            progress::count(n_files as u64, "file"),
        )?,
        SecretsInText::Keep | SecretsInText::Skip => writeln!(
            out,
            "  credentials in text: {}; {}",
            statement(secrets),
            advice(profile),
        )?,
    }
    for file in secrets.files.iter().take(MAX_SHOWN) {
        writeln!(out, "    {}/{} ({})", file.root, file.path, file.values)?;
    }
    if n_files > MAX_SHOWN {
        let more = n_files - MAX_SHOWN;
        writeln!(out, "    and {more} more, listed in the manifest")?;
    }
    Ok(())
}

/// Return what is said of credentials that are in the index.
fn statement(secrets: &TextSecrets) -> String {
    let what = match secrets.values {
        1 => "may be a credential and is in the index",
        _ => "may be credentials and are in the index",
    };
    format!(
        "{} in {} {what}",
        progress::count(secrets.values, "value"),
        progress::count(secrets.files.len() as u64, "file"),
    )
}

/// Return how to keep them out. Folders without a profile need one first.
fn advice(profile: &Profile) -> &'static str {
    match profile.folders.is_empty() {
        true => "set secrets_in_text = \"redact\" or \"skip\" in the profile to keep them out",
        false => {
            "to keep them out, write a profile with \"helix-build init\" and set secrets_in_text = \"redact\" or \
             \"skip\" in it"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::FileSecrets;

    #[test]
    fn numbers_and_verbs_agree() {
        let file = |values| FileSecrets {
            root: "r".into(),
            path: "p".into(),
            values,
        };
        let said = |files: &[u32]| {
            statement(&TextSecrets {
                setting: SecretsInText::Keep,
                values: files.iter().map(|n| u64::from(*n)).sum(),
                files: files.iter().map(|n| file(*n)).collect(),
            })
        };
        assert_eq!(
            said(&[1]),
            "1 value in 1 file may be a credential and is in the index"
        );
        assert_eq!(
            said(&[1, 2]),
            "3 values in 2 files may be credentials and are in the index"
        );
    }
}
