//! The text against a reader of the format, written apart from it.

use super::*;
use crate::device::DeviceMemory;
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
        // Any other line that begins so is a comment.
        if line.starts_with('#') {
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

fn device(name: &str, memory: Option<DeviceMemory>) -> DeviceMetrics {
    DeviceMetrics {
        name: name.to_owned(),
        memory,
        can_be_read: true,
    }
}

#[test]
fn the_published_counter_and_its_companions_are_there() {
    let metrics = Metrics {
        version: "0.1.0".to_owned(),
        profile: "medium".to_owned(),
        watchdog: WatchdogCounts {
            crawls: 2,
            release_memory: 2,
            respawn: 1,
            ..WatchdogCounts::default()
        },
        work: Work {
            tokens: 12_345_678_901,
            ..Work::default()
        },
        runs: Runs {
            began_at: 5.0,
            exit_code: Some(3),
            ended_at: Some(7.5),
            ..Runs::default()
        },
        devices: vec![
            device("cuda:0", DeviceMemory::new(3, 4)),
            DeviceMetrics {
                can_be_read: false,
                ..device("cuda:1", None)
            },
        ],
        encoder_busy: 0.25,
        ..Metrics::default()
    };
    let text = metrics.render("");
    for line in [
        "# TYPE helix_dense_crawl_detected counter",
        "helix_dense_crawl_detected{profile=\"medium\"} 2",
        "helix_watchdog_rungs_total{profile=\"medium\",rung=\"release_memory\"} 2",
        "helix_watchdog_rungs_total{profile=\"medium\",rung=\"respawn\"} 1",
        "helix_watchdog_rungs_total{profile=\"medium\",rung=\"cpu\"} 0",
        "helix_tokens_total{profile=\"medium\"} 12345678901",
        "helix_vram_used_bytes{profile=\"medium\",device=\"cuda:0\"} 3",
        "helix_vram_total_bytes{profile=\"medium\",device=\"cuda:0\"} 4",
        "helix_vram_probe_up{profile=\"medium\",device=\"cuda:0\"} 1",
        "helix_vram_probe_up{profile=\"medium\",device=\"cuda:1\"} 0",
        "helix_encoder_busy_ratio{profile=\"medium\"} 0.25",
        "helix_build_info{profile=\"medium\",version=\"0.1.0\"} 1",
        "helix_build_running{profile=\"medium\"} 0",
        "helix_build_exit_code{profile=\"medium\"} 3",
        "helix_build_last_run_timestamp_seconds{profile=\"medium\"} 7.5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    for unknown in [
        "helix_vram_used_bytes{profile=\"medium\",device=\"cuda:1\"",
        "last_success",
    ] {
        assert!(!text.contains(unknown), "unknown values have no sample");
    }
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
        other in "[\"\\\\\n{},=b\u{e9}]{1,8}",
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
            watchdog: WatchdogCounts { crawls: counts[0], cpu: counts[1], ..WatchdogCounts::default() },
            work: Work { chunks: counts[2], ..Work::default() },
            workers: counts[3],
            devices: names.iter().map(|n| device(n, DeviceMemory::new(total / 2, total))).collect(),
            encoder_busy: busy,
            elapsed_s,
            ..Metrics::default()
        };
        let text = metrics.render("# TYPE x counter\nx 1\n");
        let samples = parse(&text).map_err(TestCaseError::fail)?;
        prop_assert!(samples.keys().all(|(_, labels)| labels[0].0 == "profile"));
        let value = |name: &str, labels: &[(&str, &str)]| {
            let own = [("profile", profile.as_str())];
            let labels = own.iter().chain(labels);
            let labels = labels.map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
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
        let info = [("version", version.as_str())];
        prop_assert!(same(value("helix_build_info", &info), 1.0));
        for name in &names {
            let label = [("device", name.as_str())];
            prop_assert!(same(value("helix_vram_total_bytes", &label), total as f64));
        }
        // Another profile's figures come beside them, and go on saying what they said.
        if other != profile && !profile.is_empty() {
            let beside = Metrics { profile: other, workers: counts[0], ..Metrics::default() };
            let both = parse(&beside.render(&text)).map_err(TestCaseError::fail)?;
            for (name, found) in &samples {
                prop_assert!(both.get(name).is_some_and(|kept| same(Some(*kept), *found)), "{name:?}");
            }
            prop_assert!(Metrics::is_ours(&text) && Metrics::is_ours(&beside.render(&text)));
            prop_assert_eq!(both.len(), samples.len() + parse(&beside.render("")).map_err(TestCaseError::fail)?.len());
        }
    }

    #[test]
    fn whatever_the_file_holds_the_figures_are_written(text: String, lines in "(# (HELP|TYPE) |helix_a|\\{|\"|=| |1|\n|,|\\}|\\\\|counter){0,30}") {
        for before in [text, lines] {
            parse(&Metrics::default().render(&before)).map_err(TestCaseError::fail)?;
        }
    }
}
