//! `init`: writes a profile for a folder, with comments about what it found there.
//!
//! Looks at names and sizes, opens no file. Never replaces a file.

use super::{folders, output};
use crate::cli::{GlobalFlags, InitArgs};
use crate::exit_code::{Exit, ExitCode};
use crate::failure::with_causes;
use crate::file::FileEntry;
use crate::profile::{Profile, ProfileDraft, RootDraft, slug};
use crate::{progress, scan, terminal};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Extensions of data: large files of these tell a search little.
const DATA: [&str; 16] = [
    "json", "jsonl", "ndjson", "csv", "tsv", "xml", "svg", "txt", "yaml", "yml", "sql", "po",
    "html", "geojson", "ipynb", "snap",
];

/// Data below this size needs no advice, in bytes.
const LEAST_DATA: u64 = 1 << 20;

/// Languages and suggestions listed at most.
const MOST_LISTED: usize = 8;

pub fn run(args: &InitArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    folders::check_folder(&args.path)?;
    if let Some(name) = &args.name {
        folders::check_name(name)?;
    }
    let profile = Profile::of_folder(&args.path)
        .map_err(|error| Exit::error(ExitCode::Usage, with_causes(&error)))?;
    let root = &profile.roots[0];
    let found = scan::scan(root, &profile.rules).context("looking at the folder")?;
    let folder = Folder {
        typed: shown_path(&root.path),
        real: &root.path,
        files: &found.files,
    };
    let draft = folder.draft(found.bytes);
    let text = draft.to_toml();
    if args.stdout {
        return output::text(|out| text.lines().try_for_each(|line| writeln!(out, "{line}")));
    }
    let name = args.name.clone().unwrap_or_else(|| slug(&profile.name));
    let file = PathBuf::from(format!("{name}.toml"));
    write_new(&file, &text)?;
    output::text(|out| {
        if global.json {
            let line = serde_json::json!({
                "profile": name, "path": file.display().to_string(),
                "roots": draft.roots.len(), "files": found.files.len(), "bytes": found.bytes,
            });
            return output::json_line(out, "init", &line);
        }
        writeln!(
            out,
            "wrote {}: {}, {}, {}",
            file.display(),
            progress::count(draft.roots.len() as u64, "root"),
            progress::count(found.files.len() as u64, "file"),
            progress::bytes(found.bytes)
        )?;
        writeln!(out, "next: helix-build --profile {}", file.display())
    })
}

/// Create the file.
///
/// # Errors
/// [`ExitCode::Usage`] if there is one already.
fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let shown = file.display();
    let mut created = match File::create_new(file) {
        Ok(created) => created,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = format!(
                "{shown} exists and stays as it is: choose another --name, or print the profile with --stdout"
            );
            return Err(Exit::error(ExitCode::Usage, text));
        }
        Err(error) => return Err(error).with_context(|| format!("creating {shown}")),
    };
    created
        .write_all(text.as_bytes())
        .with_context(|| format!("writing {shown}"))
}

/// Return a path as a profile in the working directory names it: relative if it is below.
fn shown_path(real: &Path) -> String {
    let here = std::env::current_dir().ok();
    let here = here.and_then(|here| crate::platform::real_path(&here).ok());
    let below = here.and_then(|here| real.strip_prefix(here).ok().map(Path::to_path_buf));
    let shown = match &below {
        Some(below) if below.as_os_str().is_empty() => Path::new("."),
        Some(below) => below,
        None => real,
    };
    shown.display().to_string().replace('\\', "/")
}

/// A folder and its eligible files.
struct Folder<'f> {
    typed: String,
    real: &'f Path,
    files: &'f [FileEntry],
}

/// Number and bytes of files.
#[derive(Clone, Copy, Default)]
struct Size {
    files: u64,
    bytes: u64,
}

impl Size {
    fn add(&mut self, file: &FileEntry) {
        self.files += 1;
        self.bytes += file.size;
    }

    fn shown(self) -> String {
        let files = progress::count(self.files, "file");
        format!("{files}, {}", progress::bytes(self.bytes))
    }
}

