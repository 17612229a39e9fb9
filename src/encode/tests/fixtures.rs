//! Directories as several libraries write them, against those libraries' own vectors of 40 texts: `tests/models`, made by
//! `tools/model_fixtures.py`.

use super::*;
use crate::batch::EncoderKind;
use crate::encode::builtin::carries_meaning;
use crate::encode::directory;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Expected {
    kind: String,
    documents: Vec<Vector>,
    queries: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Dense(Vec<f32>),
    /// The heaviest terms.
    Sparse(BTreeMap<String, f32>),
}

pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    let text = fs::read_to_string(path).expect("reads");
    serde_json::from_str(&text).expect("is JSON")
}

fn check(name: &str) {
    check_directory(&models().join(name), name);
}

/// Compare the vectors of a directory with those that are noted beside its files.
pub fn check_directory(dir: &Path, name: &str) {
    let texts: Vec<String> = read(&models().join("texts.json"));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(texts.len(), 40);
    let expected: Expected = read(&dir.join("expected.json"));
    let kind = directory::kind(dir);
    assert_eq!(kind.to_string(), expected.kind, "{name}");
    assert!(looks_like_model(dir), "{name}");
    let choice = super::models::single_encoder(kind, dir, None);
    let mut encoders = Encoders::open(&choice).expect("opens");
    for (role, vectors) in [
        (TextRole::Passage, expected.documents),
        (TextRole::Query, expected.queries),
    ] {
        let found = encoders.encode_texts(&texts, role, 128).expect("encodes");
        assert_eq!(found.len(), vectors.len());
        for ((text, found), expected) in texts.iter().zip(found).zip(vectors) {
            let context = format!("{name}, {role:?}: {text}");
            match expected {
                Vector::Dense(expected) => same_direction(found.dense, &expected, &context),
                Vector::Sparse(expected) => {
                    same_terms(found.sparse.expect("a sparse encoder"), &expected, &context);
                }
            }
        }
    }
}

fn same_direction(found: Option<DenseVector>, expected: &[f32], context: &str) {
    let expected = DenseVector::normalized(expected.to_vec(), expected.len());
    let (found, expected) = match (found, expected) {
        (Some(found), Some(expected)) => (found.0, expected.0),
        (found, expected) => return assert_eq!(found, expected, "{context}"),
    };
    assert_eq!(found.len(), expected.len(), "{context}");
    let cosine: f32 = found.iter().zip(&expected).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.999_98, "{cosine}: {context}");
}

fn same_terms(found: SparseVector, expected: &BTreeMap<String, f32>, context: &str) {
    let found: BTreeMap<String, f32> = found
        .0
        .into_iter()
        .map(|t| (t.term, t.weight_e4 as f32 / 1e4))
        .collect();
    let is_close = |a: f32, b: f32| (a - b).abs() < 2e-4;
    let is_kept = |term: &String| carries_meaning(term);
    for (term, weight) in expected.iter().filter(|(term, _)| is_kept(term)) {
        let known = found.get(term).copied().unwrap_or_default();
        assert!(
            is_close(known, *weight),
            "{term}: {known} {weight}, {context}"
        );
    }
    // The library's list is cut off; what is heavier than its last term is in it.
    let last = expected.values().copied().fold(f32::INFINITY, f32::min);
    let last = if expected.len() < 40 { 0.0 } else { last };
    for (term, weight) in &found {
        let is_listed = expected.contains_key(term) || *weight < last + 2e-4;
        assert!(is_listed, "{term}: {weight}, {context}");
    }
}

#[test]
fn every_directory_gives_its_librarys_vectors() {
    let mut names: Vec<String> = models()
        .read_dir()
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().expect("a name").to_string_lossy().into())
        .collect();
    names.sort();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        check(&name);
    }
}

#[test]
fn a_static_model_is_described_as_it_is() {
    let report = check_model(&models().join("model2vec-clusters"), None).expect("is usable");
    assert_eq!(
        (&*report.kind, report.pooling, report.dim),
        ("dense", "mean", 8)
    );
    assert_eq!(
        (&*report.graph, &*report.read),
        ("model.safetensors", "embeddings")
    );
    assert_eq!(report.outputs, ["embeddings [40, 8]"]);
    assert!(
        report.norm.is_some_and(|norm| norm > 0.0),
        "{:?}",
        report.norm
    );
    assert!(report.tokens_per_cpu_second > 0.0 && report.sha256.is_some());
    let report = check_model(&models().join("st6-static"), None).expect("is usable");
    assert_eq!(report.read, "embedding.weight");
    assert_eq!(
        (&*report.query_prefix, &*report.passage_prefix),
        ("query: ", "text: ")
    );
}

/// A copy of a static model, whose files tests change.
struct Copied(tempfile::TempDir);

