use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const KIB: u64 = 1024;

fn entry(path: &str, size: u64) -> FileEntry {
    FileEntry {
        path: RelPath::from_spelling(path).expect(path),
        size,
        mtime_ns: 0,
    }
}

fn root(label: &str, files: &[(&str, u64)]) -> RootFiles {
    RootFiles {
        label: label.into(),
        path: format!("/r/{label}").into(),
        files: files
            .iter()
            .map(|(path, size)| entry(path, *size))
            .collect(),
    }
}

fn planned(roots: Vec<RootFiles>, options: &PlanOptions) -> Plan {
    let plan = plan(roots, options);
    assert_eq!(plan.check_coverage(), Ok(()));
    plan
}

fn labels(plan: &Plan) -> Vec<&str> {
    plan.shards
        .iter()
        .map(|shard| shard.label.as_str())
        .collect()
}

fn paths(shard: &ShardPlan) -> Vec<String> {
    let spelling = |file: &PlannedFile| file.entry.path.spelling().into_owned();
    shard.files.iter().map(spelling).collect()
}

fn split_at(files: u64) -> PlanOptions {
    PlanOptions {
        subshard_files: files,
        ..PlanOptions::default()
    }
}

#[test]
fn largest_shard_first_or_as_declared() {
    let roots = || {
        vec![
            root("b", &[("x", 5)]),
            root("a", &[("x", 5)]),
            root("none", &[]),
            root("big", &[("x", 9)]),
        ]
    };
    let plan = planned(roots(), &PlanOptions::default());
    assert_eq!(labels(&plan), ["big", "a", "b"]);
    assert_eq!(plan.shards[2].id, ShardId(2));
    assert_eq!(plan.shards[2].segments[0].id.shard, ShardId(2));
    assert!(
        plan.reasons
            .iter()
            .any(|reason| reason.starts_with("none:"))
    );

    let declared = PlanOptions {
        order: ShardOrder::Declared,
        ..PlanOptions::default()
    };
    assert_eq!(labels(&planned(roots(), &declared)), ["b", "a", "big"]);
}

#[test]
fn a_blob_orders_by_root_label_then_path_bytes() {
    let roots = vec![
        root("b", &[("z", 5), ("a-b/x", 5), ("a/x", 5)]),
        root("a", &[("zz", 5)]),
    ];
    let options = PlanOptions {
        mode: Mode::Blob,
        blob_label: "My Profile".into(),
        ..split_at(1)
    };
    let plan = planned(roots, &options);
    assert_eq!(labels(&plan), ["my-profile"]);
    assert_eq!(paths(&plan.shards[0]), ["zz", "a-b/x", "a/x", "z"]);
    assert_eq!(plan.folder(&plan.shards[0]), None);
}

#[test]
fn a_large_root_is_split_along_its_folders() {
    let files = [
        ("top.md", 9),
        ("src/a", 1),
        ("src/deep/b", 1),
        ("docs/c", 1),
        ("docs/d", 1),
        ("src-gen/e", 1),
    ];
    let plan = planned(vec![root("p", &files)], &split_at(3));
    assert_eq!(
        labels(&plan),
        ["p__root", "p__docs", "p__src", "p__src-gen"]
    );
    assert_eq!(paths(&plan.shards[2]), ["src/a", "src/deep/b"]);
    let folders: Vec<_> = plan.shards.iter().map(|shard| plan.folder(shard)).collect();
    let expected = ["/r/p", "/r/p/docs", "/r/p/src", "/r/p/src-gen"];
    assert_eq!(folders, expected.map(|path| Some(path.into())));
}

#[test]
fn a_large_folder_is_split_again() {
    let files = [
        ("a/b/1", 1),
        ("a/b/2", 1),
        ("a/c/3", 1),
        ("a/4", 1),
        ("d/5", 1),
    ];
    let plan = planned(vec![root("p", &files)], &split_at(3));
    let expected = ["p__a__b", "p__a__c", "p__a__root", "p__d"];
    assert_eq!(
        labels(&plan).into_iter().collect::<BTreeSet<_>>(),
        expected.into()
    );
    let loose = plan.shards.iter().find(|shard| shard.label == "p__a__root");
    assert_eq!(plan.folder(loose.expect("there")), Some("/r/p/a".into()));
}