impl Folder<'_> {
    fn draft(&self, bytes: u64) -> ProfileDraft {
        let repositories = self.repositories();
        let total = Size {
            files: self.files.len() as u64,
            bytes,
        };
        let mut notes = vec![
            format!("Written by helix-build init for {}.", self.real.display()),
            format!("Found {}: {}.", total.shown(), self.extensions()),
        ];
        // A folder of repositories becomes one root for each; files beside them need the folder itself.
        let is_collection = repositories.len() > 1 && !self.real.join(".git").exists();
        let is_inside = |file: &FileEntry| {
            let path = spelled(file);
            repositories.iter().any(|inner| is_below(&path, inner))
        };
        let mut roots = Vec::new();
        if !is_collection || self.files.iter().any(|file| !is_inside(file)) {
            roots.push(self.root(""));
        }
        if is_collection {
            let outer = repositories.iter().filter(|inner| {
                !repositories
                    .iter()
                    .any(|other| other != *inner && is_below(inner, other))
            });
            roots.extend(outer.map(|inner| self.root(inner)));
        } else if !repositories.is_empty() {
            let shown: Vec<_> = repositories
                .iter()
                .take(MOST_LISTED)
                .map(String::as_str)
                .collect();
            notes.push(format!(
                "{} inside, part of the same shard unless they are roots, too: {}{}.",
                progress::count(repositories.len() as u64, "repository")
                    .replace("repositorys", "repositories"),
                shown.join(", "),
                if repositories.len() > shown.len() {
                    ", ..."
                } else {
                    ""
                }
            ));
        }
        ProfileDraft {
            description: format!("sources in {}", self.typed),
            notes,
            roots,
        }
    }

    /// Folders with a repository of their own, relative, sorted.
    fn repositories(&self) -> Vec<String> {
        let mut folders = BTreeSet::new();
        for file in self.files {
            let path = spelled(file);
            let above = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            folders.extend(above);
        }
        let mut found: Vec<String> = folders.into_iter().collect();
        found.retain(|folder| self.real.join(folder).join(".git").exists());
        found
    }

    /// The most common extensions, by bytes.
    fn extensions(&self) -> String {
        let mut sizes: BTreeMap<String, Size> = BTreeMap::new();
        for file in self.files {
            let extension = match file.path.extension() {
                extension if extension.is_empty() => "no extension".to_owned(),
                extension => format!(".{extension}"),
            };
            sizes.entry(extension).or_default().add(file);
        }
        let mut sizes: Vec<_> = sizes.into_iter().collect();
        sizes.sort_by_key(|(_, size)| std::cmp::Reverse(size.bytes));
        let shown = sizes.iter().take(MOST_LISTED);
        let shown: Vec<_> = shown
            .map(|(name, size)| format!("{name} ({})", size.shown()))
            .collect();
        match sizes.is_empty() {
            true => "nothing to index".to_owned(),
            false => shown.join("; "),
        }
    }

    /// Describe the folder below this one as a root.
    fn root(&self, below: &str) -> RootDraft {
        let path = match (below, self.typed.as_str()) {
            ("", typed) => typed.to_owned(),
            (below, ".") => below.to_owned(),
            (below, typed) => format!("{}/{below}", typed.trim_end_matches('/')),
        };
        let files = self.files.iter().map(|file| (spelled(file), file));
        let files: Vec<_> = files.filter(|(path, _)| is_below(path, below)).collect();
        let mut total = Size::default();
        // By top folder and extension.
        let mut data: BTreeMap<(String, String), Size> = BTreeMap::new();
        for (path, file) in &files {
            total.add(file);
            let extension = file.path.extension();
            if DATA.contains(&extension.as_str()) {
                let inner = path[below.len()..].trim_start_matches('/');
                let top = inner.split_once('/').map_or("", |(top, _)| top).to_owned();
                data.entry((top, extension)).or_default().add(file);
            }
        }
        // Data that is much by itself, and a tenth of the root.
        let mut large: Vec<_> = data
            .into_iter()
            .filter(|(_, size)| size.bytes >= LEAST_DATA && size.bytes >= total.bytes / 10)
            .collect();
        large.sort_by_key(|(_, size)| std::cmp::Reverse(size.bytes));
        let exclude = large
            .into_iter()
            .take(MOST_LISTED)
            .map(|((top, extension), size)| {
                let pattern = match top.as_str() {
                    "" => format!("/*.{extension}"),
                    top => format!("/{}/**/*.{extension}", escaped(top)),
                };
                (pattern, format!("{} of data", size.shown()))
            });
        RootDraft {
            path,
            note: terminal::line(&total.shown()).into_owned(),
            exclude: exclude.collect(),
        }
    }
}

fn spelled(file: &FileEntry) -> String {
    file.path.spelling().into_owned()
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Return a name as a pattern that matches only it.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
