//! Where the parts of an output lie.
//!
//! Pure path arithmetic; creates nothing.

use super::draft;
use crate::plan::{Mode, Segment};
use crate::report::marks::MANIFEST_NAME;
use crate::store::names::{ROUTING_NAME, SHARDS_FOLDER};
use std::path::{Path, PathBuf};

/// Longest file name made from a label, in bytes; a longer label is cut and told apart by a hash.
/// File systems allow 255, and temporary names add to it.
const MAX_STEM_BYTES: usize = 120;

/// The paths of one profile's output. All absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub mode: Mode,
    /// What a server opens: `main.genome.db`, or the blob.
    pub database: PathBuf,
    /// Where shards lie; in blob mode the blob's own folder.
    pub shards: PathBuf,
    /// Segments, the lock, and what the output remembers. The last two outlive a finished build.
    pub work: PathBuf,
    pub manifest: PathBuf,
}

impl Layout {
    /// The layout below `out_dir`, which must be absolute.
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
                // From its components: a slash at the end must not become a folder `-sharded`.
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

    /// The database of a shard.
    pub fn shard(&self, label: &str) -> PathBuf {
        match self.mode {
            Mode::Blob => self.database.clone(),
            Mode::Sharded => self.shards.join(format!("{}.genome.db", stem(label))),
        }
    }

    pub fn segments(&self) -> PathBuf {
        self.work.join("segments")
    }

    /// The file of a segment; the same for every plan in which it begins with the same file.
    pub fn segment(&self, segment: &Segment) -> PathBuf {
        self.segments().join(format!("{}.seg", stem(&segment.key)))
    }

    pub fn lock(&self) -> PathBuf {
        self.work.join("lock")
    }

    /// What the output remembers of the builds that made it.
    pub fn provenance(&self) -> PathBuf {
        self.work.join("output.json")
    }

    /// The mark of a rebuild in progress.
    pub fn rebuild(&self) -> PathBuf {
        self.work.join("rebuild")
    }

    /// The manifest while it is written.
    pub fn manifest_draft(&self) -> PathBuf {
        draft::of(&self.manifest)
    }

    /// Held while the manifest is written, by builds of all profiles in its folder.
    pub fn manifest_lock(&self) -> PathBuf {
        self.manifest.with_file_name(".manifest.lock")
    }
}

fn stem(name: &str) -> String {
    if is_device(name) {
        return format!("{name}-");
    }
    if name.len() <= MAX_STEM_BYTES {
        return name.to_owned();
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let cut = name.floor_char_boundary(MAX_STEM_BYTES - 17);
    format!("{}-{}", &name[..cut], &hash[..16])
}

/// Whether Windows takes a file of this name for a device, whatever its extension. Avoided everywhere,
/// so that an index has the same names on every system. No label ends in `-`.
fn is_device(name: &str) -> bool {
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
    fn no_shard_has_the_name_of_a_device() {
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
    fn long_labels_get_short_names_that_differ() {
        let layout = Layout::new(Path::new("/o"), "p", Mode::Sharded);
        let (a, b) = ("x".repeat(300), "x".repeat(301));
        assert_ne!(layout.shard(&a), layout.shard(&b));
        let name = layout.shard(&a);
        assert!(name.file_name().is_some_and(|n| n.len() < 160));
    }
}