#[test]
fn a_folder_named_root_keeps_its_label() {
    let files = [("root/1", 1), ("root2/2", 1), ("3", 1), ("4", 1)];
    let plan = planned(vec![root("p", &files)], &split_at(2));
    assert_eq!(labels(&plan), ["p__root3", "p__root", "p__root2"]);
}

#[test]
fn folders_that_spell_alike_get_numbers() {
    let files = [("Foo/1", 1), ("foo/2", 1), ("foo-2/3", 1)];
    let plan = planned(vec![root("p", &files)], &split_at(2));
    assert_eq!(labels(&plan), ["p__foo", "p__foo-2", "p__foo-3"]);
    assert_eq!(paths(&plan.shards[2]), ["foo/2"]);
}

#[test]
fn what_cannot_be_split_stays_whole_and_says_so() {
    let files = [("1", 1), ("2", 1), ("3", 1)];
    let plan = planned(vec![root("p", &files)], &split_at(2));
    assert_eq!(labels(&plan), ["p"]);
    assert!(
        plan.reasons[0].contains("no folders to split along"),
        "{:?}",
        plan.reasons
    );
}

#[test]
fn the_limits_count_bytes_too_and_zero_means_never() {
    let files = [("a/1", 40), ("b/2", 60)];
    let by_bytes = |subshard_bytes| PlanOptions {
        subshard_bytes,
        subshard_files: 0,
        ..PlanOptions::default()
    };
    let shards = |limit| {
        planned(vec![root("p", &files)], &by_bytes(limit))
            .shards
            .len()
    };
    assert_eq!((shards(100), shards(101), shards(0)), (2, 1, 1));
}

#[test]
fn deep_and_long_names_make_labels_that_fit_a_file_name() {
    let deep = format!("{}x", "a/".repeat(2000));
    let long = format!("{}/x/y", "b".repeat(255));
    let plan = planned(vec![root("p", &[(&deep, 1), (&long, 1)])], &split_at(1));
    assert_eq!(plan.shards.len(), 2);
    for shard in &plan.shards {
        assert!(shard.label.len() <= 180, "{}", shard.label.len());
    }
}

#[test]
fn huge_files_get_segments_of_their_own() {
    let huge = 30 * KIB * KIB;
    let files = [
        ("a", KIB),
        ("b", huge),
        ("c", KIB),
        ("d", huge),
        ("e", huge),
    ];
    let plan = planned(vec![root("p", &files)], &PlanOptions::default());
    let sizes: Vec<u64> = plan.queue().map(|segment| segment.bytes).collect();
    assert_eq!(sizes, [KIB, huge, KIB, huge, huge]);
}

#[test]
fn segments_average_about_a_mebibyte() {
    let files: Vec<FileEntry> = (0..20_000u64)
        .map(|n| entry(&format!("d{}/f{n}.rs", n % 97), 500 + n * 7919 % 20_000))
        .collect();
    let root = RootFiles {
        label: "p".into(),
        path: "/r/p".into(),
        files,
    };
    let plan = planned(vec![root], &PlanOptions::default());
    let shard = &plan.shards[0];
    let mean = shard.bytes / shard.segments.len() as u64;
    assert!((900 * KIB..1200 * KIB).contains(&mean), "{mean}");
}

#[test]
fn small_plans_of_slow_encoders_have_segments_for_several_workers() {
    let floor = |total| SegmentSize::of_plan(total, Pace::Slow).floor / KIB;
    let mib = KIB * KIB;
    assert_eq!(
        [0, mib, 4 * mib, 7 * mib, 8 * mib].map(floor),
        [32, 32, 64, 64, 128]
    );
    assert_eq!([31 * mib, 32 * mib, 900 * mib].map(floor), [256, 512, 512]);
    let files: Vec<FileEntry> = (0..200u64)
        .map(|n| entry(&format!("d{}/f{n}.rs", n % 7), 500 + n * 7919 % 9_000))
        .collect();
    let root = RootFiles {
        label: "p".into(),
        path: "/r/p".into(),
        files,
    };
    let n_segments = |pace| {
        let options = PlanOptions {
            pace,
            ..PlanOptions::default()
        };
        planned(vec![root.clone()], &options).queue().count()
    };
    let n_slow = n_segments(Pace::Slow);
    assert!((10..25).contains(&n_slow), "{n_slow}");
    assert_eq!(n_segments(Pace::Quick), 1);
}

