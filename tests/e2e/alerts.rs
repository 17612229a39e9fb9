//! Evaluates the alert rules of docs/operations/alerts.yml on the metrics files of real runs. A small evaluator supports the
//! parts of PromQL that the rules use; `promtool`, if installed, checks its results.
#![cfg(unix)]

use crate::world::{BARE, World, finish};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

/// The samples of a metrics file; every one has the label `profile`.
fn samples(text: &str) -> Vec<Sample> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').expect("labels");
        let labels = labels.strip_suffix('}').expect("an end of labels");
        let label = |label: &str| {
            let (name, value) = label.split_once('=').expect("a label");
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        let labels: Labels = labels.split(',').map(label).collect();
        assert!(labels.contains_key("profile"), "{line}");
        Sample {
            name: name.to_owned(),
            labels,
            value: value.parse().expect("a number"),
        }
    };
    lines.map(sample).collect()
}

/// Names and expressions of the rules.
fn rules() -> Vec<(String, String)> {
    let text = fs::read_to_string(rules_file()).expect("the rules");
    let mut rules = Vec::new();
    let mut name = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            alert.clone_into(&mut name);
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            rules.push((name.clone(), expression.to_owned()));
        }
    }
    assert!(rules.len() >= 7, "{rules:?}");
    rules
}

fn rules_file() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/alerts.yml").to_owned()
}

/// What an expression gives at a time: conditions joined by `and`, each compared with a number.
fn evaluate(expression: &str, samples: &[Sample], now: f64) -> Vec<Sample> {
    if let Some(inside) = expression.strip_prefix("absent(") {
        let selected = select(inside.trim_end_matches(')'), samples);
        let absent = Sample {
            name: String::new(),
            labels: Labels::new(),
            value: 1.0,
        };
        return selected.is_empty().then_some(absent).into_iter().collect();
    }
    let mut conditions = expression.split(" and ");
    let first = conditions.next().expect("at least one");
    let mut found = compare(first, samples, now);
    for condition in conditions {
        let others = compare(condition, samples, now);
        found.retain(|sample| others.iter().any(|other| other.labels == sample.labels));
    }
    found
}

fn compare(condition: &str, samples: &[Sample], now: f64) -> Vec<Sample> {
    let words: Vec<_> = condition.split(' ').collect();
    let [left @ .., operator, number] = words.as_slice() else {
        panic!("{condition}");
    };
    let number: f64 = number.parse().expect("a number");
    let mut found = match left {
        [selector] => select(selector, samples),
        ["time()", "-", selector] => {
            let mut ages = select(selector, samples);
            ages.iter_mut().for_each(|age| age.value = now - age.value);
            ages
        }
        _ => panic!("{condition}"),
    };
    found.retain(|sample| match *operator {
        "==" => sample.value == number,
        "!=" => sample.value != number,
        ">" => sample.value > number,
        _ => panic!("{condition}"),
    });
    found
}

/// `name` or `name{label=~"one|other"}`.
fn select(selector: &str, samples: &[Sample]) -> Vec<Sample> {
    let (name, matcher) = match selector.split_once('{') {
        None => (selector, None),
        Some((name, rest)) => {
            let (label, values) = rest.split_once("=~\"").expect("a matcher");
            let values = values.strip_suffix("\"}").expect("its end");
            (name, Some((label, values)))
        }
    };
    let matches = |sample: &&Sample| {
        let has = |(label, values): (&str, &str)| {
            let value = sample.labels.get(label);
            value.is_some_and(|value| values.split('|').any(|one| one == value))
        };
        sample.name == name && matcher.is_none_or(has)
    };
    samples.iter().filter(matches).cloned().collect()
}

/// A metrics file as it is looked at some time after it was written.
struct Looked {
    what: &'static str,
    samples: Vec<Sample>,
    now: f64,
    /// Alerts and profiles, in the order of the rules.
    expected: Vec<(&'static str, &'static str)>,
}

impl Looked {
    fn fired(&self) -> Vec<(String, Sample)> {
        let mut fired = Vec::new();
        for (name, expression) in rules() {
            let found = evaluate(&expression, &self.samples, self.now);
            fired.extend(found.into_iter().map(|sample| (name.clone(), sample)));
        }
        fired
    }

    fn check(&self) {
        let fired = self.fired();
        let named: Vec<_> = fired
            .iter()
            .map(|(name, sample)| {
                let profile = sample.labels.get("profile").map_or("", String::as_str);
                (name.as_str(), profile)
            })
            .collect();
        assert_eq!(named, self.expected, "{}: {:?}", self.what, self.samples);
    }

    /// The same as a group of tests for `promtool`, whose clock starts at 0.
    fn unit_test(&self) -> String {
        const AT: f64 = 3600.0;
        let labels = |sample: &Sample, without: &str| {
            let labels = sample.labels.iter().filter(|(name, _)| *name != without);
            let labels: Vec<_> = labels.map(|(n, v)| format!("{n}=\"{v}\"")).collect();
            labels.join(", ")
        };
        let mut text = "  - interval: 1m\n    input_series:\n".to_owned();
        for sample in &self.samples {
            let value = match sample.name.ends_with("_timestamp_seconds") {
                true => sample.value - self.now + AT,
                false => sample.value,
            };
            let series = format!("{}{{{}}}", sample.name, labels(sample, ""));
            text += &format!("      - series: '{series}'\n        values: '{value:.0}x60'\n");
        }
        text += "    alert_rule_test:\n";
        let fired = self.fired();
        for (name, _) in rules() {
            text +=
                &format!("      - eval_time: 1h\n        alertname: {name}\n        exp_alerts:");
            let of_rule: Vec<_> = fired.iter().filter(|(rule, _)| *rule == name).collect();
            if of_rule.is_empty() {
                text += " []";
            }
            text += "\n";
            for (_, sample) in of_rule {
                let severity = match name.as_str() {
                    "HelixBuildFailed" | "HelixBuildKilled" | "HelixBuildOverdue" => "critical",
                    _ => "warning",
                };
                text += &format!("          - exp_labels:\n              severity: {severity}\n");
                for (label, value) in &sample.labels {
                    text += &format!("              {label}: '{value}'\n");
                }
                let summary = summary(&name, sample);
                text +=
                    &format!("            exp_annotations:\n              summary: '{summary}'\n");
            }
        }
        text
    }
}