impl Copied {
    fn new(name: &str) -> Self {
        let dir = crate::test_folder::create();
        for entry in models().join(name).read_dir().expect("lists") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::copy(&path, dir.path().join(path.file_name().expect("a name")))
                    .expect("copies");
            }
        }
        Self(dir)
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(file), bytes).expect("writes");
    }

    fn tensors(&self, tensors: &[(&str, safetensors::Dtype, Vec<usize>, Vec<u8>)]) {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes);
            (*name, view.expect("a tensor"))
        });
        let bytes = safetensors::serialize(views, None).expect("serializes");
        self.write("model.safetensors", bytes);
    }

    fn choice(&self) -> EncoderChoice {
        super::models::single_encoder(EncoderKind::Dense, self.0.path(), None)
    }

    fn hash(&self) -> crate::ids::Digest {
        let described = describe(&self.choice()).expect("describes");
        described.dense.expect("a dense encoder").hash
    }

    fn refused(&self) -> String {
        let opened = describe(&self.choice()).map(|_| ());
        let opened = opened.and_then(|()| Encoders::open(&self.choice()).map(|_| ()));
        opened.expect_err("is refused").to_string()
    }
}

fn floats(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
    numbers.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn tables_that_do_not_hold_together_are_refused() {
    use safetensors::Dtype::{BOOL, F32, I64};
    let n = 240;
    let table = |n: usize| ("embeddings", F32, vec![n, 2], floats(vec![0.5; 2 * n]));
    let mapping = |row: i64| {
        let rows = (0..n).flat_map(|_| row.to_le_bytes()).collect();
        ("mapping", I64, vec![n as usize], rows)
    };
    let weights = |n: usize| ("weights", F32, vec![n], floats(vec![1.0; n]));
    for (tensors, says) in [
        (vec![table(9)], "knows 9 tokens"),
        (vec![table(9), mapping(9)], "names the row 9 of 9"),
        (vec![table(9), mapping(-1)], "names the row -1 of 9"),
        (vec![table(240), weights(3)], "3 weights for 240 tokens"),
        (vec![weights(240)], "no tensor embeddings"),
        (
            vec![("embeddings", F32, vec![4], floats([1.0; 4]))],
            "shape [4]",
        ),
        (
            vec![("embeddings", BOOL, vec![240, 1], vec![1; 240])],
            "BOOL",
        ),
        (
            vec![("embeddings", F32, vec![240, 2], floats([f32::NAN; 480]))],
            "not finite",
        ),
    ] {
        let dir = Copied::new("model2vec-plain");
        dir.tensors(&tensors);
        let error = dir.refused();
        assert!(error.contains(says), "{says}: {error}");
    }
    let dir = Copied::new("model2vec-plain");
    let whole = fs::read(dir.0.path().join("model.safetensors")).expect("reads");
    for (bytes, says) in [
        (&whole[..whole.len() - 1], "cut off"),
        (&whole[..20], "cut off"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"", "empty"),
    ] {
        dir.write("model.safetensors", bytes);
        assert!(dir.refused().contains(says), "{says}: {}", dir.refused());
    }
    let _ = fs::remove_file(dir.0.path().join("model.safetensors"));
    assert!(dir.refused().contains("no such file"), "{}", dir.refused());
    let dir = Copied::new("model2vec-plain");
    dir.write(
        "modules.json",
        r#"[{"type": "a.StaticEmbedding", "path": "."}, {"type": "a.Dense", "path": "2_Dense"}]"#,
    );
    assert!(dir.refused().contains("a.Dense"), "{}", dir.refused());
}

#[test]
fn a_static_model_takes_the_settings_of_helix_model_toml() {
    let dir = Copied::new("model2vec-plain");
    let plain = dir.hash();
    for toml in ["dim = 4", "max_len = 9", "query_prefix = \"query: \""] {
        dir.write("helix-model.toml", toml);
        assert_ne!(dir.hash(), plain, "{toml}");
    }
    dir.write("helix-model.toml", "dim = 4\nmax_len = 9");
    let mut encoders = Encoders::open(&dir.choice()).expect("opens");
    let long = "parse a glob pattern ".repeat(20);
    let (long, short) = (
        encode(&mut encoders, &long).dense.expect("a direction"),
        encode(&mut encoders, "parse a glob pattern")
            .dense
            .expect("a direction"),
    );
    assert_eq!((long.0.len(), short.0.len()), (4, 4));
    // Eighty tokens make nine windows.
    let cosine: f32 = long.0.iter().zip(&short.0).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.98, "{cosine}");
    for (toml, says) in [
        ("dim = 9", "have 8"),
        ("pooling = \"cls\"", "mean of its tokens"),
        ("sha256 = \"00\"", "sha256"),
        ("file = \"../x.safetensors\"", ".."),
    ] {
        dir.write("helix-model.toml", toml);
        assert!(dir.refused().contains(says), "{says}: {}", dir.refused());
    }
    dir.write("helix-model.toml", "");
    let error = directory::read(EncoderKind::Sparse, dir.0.path()).expect_err("is dense");
    assert!(matches!(error, EncodeError::WrongKind { .. }), "{error}");
    let out = dir.0.path().join("prepared");
    let prepared = prepare_model(&PrepareOptions {
        dir: dir.0.path(),
        out: &out,
        top_k: TOP_K,
        quantize: None,
        ort_lib: None,
    });
    assert!(
        prepared
            .expect_err("is refused")
            .to_string()
            .contains("no graph")
    );
}
