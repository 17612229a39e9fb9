//! `models fetch`, against a server on loopback that has the paths of a hub.

use crate::loopback::{Loopback, Request, send};
use crate::world::{Ran, World};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;

const SHA: &str = "89abcdef0123456789abcdef0123456789abcdef";

type Files = BTreeMap<String, Vec<u8>>;

/// A static model of some kilobytes.
fn model() -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/model2vec-plain");
    let entries = fs::read_dir(folder).expect("lists").flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("reads"))
        })
        .collect()
}

/// Serve `files` until the test ends, and return the address. Every request needs the token `t`.
fn serve(files: Files, licence: &'static str) -> String {
    let loopback = Loopback::bind();
    let endpoint = format!("http://127.0.0.1:{}", loopback.port);
    loopback.serve(move |request, stream| answer(&files, licence, request, stream));
    endpoint
}

fn answer(files: &Files, licence: &str, request: &Request, stream: &mut TcpStream) -> Option<()> {
    let path = &request.path;
    if request.headers.get("authorization").map(String::as_str) != Some("Bearer t") {
        return send(stream, 401, "", b"");
    }
    if path.starts_with("/api/models/owner/words/") {
        let names: Vec<Value> = files.keys().map(|n| json!({"rfilename": n})).collect();
        let listing = json!({"sha": SHA, "siblings": names, "cardData": {"license": licence}});
        return send(stream, 200, "", listing.to_string().as_bytes());
    }
    let name = path.strip_prefix(&format!("/owner/words/resolve/{SHA}/"))?;
    let bytes = files.get(name)?;
    let hash = Sha256::digest(bytes);
    let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    send(
        stream,
        200,
        &format!("x-linked-etag: \"{hash}\"\r\n"),
        bytes,
    )
}

fn fetch(world: &World, endpoint: &str, token: &str, more: &[&str]) -> Ran {
    let arguments = ["models", "fetch", "--json", "--endpoint", endpoint];
    let mut command = world.command(&[&arguments[..], more].concat());
    command
        .env("HF_TOKEN", token)
        .env("HELIX_BUILD_MODEL_DIR", world.path("mine"));
    crate::world::finish(command.spawn().expect("starts"))
}

#[test]
fn a_model_is_fetched_checked_and_used() {
    let world = World::corpus(1, 4);
    let endpoint = serve(model(), "mit");
    let ran = fetch(&world, &endpoint, "t", &["hf:owner/words"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.lines();
    assert_eq!(lines[0]["revision"], SHA);
    assert_eq!(lines[0]["licence"], "mit");
    assert_eq!(
        (&lines[1]["ok"], &lines[1]["kind"]),
        (&json!(true), &json!("dense"))
    );
    let dir = world.path("mine/words").display().to_string();
    assert_eq!(lines[0]["path"], *dir);
    // It is there by now.
    let again = fetch(&world, &endpoint, "t", &["hf:owner/words"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    let build = ["--profile", "p.toml", "--out-dir", "o", "--json"];
    let flags = ["--sparse-model", "none", "--dense-model", &dir];
    let summary = world.run(&[&build[..], &flags].concat()).summary();
    assert_eq!(summary["exit"], 0);
    assert_eq!(world.verified("o-sharded/p")["digest"], summary["digest"]);
}

#[test]
fn what_cannot_be_fetched_is_said_with_its_code() {
    let world = World::new();
    let endpoint = serve(model(), "mit");
    for (token, name, code, says) in [
        ("", "hf:owner/words", 13, "HF_TOKEN"),
        ("t", "owner/words", 2, "hf:OWNER/MODEL"),
        ("t", "hf:owner/words@v1/../x", 2, "hf:OWNER/MODEL"),
    ] {
        let ran = fetch(&world, &endpoint, token, &[name]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
        assert!(!world.path("mine/words").exists());
    }
    // What is no model stays, since all of its files are as announced, and the check says what is wrong.
    let mut files = model();
    files.insert("tokenizer.json".to_owned(), b"{}".to_vec());
    let ran = fetch(
        &world,
        &serve(files, "mit"),
        "t",
        &["hf:owner/words", "--out", "other"],
    );
    assert_eq!(ran.code, Some(13), "{ran:?}");
    assert_eq!(ran.lines()[1]["ok"], false);
}