#[test]
fn a_faulty_plan_is_noticed() {
    let files = [("a/1", 1), ("a/2", 1), ("b/3", 1)];
    let good = || planned(vec![root("p", &files)], &split_at(2));
    let spoilt = |spoil: fn(&mut Plan)| {
        let mut plan = good();
        spoil(&mut plan);
        plan.check_coverage().expect_err("spoilt")
    };
    let lost = spoilt(|plan| drop(plan.shards.pop()));
    assert!(matches!(
        lost,
        CoverageError::Count {
            expected: 3,
            planned: 2,
            ..
        }
    ));
    let twice = spoilt(|plan| {
        let file = plan.shards[0].files[0].clone();
        plan.shards[1].files[0] = file;
    });
    assert!(matches!(twice, CoverageError::Repeated { .. }));
    let tail = spoilt(|plan| plan.shards[0].segments[0].files.end -= 1);
    assert!(matches!(tail, CoverageError::Tail { missing: 1, .. }));
    let gap = spoilt(|plan| plan.shards[0].segments[0].files.start += 1);
    assert!(matches!(gap, CoverageError::Gap { .. }));
    let name = spoilt(|plan| plan.shards[1].label = plan.shards[0].label.clone());
    assert!(matches!(name, CoverageError::Name { .. }));
}

#[test]
fn duplicate_input_is_noticed() {
    let plan = plan(
        vec![root("p", &[("a", 1), ("a", 1)])],
        &PlanOptions::default(),
    );
    assert!(matches!(
        plan.check_coverage(),
        Err(CoverageError::Repeated { .. })
    ));
}

/// Trees of few names, so that folders repeat and collide, with sizes around the segment bounds.
fn files(max: usize) -> impl Strategy<Value = Vec<FileEntry>> {
    let name = prop_oneof![
        Just("a"),
        Just("A"),
        Just("b"),
        Just("root"),
        Just("a-2"),
        Just("ü")
    ];
    let folders = proptest::collection::vec(name, 0..3);
    let size = prop_oneof![4 => 0..20 * KIB, 4 => 0..400 * KIB, 1 => 0..3000 * KIB];
    proptest::collection::btree_map((folders, 0..500u32), size, 0..max).prop_map(|files| {
        let spelled = |((folders, number), size): ((Vec<&str>, u32), u64)| {
            let folders: String = folders.iter().map(|name| format!("{name}/")).collect();
            entry(&format!("{folders}{number}.rs"), size)
        };
        files.into_iter().map(spelled).collect()
    })
}

fn roots() -> impl Strategy<Value = Vec<RootFiles>> {
    proptest::collection::vec(files(60), 0..4).prop_map(|roots| {
        (0..)
            .zip(roots)
            .map(|(index, files)| RootFiles {
                label: format!("r{index}"),
                path: format!("/r/{index}").into(),
                files,
            })
            .collect()
    })
}

fn options() -> impl Strategy<Value = PlanOptions> {
    let mode = prop_oneof![Just(Mode::Blob), Just(Mode::Sharded), Just(Mode::Sharded)];
    (mode, 0..4000 * KIB, 0..30u64).prop_map(|(mode, subshard_bytes, subshard_files)| PlanOptions {
        mode,
        subshard_bytes,
        subshard_files,
        ..PlanOptions::default()
    })
}

