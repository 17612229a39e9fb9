//! Selects the texts to index: by default the sources of this program's dependencies.
//!
//! `Cargo.lock` lists them, so everyone who has built this version measures the same texts. Files are copied into a
//! temporary folder.

use anyhow::Context as _;
use helix_build::profile::{Root, Rules};
use helix_build::scan::scan;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Most bytes of one crate, so that large crates (mostly bindings) do not dominate.
const MOST_OF_A_CRATE: u64 = 500_000;

/// How many bytes longer the pieces become each time the texts are cut again. Unlike a line length, so that cuts move.
const PIECES_DIFFER_BY: usize = 337;

/// Eligible files and their folder.
#[derive(Clone, Debug)]
pub struct Corpus {
    name: String,
    pub files: Vec<CorpusFile>,
}

#[derive(Clone, Debug)]
pub struct CorpusFile {
    /// Path below the corpus, separated by `/`.
    pub path: String,
    pub source: PathBuf,
    pub bytes: u64,
}

impl Corpus {
    /// Select all files below `folder` that the default rules include.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let files = eligible(folder, "")?;
        anyhow::ensure!(!files.is_empty(), "{} has no text", folder.display());
        Ok(Self {
            name: format!("folder {name}"),
            files,
        })
    }

    /// Select about `bytes` of text from the crates in `Cargo.lock`, in hash order.
    pub fn of_fetched_crates(bytes: u64) -> anyhow::Result<Self> {
        let mut crates = locked_crates()?;
        crates.sort_by_key(|name| *blake3::hash(name.as_bytes()).as_bytes());
        let registries = registries()?;
        let mut files: Vec<CorpusFile> = Vec::new();
        let mut total = 0;
        for name in crates {
            let mut folders = registries.iter().map(|registry| registry.join(&name));
            // Crates for other systems may be missing.
            let Some(folder) = folders.find(|folder| folder.is_dir()) else {
                continue;
            };
            let mut of_crate = 0;
            for file in eligible(&folder, &format!("{name}/"))? {
                of_crate += file.bytes;
                if of_crate > MOST_OF_A_CRATE || total >= bytes {
                    break;
                }
                total += file.bytes;
                files.push(file);
            }
        }
        anyhow::ensure!(
            total >= bytes / 2,
            "cargo has fetched {total} bytes of sources, too little to measure: give --corpus DIR"
        );
        Ok(Self {
            name: "sources of crates in Cargo.lock".to_owned(),
            files,
        })
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Keep every n-th file, with n chosen to keep about `bytes`.
    pub fn thinned(&self, bytes: u64) -> Self {
        let step = self.bytes().div_ceil(bytes).max(1);
        Self {
            name: self.name.clone(),
            files: self.files.iter().step_by(step as usize).cloned().collect(),
        }
    }

    /// Copy the files into `folder`. Return its path without links.
    pub fn copy_into(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        for file in &self.files {
            file.copy_below(folder)?;
        }
        Ok(folder.canonicalize()?)
    }

    /// Distribute the files to the folders `root0`, `root1`, ... below `folder`, by shares of the bytes that add up to 1.
    pub fn deal_out(&self, folder: &Path, shares: &[f64]) -> anyhow::Result<Vec<PathBuf>> {
        let roots: Vec<_> = (0..shares.len())
            .map(|n| folder.join(format!("root{n}")))
            .collect();
        let mut filled = vec![0.0; shares.len()];
        for file in &self.files {
            let fullness = |n: &usize| filled[*n] / shares[*n];
            let next = (0..shares.len()).min_by(|a, b| fullness(a).total_cmp(&fullness(b)));
            let next = next.context("no share")?;
            filled[next] += file.bytes as f64;
            file.copy_below(&roots[next])?;
        }
        Ok(roots)
    }

    /// Write `n` files of about `bytes` each into `folder`: pieces of the texts, cut between lines. If the texts do not
    /// suffice, cut them again into pieces of another length.
    pub fn write_pieces(&self, folder: &Path, n: usize, bytes: usize) -> anyhow::Result<()> {
        let mut written = 0;
        for length in (bytes..).step_by(PIECES_DIFFER_BY) {
            for file in &self.files {
                let text = fs::read(&file.source)?;
                let text = String::from_utf8_lossy(&text);
                let extension = file.path.rsplit_once('.').map_or("txt", |(_, last)| last);
                for piece in pieces(&text, length) {
                    if written == n {
                        return Ok(());
                    }
                    let path = folder.join(format!("{:03}/{written}.{extension}", written / 100));
                    write_with_folders(&path, piece.as_bytes())?;
                    written += 1;
                }
            }
            anyhow::ensure!(written > 0, "no text is as long as {bytes} bytes");
        }
        Ok(())
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes() as f64 / 1e6;
        write!(
            f,
            "{}: {} files, {megabytes:.1} MB",
            self.name,
            self.files.len()
        )
    }
}

impl CorpusFile {
    fn copy_below(&self, folder: &Path) -> anyhow::Result<()> {
        let bytes =
            fs::read(&self.source).with_context(|| format!("reading {}", self.source.display()))?;
        write_with_folders(&folder.join(&self.path), &bytes)
    }
}

fn write_with_folders(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, bytes)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Cut a text into pieces of at least `bytes`, between lines. Drops a shorter rest.
fn pieces(text: &str, bytes: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('\n') {
        if at + 1 - start >= bytes {
            pieces.push(&text[start..=at]);
            start = at + 1;
        }
    }
    pieces
}

/// List the files that a build would index, in canonical order.
fn eligible(folder: &Path, prefix: &str) -> anyhow::Result<Vec<CorpusFile>> {
    let root = Root::new("corpus", folder.canonicalize()?);
    let found = scan(&root, &Rules::default())?;
    let file = |entry: helix_build::file::FileEntry| CorpusFile {
        path: format!("{prefix}{}", entry.path.spelling()),
        source: entry.path.on_disk(&root.path),
        bytes: entry.size,
    };
    Ok(found.files.into_iter().map(file).collect())
}

/// List `name-version` of every package from a registry.
fn locked_crates() -> anyhow::Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lock: toml::Table = toml::from_str(&text)?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let packages = packages.context("Cargo.lock lists no packages")?;
    let name = |package: &toml::Value| {
        let field = |key: &str| package.get(key)?.as_str();
        field("source")?;
        Some(format!("{}-{}", field("name")?, field("version")?))
    };
    Ok(packages.iter().filter_map(name).collect())
}

/// List the folders into which cargo unpacks crates.
fn registries() -> anyhow::Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = home.context("no home folder")?.join("registry/src");
    let entries = fs::read_dir(&sources).with_context(|| sources.display().to_string())?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}
