//! Models that treat queries and documents differently: queries are looked up in a table of weights.

use super::*;
use crate::batch::EncoderKind;
use crate::encode::directory;

/// `router_config.json` of sentence transformers, for these modules of the query side.
fn router(query: &[(&str, &str)]) -> String {
    let types: Vec<String> = query
        .iter()
        .map(|(name, class)| format!("\"{name}\": \"{class}\", "))
        .collect();
    let names: Vec<String> = query
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    format!(
        r#"{{"types": {{{}"document_0_MLMTransformer": "sentence_transformers.sparse_encoder.models.MLMTransformer",
            "document_1_SpladePooling": "sentence_transformers.sparse_encoder.models.SpladePooling"}},
            "structure": {{"query": [{}], "document": ["document_0_MLMTransformer", "document_1_SpladePooling"]}},
            "parameters": {{"default_route": "document", "allow_empty_key": true}}}}"#,
        types.concat(),
        names.join(", ")
    )
}

const TABLE: &str = "query_0_SparseStaticEmbedding";
const STATIC: (&str, &str) = (
    TABLE,
    "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding",
);

/// Weights of [`WORDS`] by id.
const WEIGHTS: [f32; 8] = [9.0, 9.0, 9.0, 0.5, 2.0, 0.0, 1.25, 3.0];

fn tensors(name: &str, shape: &[usize], weights: &[f32]) -> Vec<u8> {
    use safetensors::{Dtype, tensor::TensorView};
    let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).expect("a tensor");
    safetensors::serialize([(name, view)], None).expect("serializes")
}

