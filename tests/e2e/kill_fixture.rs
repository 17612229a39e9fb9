//! A small corpus for tests that kill builds: it can change, and its expected index is known.

use crate::running_build::{RunningBuild, arguments};
use crate::world::{Ran, World, files_below};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

/// Which build is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildVariant {
    pub blob: bool,
    /// The embedded encoders; else none.
    pub encoders: bool,
}

/// A corpus of three roots in one of two states: in the second one file has other bytes, one another
/// time, one is new and one is gone.
pub struct KillFixture {
    pub world: World,
    state: usize,
    original: Vec<u8>,
    /// Summaries of undisturbed builds, by flavour and state.
    expected: BTreeMap<(BuildVariant, usize), Value>,
}

const CHANGED: &str = "root0/dir0/file0.rs";
const TOUCHED: &str = "root0/dir1/file1.py";
const NEW: &str = "root1/dir1/new.md";
const GONE: &str = "root2/dir2/file2.md";

impl KillFixture {
    pub fn new(files: usize) -> Self {
        let world = World::corpus(3, files);
        let original = fs::read(world.path(GONE)).expect("reads");
        let mut this = Self {
            world,
            state: 0,
            original,
            expected: BTreeMap::new(),
        };
        this.change_inputs(0);
        this
    }

    pub fn state(&self) -> usize {
        self.state
    }

    /// Brings the corpus into `state`, which is 0 or 1.
    pub fn change_inputs(&mut self, state: usize) {
        self.state = state;
        self.write(CHANGED, state, format!("pub fn state() -> u32 {{\n    // The corpus is in one of two states.\n    {state}\n}}\n").as_bytes());
        let text = fs::read(self.world.path(TOUCHED)).expect("reads");
        self.write(TOUCHED, state, &text);
        if state == 0 {
            let _ = fs::remove_file(self.world.path(NEW));
            self.write(GONE, 0, &self.original.clone());
        } else {
            let _ = fs::remove_file(self.world.path(GONE));
            self.write(
                NEW,
                1,
                b"# New\n\nA file that is there in one state only, long enough to be indexed.\n",
            );
        }
    }

    fn write(&self, name: &str, state: usize, text: &[u8]) {
        self.world.write(name, text);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + state as u64);
        let file = fs::File::options().write(true).open(self.world.path(name));
        file.and_then(|file| file.set_modified(time))
            .expect("dated");
    }

    /// The command line that builds into `out`.
    pub fn arguments<'a>(&self, flavour: BuildVariant, out: &'a str) -> Vec<&'a str> {
        let mode = if flavour.blob { "blob" } else { "sharded" };
        let flags = ["--mode", mode, "--shard-workers", "2", "--progress", "json"];
        arguments(out, flavour.encoders, &flags)
    }

    pub fn start(&self, flavour: BuildVariant, failpoints: &str) -> RunningBuild {
        RunningBuild::start(&self.world, &self.arguments(flavour, "o"), failpoints)
    }

    /// Removes the output that is disturbed.
    pub fn clean(&self) {
        for folder in ["o", "o-sharded"] {
            let _ = fs::remove_dir_all(self.world.path(folder));
        }
    }

    /// What an undisturbed build of the inputs as they are says.
    pub fn expected(&mut self, flavour: BuildVariant) -> Value {
        let key = (flavour, self.state);
        if let Some(known) = self.expected.get(&key) {
            return known.clone();
        }
        let out = format!("whole-{}-{}", flavour.encoders, self.state);
        let whole = self.world.run(&self.arguments(flavour, &out)).summary();
        self.expected.insert(key, whole.clone());
        whole
    }

    /// Asserts that a run that went through says what an undisturbed one does.
    pub fn check_summary(&mut self, flavour: BuildVariant, ran: &Ran, context: &str) {
        assert_eq!(ran.code, Some(0), "{context}: {ran:?}");
        let (summary, expected) = (ran.last_line(), self.expected(flavour));
        for field in [
            "digest",
            "content_digest",
            "files",
            "chunks",
            "quarantined",
            "skipped",
        ] {
            assert_eq!(
                summary[field], expected[field],
                "{context}: {field}: {ran:?}"
            );
        }
    }

    /// Runs the build through and asserts that nothing is lost, doubled, damaged or left over.
    pub fn settle(&mut self, flavour: BuildVariant, context: &str) {
        let (ran, _) = self.start(flavour, "").finish();
        self.check_summary(flavour, &ran, context);
        let expected = self.expected(flavour);
        let (index, mut files) = match flavour.blob {
            true => (
                "o/p.db",
                vec![
                    ".manifest.lock",
                    ".p.build/lock",
                    ".p.build/change-times",
                    ".p.build/output.json",
                    "manifest.json",
                    "p.db",
                ],
            ),
            false => (
                "o-sharded/p",
                vec![
                    ".manifest.lock",
                    "manifest.json",
                    "p/.build/lock",
                    "p/.build/change-times",
                    "p/.build/output.json",
                    "p/main.genome.db",
                    "p/shards/root0.genome.db",
                    "p/shards/root1.genome.db",
                    "p/shards/root2.genome.db",
                ],
            ),
        };
        files.sort_unstable();
        let verify = self.world.run(&["verify", index, "--json"]);
        assert_eq!(verify.code, Some(0), "{context}: {verify:?}");
        assert_eq!(
            verify.last_line()["digest"],
            expected["digest"],
            "{context}"
        );
        let folder = if flavour.blob { "o" } else { "o-sharded" };
        assert_eq!(files_below(&self.world.path(folder)), files, "{context}");
    }
}
