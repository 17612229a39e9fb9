//! Files that `--metrics-file` and `--log-file` name: those of others stay, and none takes a name that builds need.

use crate::world::{BARE, Ran, World};
use std::fs;

fn build(world: &World, flags: &[&str]) -> Ran {
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    arguments.extend(flags);
    world.run(&arguments)
}

fn refused(ran: &Ran, texts: &[&str]) {
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
}

#[test]
fn figures_of_other_programs_stay_whatever_they_are_called() {
    let world = World::corpus(1, 2);
    let name = "m.prom";
    assert_eq!(build(&world, &["--metrics-file", name]).code, Some(0));
    let ours = fs::read_to_string(world.path(name)).expect("reads");
    let (mark, unmarked) = ours.split_once('\n').expect("lines");
    assert!(mark.starts_with("# helix-build "), "{mark}");
    let foreign = "# HELP helix_antenna_gain_db Gain of the helix antenna.\n\
                   # TYPE helix_antenna_gain_db gauge\nhelix_antenna_gain_db 12.5\n";
    // Another program's, ours with lines of others behind, and what an older version wrote with the same.
    for text in [
        foreign.to_owned(),
        format!("{ours}node_load1 1\n"),
        format!("{ours}# mine\n"),
        format!("{unmarked}{foreign}# mine\n"),
        format!("{foreign}{unmarked}"),
    ] {
        world.write(name, &text);
        refused(
            &build(&world, &["--metrics-file", name]),
            &["--metrics-file m.prom", "name another file"],
        );
        assert_eq!(fs::read_to_string(world.path(name)).expect("reads"), text);
    }
    // What an older version wrote, and a file that a power cut left.
    for text in [unmarked, &ours[..ours.len() / 2], ""] {
        world.write(name, text);
        assert_eq!(build(&world, &["--metrics-file", name]).code, Some(0));
        let text = fs::read_to_string(world.path(name)).expect("reads");
        assert!(text.starts_with(mark), "{text}");
    }
}
