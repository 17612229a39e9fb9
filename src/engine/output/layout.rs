//! The paths of an output.
//!
//! Pure: touches no files.

use super::draft;
use crate::plan::{Mode, Segment};
use crate::report::marks::MANIFEST_NAME;
use crate::store::names::{ROUTING_NAME, SHARDS_FOLDER};
use std::path::{Path, PathBuf};

/// Longest file name made from a label, in bytes. A longer label is cut and a hash is appended. File systems allow 255
/// bytes, and temporary names are longer.
const MAX_STEM_BYTES: usize = 120;

/// The paths of one profile's output. All absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub mode: Mode,
    /// The database that servers open: `main.genome.db`, or the blob.
    pub database: PathBuf,
    /// The folder of the shards; in blob mode the folder of the blob.
    pub shards: PathBuf,
    /// The work folder: segments, the lock and the provenance. The last two outlive the build.
    pub work: PathBuf,
    pub manifest: PathBuf,
}

impl Layout {
    /// Return the layout below `out_dir`, an absolute path.
    pub fn new(out_dir: &Path, profile: &str, mode: Mode) -> Self {
        match mode {
            Mode::Blob => Self {
                mode,
                database: out_dir.join(format!("{profile}.db")),
                shards: out_dir.to_path_buf(),
                work: out_dir.join(format!(".{profile}.build")),
                manifest: out_dir.join(MANIFEST_NAME),
            },
            Mode::Sharded => {
                // Rebuilt from components: `dir/` must not become `dir/-sharded`.
                let mut base = out_dir.components().collect::<PathBuf>().into_os_string();
                base.push("-sharded");
                let base = PathBuf::from(base);
                let folder = base.join(profile);
                Self {
                    mode,
                    database: folder.join(ROUTING_NAME),
                    shards: folder.join(SHARDS_FOLDER),
                    work: folder.join(".build"),
                    manifest: base.join(MANIFEST_NAME),
                }
            }
        }
    }

    /// Return the path of a shard's database.
    pub fn shard(&self, label: &str) -> PathBuf {
        match self.mode {
            Mode::Blob => self.database.clone(),
            Mode::Sharded => self.shards.join(format!("{}.genome.db", stem(label))),
        }
    }

    pub fn segments(&self) -> PathBuf {
        self.work.join("segments")
    }

    /// Return the path of a segment. Plans in which the segment begins with the same file give the same path.
    pub fn segment(&self, segment: &Segment) -> PathBuf {
        self.segment_of(&segment.key)
    }

    /// Return the path of the segment with this key.
    pub fn segment_of(&self, key: &str) -> PathBuf {
        self.segments().join(format!("{}.seg", stem(key)))
    }

    /// Return the path of what a task over many machines has done of a segment that is not complete.
    pub fn checkpoint(&self, key: &str) -> PathBuf {
        self.segments().join(format!("{}.part.seg", stem(key)))
    }

    /// The notes of the tasks of a build over many machines. While this folder exists, one is in progress.
    pub fn tasks(&self) -> PathBuf {
        self.work.join("tasks")
    }

    /// Return the path of a shard that a task has published, by its number. The commit moves it to its place.
    pub fn staged(&self, number: u32) -> PathBuf {
        self.tasks().join(format!("shard-{number}.db"))
    }

    /// The file that says which plan is being built.
    pub fn plan_mark(&self) -> PathBuf {
        self.tasks().join("plan")
    }

    /// The file that says which plan was committed last. An ordinary build removes it.
    pub fn committed(&self) -> PathBuf {
        self.work.join("committed")
    }

    pub fn lock(&self) -> PathBuf {
        self.work.join("lock")
    }

    /// The provenance: which profile and roots the output was built from.
    pub fn provenance(&self) -> PathBuf {
        self.work.join("output.json")
    }

    /// The file that marks a rebuild in progress.
    pub fn rebuild(&self) -> PathBuf {
        self.work.join("rebuild")
    }

    /// The record of the files' change times.
    pub fn change_times(&self) -> PathBuf {
        self.work.join("change-times")
    }

    /// The draft of the manifest.
    pub fn manifest_draft(&self) -> PathBuf {
        draft::path_of(&self.manifest)
    }

    /// The lock of the manifest, shared by all profiles of the folder.
    pub fn manifest_lock(&self) -> PathBuf {
        self.manifest.with_file_name(".manifest.lock")
    }
}

fn stem(name: &str) -> String {
    if is_reserved(name) {
        return format!("{name}-");
    }
    if name.len() <= MAX_STEM_BYTES {
        return name.to_owned();
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let cut = name.floor_char_boundary(MAX_STEM_BYTES - 17);
    format!("{}-{}", &name[..cut], &hash[..16])
}

/// Return whether Windows reserves this name for a device, with any extension. Avoided on all systems, so that an index
/// has the same names everywhere. No label ends in `-`, so an appended `-` is unique.
fn is_reserved(name: &str) -> bool {
    let numbered = |kind| {
        let number = name.strip_prefix(kind).unwrap_or_default().as_bytes();
        matches!(number, [b'1'..=b'9'])
    };
    matches!(name, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_avoid_the_device_names_of_windows() {
        let layout = Layout::new(Path::new("/o"), "p", Mode::Sharded);
        let name = |label| {
            let path = layout.shard(label);
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        for label in ["con", "nul", "com1", "lpt9"] {
            assert_eq!(name(label), Some(format!("{label}-.genome.db")));
        }
        for label in ["con-2", "console", "com", "com10", "lpt0", "aux--a"] {
            assert_eq!(name(label), Some(format!("{label}.genome.db")));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let blob = Layout::new(Path::new("/o/genomes"), "small", Mode::Blob);
        assert_eq!(blob.database, Path::new("/o/genomes/small.db"));
        assert_eq!(blob.manifest, Path::new("/o/genomes/manifest.json"));
        let sharded = Layout::new(Path::new("/o/genomes"), "small", Mode::Sharded);
        assert_eq!(
            sharded.database,
            Path::new("/o/genomes-sharded/small/main.genome.db")
        );
        assert_eq!(
            sharded.manifest,
            Path::new("/o/genomes-sharded/manifest.json")
        );
        assert_eq!(
            Layout::new(Path::new("/o/genomes/"), "small", Mode::Sharded),
            sharded
        );
        assert_eq!(
            sharded.shard("serde"),
            Path::new("/o/genomes-sharded/small/shards/serde.genome.db")
        );
    }

    #[test]
    fn a_root_named_main_does_not_replace_the_routing_database() {
        let layout = Layout::new(Path::new("/o"), "p", Mode::Sharded);
        assert_ne!(layout.shard("main"), layout.database);
    }

    #[test]
    fn long_labels_get_distinct_short_names() {
        let layout = Layout::new(Path::new("/o"), "p", Mode::Sharded);
        let (a, b) = ("x".repeat(300), "x".repeat(301));
        assert_ne!(layout.shard(&a), layout.shard(&b));
        let name = layout.shard(&a);
        assert!(name.file_name().is_some_and(|n| n.len() < 160));
    }
}
