//! The order of publication, read from system calls: data that must survive a power cut is on the disk before anything relies
//! on it.
//!
//! For each shard: all writes to the temporary file, fsync, rename, fsync of the folder, registration, fsync of the routing
//! database, deletion of the segments. The same for the manifest. "Before" means that one call has ended when the other
//! begins.

use crate::strace::{self, Call};
use crate::world::{BARE, World};
use std::fs;
use std::path::Path;

/// The calls of one build on its output.
struct Trace {
    calls: Vec<Call>,
    /// The folder that everything lies below.
    output: String,
}

/// Where the parts of an output lie, below its folder.
struct Parts {
    shards: Vec<String>,
    /// `None` for a blob.
    routing: Option<String>,
    segments: String,
    manifest: String,
}

fn sharded() -> Parts {
    Parts {
        shards: ["root0", "root1"]
            .map(|s| format!("p/shards/{s}.genome.db"))
            .to_vec(),
        routing: Some("p/main.genome.db".to_owned()),
        segments: "p/.build/segments".to_owned(),
        manifest: "manifest.json".to_owned(),
    }
}

fn blob() -> Parts {
    Parts {
        shards: vec!["p.db".to_owned()],
        routing: None,
        segments: ".p.build/segments".to_owned(),
        manifest: "manifest.json".to_owned(),
    }
}

fn build(world: &World, mode: &str, output: &str) -> Trace {
    let options = ["-e".to_owned(), format!("trace={}", strace::WRITING)];
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    arguments.extend(["--mode", mode, "--progress", "none", "--shard-workers", "2"]);
    let (ran, calls) = strace::run(world, &options, &arguments);
    ran.summary();
    let output = fs::canonicalize(world.path(output)).expect("an output");
    let above = output
        .parent()
        .expect("the world")
        .to_string_lossy()
        .into_owned();
    let output = format!("{}/", output.display());
    let calls = calls
        .into_iter()
        .filter(|call| !call.failed)
        .filter(|call| {
            call.paths
                .iter()
                .any(|path| format!("{path}/").starts_with(&output) || *path == above)
        })
        .collect();
    Trace { calls, output }
}

impl Trace {
    fn at(&self, part: &str) -> String {
        format!("{}{part}", self.output)
    }

    fn all(&self, of: impl Fn(&Call) -> bool) -> Vec<&Call> {
        self.calls.iter().filter(|call| of(call)).collect()
    }

    /// The rename that gave `path` its content; there is one.
    fn rename_to(&self, path: &str) -> &Call {
        let renames = self.all(|c| c.renames() && c.paths.last().is_some_and(|to| to == path));
        assert_eq!(renames.len(), 1, "renames to {path}: {renames:#?}");
        renames[0]
    }

    /// A sync of `path` that began after all of `earlier` had ended, and ended before `later` began.
    fn sync_between(&self, path: &str, earlier: &[&Call], later: Option<&Call>) -> &Call {
        let syncs = self.all(|c| {
            c.syncs()
                && c.first_path() == path
                && earlier.iter().all(|e| e.is_before(c))
                && later.is_none_or(|later| c.is_before(later))
        });
        syncs.first().copied().unwrap_or_else(|| {
            let other = self.all(|c| c.syncs() && c.first_path() == path);
            panic!(
                "{path} is not synced between {:#?} and {later:#?}, but at {other:#?}",
                earlier.last()
            )
        })
    }

    /// Temporary file written, synced, renamed, folder synced. Returns the rename and the last sync.
    fn put_in_place(&self, path: &str) -> (&Call, &Call) {
        let rename = self.rename_to(path);
        let temporary = rename.first_path();
        assert!(temporary.contains(".tmp"), "{rename:?}");
        let used = self.all(|c| {
            let changes = c.writes() || c.removes();
            changes && is_of(c.first_path(), temporary) && c.is_before(rename)
        });
        assert!(!used.is_empty(), "nothing is written to {temporary}");
        // After SQLite has let go of it: whether that syncs is a matter of its settings.
        self.sync_between(temporary, &used, Some(rename));
        let late =
            self.all(|c| c.writes() && is_of(c.first_path(), temporary) && !c.is_before(rename));
        assert!(late.is_empty(), "written after {rename:?}: {late:#?}");
        let in_place = self.all(|c| c.writes() && is_of(c.first_path(), path));
        assert!(
            in_place.is_empty(),
            "{path} is written in its place: {in_place:#?}"
        );
        for side in ["-wal", "-journal", "-shm"] {
            let side = format!("{temporary}{side}");
            if self
                .all(|c| c.name == "openat" && c.paths.contains(&side))
                .is_empty()
            {
                continue;
            }
            // A log that was not folded in would be left behind.
            let removed =
                self.all(|c| c.removes() && c.paths.contains(&side) && c.is_before(rename));
            assert!(!removed.is_empty(), "{side} is still there at {rename:?}");
        }
        let folder = Path::new(path)
            .parent()
            .expect("a folder")
            .to_string_lossy();
        (rename, self.sync_between(&folder, &[rename], None))
    }

