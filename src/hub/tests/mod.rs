//! Models fetched from a server that speaks a hub's paths, and fails as servers fail.

mod hub;

use super::*;
use hub::{Fault, Hub, SHA};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const GRAPH: &[u8] = &[7; 200_001];
const FILES: [(&str, &[u8]); 5] = [
    ("README.md", b"# A model"),
    ("config.json", b"{}"),
    ("onnx/model.onnx", GRAPH),
    ("tokenizer.json", b"{\"model\": 1}"),
    ("onnx/model_O3.onnx", b"other"),
];
const MODEL: &str = "onnx/model.onnx";

struct Fetching {
    folder: tempfile::TempDir,
    hub: Arc<Hub>,
    token: Option<&'static str>,
    file: Option<&'static str>,
    name: &'static str,
}

impl Fetching {
    fn of(hub: Arc<Hub>) -> Self {
        Self {
            folder: crate::test_folder::create(),
            hub,
            token: None,
            file: None,
            name: "hf:owner/model@v1",
        }
    }

    fn with(faults: &[(&str, &[Fault])]) -> Self {
        Self::of(Hub::start(&FILES, faults))
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("models/m")
    }

    fn run(&self) -> Result<Fetched, HubError> {
        let source = Source::parse(self.name).expect("a name");
        let order = Order {
            source: &source,
            endpoint: &self.hub.endpoint(),
            token: self.token,
            file: self.file,
            out: &self.out(),
            is_static: |folder| folder.join("static.json").exists(),
            limits: Limits {
                stall: Duration::from_millis(500),
                backoff: Duration::from_millis(1),
                longest_wait: Duration::from_millis(5),
                tries: 3,
            },
        };
        fetch(&order, &mut |_| ())
    }

    fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.out().join(file)).expect("reads")
    }

    /// Names below the folder of models.
    fn beside(&self) -> Vec<String> {
        let entries = self.folder.path().join("models").read_dir();
        let entries = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_model_is_fetched_with_where_it_is_from() {
    let fetching = Fetching::with(&[]);
    let fetched = fetching.run().expect("fetches");
    assert_eq!(
        (
            &*fetched.revision,
            fetched.licence.as_deref(),
            fetched.files
        ),
        (SHA, Some("mit"), 3)
    );
    assert_eq!(fetching.read(MODEL), GRAPH);
    assert!(!fetching.out().join("README.md").exists());
    let toml = String::from_utf8(fetching.read("helix-model.toml")).expect("text");
    let toml: toml::Table = toml.parse().expect("is TOML");
    assert_eq!(toml["licence"].as_str(), Some("mit"));
    assert_eq!(
        toml["sha256"].as_str(),
        Some(&*crate::ids::hex(&Sha256::digest(GRAPH)))
    );
    assert_eq!(toml["fetched"]["from"].as_str(), Some("hf:owner/model"));
    assert_eq!(toml["fetched"]["revision"].as_str(), Some(SHA));
    assert_eq!(fetching.beside(), ["m"]);
    assert!(
        fetching.hub.seen("/api/")[0]
            .path
            .ends_with("/revision/v1?blobs=true")
    );
    let again = fetching.run().expect_err("it exists").to_string();
    assert!(again.contains("exists"), "{again}");
}

#[test]
fn another_graph_and_a_table_are_chosen() {
    let mut fetching = Fetching::with(&[]);
    fetching.file = Some("onnx/model_O3.onnx");
    fetching.run().expect("fetches");
    assert_eq!(fetching.read("onnx/model_O3.onnx"), b"other");
    let toml = String::from_utf8(fetching.read("helix-model.toml")).expect("text");
    assert!(toml.contains("file = \"onnx/model_O3.onnx\""), "{toml}");
    let table: &[(&str, &[u8])] = &[
        ("static.json", b"{}"),
        ("model.safetensors", b"table"),
        (MODEL, b"graph"),
    ];
    let fetching = Fetching::of(Hub::start(table, &[]));
    fetching.run().expect("fetches");
    assert_eq!(fetching.read("model.safetensors"), b"table");
    assert!(!fetching.out().join(MODEL).exists());
}

#[test]
fn what_fails_for_a_while_is_tried_again_and_continued() {
    use Fault::{Short, Stall, Status, WithoutRange};
    for (faults, ranges) in [
        (&[Status(429), Status(500)][..], vec![None, None, None]),
        (&[Short], vec![None, Some("bytes=100000-")]),
        (&[Stall], vec![None, Some("bytes=100000-")]),
        (
            &[Short, Status(503), Short],
            vec![
                None,
                Some("bytes=100000-"),
                Some("bytes=100000-"),
                Some("bytes=150000-"),
            ],
        ),
        (&[Short, WithoutRange], vec![None, Some("bytes=100000-")]),
        // Each of them comes further, so none is the last.
        (&[Short; 8], vec![]),
    ] {
        let fetching = Fetching::with(&[(MODEL, faults), ("api", &[Status(502)])]);
        fetching.run().expect("fetches");
        assert_eq!(fetching.read(MODEL), GRAPH);
        let seen: Vec<Option<String>> = fetching
            .hub
            .seen(MODEL)
            .into_iter()
            .map(|seen| seen.range)
            .collect();
        let ranges: Vec<Option<String>> = ranges.iter().map(|r| r.map(str::to_owned)).collect();
        assert!(ranges.is_empty() || seen == ranges, "{seen:?}");
    }
}

#[test]
fn a_later_run_continues_and_nothing_half_done_is_a_model() {
    let fetching = Fetching::with(&[(
        MODEL,
        &[Fault::Short, Fault::Status(500), Fault::Status(500)],
    )]);
    let error = fetching.run().expect_err("gives up");
    assert!(
        matches!(error, HubError::Unavailable { tries: 3, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("500") && error.to_string().contains("again"),
        "{error}"
    );
    assert!(!fetching.out().exists());
    let before = fetching.hub.seen("resolve").len();
    fetching.run().expect("fetches");
    assert_eq!(fetching.read(MODEL), GRAPH);
    // Small files are there; the graph goes on.
    let seen = fetching.hub.seen("resolve");
    let ranges: Vec<_> = seen[before..].iter().map(|s| s.range.as_deref()).collect();
    assert_eq!(ranges, [Some("bytes=100000-")]);
    assert_eq!(fetching.beside(), ["m"]);
}

#[test]
fn a_file_that_is_another_is_not_kept() {
    for name in [MODEL, "config.json"] {
        let fetching = Fetching::with(&[(name, &[Fault::Changed])]);
        let error = fetching.run().expect_err("is wrong");
        assert!(matches!(error, HubError::Wrong { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        fetching.run().expect("fetches");
        assert_eq!(fetching.read(MODEL), GRAPH);
    }
    let fetching = Fetching::with(&[(MODEL, &[Fault::Unhashed])]);
    let error = fetching.run().expect_err("has no hash").to_string();
    assert!(error.contains("no hash"), "{error}");
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let mut fetching = Fetching::with(&[(MODEL, &[Fault::Redirect])]);
    fetching.token = Some("hf_secret");
    fetching.run().expect("fetches");
    let seen = fetching.hub.seen("");
    let (own, others): (Vec<_>, Vec<_>) = seen.iter().partition(|s| s.host.starts_with("127."));
    assert_eq!((own.len(), others.len()), (4, 1), "{seen:?}");
    assert!(
        own.iter()
            .all(|s| s.authorization.as_deref() == Some("Bearer hf_secret"))
    );
    assert!(others.iter().all(|s| s.authorization.is_none()));
    let fetching = Fetching::with(&[(MODEL, &[Fault::Circle])]);
    let error = fetching.run().expect_err("has no end").to_string();
    assert!(error.contains("without end"), "{error}");
}

#[test]
fn what_is_refused_is_not_tried_again() {
    for (status, says) in [
        (401, "HF_TOKEN"),
        (403, "terms"),
        (404, "revision"),
        (400, "400"),
    ] {
        let fetching = Fetching::with(&[("api", &[Fault::Status(status)])]);
        let error = fetching.run().expect_err("is refused").to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(fetching.hub.seen("").len(), 1);
    }
    let mut fetching = Fetching::with(&[]);
    fetching.name = "hf:owner/absent";
    let error = fetching.run().expect_err("there is none").to_string();
    assert!(error.contains("owner/absent"), "{error}");
    let fetching = Fetching::of(Hub::start(&[("pytorch_model.bin", b"")], &[]));
    let error = fetching.run().expect_err("has no graph").to_string();
    assert!(
        error.contains("owner/model") && error.contains("no ONNX graph"),
        "{error}"
    );
    for endpoint in ["ftp://x", "nothing", ""] {
        let client = Client::new(endpoint, None, Limits::default());
        assert!(
            client
                .err()
                .is_some_and(|error| error.to_string().contains("HF_ENDPOINT"))
        );
    }
}

#[test]
fn one_process_fetches_a_model_at_a_time() {
    let fetching = Fetching::with(&[]);
    let source = Source::parse(fetching.name).expect("a name");
    let first = Unfinished::open(&fetching.out(), &source, SHA).expect("opens");
    let error = fetching.run().expect_err("is busy").to_string();
    assert!(error.contains("another process"), "{error}");
    drop(first);
    // A process that another test starts has the lock too until it runs its program.
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = fetching.run() {
        let error = error.to_string();
        assert!(error.contains("another process"), "{error}");
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Progress ends at the size of each file.
#[test]
fn progress_is_reported() {
    let fetching = Fetching::with(&[]);
    let source = Source::parse(fetching.name).expect("a name");
    let order = Order {
        source: &source,
        endpoint: &fetching.hub.endpoint(),
        token: None,
        file: None,
        out: &fetching.out(),
        is_static: |_| false,
        limits: Limits::default(),
    };
    let whole = AtomicUsize::new(0);
    let mut report = |progress: Progress<'_>| {
        if progress.size == Some(progress.bytes) {
            whole.fetch_add(1, Ordering::Relaxed);
        }
    };
    fetch(&order, &mut report).expect("fetches");
    assert_eq!(whole.into_inner(), 3);
}
