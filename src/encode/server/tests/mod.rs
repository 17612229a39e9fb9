//! Servers that work, and servers that fail.

mod fake;

use super::*;
use crate::encode::server::flight::IN_FLIGHT;
use fake::{Fake, Fault};
use serde_json::Value;
use std::sync::atomic::Ordering;

fn ask(done: &(dyn Fn(DoneRequest) + Sync)) -> Ask<'_> {
    Ask {
        sent: Sent::Passage,
        head: None,
        n_terms: 8,
        done,
    }
}

fn dense(server: &Server, texts: &[&str]) -> Result<Vec<Vec<f32>>, EncodeError> {
    server.encode_dense(texts, ask(&|_| ()))
}

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("text number {n}")).collect()
}

/// What one request at a time without faults gives.
fn expected(texts: &[&str]) -> Vec<Vec<f32>> {
    let fake = Fake::start();
    let server = fake.open(EncoderKind::Dense, "").expect("opens");
    let one = |text: &&str| dense(&server, &[text]).expect("encodes").remove(0);
    texts.iter().map(one).collect()
}

#[test]
fn three_protocols_give_the_same_vectors_in_order() {
    let texts = texts(70);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = expected(&texts);
    for (rest, api, revision) in [
        ("", "text-embeddings-inference", Some("abc")),
        ("/v1?model=one/model", "openai", None),
        ("/helix", "helix-build", Some("abc")),
    ] {
        let fake = Fake::start();
        let server = fake.open(EncoderKind::Dense, rest).expect(rest);
        assert_eq!((server.model(), server.dim()), ("one/model", 4), "{rest}");
        let info = server.info();
        assert_eq!((&*info.api, info.revision.as_deref()), (api, revision));
        assert!(!info.reproducible && server.tells_texts_apart());
        assert_eq!(dense(&server, &texts).expect("encodes"), expected, "{rest}");
        server.check_unchanged().expect("the same");
        let most = fake.most_under_way.load(Ordering::SeqCst);
        assert!((1..=IN_FLIGHT).contains(&most), "{most}");
    }
}

#[test]
fn passing_faults_change_nothing() {
    let texts = texts(20);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = expected(&texts);
    for fault in [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(424),
        Fault::Short,
        Fault::Stall,
        Fault::Page,
    ] {
        let fake = Fake::start();
        let server = fake.open(EncoderKind::Dense, "").expect("opens");
        fake.set(|state| state.faults = vec![fault.clone(), Fault::None, fault.clone()]);
        assert_eq!(
            dense(&server, &texts).expect("encodes"),
            expected,
            "{fault:?}"
        );
    }
    // Long enough that a text might be blamed, but the server fails on all texts.
    let fake = Fake::start();
    let server = fake.open(EncoderKind::Dense, "").expect("opens");
    fake.set(|state| state.faults = vec![Fault::Status(500); 40]);
    assert_eq!(dense(&server, &texts).expect("encodes"), expected);
}

#[test]
fn a_server_that_stays_away_is_named() {
    for fault in [Fault::Status(503), Fault::Stall] {
        let fake = Fake::start();
        let patience = Duration::from_secs(1);
        let server = fake.open_for(patience, EncoderKind::Dense, "");
        let server = server.expect("opens");
        fake.set(|state| state.faults = vec![fault.clone(); 100_000]);
        let error = dense(&server, &["a text"]).expect_err("away");
        let EncodeError::ServerAway { url, .. } = &error else {
            panic!("{fault:?}: {error}");
        };
        assert_eq!(*url, fake.url(""));
    }
}

#[test]
fn useless_answers_end_with_their_reason() {
    for (fault, says) in [
        (Fault::Missing, "vectors for"),
        (Fault::Narrow, "a vector has 3 numbers, and not 4"),
        (Fault::NotFinite, "not finite"),
        (Fault::Status(401), "HELIX_BUILD_ENCODER_KEY"),
        (Fault::Status(402), "402"),
        (Fault::Status(404), "path"),
    ] {
        let fake = Fake::start();
        let server = fake.open(EncoderKind::Dense, "").expect("opens");
        fake.set(|state| state.faults = vec![fault.clone()]);
        let error = dense(&server, &["a text", "another"]).expect_err("useless");
        assert!(error.to_string().contains(says), "{fault:?}: {error}");
    }
    let fake = Fake::start();
    let server = fake.open(EncoderKind::Dense, "").expect("opens");
    fake.set(|state| state.faults = vec![Fault::Page; 5]);
    let error = dense(&server, &["a text"]).expect_err("no JSON");
    assert!(matches!(error, EncodeError::ServerBad { .. }), "{error}");
}

#[test]
fn another_model_is_noticed_whatever_its_name() {
    for rest in ["", "/v1?model=one/model", "/helix"] {
        for name in ["other/model", "one/model"] {
            let fake = Fake::start();
            let server = fake.open(EncoderKind::Dense, rest).expect("opens");
            fake.set(|state| state.faults = vec![Fault::None, Fault::Swap(name)]);
            let several = texts(20);
            let several: Vec<&str> = several.iter().map(String::as_str).collect();
            let made = dense(&server, &several).and_then(|_| server.check_unchanged());
            let error = made.expect_err("swapped");
            assert!(
                matches!(error, EncodeError::ServerChanged { .. }),
                "{rest} {name}: {error}"
            );
        }
    }
}