    /// The segment files whose names begin with the shard's.
    fn segments_of(&self, parts: &Parts, shard: &str) -> Vec<String> {
        let folder = format!("{}/", self.at(&parts.segments));
        let stem = match parts.routing {
            // A blob has the segments of all roots.
            None => "",
            Some(_) => {
                let name = shard.rsplit('/').next().unwrap_or_default();
                name.split('.').next().unwrap_or_default()
            }
        };
        let mut found: Vec<_> = self
            .calls
            .iter()
            .filter_map(|call| call.paths.iter().find(|path| path.ends_with(".seg")))
            .filter(|path| {
                path.strip_prefix(&folder)
                    .is_some_and(|name| name.starts_with(stem))
            })
            .cloned()
            .collect();
        found.sort();
        found.dedup();
        assert!(!found.is_empty(), "no segment of {shard}");
        found
    }

    fn check_shard(&self, parts: &Parts, shard: &str) {
        let (rename, in_place) = self.put_in_place(&self.at(shard));
        // The publisher has a thread for each shard; the supervisor's own one creates the routing database.
        let mut relied_on = in_place;
        if let Some(routing) = parts.routing.as_deref().map(|routing| self.at(routing)) {
            let registration = self.all(|c| {
                c.thread == rename.thread && c.writes() && is_of(c.first_path(), &routing)
            });
            assert!(
                !registration.is_empty(),
                "{shard} is not registered by its thread"
            );
            for call in &registration {
                assert!(
                    in_place.is_before(call),
                    "{shard} is registered by {call:?} before {in_place:?}"
                );
            }
            self.folders_last(shard, registration[0]);
            relied_on = self.sync_between(&format!("{routing}-wal"), &registration, None);
            assert_eq!(relied_on.thread, rename.thread, "{relied_on:?}");
        }
        for segment in self.segments_of(parts, shard) {
            let written = self.all(|c| c.writes() && is_of(c.first_path(), &segment));
            let removed = self.all(|c| {
                c.removes()
                    && c.paths.contains(&segment)
                    && written.first().is_some_and(|w| w.is_before(c))
            });
            assert_eq!(removed.len(), 1, "{segment}: {removed:#?}");
            assert!(
                relied_on.is_before(removed[0]),
                "{segment} goes by {:?} before {relied_on:?}",
                removed[0]
            );
            // What a worker has written is on the disk before the shard is.
            self.sync_between(&segment, &[], Some(rename));
            let loads = self.all(|c| {
                c.thread == rename.thread && c.name == "openat" && c.paths.contains(&segment)
            });
            let load = loads
                .first()
                .unwrap_or_else(|| panic!("{segment} is not loaded"));
            for write in written {
                assert!(write.is_before(load), "{write:?} after {load:?}");
            }
        }
    }

    /// The folders that the build has made are on the disk before the shard is registered.
    fn folders_last(&self, shard: &str, registration: &Call) {
        let shard = self.at(shard);
        let made =
            self.all(|c| c.name == "mkdir" && shard.starts_with(&format!("{}/", c.first_path())));
        for folder in &made {
            let above = Path::new(folder.first_path()).parent().expect("a folder");
            self.sync_between(&above.to_string_lossy(), &[folder], Some(registration));
        }
    }

    fn check(&self, parts: &Parts) {
        for shard in &parts.shards {
            self.check_shard(parts, shard);
        }
        let (manifest, _) = self.put_in_place(&self.at(&parts.manifest));
        if let Some(routing) = parts.routing.as_deref().map(|routing| self.at(routing)) {
            // The manifest says that the build is complete: the log is folded in and gone by then.
            let written = self.all(|c| c.writes() && c.first_path() == routing);
            self.sync_between(&routing, &written, Some(manifest));
            let log = format!("{routing}-wal");
            let removed = self.all(|c| c.removes() && c.paths.contains(&log));
            let last = removed.last().expect("the log is removed");
            assert!(last.is_before(manifest), "{last:?}");
        }
    }
}

/// Whether `path` is the file `of`, or one that SQLite keeps beside it.
fn is_of(path: &str, of: &str) -> bool {
    let rest = path.strip_prefix(of);
    rest.is_some_and(|rest| ["", "-wal", "-journal", "-shm"].contains(&rest))
}

#[test]
fn shards_are_on_the_disk_before_they_are_relied_on() {
    if !strace::available("shards_are_on_the_disk_before_they_are_relied_on") {
        return;
    }
    let world = World::corpus(2, 12);
    build(&world, "sharded", "o-sharded").check(&sharded());
    // Published shards are replaced in the same order.
    for root in ["root0", "root1"] {
        world.write(
            &format!("{root}/dir0/file0.rs"),
            "pub fn another_one_altogether() -> u64 { 42_000_000 }\n",
        );
    }
    build(&world, "sharded", "o-sharded").check(&sharded());
}

#[test]
fn a_blob_is_on_the_disk_before_its_segments_go() {
    if !strace::available("a_blob_is_on_the_disk_before_its_segments_go") {
        return;
    }
    build(&World::corpus(2, 12), "blob", "o").check(&blob());
}
