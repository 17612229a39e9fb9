//! `--generate`: questions out of the documentation of the indexed files, and a copy of the index without these words.
//!
//! Copies the files of the index as they are now, takes the chosen docstrings and headings out, and builds an index of the
//! copy by the recipe and with the vectors of the first.

use super::open;
use crate::cli::{self, Command, EvalArgs, GlobalFlags};
use crate::commands::settings::Settings;
use crate::commands::{index_choice, profile_lookup, signals};
use crate::engine::{self, BuildOutcome};
use crate::evaluation::known_items::{KnownItem, known_items, without};
use crate::evaluation::{JudgedQuestion, Relevant, Target};
use crate::exit_code::{Exit, ExitCode};
use crate::named_file;
use crate::random::SplitMix64;
use crate::ranking::Kind;
use crate::search::{IndexedFile, OpenIndex};
use crate::store::index::Index;
use crate::store::locate::locate_ours;
use anyhow::Context as _;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Largest file that is copied: what no build reads either.
const MOST_FILE_BYTES: u64 = 64 << 20;

/// Questions and the index to ask.
pub struct Generated {
    pub questions: Vec<JudgedQuestion>,
    pub index: PathBuf,
    /// Removed when the questions have been asked.
    _folder: Option<TempDir>,
}

/// A file of the index with its text, where it could be read.
struct Copied {
    file: IndexedFile,
    text: String,
    items: Vec<KnownItem>,
}

/// Make `n` questions, or as many as there are.
///
/// # Errors
/// [`ExitCode::NothingToIndex`] without any; those of opening the index and of a build.
pub fn generate(n: u32, args: &EvalArgs, global: &GlobalFlags) -> anyhow::Result<Generated> {
    let located =
        locate_ours(&args.index).map_err(|error| index_choice::not_found(&args.index, error))?;
    let index = OpenIndex::open(&located).map_err(super::failed)?;
    let (mut copied, n_unreadable) = read(&index.files().map_err(super::failed)?);
    if n_unreadable > 0 {
        tracing::warn!(
            "{n_unreadable} indexed files cannot be read and are left out; if the sources have moved, say so with \
             `helix-build relocate {} --map OLD=NEW`",
            args.index.display()
        );
    }
    let chosen = choose(&copied, n as usize, args.seed);
    if chosen.is_empty() {
        let text = format!(
            "{}: no docstring of a function and no heading makes a question",
            args.index.display()
        );
        return Err(Exit::error(ExitCode::NothingToIndex, text));
    }
    if chosen.len() < n as usize {
        tracing::warn!(
            "only {} docstrings and headings make questions",
            chosen.len()
        );
    }
    let (folder, kept) = match &args.keep {
        Some(folder) => (None, new_folder(folder)?),
        None => {
            let folder = tempfile::tempdir().context("making a folder for the copy")?;
            let path = folder.path().to_path_buf();
            (Some(folder), path)
        }
    };
    let questions = write(&kept, &mut copied, &chosen)?;
    let recipe = index.recipe().map_err(super::failed)?;
    fs::write(
        kept.join("known-items.toml"),
        profile(&kept, &copied, recipe.as_deref()),
    )?;
    fs::write(kept.join("questions.jsonl"), lines(&questions))?;
    let built = build(&kept, args, &located, global)?;
    // What a rule of the build leaves out answers nothing.
    let open = open(&built, &args.models)?;
    let is_there = |question: &JudgedQuestion| match &question.relevant[0].target {
        Target::Lines { path, .. } => open.has_file(path),
        _ => true,
    };
    let questions: Vec<_> = questions.into_iter().filter(is_there).collect();
    fs::write(kept.join("questions.jsonl"), lines(&questions))?;
    Ok(Generated {
        questions,
        index: built,
        _folder: folder,
    })
}

fn new_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        let text = format!(
            "--keep {}: the folder is not empty: name a new one",
            folder.display()
        );
        return Err(Exit::error(ExitCode::Usage, text));
    }
    fs::create_dir_all(folder).with_context(|| format!("--keep {}", folder.display()))?;
    Ok(std::path::absolute(folder)?)
}

/// Read the files as they are now. Return them with the number of those that cannot be read as text.
fn read(files: &[IndexedFile]) -> (Vec<Copied>, usize) {
    let mut copied = Vec::new();
    for file in files {
        let Ok(text) = named_file::read_text(Path::new(&file.absolute()), MOST_FILE_BYTES) else {
            continue;
        };
        let language = file.language.as_deref().unwrap_or_default();
        let kind = Kind::of(&file.path, Some(language));
        // The ranking places them behind other files on purpose.
        let items = match kind.is_test || kind.is_example {
            true => Vec::new(),
            false => known_items(&text, language),
        };
        copied.push(Copied {
            file: file.clone(),
            text,
            items,
        });
    }
    let n_unreadable = files.len() - copied.len();
    (copied, n_unreadable)
}

/// Choose `n` items of all files whose questions no other item has, which would answer them word by word. Return positions of
/// files and of their items.
fn choose(copied: &[Copied], n: usize, seed: u64) -> Vec<(usize, usize)> {
    let all = copied.iter().enumerate();
    let mut all: Vec<(usize, usize)> = all
        .flat_map(|(file, copied)| (0..copied.items.len()).map(move |item| (file, item)))
        .collect();
    let mut random = SplitMix64::new(seed);
    for at in (1..all.len()).rev() {
        all.swap(at, random.below(at as u64 + 1) as usize);
    }
    let question =
        |(file, item): &(usize, usize)| copied[*file].items[*item].question.to_lowercase();
    let mut n_items: HashMap<String, usize> = HashMap::new();
    for at in &all {
        *n_items.entry(question(at)).or_default() += 1;
    }
    all.retain(|at| n_items[&question(at)] == 1);
    all.truncate(n);
    all.sort_unstable();
    all
}

