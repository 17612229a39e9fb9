//! Manual pages: one for the program and one for each command.
//!
//! Names, flags and environment variables come from the definition of the command line, exit codes from [`ExitCode`].
//! The rest is listed in `pages`; a test parses the examples.

mod pages;

use super::Cli;
use crate::exit_code::ExitCode;
use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use pages::{FILES, PAGES, PLAIN_EXITS, VARIABLES};

/// Return the manual page of a command in roff; without words, that of the program. `None` if the command does not exist.
pub fn manual(words: &[String]) -> Option<Vec<u8>> {
    let mut command = Cli::command()
        .after_help(Resettable::Reset)
        .disable_help_subcommand(true);
    // Adds the program's name and the global flags to every command.
    command.build();
    for word in words {
        let found = command
            .get_subcommands()
            .find(|inner| inner.get_name() == word);
        command = found.filter(|inner| !inner.is_hide_set())?.clone();
    }
    let page = PAGES.iter().find(|page| page.command == words.join(" "));
    let mut roff = Roff::new();
    exits(&mut roff, page.map_or(PLAIN_EXITS, |page| page.exits));
    environment(&mut roff, &command, words.is_empty());
    if words.is_empty() {
        listed(&mut roff, "FILES", FILES);
    }
    examples(&mut roff, page.map_or(&[], |page| page.examples));
    if !words.is_empty() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("helix-build"), roman("(1)")]);
    }
    let mut text = Vec::new();
    let page = Man::new(command).source(concat!("helix-build ", env!("CARGO_PKG_VERSION")));
    let written = page
        .render(&mut text)
        .and_then(|()| roff.to_writer(&mut text));
    written.expect("writing to memory cannot fail");
    Some(text)
}

fn exits(roff: &mut Roff, codes: &[ExitCode]) {
    roff.control("SH", ["EXIT STATUS"]);
    for code in codes {
        roff.control("TP", []);
        roff.text([bold((*code as u8).to_string())]);
        roff.text([roman(code.meaning())]);
    }
}

/// List the environment variables of the command's flags; on the program's page also [`VARIABLES`].
fn environment(roff: &mut Roff, command: &Command, is_program: bool) {
    roff.control("SH", ["ENVIRONMENT"]);
    for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
        let (Some(variable), Some(flag)) = (argument.get_env(), argument.get_long()) else {
            continue;
        };
        roff.control("TP", []);
        roff.text([bold(variable.to_string_lossy())]);
        roff.text([
            roman("Value of "),
            bold(format!("--{flag}")),
            roman(" if the flag is not given."),
        ]);
    }
    if is_program {
        for (variable, meaning) in VARIABLES {
            roff.control("TP", []);
            roff.text([bold(*variable)]);
            roff.text([roman(*meaning)]);
        }
    } else {
        roff.control("PP", []);
        roff.text([
            bold("helix-build"),
            roman("(1) lists the variables of all commands."),
        ]);
    }
}

fn listed(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, meaning) in entries {
        roff.control("TP", []);
        roff.text([italic(*name)]);
        roff.text([roman(*meaning)]);
    }
}

fn examples(roff: &mut Roff, examples: &[(&str, &str)]) {
    if examples.is_empty() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    for (line, meaning) in examples {
        roff.control("TP", []);
        roff.text([bold(format!("helix-build {line}"))]);
        roff.text([roman(*meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse;
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    /// Collect the words of every visible command.
    fn commands(command: &Command, words: &str, found: &mut Vec<String>) {
        found.push(words.to_owned());
        let inner = command.get_subcommands();
        for inner in inner.filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            let words = format!("{words} {}", inner.get_name());
            commands(inner, words.trim(), found);
        }
    }

    fn page(words: &str) -> String {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        String::from_utf8(manual(&words).expect("a page"))
            .expect("text")
            .replace("\\-", "-")
    }

    #[test]
    fn every_command_has_a_page_with_every_section() {
        let mut found = Vec::new();
        commands(&Cli::command(), "", &mut found);
        let described: Vec<_> = PAGES.iter().map(|page| page.command).collect();
        assert_eq!(
            found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            described.iter().copied().collect()
        );
        for words in &found {
            let text = page(words);
            let name = format!("helix-build {words}").trim().replace(' ', "-");
            assert!(text.contains(&format!(".TH {name} 1")), "{words}: {text}");
            for section in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES"] {
                let heading = text
                    .lines()
                    .find(|line| line.replace('"', "") == format!(".SH {section}"));
                assert!(heading.is_some(), "{words}, {section}: {text}");
            }
        }
        assert!(page("").contains(".SH FILES"));
    }

    #[test]
    fn every_example_is_a_command_line() {
        for (line, _) in PAGES.iter().flat_map(|page| page.examples) {
            let words = line.split('"').enumerate();
            // Text in quotation marks is one word.
            let words = words.flat_map(|(n, part)| match n % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            });
            let all = std::iter::once("helix-build".to_owned()).chain(words);
            if let Err(error) = parse(all.map(OsString::from)) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn unknown_and_hidden_commands_have_no_page() {
        for words in [vec!["nothing"], vec!["worker"], vec!["query", "more"]] {
            let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
            assert!(manual(&words).is_none(), "{words:?}");
        }
    }
}
