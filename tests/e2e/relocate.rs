//! `relocate`: an index that was built elsewhere.

use crate::world::World;
use std::fs;
use std::path::Path;

/// Copy a folder with the modification times of its files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("lists").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
            continue;
        }
        fs::copy(&source, &target).expect("copied");
        let time = fs::metadata(&source)
            .and_then(|it| it.modified())
            .expect("a time");
        let file = fs::File::options()
            .write(true)
            .open(&target)
            .expect("opened");
        file.set_modified(time).expect("set");
    }
}

/// Build in one world, and copy everything into another one.
fn moved(mode: &str) -> (World, World, String) {
    let (old, new) = (World::corpus(3, 12), World::new());
    let built = old.build("o", &["--mode", mode]);
    copy(&old.path(""), &new.path(""));
    let digest = built["digest"].as_str().expect("a digest").to_owned();
    (old, new, digest)
}

/// Everything that a relocation may change, without times.
fn state(world: &World, index: &str) -> String {
    let inspected = world.run(&["inspect", index, "--json"]).stdout;
    let manifest = fs::read_to_string(
        world
            .path(index)
            .parent()
            .expect("a folder")
            .join("manifest.json"),
    );
    format!("{inspected}\n{manifest:?}")
}

#[test]
fn an_index_is_built_here_and_used_there() {
    for (mode, index) in [("sharded", "o-sharded/p"), ("blob", "o/p.db")] {
        let (old, new, digest) = moved(mode);
        let map = format!("{}={}", old.path("").display(), new.path("").display());
        let before = old.path("root1").display().to_string();
        drop(old);
        let ran = new.run(&["relocate", index, "--map", &map, "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let done = ran.last_line();
        assert_eq!(done["roots"].as_array().map(Vec::len), Some(3), "{done}");
        assert_eq!(
            new.verified(index)["digest"],
            *digest,
            "no digest covers a path"
        );
        let shown = state(&new, index);
        assert!(!shown.contains(&before), "{shown}");
        let hits = new
            .run(&[
                "query",
                index,
                "gadget number",
                "--mode",
                "lexical",
                "--json",
            ])
            .lines();
        let path = hits[0]["path"].as_str().expect("a path");
        assert!(Path::new(path).is_file(), "{path}");
        let again = new.build("o", &["--mode", mode]);
        let shards = again["shards"].as_array().map_or(0, Vec::len);
        assert_eq!(again["unchanged_shards"], shards, "{again}");
        assert_eq!(again["digest"], *digest);
        let twice = new.run(&["relocate", index, "--json"]);
        assert_eq!(twice.last_line()["rewritten"], 0, "{twice:?}");
        new.verified(index);
    }
}

/// All shards have moved alike, so one line says it, and its advice is what mends it without loss.
#[test]
fn verify_of_a_moved_index_advises_relocate() {
    let (old, new, digest) = moved("sharded");
    let ran = new.run(&["verify", "o-sharded/p"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    let faults: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with("FAULT"))
        .collect();
    assert_eq!(faults.len(), 1, "{ran:?}");
    let old_folder = old.path("o-sharded/p/shards").display().to_string();
    assert!(
        faults[0].contains("moved or copied") && faults[0].contains(&old_folder),
        "{faults:?}"
    );
    let advice = ran
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("FAULT"))
        .nth(1);
    let advice = advice.expect("a line of advice");
    assert!(
        advice.contains("helix-build relocate") && !advice.contains("delete"),
        "{advice}"
    );
    new.run(&["relocate", "o-sharded/p"]);
    assert_eq!(new.verified("o-sharded/p")["digest"], *digest);
}

#[test]
fn a_killed_relocation_ends_like_any_other() {
    let steps = [
        "relocate::begun",
        "relocate::copied",
        "relocate::rename",
        "relocate::renamed",
        "relocate::routed",
        "manifest::rename",
        "relocate::noted",
        "relocate::remembered",
    ];
    for (mode, index) in [("sharded", "o-sharded/p"), ("blob", "o/p.db")] {
        let (old, new, _) = moved(mode);
        let (from, to) = (old.path(""), new.path(""));
        // The new place begins as the old one does: a step that is done twice would show.
        let map = format!(
            "{}={}",
            from.join("root1").display(),
            from.join("root1/root1").display()
        );
        let kept = World::new();
        copy(&to, &kept.path(""));
        let run = |world: &World, point: Option<&str>| {
            let mut command = world.command(&["relocate", index, "--map", &map]);
            if let Some(point) = point {
                // Of three shards the second is the only one with this root.
                command.env("FAILPOINTS", format!("{point}=return(abort@)"));
            }
            command.output().expect("runs").status.code()
        };
        assert_eq!(run(&new, None), Some(0));
        new.verified(index);
        let wanted = state(&new, index);
        for step in steps
            .iter()
            .filter(|step| mode == "sharded" || **step != "relocate::routed")
        {
            fs::remove_dir_all(&to).expect("removed");
            copy(&kept.path(""), &to);
            assert_eq!(run(&new, Some(step)), None, "{step} was not reached");
            assert_eq!(run(&new, None), Some(0), "{step}");
            new.verified(index);
            assert_eq!(state(&new, index), wanted, "{step}");
            let folder = new.path(index);
            let folder = if mode == "sharded" {
                folder.join("shards")
            } else {
                to.join("o")
            };
            for entry in fs::read_dir(folder).expect("lists").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(!name.contains("tmp"), "{step} left {name}");
            }
        }
    }
}

/// The map of an interrupted relocation holds. Another is not ignored, and the same may be repeated.
#[test]
fn an_interrupted_map_is_not_replaced_by_another() {
    let (old, new, _) = moved("sharded");
    let index = "o-sharded/p";
    let map = |to: &str| format!("{}={}", old.path("").display(), new.path(to).display());
    let mut command = new.command(&["relocate", index, "--map", &map("")]);
    command.env("FAILPOINTS", "relocate::renamed=return(abort@)");
    assert_eq!(command.output().expect("runs").status.code(), None);
    let ran = new.run(&["relocate", index, "--map", &map("elsewhere")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("interrupted"), "{ran:?}");
    let wanted = state(&new, index);
    for _ in 0..2 {
        let ran = new.run(&["relocate", index, "--map", &map("")]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(state(&new, index), wanted);
    new.verified(index);
}

#[test]
fn maps_that_fit_nothing_are_refused() {
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    let before = state(&world, "o-sharded/p");
    let (one, two) = (world.path("root0"), world.path("root1"));
    let both = format!("{}={}", one.display(), two.display());
    for (map, said) in [
        ("/nowhere=/x", "its roots are"),
        ("x", "OLD=NEW"),
        (&both, "two roots"),
    ] {
        let ran = world.run(&["relocate", "o-sharded/p", "--map", map]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
    assert_eq!(state(&world, "o-sharded/p"), before);
    assert_eq!(world.run(&["relocate", "root0"]).code, Some(10));
}
