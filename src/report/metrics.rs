//! A build's figures in Prometheus' text exposition format, version 0.0.4.
//!
//! Rendering alone: the caller writes the text to a temporary file and renames it, so that a collector
//! that reads files (node_exporter's textfile collector) never sees half of it. Names are a contract:
//! some may be added, none changes its meaning. Counters count from the start of the process.

use crate::watchdog::{Counts, Memory};
use std::fmt::Write as _;

/// Everything there is to export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    pub version: String,
    pub profile: String,
    pub watchdog: Counts,
    pub chunks: u64,
    /// Real tokens encoded.
    pub tokens: u64,
    pub files: u64,
    /// Files left out while they were read: those of the plan are not among them.
    pub skipped_files: u64,
    pub quarantined_files: u64,
    /// Chunks whose vectors were taken over from an earlier index.
    pub reused_chunks: u64,
    pub segments_done: u64,
    /// Segments that the plan has.
    pub segments: u64,
    pub shards_published: u64,
    /// Shards that the plan has, unchanged ones included.
    pub shards: u64,
    /// Worker processes that are there.
    pub workers: u64,
    pub workers_lost: u64,
    /// Devices by name, with their memory as far as it is known.
    pub devices: Vec<(String, Option<Memory>)>,
    /// Share of the workers' time spent in sessions, 0 to 1.
    pub encoder_busy: f64,
    /// Seconds since the build began.
    pub elapsed_s: f64,
    /// Unix seconds of this text, for an alert on a build that is gone.
    pub updated_at: f64,
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// A value with its labels.
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Metrics {
    /// The whole text; every line ends.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut family = |name, kind, help, samples: Vec<Sample>| {
            write_family(&mut text, name, kind, help, &samples);
        };
        let version = ("version", self.version.clone());
        let profile = ("profile", self.profile.clone());
        family(
            "helix_build_info",
            Kind::Gauge,
            "The program and the profile it builds; always 1.",
            vec![labelled([version, profile], 1.0)],
        );
        self.watchdog_families(&mut family);
        for (name, help, value) in [
            ("helix_chunks_total", "Chunks committed.", self.chunks),
            (
                "helix_tokens_total",
                "Real tokens encoded, without padding.",
                self.tokens,
            ),
            ("helix_files_total", "Files committed.", self.files),
            (
                "helix_skipped_files_total",
                "Files left out when they were read.",
                self.skipped_files,
            ),
            (
                "helix_quarantined_files_total",
                "Files left out because they brought their worker down.",
                self.quarantined_files,
            ),
            (
                "helix_reused_chunks_total",
                "Chunks whose vectors were taken over from an earlier index.",
                self.reused_chunks,
            ),
            (
                "helix_segments_done_total",
                "Segments finished.",
                self.segments_done,
            ),
            (
                "helix_shards_published_total",
                "Shards published.",
                self.shards_published,
            ),
            (
                "helix_workers_lost_total",
                "Worker processes that died or were ended.",
                self.workers_lost,
            ),
        ] {
            family(name, Kind::Counter, help, vec![plain(value as f64)]);
        }
        for (name, help, value) in [
            (
                "helix_segments",
                "Segments of the plan.",
                self.segments as f64,
            ),
            ("helix_shards", "Shards of the plan.", self.shards as f64),
            ("helix_workers", "Worker processes.", self.workers as f64),
            (
                "helix_encoder_busy_ratio",
                "Share of the workers' time spent in encoder sessions, 0 to 1.",
                self.encoder_busy,
            ),
            (
                "helix_elapsed_seconds",
                "Seconds since the build began.",
                self.elapsed_s,
            ),
            (
                "helix_updated_timestamp_seconds",
                "When these figures were written, in Unix seconds.",
                self.updated_at,
            ),
        ] {
            family(name, Kind::Gauge, help, vec![plain(value)]);
        }
        self.device_families(&mut family);
        text
    }

    fn watchdog_families(
        &self,
        family: &mut impl FnMut(&'static str, Kind, &'static str, Vec<Sample>),
    ) {
        let counts = self.watchdog;
        family(
            "helix_dense_crawl_detected",
            Kind::Counter,
            "Crawls of an encoder on a device whose memory was full.",
            vec![plain(counts.crawls as f64)],
        );
        let by = |label: &'static str, values: &[(&str, u64)]| {
            let sample = |(name, value): &(&str, u64)| {
                labelled([(label, (*name).to_owned())], *value as f64)
            };
            values.iter().map(sample).collect()
        };
        family(
            "helix_watchdog_events_total",
            Kind::Counter,
            "What the watchdog noticed.",
            by(
                "noticed",
                &[
                    ("crawl", counts.crawls),
                    ("stall", counts.stalls),
                    ("out_of_memory", counts.out_of_memory),
                    ("device_lost", counts.device_lost),
                    ("recovered", counts.recovered),
                ],
            ),
        );
        family(
            "helix_watchdog_rungs_total",
            Kind::Counter,
            "What the watchdog did about it.",
            by(
                "rung",
                &[
                    ("release_memory", counts.release_memory),
                    ("respawn", counts.respawn),
                    ("cpu", counts.cpu),
                    ("give_up_device", counts.give_up_device),
                ],
            ),
        );
    }

    /// Nothing is said of memory that is not known: a zero would be a lie.
    fn device_families(
        &self,
        family: &mut impl FnMut(&'static str, Kind, &'static str, Vec<Sample>),
    ) {
        let memory = |of: fn(Memory) -> u64| {
            let known = self.devices.iter();
            let known = known.filter_map(|(name, memory)| Some((name.clone(), (*memory)?)));
            known
                .map(|(name, memory)| labelled([("device", name)], of(memory) as f64))
                .collect::<Vec<_>>()
        };
        family(
            "helix_vram_used_bytes",
            Kind::Gauge,
            "Device memory in use, by whatever program.",
            memory(|memory| memory.used_bytes),
        );
        family(
            "helix_vram_total_bytes",
            Kind::Gauge,
            "Device memory.",
            memory(|memory| memory.total_bytes),
        );
    }
}

