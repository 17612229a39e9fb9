//! Models fetched from a server that speaks a hub's paths, and fails as servers fail.

use super::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// This status, with a `Retry-After` of 0 seconds.
    Status(u16),
    /// Half of the body, then the end of the connection.
    Short,
    /// Half of the body, then nothing.
    Stall,
    /// Another byte in the body.
    Changed,
    /// The whole file, whatever range was asked for.
    WithoutRange,
    /// A redirect to the server's other name.
    Redirect,
    /// A redirect to itself.
    Circle,
    /// No hash.
    Unhashed,
}

/// A hub on loopback. Each file has a list of faults, one for each request; then all goes well.
struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    faults: Mutex<BTreeMap<String, Vec<Fault>>>,
    licence: &'static str,
    /// Method, path, range and authorization of each request, and the host's name.
    seen: Mutex<Vec<Seen>>,
    port: u16,
}

#[derive(Clone, Debug)]
struct Seen {
    path: String,
    host: String,
    range: Option<String>,
    authorization: Option<String>,
}

impl Hub {
    fn start(files: &[(&str, &[u8])], faults: &[(&str, &[Fault])]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let hub = Arc::new(Self {
            files: files
                .iter()
                .map(|(n, b)| ((*n).to_owned(), b.to_vec()))
                .collect(),
            faults: Mutex::new(
                faults
                    .iter()
                    .map(|(n, f)| ((*n).to_owned(), f.to_vec()))
                    .collect(),
            ),
            licence: "mit",
            seen: Mutex::default(),
            port: listener.local_addr().expect("an address").port(),
        });
        let server = Arc::clone(&hub);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(stream));
            }
        });
        hub
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn fault(&self, file: &str) -> Fault {
        let mut faults = self.faults.lock().expect("no panic");
        match faults.get_mut(file) {
            Some(list) if !list.is_empty() => list.remove(0),
            _ => Fault::None,
        }
    }

    fn seen(&self, file: &str) -> Vec<Seen> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter()
            .filter(|s| s.path.contains(file))
            .cloned()
            .collect()
    }

    /// Answer one request and close the connection.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let first = lines.next()?.ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        let headers: BTreeMap<String, String> = lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                Some((name.to_ascii_lowercase(), value.to_owned()))
            })
            .collect();
        self.seen.lock().expect("no panic").push(Seen {
            path: path.clone(),
            host: headers.get("host").cloned().unwrap_or_default(),
            range: headers.get("range").cloned(),
            authorization: headers.get("authorization").cloned(),
        });
        if let Some(api) = path.strip_prefix("/api/models/owner/model/revision/") {
            let list: Vec<_> = self
                .files
                .iter()
                .map(|(name, bytes)| serde_json::json!({"rfilename": name, "size": bytes.len()}))
                .collect();
            let list = serde_json::json!({
                "sha": SHA, "siblings": list, "cardData": {"license": self.licence}, "revision": api,
            });
            let status = match self.fault("api") {
                Fault::Status(status) => status,
                _ => 200,
            };
            return self.send(
                &mut stream,
                status,
                "",
                list.to_string().as_bytes(),
                Fault::None,
            );
        }
        let name = path.strip_prefix(&format!("/owner/model/resolve/{SHA}/"))?;
        let Some(bytes) = self.files.get(name) else {
            return self.send(&mut stream, 404, "", b"", Fault::None);
        };
        let fault = self.fault(name);
        let hash = match name.ends_with(".onnx") {
            true => format!(
                "X-Linked-Etag: \"{}\"\r\n",
                crate::ids::hex(&Sha256::digest(bytes))
            ),
            false => format!("ETag: \"{}\"\r\n", git_hash(bytes)),
        };
        match fault {
            Fault::Status(status) => {
                return self.send(
                    &mut stream,
                    status,
                    "Retry-After: 0\r\n",
                    b"later",
                    Fault::None,
                );
            }
            Fault::Redirect | Fault::Circle => {
                let host = if fault == Fault::Circle {
                    "127.0.0.1"
                } else {
                    "localhost"
                };
                let extra = format!("Location: http://{host}:{}{path}\r\n{hash}", self.port);
                if fault == Fault::Circle {
                    let mut faults = self.faults.lock().expect("no panic");
                    faults
                        .entry(name.to_owned())
                        .or_default()
                        .push(Fault::Circle);
                }
                return self.send(&mut stream, 302, &extra, b"", Fault::None);
            }
            _ => {}
        }
        let hash = if fault == Fault::Unhashed {
            String::new()
        } else {
            hash
        };
        let start = headers
            .get("range")
            .filter(|_| fault != Fault::WithoutRange)
            .and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            });
        match start {
            Some(start) if start >= bytes.len() => {
                let extra = format!("Content-Range: bytes */{}\r\n{hash}", bytes.len());
                self.send(&mut stream, 416, &extra, b"", fault)
            }
            Some(start) => {
                let (end, n) = (bytes.len() - 1, bytes.len());
                let extra = format!("Content-Range: bytes {start}-{end}/{n}\r\n{hash}");
                self.send(&mut stream, 206, &extra, &bytes[start..], fault)
            }
            None => self.send(&mut stream, 200, &hash, bytes, fault),
        }
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        status: u16,
        extra: &str,
        body: &[u8],
        fault: Fault,
    ) -> Option<()> {
        let n = body.len();
        let mut body = body.to_vec();
        match fault {
            Fault::Short | Fault::Stall => body.truncate(n / 2),
            Fault::Changed => body[n / 2] ^= 1,
            _ => {}
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {n}\r\nConnection: close\r\n{extra}\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
        if fault == Fault::Stall {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]);
        }
        Some(())
    }
}

fn git_hash(bytes: &[u8]) -> String {
    let mut hash = gix_hash::hasher(gix_hash::Kind::Sha1);
    hash.update(format!("blob {}\0", bytes.len()).as_bytes());
    hash.update(bytes);
    hash.try_finalize().expect("a hash").to_hex().to_string()
}

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
            folder: tempfile::tempdir().expect("a temporary directory"),
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
    fetching.run().expect("fetches");
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
