//! Builds and queries whose vectors come from a server on loopback: our own, and one that fails.

use crate::loopback::{Loopback, Request, send};
use crate::serve::Server;
use crate::world::{Ran, World, files_below, finish};
use serde_json::{Value, json};
use std::fs;
use std::sync::{Arc, Mutex};

/// Short waits.
const QUICK: &str = "encode::server_backoff=return(5);encode::server_patience=return(2000)";

fn run(world: &World, arguments: &[&str]) -> Ran {
    let mut command = world.command(arguments);
    command
        .env("FAILPOINTS", QUICK)
        .env("HELIX_BUILD_ENCODER_KEY", "k-5cf8c2d1")
        // A proxy would not find 0.0.0.0 here.
        .env("NO_PROXY", "0.0.0.0");
    finish(command.spawn().expect("starts"))
}

fn build(world: &World, out: &str, flags: &[&str]) -> Ran {
    let fixed = ["build", "--profile", "p.toml", "--out-dir", out, "--json"];
    run(world, &[&fixed[..], flags].concat())
}

/// The paths of the hits of a query.
fn hits(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.lines();
    let paths = lines.iter().filter_map(|line| line["path"].as_str());
    paths.map(str::to_owned).collect()
}

#[test]
fn an_index_made_by_our_own_server_answers_as_one_made_here() {
    let world = World::corpus(2, 5);
    world.encoded_build("local").run().summary();
    let server = Server::start(&world, "local-sharded");
    let url = format!("http://{}", server.address);
    let flags = ["--sparse-model", &url, "--dense-model", &url];
    let summary = build(&world, "far", &flags).summary();
    assert_eq!(summary["exit"], 0);
    assert_eq!(world.verified("far-sharded/p")["digest"], summary["digest"]);
    let [sparse, dense] = [0, 1].map(|n| &summary["servers"][n]);
    assert_eq!(
        (&sparse["kind"], &dense["kind"]),
        (&json!("sparse"), &json!("dense"))
    );
    assert_eq!(
        (&dense["url"], &dense["model"]),
        (&json!(url), &json!("helix-dense-mini"))
    );
    // The same words, so the same answers; no flag says where the server is.
    for mode in ["sparse", "dense", "hybrid"] {
        let ask = |index| {
            run(
                &world,
                &["query", index, "gadget 3 widgets", "--mode", mode, "--json"],
            )
        };
        assert_eq!(
            hits(&ask("far-sharded")),
            hits(&ask("local-sharded")),
            "{mode}"
        );
    }
    // Nothing is done again, and nothing of it is left to chance.
    let again = build(&world, "far", &flags).summary();
    assert_eq!(again["digest"], summary["digest"]);
    let manifest = fs::read_to_string(world.path("far-sharded/manifest.json")).expect("reads");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let dense = &manifest["targets"]["p-sharded"]["encoders"]["dense"];
    assert_eq!(dense["server"]["reproducible"], false, "{manifest}");
    assert_eq!(dense["server"]["url"], *url);

    drop(server);
    let ask = |mode| {
        run(
            &world,
            &[
                "query",
                "far-sharded",
                "gadget 3 widgets",
                "--mode",
                mode,
                "--json",
            ],
        )
    };
    let words = ask("hybrid");
    assert!(!hits(&words).is_empty());
    assert!(
        words.stderr.contains("searching without its vectors"),
        "{}",
        words.stderr
    );
    let refused = ask("dense");
    assert_eq!(refused.code, Some(13), "{refused:?}");
    assert!(refused.stderr.contains(&url), "{}", refused.stderr);
    let refused = build(&world, "far", &flags);
    assert_eq!(refused.code, Some(13), "{refused:?}");
}

/// A text-embeddings-inference server that changes its model when it is asked for the `swap_at`th batch.
struct Tei {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    model: &'static str,
    swap_at: Option<usize>,
    requests: usize,
    /// Those for other paths than `/embed` included.
    all_requests: usize,
    /// A text with this word is answered by 500.
    poison: &'static str,
    texts: Vec<String>,
    keys: Vec<String>,
}

