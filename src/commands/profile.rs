//! `profile`: lists, shows and checks profiles.

use super::output;
use super::profile_lookup;
use super::settings;
use crate::cli::{GlobalFlags, ProfileAction};
use crate::exit_code::{Exit, ExitCode};
use crate::failure::with_causes;
use crate::profile::{Profile, ProfileError, Secrets, list_profiles};
use crate::progress;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

/// Return the name of the profile that the action is about.
pub fn named(action: &ProfileAction) -> Option<String> {
    match action {
        ProfileAction::List => None,
        ProfileAction::Show { profile } | ProfileAction::Check { profile } => {
            Some(profile_lookup::name_of(profile))
        }
    }
}

pub fn run(action: &ProfileAction, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    match action {
        ProfileAction::List => list(global),
        ProfileAction::Show { profile } => show(profile, global),
        ProfileAction::Check { profile } => check(profile, global),
    }
}

fn list(global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let dirs = profile_lookup::searched_dirs();
    let known = list_profiles(&dirs);
    output::text(|out| {
        if known.is_empty() && !global.json {
            writeln!(out, "no profiles found; searched these folders:")?;
            for dir in &dirs {
                writeln!(out, "  {}", dir.display())?;
            }
        }
        for profile in &known {
            // List invalid profiles too: `check` reports their errors.
            let description = match Profile::describe(&profile.file) {
                Ok(description) => description,
                Err(error) => format!("({})", with_causes(&error)),
            };
            if global.json {
                let line = json!({
                    "name": profile.name,
                    "path": profile.file.display().to_string(),
                    "description": description,
                });
                output::json_line(out, "profile", &line)?;
            } else {
                writeln!(out, "{:12} {description}", profile.name)?;
            }
        }
        Ok(())
    })
}

fn show(name: &str, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let profile = profile_lookup::load(&profile_lookup::find(name)?)?;
    output::text(|out| {
        if global.json {
            return output::json_line(out, "profile", &as_json(&profile));
        }
        let rules = &profile.rules;
        writeln!(out, "{}: {}", profile.name, profile.description)?;
        writeln!(out, "file: {}", profile.file.display())?;
        writeln!(out, "roots:")?;
        for root in &profile.roots {
            writeln!(out, "  {:24} {}", root.label, root.path.display())?;
        }
        for missing in &profile.missing {
            writeln!(out, "  missing: {} ({})", missing.typed, missing.detail)?;
        }
        let extensions = match rules.names.all {
            true => "all".to_owned(),
            false => rules.names.entries().join(" "),
        };
        writeln!(out, "extensions: {extensions}")?;
        let dirs: Vec<_> = rules.skip_dirs.iter().map(String::as_str).collect();
        writeln!(out, "skipped folders: {}", dirs.join(" "))?;
        writeln!(
            out,
            "sizes: {} to {} bytes; gitignore: {}; follow links: {}; secrets: {}",
            rules.limits.min_file_bytes,
            rules.limits.max_file_bytes,
            rules.gitignore,
            rules.limits.follow_links,
            match rules.secrets {
                Secrets::Skip => "skip",
                Secrets::Allow => "allow",
            }
        )?;
        if let serde_json::Value::Object(recipe) = serde_json::to_value(&profile.recipe)? {
            for (key, value) in recipe {
                writeln!(
                    out,
                    "{key}: {}",
                    value.as_str().unwrap_or(&value.to_string())
                )?;
            }
        }
        writeln!(
            out,
            "sparse encoder: {}",
            settings::model_name(&profile.sparse)
        )?;
        writeln!(
            out,
            "dense encoder: {}",
            settings::model_name(&profile.dense)
        )
    })
}

fn as_json(profile: &Profile) -> serde_json::Value {
    let roots: Vec<_> = profile
        .roots
        .iter()
        .map(|root| json!({"label": root.label, "path": root.path.display().to_string()}))
        .collect();
    let missing: Vec<_> = profile.missing.iter().map(|m| m.typed.as_str()).collect();
    let rules = &profile.rules;
    json!({
        "name": profile.name,
        "description": profile.description,
        "file": profile.file.display().to_string(),
        "roots": roots,
        "missing_roots": missing,
        "extensions": (!rules.names.all).then(|| rules.names.entries()),
        "gitignore": rules.gitignore,
        "limits": profile.rules.limits,
        "recipe": profile.recipe,
    })
}

/// Print the mistakes of a profile, whose first is known, if there are several, and return the error to end with.
fn print_mistakes(file: &Path, first: anyhow::Error, global: &GlobalFlags) -> anyhow::Error {
    let mistakes = profile_lookup::mistakes(file);
    if mistakes.len() < 2 {
        return first;
    }
    let printed = output::text(|out| {
        for mistake in &mistakes {
            let text = with_causes(mistake);
            match (mistake, global.json) {
                (ProfileError::Invalid { line, message, .. }, true) => {
                    let path = file.display().to_string();
                    let mistake = json!({"path": path, "line": line, "message": message});
                    output::json_line(out, "mistake", &mistake)?;
                }
                (_, true) => output::json_line(out, "mistake", &json!({"message": text}))?,
                (_, false) => writeln!(out, "{text}")?,
            }
        }
        Ok(())
    });
    let count = progress::count(mistakes.len() as u64, "mistake");
    let text = format!(
        "{}: {count}, each on a line of standard output",
        file.display()
    );
    match printed {
        Ok(_) => Exit::error(ExitCode::of(&first), text),
        Err(error) => error,
    }
}

/// Check a profile and report every mistake. Missing roots are reported but are not an error, since they depend on the machine.
fn check(name: &str, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let file = profile_lookup::find(name)?;
    let profile = match profile_lookup::load(&file) {
        Ok(profile) => profile,
        Err(first) => return Err(print_mistakes(&file, first, global)),
    };
    output::text(|out| {
        if global.json {
            return output::json_line(out, "check", &as_json(&profile));
        }
        writeln!(
            out,
            "{}: valid; {} found, {} missing",
            profile.name,
            progress::count(profile.roots.len() as u64, "root"),
            profile.missing.len()
        )?;
        for missing in &profile.missing {
            writeln!(out, "  missing: {} ({})", missing.typed, missing.detail)?;
        }
        Ok(())
    })
}
