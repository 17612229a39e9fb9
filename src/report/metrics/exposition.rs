//! The Prometheus text exposition format: writes and reads families, samples, labels and numbers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

/// Samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub help: String,
    pub kind: Kind,
    pub samples: Vec<Sample>,
}

/// A value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

pub fn plain(value: f64) -> Sample {
    labelled([], value)
}

pub fn labelled<const N: usize>(labels: [(&str, String); N], value: f64) -> Sample {
    let labels = labels.into_iter();
    Sample {
        labels: labels.map(|(name, text)| (name.to_owned(), text)).collect(),
        value,
    }
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Write the whole text, with a line feed at the end. Skips families without samples.
pub fn write(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let Family { name, help, .. } = family;
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for sample in &family.samples {
            text.push_str(name);
            for (n, (label, value)) in sample.labels.iter().enumerate() {
                let before = if n == 0 { '{' } else { ',' };
                let _ = write!(text, "{before}{label}=\"{}\"", escaped(value));
            }
            if !sample.labels.is_empty() {
                text.push('}');
            }
            let _ = writeln!(text, " {}", number(sample.value));
        }
    }
    text
}

/// Read the families of a text from [`write()`]. Skips lines that it would not write, and repeated samples.
pub fn read(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut help = ("", "");
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap_or((rest, ""));
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let kind = match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                _ => continue,
            };
            if !is_name(name) {
                continue;
            }
            families.push(Family {
                name: name.to_owned(),
                help: help.1.to_owned(),
                kind,
                samples: Vec::new(),
            });
        } else if let Some((name, sample)) = read_sample(line)
            && let Some(family) = families.last_mut()
            && family.name == name
            && seen.insert((name.to_owned(), sample.labels.clone()))
        {
            family.samples.push(sample);
        }
    }
    families
}

/// Whether a line, with or without its end, is of a family whose name begins so.
pub fn is_of(line: &str, families: &str) -> bool {
    let comment = ["# HELP ", "# TYPE "];
    let name = comment.iter().find_map(|start| line.strip_prefix(start));
    name.unwrap_or(line).starts_with(families)
}

fn read_sample(line: &str) -> Option<(&str, Sample)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, quoted) = inside.split_once("=\"")?;
            if !is_name(label) {
                return None;
            }
            let (value, behind) = unescaped(quoted)?;
            labels.push((label.to_owned(), value));
            match behind.strip_prefix(',') {
                Some(behind) => inside = behind,
                None => {
                    rest = behind.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some((name, Sample { labels, value }))
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// Escape a label's value: backslash, quote and line feed.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The value up to its closing quote, and the text after the quote.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c => c,
            }),
            c => value.push(c),
        }
    }
    None
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        // Digits without an exponent, and `NaN`.
        value.to_string()
    }
}