impl Tei {
    fn start() -> Self {
        let loopback = Loopback::bind();
        let url = format!("http://127.0.0.1:{}", loopback.port);
        let state = Arc::new(Mutex::new(State {
            model: "one",
            poison: "no such word",
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        loopback.serve(move |request, stream| {
            let (status, answer) = answer(request, &mut shared.lock().expect("no panic"))?;
            send(stream, status, "", answer.to_string().as_bytes())
        });
        Self { url, state }
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no panic"));
    }
}

fn answer(request: &Request, state: &mut State) -> Option<(u16, Value)> {
    state.all_requests += 1;
    state
        .keys
        .extend(request.headers.get("authorization").cloned());
    Some(match request.path.as_str() {
        "/info" => (
            200,
            json!({"model_id": state.model, "model_sha": format!("{}-1", state.model),
                "model_dtype": "float32", "model_type": {"embedding": {"pooling": "mean"}},
                "max_input_length": 512, "max_client_batch_size": 4}),
        ),
        "/embed" => {
            state.requests += 1;
            if state.swap_at.is_some_and(|at| state.requests > at) {
                state.model = "two";
            }
            let body: Value = serde_json::from_slice(&request.body).ok()?;
            let texts = body["inputs"].as_array()?.iter().filter_map(Value::as_str);
            let texts: Vec<String> = texts.map(str::to_owned).collect();
            let is_poisoned = texts.iter().any(|text| text.contains(state.poison));
            let turn = state.model.len();
            let vectors: Vec<[f64; 3]> = texts.iter().map(|text| vector(text, turn)).collect();
            state.texts.extend(texts);
            match is_poisoned {
                true => (500, json!({"error": "asked to fail"})),
                false => (200, json!(vectors)),
            }
        }
        _ => (404, json!({})),
    })
}

fn vector(text: &str, turn: usize) -> [f64; 3] {
    let mut sums = [0.5, 0.0, 0.0];
    for byte in text.bytes() {
        sums[(usize::from(byte) + turn) % 3] += 1.0;
    }
    sums
}

fn with_dense(url: &str) -> [&str; 4] {
    ["--sparse-model", "embedded", "--dense-model", url]
}

#[test]
fn no_vector_of_another_model_is_kept() {
    let world = World::corpus(1, 60);
    let tei = Tei::start();
    let whole = build(&world, "whole", &with_dense(&tei.url)).summary();
    assert_eq!(whole["exit"], 0);
    let before = tei.state.lock().expect("no panic").requests;
    tei.set(|state| state.swap_at = Some(before + 12));
    let swapped = build(&world, "o", &with_dense(&tei.url));
    assert_eq!(swapped.code, Some(12), "{swapped:?}");
    assert!(
        swapped
            .stderr
            .contains("it had one (one-1), and now has two (two-1)"),
        "{}",
        swapped.stderr
    );
    // Nor may a later build go on with it.
    let other = build(&world, "o", &with_dense(&tei.url));
    assert_eq!(other.code, Some(0), "{other:?}");
    let refused = run(
        &world,
        &["query", "whole-sharded", "gadget", "--mode", "dense"],
    );
    assert_eq!(refused.code, Some(12), "{refused:?}");
    tei.set(|state| (state.swap_at, state.model) = (None, "one"));
    let refused = build(&world, "o", &with_dense(&tei.url));
    assert_eq!(refused.code, Some(12), "{refused:?}");
    let resumed = build(
        &world,
        "o",
        &[&with_dense(&tei.url)[..], &["--rebuild"]].concat(),
    );
    assert_eq!(resumed.summary()["digest"], whole["digest"]);
    assert_eq!(world.verified("o-sharded/p")["digest"], whole["digest"]);
}

#[test]
fn a_file_on_which_the_server_fails_is_left_out_and_named() {
    let world = World::corpus(1, 6);
    world.write("root0/poison.md", "a text with deadlyword in it\n");
    let tei = Tei::start();
    tei.set(|state| state.poison = "deadlyword");
    let ran = build(&world, "o", &with_dense(&tei.url));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let quarantined = &ran.summary()["quarantined"];
    assert_eq!(quarantined[0]["path"], "poison.md", "{quarantined}");
    assert_eq!(quarantined.as_array().map(Vec::len), Some(1));
}

#[test]
fn the_key_goes_to_the_server_and_nowhere_else() {
    let world = World::corpus(1, 4);
    world.write(
        "root0/config.py",
        "api_key = \"sk-proj-9fK2mQ7vX4bN8rT1wZ6yL3cJ5hD0gS\"\n",
    );
    let tei = Tei::start();
    let flags = [&with_dense(&tei.url)[..], &["--log-file", "log.txt"]].concat();
    let ran = build(&world, "o", &flags);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let plan = [
        "plan",
        "--profile",
        "p.toml",
        "--out-dir",
        "o2",
        "--out",
        "plan.json",
    ];
    let planned = run(&world, &[&plan[..], &with_dense(&tei.url)].concat());
    assert_eq!(planned.code, Some(0), "{planned:?}");
    {
        let state = tei.state.lock().expect("no panic");
        assert!(
            state.keys.iter().all(|key| key == "Bearer k-5cf8c2d1"),
            "{:?}",
            state.keys
        );
        assert!(!state.keys.is_empty());
        // What looks like a credential stays here.
        let sent = state.texts.iter().filter(|text| text.contains("api_key"));
        let sent: Vec<&String> = sent.collect();
        assert!(
            !sent.is_empty() && sent.iter().all(|text| !text.contains("sk-proj")),
            "{sent:?}"
        );
    }
    let files = files_below(&world.path(""));
    assert!(
        files.iter().any(|file| file.ends_with("plan.json")),
        "{files:?}"
    );
    for file in files {
        let bytes = fs::read(world.path(&file)).expect("reads");
        let has_key = bytes.windows(10).any(|part| part == b"k-5cf8c2d1");
        assert!(!has_key, "{file}");
    }
    // An index is not asked where a key goes.
    tei.set(|state| state.keys.clear());
    let ran = run(&world, &["query", "o-sharded", "gadget", "--json"]);
    assert!(!hits(&ran).is_empty());
    assert_eq!(tei.state.lock().expect("no panic").keys.len(), 0);
    run(
        &world,
        &["query", "o-sharded", "gadget", "--dense-model", &tei.url],
    );
    assert!(!tei.state.lock().expect("no panic").keys.is_empty());
}

#[test]
fn urls_with_secrets_are_refused_without_quoting_them() {
    let world = World::corpus(1, 2);
    for (url, says) in [
        ("http://me:hunter2@localhost", "HELIX_BUILD_ENCODER_KEY"),
        ("http://localhost?key=hunter2", "query_prefix"),
    ] {
        let ran = build(&world, "o", &with_dense(url));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

/// `0.0.0.0` reaches this machine and is no loopback address, so it stands for another machine.
#[cfg(unix)]
#[test]
fn a_server_elsewhere_is_asked_only_if_the_user_names_it() {
    let world = World::corpus(1, 4);
    let tei = Tei::start();
    let far = tei.url.replace("127.0.0.1", "0.0.0.0");
    let ran = build(&world, "o", &with_dense(&far));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let requests = || tei.state.lock().expect("no panic").all_requests;
    let built_with = requests();
    assert!(built_with > 0);

    let ask = |more: &[&str]| {
        let query = ["query", "o-sharded", "gadget 3 widgets", "--json"];
        run(&world, &[&query[..], more].concat())
    };
    let hybrid = ask(&[]);
    assert!(!hits(&hybrid).is_empty());
    let says = format!("the index names {far} as its dense encoder");
    let stderr = &hybrid.stderr;
    assert!(
        stderr.contains(&says) && stderr.contains("--dense-model"),
        "{stderr}"
    );
    assert!(stderr.contains("searching without its vectors"), "{stderr}");
    let verify = ["verify", "o-sharded", "--reencode", "2"];
    let serve = ["serve", "o-sharded", "--encoders", "127.0.0.1:0"];
    for refused in [
        ask(&["--mode", "dense"]),
        run(&world, &verify),
        run(&world, &serve),
    ] {
        assert_eq!(refused.code, Some(13), "{refused:?}");
        assert!(refused.stderr.contains(&says), "{refused:?}");
    }
    assert_eq!(requests(), built_with, "something was sent");

    let asked = ask(&["--mode", "dense", "--dense-model", &far]);
    assert!(!hits(&asked).is_empty());
    assert!(requests() > built_with);
}