/// Write the files without the questions below `texts`. Return the questions.
fn write(
    folder: &Path,
    copied: &mut [Copied],
    chosen: &[(usize, usize)],
) -> anyhow::Result<Vec<JudgedQuestion>> {
    let mut by_file: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (file, item) in chosen {
        by_file.entry(*file).or_default().push(*item);
    }
    let mut questions = Vec::with_capacity(chosen.len());
    for (at, copied) in copied.iter_mut().enumerate() {
        let items = by_file.get(&at).map(Vec::as_slice).unwrap_or_default();
        let items: Vec<&KnownItem> = items.iter().map(|item| &copied.items[*item]).collect();
        let (text, lines) = without(&copied.text, &items);
        let path = copy_of(folder, &copied.file);
        for (item, line) in items.iter().zip(lines) {
            questions.push(JudgedQuestion {
                id: (questions.len() + 1).to_string(),
                text: item.question.clone(),
                group: Some(item.source.as_str().to_owned()),
                relevant: vec![Relevant {
                    target: Target::Lines {
                        path: format!("{}/{}", copied.file.root_label, copied.file.path),
                        first: line,
                        last: line,
                    },
                    grade: 1,
                }],
            });
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("writing {}", path.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        copied.text = String::new();
    }
    Ok(questions)
}

fn copy_of(folder: &Path, file: &IndexedFile) -> PathBuf {
    folder.join("texts").join(&file.root_label).join(&file.path)
}

/// Return the profile of the copy: the same labels and the same recipe.
fn profile(folder: &Path, copied: &[Copied], recipe: Option<&str>) -> String {
    let mut text = String::new();
    let recipe: BTreeMap<String, serde_json::Value> = recipe
        .and_then(|recipe| serde_json::from_str(recipe).ok())
        .unwrap_or_default();
    for (key, value) in &recipe {
        // Texts and numbers are written alike in JSON and TOML.
        text.push_str(&match key.as_str() {
            "coverage" => format!("encoders.{key} = {value}\n"),
            _ => format!("{key} = {value}\n"),
        });
    }
    let mut labels: Vec<&str> = copied
        .iter()
        .map(|copied| &*copied.file.root_label)
        .collect();
    labels.dedup();
    let mut known = HashSet::new();
    labels.retain(|label| known.insert(*label));
    for label in labels {
        let path = folder.join("texts").join(label);
        let path = serde_json::json!(path);
        text.push_str(&format!(
            "\n[[roots]]\npath = {path}\nlabel = \"{label}\"\n"
        ));
    }
    text
}

fn lines(questions: &[JudgedQuestion]) -> String {
    let line = |question: &JudgedQuestion| {
        let relevant = question.relevant.iter().map(|item| match &item.target {
            Target::Lines { path, first, last } => {
                serde_json::json!({"path": path, "lines": [first, last]})
            }
            Target::File(path) => serde_json::json!({"path": path}),
            Target::Chunk(id) => serde_json::json!({"chunk": id}),
        });
        let relevant: Vec<_> = relevant.collect();
        let (id, text, group) = (&question.id, &question.text, &question.group);
        let line =
            serde_json::json!({"id": id, "question": text, "group": group, "relevant": relevant});
        format!("{line}\n")
    };
    questions.iter().map(line).collect()
}

/// Build the index of the copy. Return its path.
fn build(
    folder: &Path,
    args: &EvalArgs,
    index: &Index,
    global: &GlobalFlags,
) -> anyhow::Result<PathBuf> {
    let mode = match index {
        Index::Single { .. } => "blob",
        Index::Sharded { .. } => "sharded",
    };
    let (profile, out) = (folder.join("known-items.toml"), folder.join("index"));
    let words: [OsString; 10] = [
        "helix-build".into(),
        "build".into(),
        "--profile".into(),
        profile.into(),
        "--out-dir".into(),
        out.into(),
        "--mode".into(),
        mode.into(),
        "--reuse-from".into(),
        args.index.clone().into(),
    ];
    let Ok((Command::Build(mut flags), _)) = cli::parse(words) else {
        anyhow::bail!("building the copy: its command line is refused");
    };
    flags.models = args.models.clone();
    let control = signals::install()?;
    let profiles = profile_lookup::select(&flags).map_err(|failed| failed.error)?;
    let profile = profiles
        .found
        .into_iter()
        .next()
        .context("the profile of the copy")?;
    let settings = Settings::resolve(&flags, profile)?;
    let database = settings.layout_of("known-items").database;
    let mut display = crate::commands::build::display(&flags, global);
    let ended = engine::build(&settings.request, &control, &mut |event| {
        display.event(event)
    });
    display.finish();
    match ended? {
        BuildOutcome::Complete(_) | BuildOutcome::Incomplete(_) => Ok(database),
        BuildOutcome::Paused => Err(Exit::error(
            ExitCode::Paused,
            "stopped; nothing was measured",
        )),
    }
}
