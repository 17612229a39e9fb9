//! Whole tags: limits on any text, and realistic chunks with the tags that a reader would give.

use super::*;
use proptest::prelude::*;

fn tags(path: &str, text: &str) -> Tags {
    let path = RelPath::from_spelling(path).expect("a relative path");
    tag(&TagInput {
        text,
        path: &path,
        root_label: "my-root",
        sequence: 0,
        around: &[],
        kind: Kind::of(RuleSet::Compat, &path, None),
    })
}

const PATHS: [&str; 9] = [
    "a/lexer.rs",
    "b.py",
    "README.md",
    "c.toml",
    "d.json",
    "e.sql",
    "f.html",
    "g.sh",
    "LICENSE",
];

fn assert_limits(tags: &Tags, text: &str) {
    let chars = |text: &str| text.chars().count();
    assert!(tags.domains.len() <= 10 && tags.entities.len() <= 15 && tags.labels.len() <= 30);
    assert!(tags.key_values.len() <= 15 && tags.route_words.len() <= 24);
    assert!(chars(&tags.intent) <= 200 && chars(&tags.summary) <= 200);
    assert!(chars(&tags.extract) <= 3 * 300 + 2);
    assert!(
        tags.domains.iter().all(|d| chars(d) <= 60),
        "{:?}",
        tags.domains
    );
    assert!(
        tags.entities
            .iter()
            .chain(&tags.labels)
            .all(|e| chars(e) <= 80)
    );
    assert!(
        tags.key_values
            .iter()
            .all(|pair| chars(pair) < 200 && pair.contains('='))
    );
    for list in [
        &tags.domains,
        &tags.entities,
        &tags.route_words,
        &tags.labels,
        &tags.key_values,
    ] {
        for (at, item) in list.iter().enumerate() {
            assert!(
                !item.is_empty() && !list[..at].contains(item),
                "{item:?} in {list:?}"
            );
            assert!(
                !item.contains(char::is_control) && item.trim() == item,
                "{item:?}"
            );
        }
    }
    for list in [&tags.domains, &tags.entities] {
        for (at, item) in list.iter().enumerate() {
            assert!(
                !fields::has(&list[..at], item),
                "{item:?} twice in {list:?}"
            );
        }
    }
    let lower = text.to_lowercase();
    for word in &tags.route_words {
        assert!(
            (3..=40).contains(&chars(word)) && lower.contains(word.as_str()),
            "{word:?}"
        );
        assert_eq!(*word, word.to_lowercase());
    }
    for line in [&tags.intent, &tags.summary, &tags.extract] {
        assert!(
            !line.contains(char::is_control) && line.trim() == line,
            "{line:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn limits_hold_on_any_text(text in any::<String>()) {
        for path in PATHS {
            assert_limits(&tags(path, &text), &text);
        }
    }

    #[test]
    fn limits_hold_on_code_like_text(
        pieces in proptest::collection::vec(prop_oneof![
            "[a-zA-Z_]{1,12}", "[ \n\t]{1,3}", "[-=:;,.(){}<>\\[\\]\"'`#/*$!&]{1,3}", "[0-9]{1,4}",
            "(fn|def|class|impl|for|const|pub|use|import|from|create table|if|func \\(|typedef) ",
            "(```|\"\"\"|'''|/\\*|\\*/|<!--|-->|--|\n# |\n- |\n1\\. |\\$\\{A:-)", "\\PC",
        ], 0..120)
    ) {
        let text = pieces.concat();
        for path in PATHS {
            assert_limits(&tags(path, &text), &text);
        }
    }

    #[test]
    fn any_path_will_do(path in "\\PC{1,80}", text in "[a-z \n]{0,40}") {
        if let Some(path) = RelPath::from_spelling(&path) {
            let input = TagInput { text: &text, path: &path, root_label: &text, sequence: u32::MAX, kind: Kind::of(RuleSet::Compat, &path, None), around: &[] };
            assert_limits(&tag(&input), &text);
        }
    }
}

#[test]
fn monstrous_texts_come_to_an_end() {
    // What takes quadratic time does not come to an end at this length either.
    const N: usize = 40_000;
    let mut texts: Vec<String> = [
        "_",
        "\"",
        "[",
        "(",
        "<",
        "a=",
        "a:-",
        "a: ",
        "${a:-",
        " ",
        "\t\n",
        "#",
        "*",
        "/*",
        "\"\"\"\n",
        "class ",
        "pub ",
        "impl<",
        "x(",
        ". ",
        "a. ",
        "\u{2014}",
        "\u{e9}",
        "\u{4e2d}",
        "\\",
        "a--b ",
        "--a ",
        "key = \"",
        "A_B: A_B ",
        "1",
        "1 * ",
        "```\n",
        "- a\n",
        "[a]\n",
        "use a::b;\n",
        "License ",
        "// License\n",
        "\r",
        "\u{0}",
    ]
    .iter()
    .map(|piece| piece.repeat(N / piece.len()))
    .collect();
    let is_long = std::env::var_os("HELIX_TEST_LONG").is_some();
    let n_words = if is_long { 100_000 } else { 30_000 };
    texts.push("word another_word = 5, ".repeat(n_words / 5));
    texts.push((0..n_words).map(|n| format!("w{n} ")).collect());
    for text in &texts {
        for path in ["a.rs", "b.py", "c.md", "d.toml"] {
            assert_limits(&tags(path, text), text);
        }
    }
}

#[test]
fn tags_do_not_depend_on_earlier_calls() {
    let text = "fn drain_ring(limit: usize) { let cap = 5; }";
    let first = tags("a.rs", text);
    tags("b.py", "class Other: pass");
    assert_eq!(tags("a.rs", text), first);
}

#[test]
fn a_rust_chunk() {
    let text = r#"use crossbeam_channel::{Receiver, Sender};
use std::time::Duration;

/// How long a worker may stay silent before it counts as stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Hands segments to workers, largest shard first.
pub struct Scheduler {
    queue: BinaryHeap<Segment>,
    retries: u32,
}

impl Scheduler {
    /// Takes the next segment, or waits on the channel.
    pub fn next_segment(&mut self, idle: &Receiver<WorkerId>) -> Option<Segment> {
        let worker = idle.recv_timeout(STALL_TIMEOUT).ok()?;
        let max_retries = 3;
        self.dispatch(worker, max_retries)
    }
}
"#;
    let tags = tags("src/supervisor/queue_policy.rs", text);
    assert_eq!(tags.domains[..3], ["queue_policy", "supervisor", "rust"]);
    assert!(
        tags.domains.iter().any(|d| d == "queue"),
        "{:?}",
        tags.domains
    );
    assert_eq!(
        tags.entities[..3],
        ["STALL_TIMEOUT", "Scheduler", "next_segment"]
    );
    assert!(tags.entities.iter().any(|e| e == "BinaryHeap"));
    assert_eq!(tags.key_values, ["max_retries=3"]);
    assert_eq!(
        tags.intent,
        "defines STALL_TIMEOUT, Scheduler, next_segment in queue_policy.rs"
    );
    assert_eq!(tags.intent_class, IntentClass::Mechanism);
    assert_eq!(
        tags.summary,
        "How long a worker may stay silent before it counts as stalled."
    );
    assert!(
        tags.extract
            .contains("Hands segments to workers, largest shard first.")
    );
    for codon in [
        "define:Scheduler",
        "implement:Scheduler",
        "import:crossbeam_channel",
        "call:dispatch",
    ] {
        assert!(
            tags.labels.iter().any(|c| c == codon),
            "{codon} in {:?}",
            tags.labels
        );
    }
    assert!(
        tags.route_words.iter().any(|w| w == "stalled"),
        "{:?}",
        tags.route_words
    );
}

#[test]
fn a_python_chunk() {
    let text = r#"# Copyright 2020 The Authors. Licensed under the MIT license.

import sqlite3
from pathlib import Path

API_TOKEN = "abcdef"

class InvoiceStore:
    """Keeps invoices in a SQLite database."""

    def __init__(self, path: Path, busy_timeout: int = 5000):
        self.connection = sqlite3.connect(path)

    def unpaid(self, customer_id):
        return self.connection.execute("SELECT * FROM invoices WHERE paid = 0")
"#;
    let tags = tags("billing/invoice_store.py", text);
    assert_eq!(
        tags.domains[..4],
        ["invoice_store", "billing", "python", "database"]
    );
    assert_eq!(tags.entities[..2], ["API_TOKEN", "InvoiceStore"]);
    assert_eq!(tags.key_values, ["busy_timeout=5000", "paid=0"]);
    assert_eq!(tags.summary, "Keeps invoices in a SQLite database.");
    assert_eq!(tags.intent_class, IntentClass::Mechanism);
    assert!(tags.labels.iter().any(|c| c == "import:sqlite3"));
}

#[test]
fn a_toml_chunk() {
    let text = "# Settings of the gateway.\n[server]\nhost = \"0.0.0.0\"\nport = 8443 # TLS\n\n[tls]\ncert_file = \"/etc/gateway/cert.pem\"\nkey_password = \"hunter2\"\nreload = true\n";
    let tags = tags("deploy/gateway.toml", text);
    assert_eq!(tags.domains[..3], ["gateway", "deploy", "toml"]);
    assert_eq!(
        tags.entities[..4],
        ["host", "tls", "cert_file", "key_password"]
    );
    assert_eq!(
        tags.key_values,
        [
            "host=0.0.0.0",
            "port=8443",
            "cert_file=/etc/gateway/cert.pem",
            "reload=true"
        ]
    );
    assert_eq!(
        tags.intent,
        "sets host, port, cert_file, reload in gateway.toml"
    );
    assert_eq!(tags.intent_class, IntentClass::ConfigKnob);
    assert_eq!(tags.summary, "Settings of the gateway.");
}

#[test]
fn a_markdown_chunk() {
    let text = "## Installing Zephyr\n\n[![Build](https://x/y.svg)](https://x)\n\nZephyr runs on Debian and on Fedora. Install it first:\n\n1. Download the `zephyrctl` binary.\n2. Run `zephyrctl enroll --retries 5`.\n3. Restart the daemon.\n";
    let tags = tags("docs/install.md", text);
    assert_eq!(tags.domains[..3], ["install", "my-root", "markdown"]);
    assert_eq!(tags.entities[..2], ["Installing", "Zephyr"]);
    assert!(
        tags.entities.iter().any(|e| e == "Fedora"),
        "{:?}",
        tags.entities
    );
    assert_eq!(tags.key_values, ["retries=5"]);
    assert_eq!(tags.intent, "explains Installing Zephyr in install.md");
    assert_eq!(tags.intent_class, IntentClass::ProcessStep);
    assert_eq!(
        tags.summary,
        "Installing Zephyr: Zephyr runs on Debian and on Fedora."
    );
    assert!(tags.route_words.iter().any(|w| w == "zephyrctl"));
    assert_eq!(tags.labels, ["heading:Installing Zephyr", "set:retries"]);
}

#[test]
fn an_sql_chunk() {
    let text = "-- Orders that were shipped, one row per parcel.\nCREATE TABLE IF NOT EXISTS parcels (\n  parcel_id INTEGER PRIMARY KEY,\n  carrier TEXT NOT NULL DEFAULT 'dhl'\n);\nCREATE INDEX idx_parcels_carrier ON parcels(carrier);\n";
    let tags = tags("db/003_parcels.sql", text);
    assert_eq!(tags.domains[..3], ["003_parcels", "db", "sql"]);
    assert_eq!(tags.entities[..2], ["parcels", "idx_parcels_carrier"]);
    assert_eq!(tags.intent_class, IntentClass::DataStructure);
    assert_eq!(
        tags.summary,
        "Orders that were shipped, one row per parcel."
    );
    assert!(tags.entities.iter().any(|e| e == "parcel_id"));
}
