#!/usr/bin/env python3
"""Breaks the program on purpose, one promise at a time, and sees that the tests notice.

    tools/mutants.py [NAME...]      all mutants, or those whose names contain one of the words

Each mutant is an edit of a copy of the tree; the tests named for it must fail there, and pass without
it. Ends with 1 when a mutant survives, does not compile, or no longer fits the sources. Nothing in the
checkout is changed; the copy and its build lie in target/mutants. Linux, with strace.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "mutants"

ORDER = ["publish_order::shards_are_on_the_disk_before_they_are_relied_on"]
ORDERS = ORDER + ["publish_order::a_blob_is_on_the_disk_before_its_segments_go"]

PUBLISH = "src/engine/publish/mod.rs"
CONNECT = "src/store/connect.rs"
DISPATCH = "src/engine/worker/dispatch.rs"
RESUME = "src/engine/worker/resume.rs"
BLAME = "src/engine/supervisor/state/blame.rs"
EXITS = "src/engine/supervisor/state/exits.rs"

# name -> (tests, edits); a test is of the end-to-end target, or of the library when it starts with
# "lib:"; an edit is (file, old, new), and old must be there exactly once.
MUTANTS = {
    "no fsync of the shard": (
        ORDERS,
        [(PUBLISH, "    file.sync_all().map_err(StoreError::io(path))?;\n", "")],
    ),
    "no fsync of the folder": (
        ORDERS,
        [
            (
                PUBLISH,
                "    platform::sync_directory(folder).map_err(StoreError::io(folder))?;\n    Ok(bytes)",
                "    let _ = folder;\n    Ok(bytes)",
            )
        ],
    ),
    "no fsync of new folders": (
        ORDER,
        [("src/platform/mod.rs", "match above.map_or(Ok(()), sync_directory) {", "match above.map_or(Ok(()), |_| Ok::<(), io::Error>(())) {")],
    ),
    "no fsync of the manifest": (
        ORDERS,
        [("src/engine/output/draft.rs", "    file.sync_all()?;\n", "")],
    ),
    "rename before the fsync": (
        ORDERS,
        [
            (PUBLISH, "    file.sync_all().map_err(StoreError::io(path))?;\n    drop(file);\n", ""),
            (
                PUBLISH,
                "    attempt.succeeded();\n",
                "    attempt.succeeded();\n    file.sync_all().map_err(StoreError::io(target))?;\n    drop(file);\n",
            ),
        ],
    ),
    "rename before the shard is sealed": (
        ORDERS,
        [
            (
                PUBLISH,
                "        let digest = seal(attempt.path(), loaded, &stop)?;\n",
                "        std::fs::rename(attempt.path(), &target).map_err(StoreError::io(&target))?;\n"
                "        let digest = seal(&target, loaded, &stop)?;\n",
            ),
            (PUBLISH, "let file_hash = hash_file(attempt.path())?;", "let file_hash = hash_file(&target)?;"),
            (PUBLISH, "    let path = attempt.path();\n", "    let path = target;\n"),
            (PUBLISH, "    platform::replace_file(path, target).map_err(StoreError::io(target))?;\n", ""),
        ],
    ),
    "register before the rename": (
        ORDER,
        [
            (PUBLISH, "pub struct PublishedShard {\n", "pub struct PublishedShard {\n    pub attempt: PathBuf,\n"),
            (PUBLISH, "        Ok(PublishedShard {\n", "        let (bytes, attempt) = bytes;\n        Ok(PublishedShard {\n            attempt,\n"),
            (
                PUBLISH,
                "    routing.register(&shard.path, Some(shard.file_hash))?;\n",
                "    routing.register_from(&shard.attempt, &shard.path, Some(shard.file_hash))?;\n"
                "    std::fs::rename(&shard.attempt, &shard.path).map_err(StoreError::io(&shard.path))?;\n"
                "    let folder = folder_of(&shard.path);\n"
                "    platform::sync_directory(folder).map_err(StoreError::io(folder))?;\n",
            ),
            (PUBLISH, "fn put_in_place(attempt: Attempt, target: &Path) -> Result<u64, StoreError> {", "fn put_in_place(attempt: Attempt, target: &Path) -> Result<(u64, PathBuf), StoreError> {"),
            (PUBLISH, "    platform::replace_file(path, target).map_err(StoreError::io(target))?;\n", "    let path = path.to_path_buf();\n"),
            (PUBLISH, "    Ok(bytes)\n", "    Ok((bytes, path))\n"),
            (
                "src/store/routing.rs",
                "        let source = open_read_only(shard)?;\n",
                "        self.register_from(shard, shard, file_hash)\n    }\n\n"
                "    pub fn register_from(\n        &mut self,\n        file: &Path,\n        shard: &Path,\n"
                "        file_hash: Option<FileHash>,\n    ) -> Result<(), StoreError> {\n"
                "        let source = open_read_only(file)?;\n",
            ),
            ("src/store/routing.rs", "let bytes = std::fs::metadata(shard)", "let bytes = std::fs::metadata(file)"),
        ],
    ),
    "a crash taken for damage": (
        ["crash_points::verify_tells_a_crash_from_damage"],
        [("src/verify/mod.rs", "        registered.retain(|shard| !shard::is_ahead_of(shard));\n", "")],
    ),
    "a pause that waits for a crawl": (
        ["lib:engine::supervisor::state::tests::devices::a_pause_does_not_wait_for_a_collection_that_crawls"],
        [("src/engine/supervisor/state/messages.rs", "        !is_batch || stopping_since.is_none_or(", "        is_batch || !is_batch || stopping_since.is_none_or(")],
    ),
    "registration not synced": (
        ORDER,
        [(CONNECT, "PRAGMA synchronous = FULL;", "PRAGMA synchronous = NORMAL;")],
    ),
    "segments deleted before the registration": (
        ORDER,
        [
            (
                "src/engine/publish/publisher.rs",
                "        if let Some(routing) = &self.routing {\n            let mut routing",
                "        publish::delete_segments(arrived.values().map(PathBuf::as_path))?;\n"
                "        if let Some(routing) = &self.routing {\n            let mut routing",
            )
        ],
    ),
    "the journal mode is taken at its word": (
        ["syscalls::a_failed_change_of_the_journal_mode_is_heard"],
        [(CONNECT, "    while let Some(row) = rows.next()? {\n        answer", "    if let Some(row) = rows.next()? {\n        answer")],
    ),
    "a stage that fails goes unnoticed": (
        ["syscalls::a_fault_at_the_end_of_a_segment_ends_the_worker"],
        [(DISPATCH, "recv(self.stage_ended) -> _ => return Ok(()),", "recv(self.stage_ended) -> _ => inbox.recv(),")],
    ),
    "ledger rows outside the record of their chunks": (
        ["lib:store::tests::segments::a_kill_at_any_point_leaves_whole_files_oldest_first"],
        [
            (
                "src/store/segment/record.rs",
                "        put(bytes, &Record::File(file.clone()));\n        for",
                "        put(bytes, &Record::File(file.clone()));\n    });\n    frame(bytes, |bytes| {\n        for",
            )
        ],
    ),
    "resume by path only": (
        ["crash_points::a_crash_at_every_failpoint_is_survived"],
        [(RESUME, "    !quarantined && record.read_failure().is_none() && record.entry == *entry\n", "    let _ = entry;\n    !quarantined && record.read_failure().is_none()\n")],
    ),
    "files delivered newest first": (
        ["segments::a_segment_holds_a_prefix_of_its_files"],
        [(DISPATCH, "for (n, entry) in task.files.iter().enumerate() {\n            if done", "for (n, entry) in task.files.iter().enumerate().rev() {\n            if done")],
    ),
    "the sink is not drained at teardown": (
        ["lib:worker::sink::tests::what_is_sent_is_committed_oldest_first"],
        [("src/engine/worker/sink.rs", "return open.map_or(Ok(()), |mut group| group.commit(reporter));", "return open.map_or(Ok(()), |_| Ok(()));")],
    ),
    "a quarantined file is forgotten": (
        ["isolation::a_file_that_aborts_is_left_out"],
        [(BLAME, "        history.quarantined.insert(file, death.reason.clone());\n", "")],
    ),
    "nobody is blamed for a death": (
        ["lib:engine::supervisor::state::tests::files::only_the_poisoned_file_is_skipped"],
        [(BLAME, "history.careful = true;", "history.careful = false;")],
    ),
    "a stopped process counts as silent": (
        ["isolation::a_build_that_was_suspended_has_not_stalled"],
        [("src/engine/supervisor/clock.rs", "const LONGEST_STEP: Duration = Duration::from_secs(1);", "const LONGEST_STEP: Duration = Duration::from_secs(1000);")],
    ),
    "a segment mixes devices": (
        ["watchdog::a_segment_that_goes_to_the_cpu_is_done_again_whole"],
        [(RESUME, "        if is_of_another_device {\n", "        if is_of_another_device && task.files.is_empty() {\n")],
    ),
    "files are blamed for their device": (
        ["lib:engine::supervisor::state::tests::devices::with_the_ladder_off_device_failures_fail_the_build"],
        [(EXITS, "let is_of_device = matches!(failure.kind, FailureKind::Device(_));", "let is_of_device = false;")],
    ),
    "a file is blamed for a driver that ends the process": (
        ["lib:engine::supervisor::state::tests::devices::a_file_is_not_blamed_for_a_driver_crash"],
        [(EXITS, "Exit::Killed(KillReason::Unresponsive) => (status, None, is_device_crash),", "Exit::Killed(KillReason::Unresponsive) => (status, None, false),")],
    ),
    "a replaced worker counts as dead": (
        ["lib:engine::supervisor::state::tests::devices::a_crawl_leads_to_a_request_and_then_to_a_respawn"],
        [(EXITS, "Exit::Leaving(LeaveReason::Replaced) | Exit::Killed(KillReason::Replaced) => return,", "Exit::Leaving(LeaveReason::Replaced) | Exit::Killed(KillReason::Replaced) => (status, None, false),")],
    ),
    "a shard that left its device goes back to it": (
        ["lib:engine::supervisor::state::tests::devices::only_the_shard_that_the_device_cannot_encode_moves_to_the_cpu"],
        [("src/engine/supervisor/state/devices.rs", "Demoted::Shards(shards) => shards.contains(&segment.shard),", "Demoted::Shards(shards) => shards.is_empty(),")],
    ),
}


def run(arguments, cwd):
    """Whether the command succeeds, and what it printed."""
    done = subprocess.run(
        arguments,
        cwd=cwd,
        env={**os.environ, "CARGO_TARGET_DIR": str(WORK / "build"), "CARGO_TERM_COLOR": "never"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=3600,
        check=False,
    )
    return done.returncode == 0, done.stdout


def copy_tree():
    """A copy of what git knows and of new files, without what it ignores."""
    tree = WORK / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    wanted = {name for name in listed.decode().split("\0") if name}
    for name in wanted:
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # An unchanged file keeps its time, so that cargo does not build it again.
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
    return tree


def test(tree, tests):
    """The tests' outcome in `tree`: "pass", "fail" or "does not compile"; and the output."""
    library = [name.removeprefix("lib:") for name in tests if name.startswith("lib:")]
    program = [name for name in tests if not name.startswith("lib:")]
    for target, names in ((["--lib"], library), (["--test", "e2e"], program)):
        if not names:
            continue
        compiled, output = run(["cargo", "test", "-q", "--no-run", *target], tree)
        if not compiled:
            return "does not compile", output
        passed, output = run(["cargo", "test", "-q", *target, "--", "--exact", *names], tree)
        if f"{len(names)} passed" not in output and passed:
            return "the tests named for it do not exist", output
        if not passed:
            return "fail", output
    return "pass", ""


def main():
    words = sys.argv[1:]
    chosen = {
        name: mutant
        for name, mutant in MUTANTS.items()
        if not words or any(word in name for word in words)
    }
    tree = copy_tree()
    every = sorted({test for tests, _ in chosen.values() for test in tests})
    outcome, output = test(tree, every)
    if outcome != "pass":
        print(output)
        sys.exit(f"without any mutant the tests should pass, but: {outcome}")
    print(f"{len(every)} tests pass without a mutant", flush=True)
    survivors = 0
    for name, (tests, edits) in chosen.items():
        before = {file: (tree / file).read_text() for file, _, _ in edits}
        after = dict(before)
        outcome = None
        for file, old, new in edits:
            if after[file].count(old) != 1:
                outcome = f"no longer fits {file}"
                break
            after[file] = after[file].replace(old, new)
        if outcome is None:
            for file, text in after.items():
                (tree / file).write_text(text)
            outcome, _ = test(tree, tests)
        for file, text in before.items():
            (tree / file).write_text(text)
        caught = outcome == "fail"
        survivors += not caught
        verdict = "caught" if caught else {"pass": "SURVIVED"}.get(outcome, outcome)
        print(f"{name:55} {verdict}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants caught")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
