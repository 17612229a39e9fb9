//! Every command line in the documents. Blocks marked `sh` and `console` are run, in a small world; in other
//! blocks (`sh,no-run`: they need a model, a GPU or a server) and in running text the program's lines are parsed.

use super::pages::{pages, repository};
use helix_build::cli;
use std::ffi::OsString;
#[cfg(unix)]
use {super::pages::Block, crate::world::World, std::path::Path, std::process::Command};

/// The words of the commands in a line of shell, as far as documents use it.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    // What is redirected to or from is not an argument.
    let mut is_target = false;
    let end = |word: &mut Option<String>, is_target: &mut bool, commands: &mut Vec<Vec<String>>| {
        if let Some(word) = word.take()
            && !std::mem::take(is_target)
        {
            commands.last_mut().expect("one at least").push(word);
        }
    };
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '#') if word.is_none() => break,
            (None, '>' | '<') => {
                end(&mut word, &mut is_target, &mut commands);
                is_target = true;
            }
            (None, '|' | '&' | ';') => {
                end(&mut word, &mut is_target, &mut commands);
                commands.push(Vec::new());
            }
            (None, _) if c.is_whitespace() => end(&mut word, &mut is_target, &mut commands),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    end(&mut word, &mut is_target, &mut commands);
    commands
}

/// The arguments of this program, if a command is one of it: `helix-build ...`, `cargo run --release -- ...`, either
/// behind `timeout ...` or variables.
fn arguments(command: &[String]) -> Option<Vec<String>> {
    if let Some(at) = command.iter().position(|word| word == "helix-build") {
        return Some(command[at..].to_vec());
    }
    let is_run = command.len() > 1 && command[0] == "cargo" && command[1] == "run";
    let at = command
        .iter()
        .position(|word| word == "--")
        .filter(|_| is_run)?;
    Some(command[at..].to_vec())
}

fn assert_parses(line: &str, place: &str) -> usize {
    let lines = commands(line);
    let found: Vec<_> = lines
        .iter()
        .filter_map(|command| arguments(command))
        .collect();
    for words in &found {
        let words = words.iter().map(OsString::from);
        if let Err(error) = cli::parse(words)
            // Asking for help or the version is not a mistake.
            && error.use_stderr()
        {
            panic!("{place}: {line}\n{error}");
        }
    }
    found.len()
}

#[test]
fn every_command_line_in_the_documents_parses() {
    let mut n_lines = 0;
    for page in pages() {
        for block in page.blocks() {
            if !block.language.starts_with("sh") && block.language != "console" {
                continue;
            }
            let place = format!("{}:{}", page.name, block.line);
            for line in block.code.replace("\\\n", " ").lines() {
                n_lines += assert_parses(line.trim_start_matches("$ "), &place);
            }
        }
        for code in page
            .prose()
            .replace('\n', " ")
            .split('`')
            .skip(1)
            .step_by(2)
        {
            // Brackets and dots stand for what may be there; a command alone is a name.
            if code.starts_with("helix-build ")
                && !code.contains(['[', '<'])
                && !code.contains("...")
                && code.split(' ').count() > 2
            {
                n_lines += assert_parses(code, &page.name);
            }
        }
    }
    assert!(n_lines > 40, "{n_lines}");
}

/// Two services in a home folder, and the profiles that the documents use.
#[cfg(unix)]
fn prepared() -> World {
    let world = World::corpus(2, 6);
    for (from, to) in [("root0", "home/src/billing"), ("root1", "home/src/gateway")] {
        let to = world.path(to);
        std::fs::create_dir_all(to.parent().expect("below")).expect("folders");
        std::fs::rename(world.path(from), to).expect("moved");
    }
    world.write("home/src/billing/.env", "PORT=8080\n".repeat(8));
    let roots = "roots = [\"~/src/billing\", \"~/src/gateway\"]\n";
    for name in ["services.toml", "profiles/demo.toml"] {
        world.write(name, roots);
    }
    world
}

#[cfg(unix)]
fn shell(world: &World, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_helix-build"));
    let folder = program.parent().expect("a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .current_dir(world.path("."))
        .env("PATH", std::env::join_paths(folders).expect("paths"))
        .env("HOME", world.path("home"))
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .env("HELIX_BUILD_SPARSE_MODEL", "none")
        .env("HELIX_BUILD_DENSE_MODEL", "none")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME");
    command
}

/// The lines to run of a block: all of a script, those behind `$ ` of a session.
#[cfg(unix)]
fn script(block: &Block) -> Option<String> {
    match block.language.as_str() {
        "sh" => Some(block.code.clone()),
        "console" => {
            let lines = block
                .code
                .lines()
                .filter_map(|line| line.strip_prefix("$ "));
            Some(lines.collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

#[cfg(unix)]
#[test]
fn every_command_line_in_the_documents_runs() {
    let mut n_scripts = 0;
    for page in pages() {
        let blocks = page.blocks();
        let scripts = blocks
            .iter()
            .filter_map(|block| Some((block.line, script(block)?)));
        let mut scripts = scripts.peekable();
        if scripts.peek().is_none() {
            continue;
        }
        let world = prepared();
        let before = (0, "helix-build --profile demo -q".to_owned());
        for (line, script) in std::iter::once(before).chain(scripts) {
            let output = shell(&world, &script).output().expect("sh runs");
            assert!(
                output.status.success(),
                "{}:{line}: {}\n{script}\n{}",
                page.name,
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
            n_scripts += 1;
        }
    }
    assert!(n_scripts > 10, "{n_scripts}");
}

#[cfg(unix)]
#[test]
fn every_profile_in_the_documents_is_sound() {
    let world = prepared();
    let mut n_profiles = 0;
    for page in pages() {
        for block in page.blocks() {
            if block.language == "toml" && block.code.contains("roots = ") {
                n_profiles += 1;
                let name = format!("{n_profiles}.toml");
                world.write(&name, &block.code);
                let check = format!("helix-build profile check {name}");
                let ran = shell(&world, &check).output().expect("sh runs");
                assert!(
                    ran.status.success(),
                    "{}:{}: {ran:?}",
                    page.name,
                    block.line
                );
            }
        }
    }
    assert!(n_profiles >= 3, "{n_profiles}");
}

/// The commands that README promises.
#[test]
fn readme_names_the_commands_that_others_rely_on() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README");
    for line in [
        "cargo run --release -- --profile demo",
        "cargo test",
        "helix-build --profile medium --mode sharded --shard-workers 2 --shard-file-workers 3",
    ] {
        assert!(readme.contains(line), "{line}");
    }
}