#[test]
fn long_texts_are_cut_until_the_server_takes_them() {
    let fake = Fake::start();
    let server = fake.open(EncoderKind::Dense, "").expect("opens");
    let long = "some words and a few more ".repeat(200);
    let short = "a short one";
    let whole = dense(&server, &[&long, short]).expect("encodes");
    let asked = fake.asked("/embed");
    let sent = asked.last().expect("a request")["inputs"]
        .as_array()
        .expect("texts");
    // 5,200 characters at 1,536 each.
    assert_eq!(sent.len(), 5);
    fake.set(|state| state.most_chars = 100);
    let cut = dense(&server, &[&long, short]).expect("encodes");
    assert_eq!(cut[1], whole[1]);
    let cosine = least_cosine(&whole[..1], &cut[..1], |a, b| dense_dot(a, b));
    assert!(cosine > 0.99, "{cosine}");
    // A text that is refused at any length is named, and no other.
    fake.set(|state| state.most_chars = 11);
    let error = dense(&server, &[&long, short]).expect_err("refused");
    assert!(matches!(error, EncodeError::RunFailed { .. }), "{error}");
    assert_eq!(dense(&server, &[short]).expect("encodes")[0], whole[1]);
}

#[test]
fn a_text_on_which_the_server_fails_is_blamed() {
    let fake = Fake::start();
    let server = fake.open(EncoderKind::Dense, "").expect("opens");
    fake.set(|state| state.poison = Some("poison"));
    let error = dense(&server, &["fine", "holds poison", "fine too"]).expect_err("fails");
    let EncodeError::RunFailed {
        n_tokens, reason, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*n_tokens, 4);
    assert!(reason.contains("500"), "{reason}");
}

#[test]
fn blank_texts_are_not_sent() {
    let fake = Fake::start();
    let server = fake.open(EncoderKind::Dense, "").expect("opens");
    let before = fake.asked("/embed").len();
    let vectors = dense(&server, &["", " \n", "word"]).expect("encodes");
    assert!(vectors[0].is_empty() && vectors[1].is_empty() && !vectors[2].is_empty());
    assert_eq!(fake.asked("/embed").len(), before + 1);
}

#[test]
fn sparse_terms_have_names() {
    let fake = Fake::start();
    fake.set(|state| state.pooling = "splade");
    let server = fake.open(EncoderKind::Sparse, "").expect("opens");
    let texts = ["to cover words", "cover", "to"];
    let vectors = server.encode_sparse(&texts, ask(&|_| ())).expect("encodes");
    // The id of two letters is a special token.
    let five = || ("w5".to_owned(), 0.5);
    assert_eq!(vectors, [vec![five()], vec![five()], vec![]]);
    let asked = fake.asked("/decode").len();
    server.encode_sparse(&texts, ask(&|_| ())).expect("encodes");
    assert_eq!(
        fake.asked("/decode").len(),
        asked,
        "names are asked for once"
    );
}

#[test]
fn prefixes_are_put_before_texts_by_their_role() {
    let fake = Fake::start();
    let rest = "/v1?model=one/model&query_prefix=query:+&passage_prefix=passage:+";
    let server = fake.open(EncoderKind::Dense, rest).expect("opens");
    let query = Ask {
        sent: Sent::Query,
        ..ask(&|_| ())
    };
    server.encode_dense(&["a"], query).expect("encodes");
    dense(&server, &["b"]).expect("encodes");
    let asked = fake.asked("/v1/embeddings");
    let last: Vec<&Value> = asked
        .iter()
        .rev()
        .take(2)
        .map(|body| &body["input"][0])
        .collect();
    assert_eq!(last, ["passage: b", "query: a"]);
    assert_eq!(server.identity()[4..], ["query: ", "passage: "]);
}

#[test]
fn servers_that_cannot_serve_are_refused_at_once() {
    let fake = Fake::start();
    for (kind, rest, says) in [
        (EncoderKind::Sparse, "", "no sparse encoder"),
        (EncoderKind::Sparse, "/v1?model=m", "has no sparse vectors"),
        (EncoderKind::Sparse, "/helix", "no sparse vectors"),
        (EncoderKind::Dense, "/v1", "several models (a, one/model)"),
        (
            EncoderKind::Dense,
            "?model=two",
            "the model one/model, and not two",
        ),
        (EncoderKind::Dense, "/nothing", "neither /info"),
        (EncoderKind::Dense, "/moved", "307"),
        (EncoderKind::Dense, "/locked", "HELIX_BUILD_ENCODER_KEY"),
        (EncoderKind::Dense, "/helix?query_prefix=q", "prefix"),
    ] {
        let Err(error) = fake.open(kind, rest) else {
            panic!("{rest} opens");
        };
        assert!(
            matches!(error, EncodeError::ServerBad { .. }),
            "{rest}: {error}"
        );
        assert!(error.to_string().contains(says), "{rest}: {error}");
    }
}