/// A directory as the library saves it: every module in its folder.
fn routed(query: &[(&str, &str)], activation: &str) -> Directory {
    let dir = Directory::new(Output::Logits, "");
    let document = dir.path().join("document_0_MLMTransformer");
    fs::create_dir_all(&document).expect("makes a directory");
    for file in ["onnx", "tokenizer.json", "config.json"] {
        fs::rename(dir.path().join(file), document.join(file)).expect("moves");
    }
    for folder in ["document_1_SpladePooling", TABLE] {
        fs::create_dir(dir.path().join(folder)).expect("makes a directory");
    }
    fs::remove_file(dir.path().join("helix-model.toml")).expect("removes");
    dir.write(
        "modules.json",
        r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.router.Router"}]"#,
    );
    dir.write("router_config.json", &router(query));
    dir.write(
        "document_1_SpladePooling/config.json",
        &format!(r#"{{"pooling_strategy": "max", "activation_function": "{activation}"}}"#),
    );
    let table = tensors("weight", &[8], &WEIGHTS);
    fs::write(dir.path().join(TABLE).join("model.safetensors"), table).expect("writes");
    dir
}

fn terms(vector: Option<SparseVector>) -> Vec<(String, u32)> {
    let terms = vector.expect("a sparse encoder").0;
    terms.into_iter().map(|t| (t.term, t.weight_e4)).collect()
}

fn of_query(dir: &Directory, text: &str) -> Vec<(String, u32)> {
    let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
    terms(encoders.encode_query(text).expect("encodes").sparse)
}

fn of_document(dir: &Directory, text: &str) -> Vec<(String, u32)> {
    let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
    terms(encode(&mut encoders, text).sparse)
}

fn refused(dir: &Directory) -> String {
    let read = directory::read(EncoderKind::Sparse, dir.path());
    read.expect_err("is refused").to_string()
}

fn expected(terms: &[(&str, u32)]) -> Vec<(String, u32)> {
    let terms = terms.iter();
    terms.map(|(term, w)| ((*term).to_owned(), *w)).collect()
}

const QUERY: &str = "green. Red redish green unknown blue";

#[test]
fn queries_are_looked_up_and_documents_encoded() {
    let plain = Directory::new(Output::Logits, "");
    let twice = Directory::new(Output::Logits, "pooling = \"splade-log1p\"");
    for (activation, document) in [("relu", &plain), ("log1p_relu", &twice)] {
        let dir = routed(&[STATIC], activation);
        assert_eq!(directory::kind(dir.path()), EncoderKind::Sparse);
        // Each token once, without special ones, punctuation, and those without a weight.
        let found = expected(&[("green", 20_000), ("##ish", 12_500), ("red", 5_000)]);
        assert_eq!(of_query(&dir, QUERY), found);
        assert_eq!(
            of_document(&dir, "green blueish"),
            of_document(document, "green blueish")
        );
    }
    let report = check_model(routed(&[STATIC], "log1p_relu").path(), None).expect("is usable");
    let table = Path::new(TABLE).join("model.safetensors");
    assert_eq!(report.query_table, Some(table.display().to_string()));
    assert_eq!(report.pooling_from, "document_1_SpladePooling/config.json");
    assert_eq!(report.unused, [""; 0]);
}

#[test]
fn the_heaviest_tokens_of_a_query_are_kept() {
    let dir = routed(&[STATIC], "relu");
    let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
    let queries = encoders.encode_texts(&[QUERY], TextRole::Query, 2);
    let found = terms(queries.expect("encodes")[0].sparse.clone());
    assert_eq!(found, expected(&[("green", 20_000), ("##ish", 12_500)]));
}

#[test]
fn a_side_that_both_share_is_encoded() {
    let shared = [
        (
            "document_0_MLMTransformer",
            "sentence_transformers.sparse_encoder.models.MLMTransformer",
        ),
        (
            "document_1_SpladePooling",
            "sentence_transformers.sparse_encoder.models.SpladePooling",
        ),
    ];
    let dir = routed(&[], "relu");
    dir.write(
        "router_config.json",
        &router(&shared).replacen(
            "\"document_0_MLMTransformer\": \"sentence_transformers.sparse_encoder.models.MLMTransformer\", \"document_1_SpladePooling\": \"sentence_transformers.sparse_encoder.models.SpladePooling\", ",
            "",
            1,
        ),
    );
    assert_eq!(of_query(&dir, "red"), of_document(&dir, "red"));
}

#[test]
fn tables_have_several_forms() {
    let by_token = r###"{"green": 2.0, "##ish": 1.25, "red": 0.5, "absent": 7.0, "[SEP]": 9.0}"###;
    let found = of_query(&routed(&[STATIC], "relu"), QUERY);
    // Versions before 5 have the table in JSON, below the directory or in it.
    let older = ("query_0_IDF", "sentence_transformers.models.IDF");
    for (config, place) in [
        ("{}", "idf.json"),
        (r#"{"path": "tables/weights.json"}"#, "tables/weights.json"),
        ("{}", "query_0_IDF/idf.json"),
    ] {
        let dir = routed(&[older], "relu");
        for folder in ["tables", "query_0_IDF"] {
            fs::create_dir(dir.path().join(folder)).expect("makes a directory");
        }
        dir.write("query_0_IDF/config.json", config);
        dir.write(place, by_token);
        assert_eq!(of_query(&dir, QUERY), found, "{place}");
    }
    // Any sparse model may have one.
    let dir = Directory::new(Output::Logits, "query_table = \"idf.json\"");
    dir.write("idf.json", by_token);
    assert_eq!(of_query(&dir, QUERY), found);
    let prepared = dir.path().join("prepared");
    let prepare = PrepareOptions {
        dir: dir.path(),
        out: &prepared,
        top_k: TOP_K,
        quantize: None,
        ort_lib: None,
    };
    prepare_model(&prepare).expect("prepares");
    let choice = models::single_encoder(EncoderKind::Sparse, &prepared, None);
    let mut encoders = Encoders::open(&choice).expect("opens");
    assert_eq!(
        terms(encoders.encode_query(QUERY).expect("encodes").sparse),
        found
    );
}

#[test]
fn the_table_is_part_of_the_fingerprint() {
    let dir = routed(&[STATIC], "relu");
    let hash = || {
        let described = describe(&dir.choice(EncoderKind::Sparse)).expect("describes");
        described.sparse.expect("a sparse encoder").hash
    };
    let before = hash();
    let mut weights = WEIGHTS;
    weights[3] = 0.75;
    let file = dir.path().join(TABLE).join("model.safetensors");
    fs::write(&file, tensors("weight", &[8], &weights)).expect("writes");
    assert_ne!(before, hash());
}

#[test]
fn what_a_table_cannot_be_is_named() {
    let file = Path::new(TABLE).join("model.safetensors");
    for (bytes, says) in [
        (tensors("weights", &[8], &WEIGHTS), "no tensor weight"),
        (tensors("weight", &[2, 4], &WEIGHTS), "shape [2, 4]"),
        (tensors("weight", &[8], &[f32::NAN; 8]), "not finite"),
        (b"<html>".to_vec(), "web page"),
        (
            tensors("weight", &[8], &WEIGHTS)[..80].to_vec(),
            "safetensors",
        ),
    ] {
        let dir = routed(&[STATIC], "relu");
        fs::write(dir.path().join(&file), bytes).expect("writes");
        assert!(refused(&dir).contains(says), "{says}: {}", refused(&dir));
    }
    let dir = routed(&[STATIC], "relu");
    fs::remove_file(dir.path().join(&file)).expect("removes");
    dir.write("query_0_SparseStaticEmbedding/pytorch_model.bin", "PK");
    assert!(refused(&dir).contains("save the model with safetensors"));
    for toml in ["query_table = \"../x\"", "query_table = \"absent.json\""] {
        let dir = Directory::new(Output::Logits, toml);
        let says = if toml.contains("..") { ".." } else { "absent" };
        assert!(refused(&dir).contains(says), "{}", refused(&dir));
    }
    let dir = Directory::new(Output::Logits, "query_table = \"idf.json\"");
    dir.write("idf.json", r#"{"yellow": 1.0}"#);
    assert!(refused(&dir).contains("none of its tokens"));
}

#[test]
fn routes_that_are_not_followed_are_refused() {
    let other = (TABLE, "sentence_transformers.models.Transformer");
    let dir = routed(&[other], "relu");
    assert!(refused(&dir).contains("through Transformer"));
    let dir = routed(&[STATIC, ("query_1_Scale", "own.Scale")], "relu");
    assert!(refused(&dir).contains("SparseStaticEmbedding and Scale"));
    let dir = routed(&[("../outside", "own.Table")], "relu");
    assert!(refused(&dir).contains("../outside"));
    let dir = routed(&[STATIC], "relu");
    let config = router(&[STATIC]).replace("models.SpladePooling", "models.Dense");
    dir.write("router_config.json", &config);
    assert!(refused(&dir).contains("through Dense"), "{}", refused(&dir));
    // Without its file, nothing says what becomes of queries.
    let dir = Directory::new(Output::Logits, "");
    dir.write(
        "modules.json",
        r#"[{"type": "sentence_transformers.models.Router"}]"#,
    );
    assert!(refused(&dir).contains("router_config.json is missing"));
    dir.write("helix-model.toml", "query_table = \"idf.json\"");
    dir.write("idf.json", r#"{"red": 1.0}"#);
    assert_eq!(of_query(&dir, "red"), expected(&[("red", 10_000)]));
    let dir = Directory::new(
        Output::Hidden,
        "pooling = \"mean\"\nquery_table = \"idf.json\"",
    );
    let error = directory::read(EncoderKind::Dense, dir.path()).expect_err("is refused");
    assert!(error.to_string().contains("query_table"), "{error}");
}

#[test]
fn both_sides_have_the_same_tokenizer() {
    let dir = routed(&[STATIC], "relu");
    let documents = dir.path().join("document_0_MLMTransformer/tokenizer.json");
    let tokenizer = fs::read_to_string(documents).expect("reads");
    let queries = format!("{TABLE}/tokenizer.json");
    let cut = r#""truncation":{"direction":"Right","max_length":8,"strategy":"LongestFirst","stride":0},"#;
    let start = tokenizer.find('{').expect("an object") + 1;
    let (before, after) = tokenizer.split_at(start);
    let after = after.replacen("\"truncation\":null,", "", 1);
    dir.write(&queries, &format!("{before}{cut}{after}"));
    assert!(!of_query(&dir, "red").is_empty());
    dir.write(&queries, &tokenizer.replace("\"red\"", "\"rouge\""));
    assert!(refused(&dir).contains("another tokenizer"));
}
