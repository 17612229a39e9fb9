//! `serve`: encoders over HTTP, searches over MCP, rebuilds noticed, ends on signals.

use crate::world::{Ran, World, finish};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

/// `serve --encoders`, ended when it is dropped.
pub struct Server {
    child: Child,
    pub address: String,
    about: Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(world: &World, index: &str) -> Self {
        Self::start_with(world, &[index])
    }

    pub fn start_with(world: &World, arguments: &[&str]) -> Self {
        let flags = ["--encoders", "localhost:0", "--json"];
        let arguments = [&["serve"], arguments, &flags].concat();
        let mut child = world.command(&arguments).spawn().expect("starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("reads");
        let about: Value = serde_json::from_str(&line).expect("a line of JSON");
        let url = about["url"].as_str().expect("a URL");
        let address = url.strip_prefix("http://").expect("HTTP").to_owned();
        Self {
            child,
            address,
            about,
        }
    }

    /// Send a request and return status and JSON.
    fn ask(&self, request: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a time limit");
        let head = format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sends");
        // A server that refuses the request may have closed the connection by now.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{read:?}"));
        let status = head.split(' ').nth(1).expect("a status");
        let value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        (status.parse().expect("a number"), value)
    }

    fn encode(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(&format!("POST /encode/{path}"), &body.to_string())
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn encoders_answer_as_the_command_encodes() {
    let world = World::corpus(1, 4);
    world.encoded_build("o").run().summary();
    let server = Server::start(&world, "o-sharded");
    assert_eq!(server.about["dense_dim"], 256);
    let (status, ready) = server.ask("GET /ready", "");
    assert_eq!((status, &ready["ready"]), (200, &json!(true)));
    let [sparse, dense] = ["sparse", "dense"].map(|kind| &ready["encoders"][kind]);
    assert_eq!((&sparse["terms"], &dense["dim"]), (&json!(48), &json!(256)));
    assert_eq!(dense["name"], server.about["dense"]);

    let text = "turn gadgets into widgets";
    let own = world.run(&["encode", text, "--json"]).last_line();
    let (status, dense) = server.encode("dense", &json!({"texts": [text, ""], "task": "query"}));
    assert_eq!((status, &dense["vectors"][0]), (200, &own["dense"]));
    // A text without a direction.
    assert_eq!(dense["vectors"][1], json!(vec![0.0; 256]));
    let (status, sparse) = server.encode("splade", &json!({"texts": [text], "top_k": 3}));
    let heaviest = own["sparse"].as_array().expect("terms").iter().take(3);
    let heaviest: serde_json::Map<_, _> = heaviest
        .map(|it| {
            (
                it["term"].as_str().expect("a term").to_owned(),
                it["weight"].clone(),
            )
        })
        .collect();
    assert_eq!(
        (status, &sparse["sparse"][0]),
        (200, &Value::Object(heaviest))
    );
    assert_eq!(
        server.encode("dense", &json!({"texts": []})).1["vectors"],
        json!([])
    );

    for (request, body, status, said) in [
        ("GET /", String::new(), 404, "no such path"),
        ("POST /encode/sema", "{}".to_owned(), 404, "no such path"),
        ("GET /encode/dense", String::new(), 405, "use POST"),
        (
            "POST /encode/dense",
            "{\"texts\": 1}".to_owned(),
            422,
            "expected a sequence",
        ),
        (
            "POST /encode/dense",
            "{}".to_owned(),
            422,
            "missing field `texts`",
        ),
        (
            "POST /encode/dense",
            json!({"texts": vec!["x"; 5000]}).to_string(),
            422,
            "at most 4096",
        ),
        (
            "POST /encode/splade",
            json!({"texts": ["x"], "top_k": -1}).to_string(),
            422,
            "top_k",
        ),
        ("POST /encode/dense", " ".repeat(17 << 20), 413, "at most"),
    ] {
        let (found, answer) = server.ask(request, &body);
        let detail = answer["detail"].as_str().expect("a reason");
        // The field is named by its position only.
        let is_said = detail.contains(said) || said == "top_k" && detail.contains("u32");
        assert!(found == status && is_said, "{request}: {found} {detail}");
    }
    // A length over the limit is refused before anything of the body is sent.
    let mut stream = TcpStream::connect(&server.address).expect("connects");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("a time limit");
    let request = "POST /encode/dense HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   content-length: 99999999\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sends");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("reads");
    assert!(line.starts_with("HTTP/1.1 413"), "{line}");
    // What a web page may send without asking.
    let mut stream = TcpStream::connect(&server.address).expect("connects");
    let request = "POST /encode/dense HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n\
                   connection: close\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
}

#[test]
fn a_rebuild_changes_what_is_served() {
    let world = World::corpus(1, 3);
    world.encoded_build("o").run().summary();
    let server = Server::start(&world, "o-sharded");
    assert_eq!(server.encode("dense", &json!({"texts": ["x"]})).0, 200);
    let rebuild = world
        .encoded_build("o")
        .args(["--rebuild", "--dense-model", "none"]);
    rebuild.run().summary();
    let answer = until(|| {
        let (status, answer) = server.encode("dense", &json!({"texts": ["x"]}));
        (status != 200).then_some((status, answer))
    });
    let said =
        json!({"detail": "the index has no dense vectors: set dense_embedding_enabled = false"});
    assert_eq!(answer, (501, said));
    assert_eq!(server.encode("splade", &json!({"texts": ["x"]})).0, 200);

    // An index without vectors is not served any more.
    world.bare_build("o").arg("--rebuild").run().summary();
    let (_, answer) = until(|| {
        let answer = server.ask("GET /ready", "");
        (answer.0 == 503).then_some(answer)
    });
    assert_eq!(
        answer,
        json!({"ready": false, "error": "the index has no vectors"})
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_with_idle_connections() {
    let world = World::corpus(1, 2);
    world.encoded_build("o").run().summary();
    let mut server = Server::start(&world, "o-sharded");
    // One connection has had an answer and stays open, one has sent nothing.
    let mut kept = TcpStream::connect(&server.address).expect("connects");
    let _silent = TcpStream::connect(&server.address).expect("connects");
    kept.write_all(b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("sends");
    let mut line = String::new();
    BufReader::new(&kept).read_line(&mut line).expect("reads");
    assert!(line.contains("200"), "{line}");
    let pid = server.child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.expect("runs").success());
    let status = until(|| server.child.try_wait().expect("a status"));
    assert_eq!(status.code(), Some(0));
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn what_cannot_be_served_is_refused() {
    let world = World::corpus(1, 2);
    world.build("o", &[]);
    let of = |arguments: &[&str]| -> Ran { world.run(arguments) };
    let ran = of(&["serve", "o-sharded", "--encoders", "0.0.0.0:0"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--allow-remote"), "{ran:?}");
    let ran = of(&["serve", "o-sharded", "--encoders", "0"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("no vectors"), "{ran:?}");
    for protocol in [&["--mcp"][..], &["--encoders", "0"]] {
        let arguments = [&["serve", "nowhere"][..], protocol].concat();
        assert_eq!(of(&arguments).code, Some(10), "{arguments:?}");
    }
    assert_eq!(of(&["serve", "o-sharded"]).code, Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let ran = of(&["serve", "o-sharded", "--encoders", &address]);
    assert_eq!(ran.code, Some(13));
    assert!(ran.stderr.contains(&address), "{ran:?}");
}

/// A machine with a GPU has the models and no index.
#[test]
fn encoders_are_served_without_an_index() {
    let world = World::corpus(1, 2);
    let server = Server::start_with(&world, &["--sparse-model", "none"]);
    assert_eq!(server.about["index"], Value::Null);
    assert_eq!(server.about["sparse"], Value::Null);
    let url = format!("http://{}", server.address);
    let flags = ["--sparse-model", "none", "--dense-model", &url];
    let arguments = ["--profile", "p.toml", "--out-dir", "far", "--json"];
    let ran = world.run(&[&arguments[..], &flags].concat());
    assert_eq!(ran.summary()["servers"][0]["model"], "helix-dense-mini");
    drop(server);
    let none = ["--sparse-model", "none", "--dense-model", "none"];
    let ran = world.run(&[&["serve", "--encoders", "0"][..], &none].concat());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("nothing to encode with"), "{ran:?}");
}

/// A conversation with `serve --mcp`.
struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u64,
}

impl Agent {
    fn start(world: &World, index: &str) -> Self {
        let mut command = world.command(&["serve", index, "--mcp"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut agent = Self {
            child,
            input,
            output,
            last_id: 0,
        };
        let about = agent.request(
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
        );
        assert_eq!(about["serverInfo"]["name"], "helix-build");
        agent.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").expect("sends");
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let mut line = String::new();
        self.output.read_line(&mut line).expect("reads");
        let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_ne!(answer["isError"], true, "{answer}");
        answer["structuredContent"].clone()
    }

    /// What a tool says that cannot do what is asked.
    fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["isError"], true, "{answer}");
        answer["content"][0]["text"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    fn end(self) -> Ran {
        let Self {
            child,
            input,
            output,
            ..
        } = self;
        drop((input, output));
        finish(child)
    }
}

fn ids(found: &Value) -> Vec<Value> {
    let hits = found["hits"].as_array().expect("hits").iter();
    hits.map(|hit| hit["chunk_id"].clone()).collect()
}

#[test]
fn agents_search_and_read() {
    let world = World::corpus(2, 12);
    world.encoded_build("o").run().summary();
    let mut agent = Agent::start(&world, "o-sharded");
    let tools = agent.request("tools/list", json!({}));
    for tool in tools["tools"].as_array().expect("tools") {
        assert!(tool["inputSchema"]["properties"].is_object(), "{tool}");
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
    }
    let status = agent.call("status", json!({}));
    assert_eq!(
        (&status["files"], &status["is_unfinished"]),
        (&json!(24), &json!(false))
    );
    assert_eq!(status["dense_encoder"], "helix-dense-mini");
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a time")
        .as_secs();
    let built_at = status["built_at"].as_u64().expect("seconds");
    assert!(built_at <= now && built_at + 3600 > now, "{status}");

    let query = "frobnicator gadget";
    let both = agent.call("search", json!({"query": query, "limit": 6}));
    let first = agent.call("search", json!({"query": query, "limit": 3}));
    let next = first["next_offset"].clone();
    let second = agent.call(
        "search",
        json!({"query": query, "limit": 3, "offset": next}),
    );
    assert_eq!(ids(&both), [ids(&first), ids(&second)].concat());
    // As the command answers.
    let own = world.run(&["query", "o-sharded", query, "--json", "-k", "6"]);
    let own: Vec<_> = own
        .lines()
        .iter()
        .map(|hit| hit["gene_id"].clone())
        .collect();
    assert_eq!(ids(&both), own);

    let hit = &first["hits"][0];
    let path = hit["path"].as_str().expect("a path");
    let (from, to) = (&hit["first_line"], &hit["last_line"]);
    let got = agent.call(
        "get",
        json!({"path": path, "first_line": from, "last_line": to}),
    );
    let lines = got["lines"].as_array().expect("lines").iter();
    let lines: Vec<_> = lines
        .map(|line| line["text"].as_str().expect("text"))
        .collect();
    let text = hit["text"].as_str().expect("text");
    assert!(lines.join("\n").trim().starts_with(text), "{got}");
    let outline = agent.call("get", json!({"path": path, "view": "chunks"}));
    assert!(
        outline["chunks"]
            .to_string()
            .contains(hit["chunk_id"].as_str().expect("an id"))
    );

    let only = agent.call(
        "search",
        json!({"query": query, "languages": ["py"], "paths": ["dir1"]}),
    );
    for hit in only["hits"].as_array().expect("hits") {
        let path = hit["path"].as_str().expect("a path").replace('\\', "/");
        assert!(path.ends_with(".py") && path.contains("/dir1/"), "{path}");
    }
    // A filter holds for its own call only.
    assert_eq!(
        ids(&agent.call("search", json!({"query": query, "limit": 6}))),
        own
    );

    for (tool, arguments, said) in [
        ("search", json!({"query": " "}), "blank"),
        (
            "search",
            json!({"query": "x", "languages": ["klingon"]}),
            "it has",
        ),
        (
            "search",
            json!({"query": "x", "shards": ["s"]}),
            "root0, root1",
        ),
        ("get", json!({"path": "no.rs"}), "no file `no.rs`"),
        ("get", json!({"path": "file0.rs"}), "2 files"),
        ("get", json!({"path": "x".repeat(5000)}), "no file `...x"),
        ("get", json!({"path": path, "first_line": 99999}), "lines"),
        ("get", json!({"path": path, "first_line": 0}), "from 1"),
        ("search", json!({"query": "x", "limit": 0}), "1 to 50"),
        ("search", json!({"query": "x", "limit": 51}), "1 to 50"),
    ] {
        let text = agent.refused(tool, arguments);
        assert!(text.contains(said) && text.len() < 1000, "{text}");
    }
    let outline = agent.call("get", json!({"path": path, "view": "chunks"}));
    let defines = outline["chunks"][0]["defines"].as_array();
    assert!(defines.is_some_and(|names| !names.is_empty()), "{outline}");
    // Lines that are no messages are answered, and the conversation goes on.
    for line in ["{\"jsonrpc\": ", &"[".repeat(5000)] {
        writeln!(agent.input, "{line}").expect("sends");
        let mut answer = String::new();
        agent.output.read_line(&mut answer).expect("reads");
        let answer: Value = serde_json::from_str(&answer).expect("a line of JSON");
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&Value::Null, &json!(-32700))
        );
    }
    agent.call("status", json!({}));
    assert_eq!(agent.end().code, Some(0));
}

#[test]
fn an_agent_that_says_nothing_is_no_error() {
    let world = World::corpus(1, 2);
    world.build("o", &[]);
    let ran = world.run(&["serve", "o-sharded", "--mcp"]);
    assert_eq!((ran.code, &ran.stderr[..]), (Some(0), ""));
}

/// A mapped file would kill the process.
#[cfg(unix)]
#[test]
fn a_truncated_shard_is_an_error_of_the_call() {
    let world = World::corpus(1, 40);
    let built = world.encoded_build("o").run().summary();
    let shard = built["shards"][0]["path"]
        .as_str()
        .expect("a path")
        .to_owned();
    let whole = std::fs::read(&shard).expect("reads");
    for bytes in [whole.len() as u64 / 2 + 100, 20_000, 0] {
        std::fs::write(&shard, &whole).expect("writes");
        let mut agent = Agent::start(&world, "o-sharded");
        let search = json!({"query": "frobnicator gadget"});
        agent.call("search", search.clone());
        let file = std::fs::File::options().write(true).open(&shard);
        file.and_then(|file| file.set_len(bytes))
            .expect("truncates");
        for tool in ["search", "status"] {
            let arguments = if tool == "search" {
                search.clone()
            } else {
                json!({})
            };
            let text = agent.refused(tool, arguments);
            assert!(text.contains(".genome.db"), "{bytes}: {text}");
        }
        assert_eq!(agent.end().code, Some(0));
    }
}

/// Windows cannot replace the files that the agent's server has open.
#[cfg(unix)]
#[test]
fn agents_see_a_rebuild() {
    let world = World::corpus(1, 3);
    world.encoded_build("o").run().summary();
    let mut agent = Agent::start(&world, "o-sharded");
    let before = agent.call(
        "search",
        json!({"query": "xylophone concert", "mode": "lexical"}),
    );
    assert_eq!(before["hits"], json!([]));
    world.write(
        "root0/new.md",
        "# Music\n\nThe xylophone concert begins at noon, before the others.\n",
    );
    world.encoded_build("o").run().summary();
    let after = agent.call("search", json!({"query": "xylophone concert"}));
    let path = after["hits"][0]["path"].as_str().expect("a hit");
    assert!(path.ends_with("new.md"), "{path}");
    assert_eq!(agent.end().code, Some(0));
}