fn plain(value: f64) -> Sample {
    labelled([], value)
}

fn labelled<const N: usize>(labels: [(&'static str, String); N], value: f64) -> Sample {
    Sample {
        labels: labels.into(),
        value,
    }
}

/// A family without samples is left out.
fn write_family(text: &mut String, name: &str, kind: Kind, help: &str, samples: &[Sample]) {
    if samples.is_empty() {
        return;
    }
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for sample in samples {
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

/// A label's value: backslash, quote and line feed are the format's own.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Samples = BTreeMap<(String, Vec<(String, String)>), f64>;

    /// A reader by the format's grammar, written from its description and from nothing above.
    fn parse(text: &str) -> Result<Samples, String> {
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut samples = Samples::new();
        let mut helped = BTreeSet::new();
        let mut typed: BTreeSet<String> = BTreeSet::new();
        let mut current = String::new();
        for line in text.split_terminator('\n') {
            let wrong = |what: &str| Err(format!("{what}: {line:?}"));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let name = rest.split(' ').next().unwrap_or_default();
                if !is_name(name) || !helped.insert(name.to_owned()) {
                    return wrong("help");
                }
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = rest.split_once(' ') else {
                    return wrong("type");
                };
                let is_known = matches!(kind, "counter" | "gauge");
                if !is_known || !is_name(name) || !typed.insert(name.to_owned()) {
                    return wrong("type");
                }
                current = name.to_owned();
                continue;
            }
            let end = line.find(['{', ' ']).ok_or("no value")?;
            let name = &line[..end];
            // Samples of a family stand together, behind their type.
            if !is_name(name) || name != current {
                return wrong("name");
            }
            let mut rest = &line[end..];
            let mut labels = Vec::new();
            if let Some(inside) = rest.strip_prefix('{') {
                rest = inside;
                loop {
                    let (label, behind) = rest.split_once("=\"").ok_or("label")?;
                    if !is_name(label) || label.contains(':') {
                        return wrong("label");
                    }
                    let (value, behind) = unescape(behind).ok_or("value")?;
                    labels.push((label.to_owned(), value));
                    if let Some(behind) = behind.strip_prefix(',') {
                        rest = behind;
                        continue;
                    }
                    rest = behind.strip_prefix('}').ok_or("no end of labels")?;
                    break;
                }
            }
            let number = rest.strip_prefix(' ').ok_or("no space")?;
            let is_number = number.bytes().all(|b| b"0123456789.-+NaInf".contains(&b));
            let value: f64 = match number.parse() {
                Ok(value) if is_number => value,
                _ => return wrong("number"),
            };
            if samples.insert((name.to_owned(), labels), value).is_some() {
                return wrong("twice");
            }
        }
        Ok(samples)
    }

    fn is_name(text: &str) -> bool {
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
    }

    /// The value up to its closing quote, and what stands behind.
    fn unescape(text: &str) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return Some((value, &text[at + 1..])),
                '\\' => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                c => value.push(c),
            }
        }
        None
    }

    #[test]
    fn the_published_counter_and_its_companions_are_there() {
        let metrics = Metrics {
            version: "0.1.0".to_owned(),
            profile: "medium".to_owned(),
            watchdog: Counts {
                crawls: 2,
                release_memory: 2,
                respawn: 1,
                ..Counts::default()
            },
            tokens: 12_345_678_901,
            devices: vec![
                ("cuda:0".to_owned(), Memory::new(3, 4)),
                ("cuda:1".to_owned(), None),
            ],
            encoder_busy: 0.25,
            ..Metrics::default()
        };
        let text = metrics.render();
        for line in [
            "# TYPE helix_dense_crawl_detected counter",
            "helix_dense_crawl_detected 2",
            "helix_watchdog_rungs_total{rung=\"release_memory\"} 2",
            "helix_watchdog_rungs_total{rung=\"respawn\"} 1",
            "helix_watchdog_rungs_total{rung=\"cpu\"} 0",
            "helix_tokens_total 12345678901",
            "helix_vram_used_bytes{device=\"cuda:0\"} 3",
            "helix_vram_total_bytes{device=\"cuda:0\"} 4",
            "helix_encoder_busy_ratio 0.25",
            "helix_build_info{version=\"0.1.0\",profile=\"medium\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("cuda:1"), "what is not known is not told");
        parse(&text).expect("by the grammar");
    }

    #[test]
    fn the_reader_of_this_test_refuses_what_is_wrong() {
        for wrong in [
            "a 1",
            "a 1\n",
            "# TYPE a counter\na 1\na 1\n",
            "# TYPE a counter\na{b=\"c} 1\n",
            "# TYPE a counter\na{b=\"\\c\"} 1\n",
            "# TYPE a counter\na  1\n",
            "# TYPE a counter\na 1e5\n",
            "# TYPE a counter\na inf\n",
            "# TYPE a counter\n# TYPE a counter\na 1\n",
            "# TYPE 1a counter\n1a 1\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_figures_the_text_parses_to_them(
            version: String,
            profile in "[\"\\\\\n{},=a\u{e9}]{0,8}",
            names in proptest::collection::btree_set(any::<String>(), 0..4),
            total in 1u64..,
            busy: f64,
            elapsed_s in proptest::num::f64::ANY,
            counts in any::<[u64; 4]>(),
        ) {
            let names: Vec<_> = names.into_iter().collect();
            let metrics = Metrics {
                version: version.clone(),
                profile: profile.clone(),
                watchdog: Counts { crawls: counts[0], cpu: counts[1], ..Counts::default() },
                chunks: counts[2],
                workers: counts[3],
                devices: names.iter().map(|n| (n.clone(), Memory::new(total / 2, total))).collect(),
                encoder_busy: busy,
                elapsed_s,
                ..Metrics::default()
            };
            let samples = parse(&metrics.render()).map_err(TestCaseError::fail)?;
            let value = |name: &str, labels: &[(&str, &str)]| {
                let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
                samples.get(&(name.to_owned(), labels.collect())).copied()
            };
            let same = |found: Option<f64>, value: f64| {
                found.is_some_and(|found| found == value || (found.is_nan() && value.is_nan()))
            };
            prop_assert!(same(value("helix_dense_crawl_detected", &[]), counts[0] as f64));
            prop_assert!(same(value("helix_watchdog_rungs_total", &[("rung", "cpu")]), counts[1] as f64));
            prop_assert!(same(value("helix_chunks_total", &[]), counts[2] as f64));
            prop_assert!(same(value("helix_workers", &[]), counts[3] as f64));
            prop_assert!(same(value("helix_encoder_busy_ratio", &[]), busy));
            prop_assert!(same(value("helix_elapsed_seconds", &[]), elapsed_s));
            let info = [("version", version.as_str()), ("profile", profile.as_str())];
            prop_assert!(same(value("helix_build_info", &info), 1.0));
            for name in &names {
                let label = [("device", name.as_str())];
                prop_assert!(same(value("helix_vram_total_bytes", &label), total as f64));
            }
        }
    }
}