/// The rule's summary with the sample's labels and value in their places.
fn summary(rule: &str, sample: &Sample) -> String {
    let text = fs::read_to_string(rules_file()).expect("the rules");
    let behind = text
        .split_once(&format!("- alert: {rule}\n"))
        .expect("the rule")
        .1;
    let behind = behind.split_once("summary: \"").expect("a summary").1;
    let mut summary = behind.split_once('"').expect("its end").0.to_owned();
    for (label, value) in &sample.labels {
        summary = summary.replace(&format!("{{{{ $labels.{label} }}}}"), value);
    }
    summary.replace("{{ $value }}", &sample.value.to_string())
}

fn read(world: &World) -> Vec<Sample> {
    samples(&fs::read_to_string(world.path("m.prom")).expect("a metrics file"))
}

/// The latest time that the figures know of.
fn latest(samples: &[Sample]) -> f64 {
    let times = samples
        .iter()
        .filter(|s| s.name == "helix_updated_timestamp_seconds");
    times.map(|sample| sample.value).fold(0.0, f64::max)
}

#[test]
fn alerts_fire_on_failures_and_not_after_good_runs() {
    let world = World::corpus(2, 6);
    world.write("q.toml", "roots = [\"root1\"]\n");
    let run = |profiles: &str, flags: &[&str], failpoints: &str| {
        let arguments = [
            "--profile",
            profiles,
            "--out-dir",
            "o",
            "--metrics-file",
            "m.prom",
        ];
        let mut command = world.command(&[&arguments[..], flags].concat());
        command.env("FAILPOINTS", failpoints);
        finish(command.spawn().expect("starts")).code
    };
    let mut looks = Vec::new();
    let mut look = |what, hours: f64, expected: &[(&'static str, &'static str)]| {
        let samples = read(&world);
        looks.push(Looked {
            what,
            now: latest(&samples) + hours * 3600.0,
            samples,
            expected: expected.to_vec(),
        });
    };
    assert_eq!(run("p.toml,q.toml", &BARE, ""), Some(0));
    look("a good night, at once", 0.0, &[]);
    look("a good night, the next morning", 12.0, &[]);
    look(
        "no build for two days",
        48.0,
        &[("HelixBuildOverdue", "q"), ("HelixBuildOverdue", "p")],
    );
    world.write("q.toml", "roots = [\"root1\"]\nchunk_chars = 700\n");
    assert_eq!(run("p.toml,q.toml", &BARE, ""), Some(12));
    look("one of two failed", 1.0, &[("HelixBuildFailed", "q")]);
    world.write("q.toml", "rots = [\"root1\"]\n");
    assert_eq!(run("p.toml,q.toml", &BARE, ""), Some(2));
    look("a profile was broken", 1.0, &[("HelixBuildFailed", "q")]);
    world.write("q.toml", "roots = [\"root1\"]\n");
    assert_eq!(run("q.toml", &BARE, ""), Some(0));
    look("mended", 1.0, &[]);

    let killed = [&BARE[..], &["--rebuild"]].concat();
    assert_eq!(
        run("p.toml", &killed, "build::conclude=return(abort)"),
        None
    );
    look("killed a moment ago", 0.0, &[]);
    look("killed an hour ago", 1.0, &[("HelixBuildKilled", "p")]);
    // A rebuild that was killed goes on when it is asked for again; any other build ends it.
    assert_eq!(run("p.toml", &BARE, ""), Some(0));
    let quarantine = "worker::prepare=return(panic@file0.rs)";
    assert_eq!(run("p.toml", &killed, quarantine), Some(3));
    look("left out", 1.0, &[("HelixBuildIncomplete", "p")]);

    let played = ["--device=cpu", "--vram-probe=false", "--rebuild"];
    assert_eq!(run("p.toml", &played, ""), Some(0));
    look("a silent probe", 1.0, &[("HelixVramProbeSilent", "p")]);
    let played = ["--device=cpu", "--vram-probe=echo 4000 12288", "--rebuild"];
    assert_eq!(run("p.toml", &played, ""), Some(0));
    look("a probe that answers", 1.0, &[]);

    for look in &looks {
        look.check();
    }
    let nothing = Looked {
        what: "no file",
        samples: Vec::new(),
        now: 0.0,
        expected: vec![("HelixBuildNoFigures", "")],
    };
    nothing.check();
    looks.push(nothing);
    ask_promtool(&world, &looks);
}

fn ask_promtool(world: &World, looks: &[Looked]) {
    let promtool = |arguments: &[&str]| Command::new("promtool").args(arguments).output();
    let Ok(checked) = promtool(&["check", "rules", &rules_file()]) else {
        println!("promtool is not installed: the rules are checked by this test's evaluator alone");
        return;
    };
    assert!(checked.status.success(), "{checked:?}");
    let mut text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n",
        rules_file()
    );
    for look in looks {
        text += &look.unit_test();
    }
    let file = world.path("unit.yml");
    fs::write(&file, &text).expect("written");
    let tested = promtool(&["test", "rules", &file.to_string_lossy()]).expect("it is there");
    let said = String::from_utf8_lossy(&tested.stdout).into_owned()
        + &String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}\n{text}");
}
