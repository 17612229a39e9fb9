//! A killed worker leaves complete files, from the first one on.

use crate::running_build::{self, RunningBuild};
use crate::world::{World, files_below};
use helix_build::store::segment::SegmentReader;
use rustix::process::Signal;

#[test]
fn a_segment_holds_a_prefix_of_its_files() {
    let world = World::corpus(1, 60);
    let flags = ["--shard-workers", "1", "--shard-file-workers", "4"];
    // Files late in the order are prepared first; what is committed waits for the slow ones.
    let failpoints = "worker::prepare=20%return(crawl);worker::encode=return(crawl)";
    let mut live = RunningBuild::start(
        &world,
        &running_build::arguments("o", false, &flags),
        failpoints,
    );
    live.wait("some files to be committed", |live| {
        let committed = live.steps();
        let committed = committed.iter().filter(|s| s.point == "sink::committed");
        (committed.count() >= 3).then_some(())
    });
    let worker = live.wait_step("worker::encode").pid;
    for pid in [live.pid(), worker] {
        running_build::signal(pid, Signal::KILL);
    }
    drop(live);
    let mut in_order: Vec<_> = files_below(&world.path("root0"));
    in_order.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let work = world.path("o-sharded/p/.build/segments");
    let segments = files_below(&work);
    let segments: Vec<_> = segments.iter().filter(|f| f.ends_with(".seg")).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    let reader = SegmentReader::open(&work.join(segments[0])).expect("a segment");
    let held: Vec<_> = reader.ledger();
    let held: Vec<_> = held.iter().map(|r| r.entry.path.to_string()).collect();
    assert!(!held.is_empty() && held.len() < in_order.len(), "{held:?}");
    assert_eq!(held, in_order[..held.len()]);
}