proptest! {
    #[test]
    fn nothing_is_lost_and_canonical_order_holds(roots in roots(), options in options()) {
        let n_files: usize = roots.iter().map(|root| root.files.len()).sum();
        let plan = planned(roots, &options);
        prop_assert_eq!(plan.n_files(), n_files as u64);
        for shard in &plan.shards {
            let sorted = shard.files.is_sorted_by_key(|file| {
                (&plan.roots[file.root as usize].label, &file.entry.path)
            });
            prop_assert!(sorted);
            prop_assert!(!shard.files.is_empty());
            prop_assert_eq!(shard.bytes, shard.segments.iter().map(|it| it.bytes).sum::<u64>());
        }
    }

    #[test]
    fn order_of_arrival_does_not_matter(
        (roots, shuffled) in roots().prop_flat_map(|roots| (Just(roots.clone()), Just(roots).prop_shuffle())),
        options in options(),
    ) {
        let mut shuffled = shuffled;
        for root in &mut shuffled {
            root.files.reverse();
        }
        let (one, other) = (planned(roots, &options), planned(shuffled, &options));
        let shape = |plan: &Plan| -> Vec<_> {
            plan.shards
                .iter()
                .map(|shard| (shard.label.clone(), paths(shard), shard.segments.clone()))
                .collect()
        };
        prop_assert_eq!(shape(&one), shape(&other));
    }

    #[test]
    fn segments_keep_their_bounds(files in files(600), pace in prop_oneof![Just(Pace::Quick), Just(Pace::Slow)]) {
        let root = RootFiles { label: "p".into(), path: "/r/p".into(), files };
        let plan = planned(vec![root], &PlanOptions { pace, ..PlanOptions::default() });
        let size = SegmentSize::of_plan(plan.bytes(), pace);
        for shard in &plan.shards {
            let first = |segment: &Segment| shard.files[segment.files.start].entry.size;
            let would_overflow = |one: &Segment, next: &Segment| one.bytes + first(next) > size.ceiling();
            for (at, segment) in shard.segments.iter().enumerate() {
                prop_assert!(segment.bytes <= size.ceiling() || segment.files.len() == 1);
                // Below the floor only beside a cut that the ceiling forces, or alone.
                let before = at.checked_sub(1).map(|at| &shard.segments[at]);
                let behind = shard.segments.get(at + 1);
                let forced = before.is_some_and(|before| would_overflow(before, segment))
                    || behind.is_some_and(|behind| would_overflow(segment, behind));
                let alone = shard.segments.len() == 1;
                prop_assert!(segment.bytes >= size.floor || forced || alone);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]
    #[test]
    fn a_new_file_moves_only_the_cuts_beside_it(
        n_files in 200usize..1500,
        seed in 0u32..1000,
        size in 100..200 * KIB,
        at in 0usize..1500,
        pace in prop_oneof![Just(Pace::Quick), Just(Pace::Slow)],
    ) {
        let old: Vec<FileEntry> = (0..n_files)
            .map(|n| entry(&format!("f{n:05}-{seed}.rs"), 100 + (n as u64 * 7919 + u64::from(seed) * 31) % (60 * KIB)))
            .collect();
        let mut new = old.clone();
        new.push(entry(&format!("f{:05}-{seed}a.rs", at % n_files), size));
        let total = |files: &[FileEntry]| files.iter().map(|file| file.size).sum();
        prop_assume!(SegmentSize::of_plan(total(&old), pace) == SegmentSize::of_plan(total(&new), pace));
        let runs = |files: Vec<FileEntry>| -> BTreeSet<Vec<String>> {
            let root = RootFiles { label: "p".into(), path: "/r/p".into(), files };
            let plan = planned(vec![root], &PlanOptions { pace, ..PlanOptions::default() });
            let shard = &plan.shards[0];
            let spelled = |segment: &Segment| {
                shard.segment_files(segment).iter().map(|file| file.entry.path.spelling().into_owned()).collect()
            };
            shard.segments.iter().map(spelled).collect()
        };
        let (before, after) = (runs(old), runs(new));
        prop_assert!(before.difference(&after).count() <= 4, "{}", before.difference(&after).count());
        prop_assert!(after.difference(&before).count() <= 4, "{}", after.difference(&before).count());
    }
}
