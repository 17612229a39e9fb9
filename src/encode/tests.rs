//! The encoders as a whole: the embedded pair against reference figures, and small models of every
//! accepted shape, written on the spot.

use super::*;
use crate::profile::encoders::ModelSource;
use crate::profile::recipe::Coverage;
use std::fs;
use std::path::{Path, PathBuf};

mod devices;
mod onnx;
mod refitting;
use onnx::{Output, graph};

fn embedded() -> Encoders {
    Encoders::open(&EncoderChoice::default()).expect("the embedded encoders open")
}

fn encode(encoders: &mut Encoders, text: &str) -> Encoded {
    let prepared = encoders.tokenizer().prepare(text);
    encoders.encode(&prepared).expect("encodes")
}

const FUNCTION: &str =
    "fn parse_header(input: &[u8]) -> Result<Header, ParseError> { /* reads the gzip header */ }";

#[test]
fn the_embedded_pair_gives_the_reference_vectors() {
    // By the runtime's Python package 1.31.1 from the same files; other processors may differ by
    // one unit of the last place.
    let sparse = [
        ("header", 35_487),
        ("##see", 31_164),
        ("##zi", 30_624),
        ("par", 29_674),
        ("##rro", 29_183),
        ("reads", 28_462),
        ("##se", 23_778),
        ("input", 22_878),
        ("result", 21_256),
        ("##p", 20_536),
        ("##8", 18_374),
        ("##r", 16_573),
    ];
    let dense = [
        0.0862324, 0.0471478, -0.0393605, 0.0194260, -0.0729291, -0.0785349,
    ];
    let encoded = encode(&mut embedded(), FUNCTION);
    let found = encoded.sparse.expect("a sparse encoder").0;
    assert_eq!(found.len(), 115);
    for (found, (term, weight_e4)) in found.iter().zip(sparse) {
        assert_eq!(found.term, term);
        assert!(found.weight_e4.abs_diff(weight_e4) <= 1, "{found:?}");
    }
    let found = encoded.dense.expect("a direction").0;
    assert_eq!(found.len(), 256);
    for (found, expected) in found.iter().zip(dense) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn whole_identifiers_are_found_again() {
    let encoded = encode(&mut embedded(), FUNCTION);
    let words = encoded.route_words;
    let position = |word: &str| words.iter().position(|w| w == word);
    assert_eq!(words[..2], ["parseerror", "gzip"]);
    assert!(position("parse") < position("parse_header"), "{words:?}");
    assert!(
        position("parse_header").is_some() && position("fn").is_none(),
        "{words:?}"
    );
}

#[test]
fn at_most_24_distinct_words_of_some_length() {
    let text: String = (0..60)
        .map(|n| format!("Zq{n}x zq{n}X 12345 ab "))
        .collect();
    let words = encode(&mut embedded(), &text).route_words;
    assert_eq!(words.len(), 24);
    let mut distinct = words.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 24);
    assert!(
        words
            .iter()
            .all(|w| w.starts_with("zq") && w.ends_with('x')),
        "{words:?}"
    );
}

#[test]
fn nothing_gives_nothing() {
    let mut encoders = embedded();
    for text in ["", " \n", "\u{fffd}"] {
        let encoded = encode(&mut encoders, text);
        assert_eq!(encoded.sparse, Some(SparseVector::default()), "{text:?}");
        assert_eq!((encoded.dense, encoded.route_words.len()), (None, 0));
    }
    let punctuation = encode(&mut encoders, "!!! --- ...");
    assert_eq!(punctuation.sparse, Some(SparseVector::default()));
    assert_eq!(encoders.encode_query("").expect("encodes").dense, None);
}

#[test]
fn a_long_text_is_the_maximum_and_the_mean_of_its_windows() {
    let mut encoders = embedded();
    let (front, back) = ("kernel ".repeat(510), "header ".repeat(255));
    let parts = [encode(&mut encoders, &front), encode(&mut encoders, &back)];
    let whole = encode(&mut encoders, &(front + &back));
    let weight = |encoded: &Encoded, term: &str| {
        let terms = &encoded.sparse.as_ref().expect("a sparse encoder").0;
        terms.iter().find(|t| t.term == term).map(|t| t.weight_e4)
    };
    assert!(weight(&parts[0], "kernel") > None, "{:?}", parts[0].sparse);
    assert_eq!(weight(&whole, "kernel"), weight(&parts[0], "kernel"));
    assert_eq!(weight(&whole, "header"), weight(&parts[1], "header"));
    let vectors = parts.map(|part| part.dense.expect("a direction").0);
    let mean = vectors[0]
        .iter()
        .zip(&vectors[1])
        .map(|(a, b)| 2.0 * a + b)
        .collect();
    let mean = DenseVector::normalized(mean, 256).expect("a direction").0;
    let found = whole.dense.expect("a direction").0;
    assert!(found.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn neither_order_nor_neighbours_nor_a_second_instance_change_a_vector() {
    let texts = [
        FUNCTION,
        "the quick brown fox",
        "\u{65e5}\u{672c}\u{8a9e} text",
    ];
    let (mut first, mut second) = (embedded(), embedded());
    let strip = |encoded: Encoded| (encoded.sparse, encoded.dense, encoded.route_words);
    let forth: Vec<_> = texts.iter().map(|t| strip(encode(&mut first, t))).collect();
    let back: Vec<_> = texts
        .iter()
        .rev()
        .map(|t| strip(encode(&mut second, t)))
        .collect();
    assert!(forth.iter().eq(back.iter().rev()));
}

#[test]
fn a_description_finds_its_function() {
    let functions = [
        "fn read_config(path: &Path) -> Result<Config> { let text = fs::read_to_string(path)?; toml::from_str(&text) }",
        "fn sha256_hex(bytes: &[u8]) -> String { let digest = Sha256::digest(bytes); hex::encode(digest) }",
        "fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> { TcpStream::connect_timeout(&address, timeout) }",
        "fn sort_by_length(words: &mut Vec<String>) { words.sort_by_key(|word| word.len()); }",
        "fn parse_date(text: &str) -> Option<Date> { let mut parts = text.split('-'); Date::new(parts.next()?, parts.next()?) }",
        "fn draw_circle(canvas: &mut Canvas, center: Point, radius: f32, color: Color) { canvas.arc(center, radius, color) }",
        "fn matrix_multiply(a: &Matrix, b: &Matrix) -> Matrix { for row in 0..a.rows { for column in 0..b.columns { sum += a[row] * b[column] } } }",
        "fn spawn_worker(queue: Receiver<Job>) -> JoinHandle<()> { thread::spawn(move || for job in queue { job.run() }) }",
        "fn compress(input: &[u8], level: u32) -> Vec<u8> { let mut encoder = GzEncoder::new(Vec::new(), level); encoder.write_all(input) }",
        "fn send_mail(smtp: &Server, recipient: &Address, subject: &str, body: &str) { smtp.deliver(recipient, subject, body) }",
    ];
    let queries = [
        (1, "the sha256 digest of some bytes in hex"),
        (2, "connect to a socket address with a timeout"),
        (5, "draws a circle of a color around a center"),
        (7, "start a thread that runs jobs from a queue"),
        (9, "deliver mail to a recipient"),
    ];
    let mut encoders = embedded();
    let passages: Vec<Encoded> = functions.iter().map(|f| encode(&mut encoders, f)).collect();
    for (expected, query) in queries {
        let query = encoders.encode_query(query).expect("encodes");
        assert!(query.sparse.as_ref().is_some_and(|v| v.0.len() <= 32));
        let best = |score: &dyn Fn(&Encoded) -> f64| {
            let scores = passages.iter().map(score).enumerate();
            scores
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(index, _)| index)
        };
        assert_eq!(best(&|passage| dot_sparse(&query, passage)), Some(expected));
        assert_eq!(best(&|passage| dot_dense(&query, passage)), Some(expected));
    }
}

fn dot_sparse(a: &Encoded, b: &Encoded) -> f64 {
    let (Some(a), Some(b)) = (&a.sparse, &b.sparse) else {
        return 0.0;
    };
    let in_b = |term: &str| {
        b.0.iter()
            .find(|t| t.term == term)
            .map_or(0.0, |t| t.weight())
    };
    a.0.iter().map(|t| t.weight() * in_b(&t.term)).sum()
}

fn dot_dense(a: &Encoded, b: &Encoded) -> f64 {
    let (Some(a), Some(b)) = (&a.dense, &b.dense) else {
        return 0.0;
    };
    a.0.iter().zip(&b.0).map(|(x, y)| f64::from(x * y)).sum()
}

#[test]
fn a_build_may_have_one_kind_or_none() {
    let choice = EncoderChoice {
        dense: ModelSource::None,
        ..EncoderChoice::default()
    };
    let encoded = encode(&mut Encoders::open(&choice).expect("opens"), FUNCTION);
    assert!(encoded.sparse.is_some() && encoded.dense.is_none());
    let none = EncoderChoice {
        sparse: ModelSource::None,
        ..choice.clone()
    };
    let mut encoders = Encoders::open(&none).expect("opens");
    assert_eq!(encode(&mut encoders, FUNCTION), Encoded::default());
    let info = describe(&none).expect("describes");
    assert_eq!((info.sparse, info.dense), (None, None));
}

#[test]
fn the_description_changes_with_each_rule() {
    let default = describe(&EncoderChoice::default()).expect("describes");
    assert_eq!(
        default,
        describe(&EncoderChoice::default()).expect("describes")
    );
    let head = describe(&EncoderChoice {
        coverage: Coverage::Head,
        ..EncoderChoice::default()
    });
    let head = head.expect("describes");
    let hashes = |info: &EncoderInfo| {
        let hash = |model: &Option<ModelInfo>| model.as_ref().map(|m| m.hash);
        (hash(&info.sparse), hash(&info.dense))
    };
    assert_ne!(hashes(&default).0, hashes(&head).0);
    assert_ne!(hashes(&default).1, hashes(&head).1);

    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let hash = || dir.describe_dense().expect("describes").hash;
    let plain = hash();
    assert_eq!(plain, hash());
    for toml in [
        "pooling = \"cls\"",
        "pooling = \"mean\"\nmax_len = 12",
        "pooling = \"mean\"\ndim = 2",
        "pooling = \"mean\"\nquery_prefix = \"x\"",
        "pooling = \"mean\"\npassage_prefix = \"x\"",
        "pooling = \"mean\"\nchar_cap = 100",
    ] {
        dir.write("helix-model.toml", toml);
        assert_ne!(plain, hash(), "{toml}");
    }
    dir.write("helix-model.toml", "pooling = \"mean\"");
    assert_eq!(plain, hash());
    dir.write("onnx/model.onnx.md", "nothing that the graph names");
    assert_eq!(plain, hash());
}

/// A model directory with the vocabulary of [`WORDS`].
struct Directory(tempfile::TempDir);

const WORDS: [&str; 8] = [
    "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "##ish", ".",
];

impl Directory {
    fn new(output: Output, toml: &str) -> Self {
        let dir = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::create_dir(dir.path().join("onnx")).expect("makes a directory");
        fs::write(dir.path().join("onnx/model.onnx"), graph(output)).expect("writes");
        let vocabulary: Vec<String> = WORDS
            .iter()
            .enumerate()
            .map(|(id, word)| format!("{word:?}: {id}"))
            .collect();
        let bert = include_str!("../../assets/models/tokenizer.json");
        let (rules, _) = bert.split_once("\"vocab\":{").expect("BERT's tokenizer");
        let rules = [(100, 0), (101, 1), (102, 2), (103, 2)]
            .iter()
            .fold(rules.to_owned(), |text, (old, new)| {
                text.replace(&format!("\"id\":{old},"), &format!("\"id\":{new},"))
                    .replace(&format!("\"ids\":[{old}]"), &format!("\"ids\":[{new}]"))
            })
            .replace("{\"id\":0,\"special\":true,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false},", "")
            .replace(",{\"id\":2,\"special\":true,\"content\":\"[MASK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false}", "");
        dir.write(
            "tokenizer.json",
            &format!("{rules}\"vocab\":{{{}}}}}}}", vocabulary.join(",")),
        );
        dir.write(
            "config.json",
            r#"{"hidden_size": 3, "max_position_embeddings": 16}"#,
        );
        dir.write("helix-model.toml", toml);
        dir
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).expect("writes");
    }

    fn choice(&self, kind: Kind) -> EncoderChoice {
        trial::choice(kind, self.path(), None)
    }

    fn describe_dense(&self) -> Result<ModelInfo, EncodeError> {
        Ok(describe(&self.choice(Kind::Dense))?
            .dense
            .expect("a dense encoder"))
    }

    fn open(&self, kind: Kind) -> Result<Encoders, EncodeError> {
        Encoders::open(&self.choice(kind))
    }
}

#[test]
fn a_sparse_directory_pools_its_logits() {
    let dir = Directory::new(Output::Logits, "");
    let mut encoders = dir.open(Kind::Sparse).expect("opens");
    let encoded = encode(&mut encoders, "Greenish blue.");
    // Row t of the table is t at t, and 0.5 at the next; ln(1 + 6), ln(1 + 5), ln(1 + 4).
    let terms = encoded.sparse.expect("a sparse encoder").0;
    let terms: Vec<(&str, u32)> = terms
        .iter()
        .map(|t| (t.term.as_str(), t.weight_e4))
        .collect();
    assert_eq!(
        terms,
        [
            ("##ish", 19_459),
            ("blue", 17_918),
            ("green", 16_094),
            ("red", 4_055)
        ]
    );
    assert_eq!(encoded.route_words, ["greenish", "blue"]);
}

#[test]
fn windows_of_logits_are_pooled_like_one() {
    let dir = Directory::new(Output::Logits, "");
    let mut encoders = dir.open(Kind::Sparse).expect("opens");
    let once = encode(&mut encoders, "red blue").sparse;
    let often = encode(&mut encoders, &"red blue ".repeat(40)).sparse;
    assert_eq!(once, often);
}

#[test]
fn a_dense_directory_pools_as_it_says() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let vector = |dir: &Directory, text: &str| {
        let mut encoders = dir.open(Kind::Dense).expect("opens");
        encode(&mut encoders, text).dense.expect("a direction").0
    };
    // Row t of the table is [t, 1, t * t]; the tokens are 1, 3, 2.
    let close = |found: Vec<f32>, expected: Vec<f32>| {
        let n = expected.len();
        let expected = DenseVector::normalized(expected, n).expect("a direction").0;
        assert_eq!(found.len(), n);
        assert!(
            found
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{found:?}"
        );
    };
    close(vector(&dir, "red"), vec![2.0, 1.0, 14.0 / 3.0]);
    dir.write("helix-model.toml", "pooling = \"cls\"\ndim = 2");
    close(vector(&dir, "red"), vec![1.0, 1.0]);
    dir.write(
        "helix-model.toml",
        "pooling = \"mean\"\npassage_prefix = \"blue \"",
    );
    close(vector(&dir, "red"), vec![11.0 / 4.0, 1.0, 39.0 / 4.0]);

    // The exporter's own files say it as well.
    let dir = Directory::new(Output::Hidden, "");
    let error = dir.open(Kind::Dense).err();
    assert!(
        matches!(error, Some(EncodeError::ModelBad { .. })),
        "{error:?}"
    );
    fs::create_dir(dir.path().join("1_Pooling")).expect("makes a directory");
    dir.write(
        "1_Pooling/config.json",
        r#"{"pooling_mode_mean_tokens": true}"#,
    );
    close(vector(&dir, "red"), vec![2.0, 1.0, 14.0 / 3.0]);
}

#[test]
fn a_graph_may_pool_itself() {
    let dir = Directory::new(Output::Sentence, "");
    let mut encoders = dir.open(Kind::Dense).expect("opens");
    let vector = encode(&mut encoders, "red").dense.expect("a direction").0;
    let expected = DenseVector::normalized(vec![2.0, 1.0, 14.0 / 3.0], 3)
        .expect("a direction")
        .0;
    assert!(
        vector
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-6),
        "{vector:?}"
    );
}

#[test]
fn the_other_kind_is_named() {
    for (output, wanted) in [
        (Output::Hidden, Kind::Sparse),
        (Output::Sentence, Kind::Sparse),
        (Output::Logits, Kind::Dense),
    ] {
        let error = Directory::new(output, "").open(wanted).err();
        assert!(
            matches!(error, Some(EncodeError::WrongKind { .. })),
            "{error:?}"
        );
    }
    let dir = Directory::new(Output::Hidden, "kind = \"dense\"\npooling = \"mean\"");
    let error = describe(&dir.choice(Kind::Sparse)).err();
    assert!(
        matches!(error, Some(EncodeError::WrongKind { .. })),
        "{error:?}"
    );
}

#[test]
fn numbers_that_are_not_finite_are_an_error() {
    let dir = Directory::new(Output::NotFinite, "pooling = \"mean\"");
    let mut encoders = dir.open(Kind::Dense).expect("opens");
    let prepared = encoders.tokenizer().prepare("red");
    let error = encoders.encode(&prepared).err();
    assert!(
        matches!(error, Some(EncodeError::BadOutput { n_tokens: 1, .. })),
        "{error:?}"
    );
}

#[test]
fn a_model_that_fails_on_an_ordinary_text_is_refused_at_once() {
    let dir = Directory::new(Output::Damaged, "pooling = \"mean\"");
    let error = dir.open(Kind::Dense).err();
    let Some(EncodeError::ModelBad { name, reason, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(!name.is_empty());
    assert!(reason.contains("not finite"), "{reason}");
}

#[test]
fn a_text_that_a_tokenizer_refuses_is_an_error_and_others_are_not() {
    let dir = Directory::new(Output::Logits, "");
    let tokenizer = fs::read_to_string(dir.path().join("tokenizer.json")).expect("reads");
    let without_unknown = tokenizer
        .replace("\"unk_token\":\"[UNK]\"", "\"unk_token\":\"none\"")
        .replace("\".\": 7", "\"a\": 7");
    dir.write("tokenizer.json", &without_unknown);
    let mut encoders = dir.open(Kind::Sparse).expect("opens");
    let tokenizer = encoders.tokenizer();
    assert!(encoders.encode(&tokenizer.prepare("red")).is_ok());
    let error = encoders.encode(&tokenizer.prepare("yellow")).err();
    assert!(
        matches!(error, Some(EncodeError::TextRefused { .. })),
        "{error:?}"
    );
}

#[test]
fn broken_directories_say_what_is_wrong() {
    let open = |break_it: &dyn Fn(&Directory)| {
        let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
        break_it(&dir);
        dir.open(Kind::Dense).err().expect("refuses")
    };
    let remove = |file: &'static str| {
        move |dir: &Directory| fs::remove_file(dir.path().join(file)).expect("removes")
    };
    let missing = open(&remove("onnx/model.onnx"));
    assert!(
        matches!(&missing, EncodeError::ModelMissing { path, .. } if path.ends_with("model.onnx"))
    );
    let missing = open(&remove("tokenizer.json"));
    assert!(
        matches!(&missing, EncodeError::ModelMissing { path, .. } if path.ends_with("tokenizer.json"))
    );
    let bad = open(&|dir| dir.write("tokenizer.json", "{}"));
    assert!(matches!(bad, EncodeError::TokenizerBad { .. }), "{bad}");
    for (file, text) in [
        ("config.json", "{"),
        ("helix-model.toml", "poling = \"mean\""),
        ("helix-model.toml", "pooling = \"mean\"\ndim = 4"),
        ("helix-model.toml", "pooling = \"mean\"\ndim = 0"),
        ("helix-model.toml", "pooling = \"mean\"\nmax_len = 3"),
        (
            "modules.json",
            r#"[{"type": "sentence_transformers.models.Dense"}]"#,
        ),
    ] {
        let error = open(&|dir: &Directory| {
            if file == "modules.json" {
                fs::remove_file(dir.path().join("helix-model.toml")).expect("removes");
            }
            dir.write(file, text);
        });
        assert!(
            matches!(error, EncodeError::ModelBad { .. }),
            "{file} {text}: {error}"
        );
    }
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"\nsha256 = \"00\"");
    let error = dir.describe_dense().err();
    assert!(
        matches!(&error, Some(EncodeError::FileBad { path, .. }) if path.ends_with("model.onnx")),
        "{error:?}"
    );
}

/// What is said of a directory's files, before a runtime is loaded.
fn complaint(break_it: &dyn Fn(&Directory)) -> String {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    break_it(&dir);
    let error = dir.describe_dense().expect_err("is refused");
    assert!(dir.open(Kind::Dense).is_err());
    error.to_string()
}

#[test]
fn each_damage_to_a_file_is_told_by_its_name_and_with_its_mending() {
    const GRAPH: &str = "onnx/model.onnx";
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90\n";
    let page = "\n<!DOCTYPE html><html>Not found</html>";
    let whole = graph(Output::Hidden);
    for (file, text, says) in [
        (GRAPH, lfs, "git lfs pull"),
        ("tokenizer.json", lfs, "git lfs pull"),
        (GRAPH, page, "web page"),
        ("tokenizer.json", page, "web page"),
        (GRAPH, "", "empty"),
        (GRAPH, "not a graph", "no ONNX graph"),
        (GRAPH, "{\"error\": \"not found\"}", "no ONNX graph"),
    ] {
        let said = complaint(&|dir| dir.write(file, text));
        let name = Path::new(file).file_name().expect("named").display();
        assert!(
            said.contains(&format!("{name}: ")) && said.contains(says),
            "{said}"
        );
    }
    for length in 1..whole.len() {
        let said = complaint(&|dir| {
            fs::write(dir.path().join(GRAPH), &whole[..length]).expect("writes");
        });
        let told = said.contains("cut off") || said.contains("no ONNX graph");
        assert!(told, "{length} of {}: {said}", whole.len());
    }
}

#[test]
fn what_files_say_must_agree_with_the_graph() {
    let said = complaint(&|dir| dir.write("helix-model.toml", "pooling = \"mean\"\ndim = 4"));
    assert!(
        said.contains("dim = 4") && said.contains("3 numbers"),
        "{said}"
    );
    let said = complaint(&|dir| dir.write("config.json", "{\"hidden_size\": 2}"));
    assert!(
        said.contains("2 numbers") && said.contains("gives 3"),
        "{said}"
    );
    let said = complaint(&|dir| {
        dir.write("helix-model.toml", "pooling = \"mean\"\nmax_len = 17");
    });
    assert!(
        said.contains("max_len = 17") && said.contains("16 positions"),
        "{said}"
    );
    let said = complaint(&|dir| {
        let bert = include_str!("../../assets/models/tokenizer.json");
        dir.write("tokenizer.json", bert);
    });
    assert!(
        said.contains("30521") && said.contains("8 tokens"),
        "{said}"
    );
    let said = complaint(&|dir| {
        fs::rename(
            dir.path().join("onnx/model.onnx"),
            dir.path().join("onnx/model_int8.onnx"),
        )
        .expect("renames");
    });
    assert!(
        said.contains("model_int8.onnx") && said.contains("`file`"),
        "{said}"
    );
}

#[test]
fn the_pooling_of_a_sparse_encoder_is_the_usual_one_or_refused() {
    for folder in ["1_SpladePooling", "document_1_SpladePooling"] {
        let dir = Directory::new(Output::Logits, "");
        fs::create_dir(dir.path().join(folder)).expect("makes a directory");
        let config = |text| dir.write(&format!("{folder}/config.json"), text);
        config(r#"{"pooling_strategy": "max", "activation_function": "relu"}"#);
        assert!(describe(&dir.choice(Kind::Sparse)).is_ok());
        let error = describe(&dir.choice(Kind::Dense)).err();
        assert!(
            matches!(error, Some(EncodeError::WrongKind { .. })),
            "{error:?}"
        );
        for other in [
            r#"{"pooling_strategy": "sum"}"#,
            r#"{"pooling_strategy": "sum", "activation_function": "log1p_relu"}"#,
            r#"{"activation_function": "gelu"}"#,
        ] {
            config(other);
            let said = describe(&dir.choice(Kind::Sparse))
                .expect_err("is refused")
                .to_string();
            assert!(said.contains(folder) && said.contains("pooling"), "{said}");
        }
    }
}

/// OpenSearch's third generation: ln(1 + ln(1 + relu(x))), unless the graph pools.
#[test]
fn the_logarithm_is_taken_twice_where_the_files_say_so() {
    let log1p = r#"{"pooling_strategy": "max", "activation_function": "log1p_relu"}"#;
    let weights = |output, config: &str, toml: &str| {
        let dir = Directory::new(output, toml);
        fs::create_dir(dir.path().join("document_1_SpladePooling")).expect("makes a directory");
        dir.write("document_1_SpladePooling/config.json", config);
        let mut encoders = dir.open(Kind::Sparse).expect("opens");
        let sparse = encode(&mut encoders, "red")
            .sparse
            .expect("a sparse vector");
        let described = describe(&dir.choice(Kind::Sparse)).expect("describes");
        let hash = described.sparse.expect("a sparse encoder").hash;
        let units: Vec<u32> = sparse.0.iter().map(|term| term.weight_e4).collect();
        (units, hash)
    };
    let (once, hash_once) = weights(Output::Logits, "{}", "");
    let (twice, hash_twice) = weights(Output::Logits, log1p, "");
    let again = |unit: &u32| (f64::from(*unit) / 1e4).ln_1p() * 1e4;
    assert!(!once.is_empty() && once.len() == twice.len());
    for (once, twice) in once.iter().zip(&twice) {
        assert!(
            (again(once) - f64::from(*twice)).abs() < 1.5,
            "{once} {twice}"
        );
    }
    assert_ne!(
        hash_once, hash_twice,
        "vectors of one are of no use for the other"
    );
    let stated = weights(Output::Logits, "{}", "pooling = \"splade-log1p\"").0;
    assert_eq!(stated, twice);
    let overridden = weights(Output::Logits, log1p, "pooling = \"splade\"").0;
    assert_eq!(overridden, once);
    let pooled = |config| weights(Output::Heaviest, config, "").0;
    assert_eq!(pooled(log1p), pooled("{}"));
}

#[test]
fn a_table_of_positions_limits_a_window() {
    let mut long = onnx::proto(Output::Hidden);
    let table = super::onnx::Tensor::floats("x.position_embeddings.weight", &[12, 3], &[0.0; 36]);
    long.graph.tensors.push(table);
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    fs::write(dir.path().join("onnx/model.onnx"), onnx::encoded(&long)).expect("writes");
    let source = ModelSource::Directory(dir.path().to_owned());
    let model = Model::resolve(Kind::Dense, &source).expect("reads");
    assert_eq!(model.map(|m| (m.max_len, m.n_tokens)), Some((12, Some(8))));
}

#[test]
fn weights_in_a_file_of_their_own_are_found_hashed_and_missed() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let (graph, data) = onnx::with_external_table();
    fs::write(dir.path().join("onnx/model.onnx"), &graph).expect("writes");
    fs::write(dir.path().join("onnx/w.bin"), &data).expect("writes");
    let inline = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let vector = |dir: &Directory| {
        let mut encoders = dir.open(Kind::Dense).expect("opens");
        encode(&mut encoders, "red green").dense
    };
    assert_eq!(vector(&dir), vector(&inline));
    let first = dir.describe_dense().expect("describes").hash;
    let mut other = data.clone();
    other[16] ^= 1;
    fs::write(dir.path().join("onnx/w.bin"), &other).expect("writes");
    assert_ne!(dir.describe_dense().expect("describes").hash, first);
    fs::write(dir.path().join("onnx/w.bin"), &data[1..]).expect("writes");
    let said = dir.describe_dense().expect_err("is refused").to_string();
    assert!(
        said.contains("w.bin") && said.contains("takes 100"),
        "{said}"
    );
    fs::remove_file(dir.path().join("onnx/w.bin")).expect("removes");
    let said = dir.describe_dense().expect_err("is refused").to_string();
    assert!(
        said.contains("w.bin") && said.contains("fetch both"),
        "{said}"
    );
}

#[test]
fn the_heaviest_terms_alone_are_a_vector_too() {
    let pooled = Directory::new(Output::Logits, "");
    let cut = Directory::new(Output::Heaviest, "");
    let terms = |dir: &Directory, text: &str| {
        let mut encoders = dir.open(Kind::Sparse).expect("opens");
        // Once more, on what an earlier text left.
        encode(&mut encoders, "blue");
        encode(&mut encoders, text)
            .sparse
            .expect("a sparse encoder")
            .0
    };
    for text in ["red", "Greenish red", &"red blue ".repeat(40)] {
        let (all, heaviest) = (terms(&pooled, text), terms(&cut, text));
        assert!(!heaviest.is_empty() && heaviest.len() <= all.len());
        for (one, other) in heaviest.iter().zip(&all) {
            assert_eq!(one.term, other.term, "{text}");
            // 16 bits: 11 of them for 1.9.
            assert!(one.weight_e4.abs_diff(other.weight_e4) < 10, "{text}");
        }
    }
    let error = Directory::new(Output::Shifted, "").open(Kind::Sparse).err();
    let said = error.expect("is refused").to_string();
    assert!(
        said.contains("term 8") && said.contains("tokenizer.json"),
        "{said}"
    );
}

#[test]
fn numbers_of_16_bits_are_widened() {
    let vector = |output| {
        let dir = Directory::new(output, "pooling = \"mean\"");
        let mut encoders = dir.open(Kind::Dense).expect("opens");
        encode(&mut encoders, "red green").dense
    };
    // Small integers are exact in 16 bits.
    assert_eq!(vector(Output::Half), vector(Output::Hidden));
}

#[test]
fn inputs_that_a_text_has_not_are_named() {
    use super::onnx::{Element, ValueInfo};
    for (name, element, says) in [
        ("input_ids", Element::INT32, "64-bit integers"),
        (
            "pixel_values",
            Element::INT64,
            "asks for an input pixel_values",
        ),
    ] {
        let mut proto = onnx::proto(Output::Hidden);
        proto.graph.inputs[0] = ValueInfo::tensor(name, element, &[None, None]);
        proto.graph.nodes[0].inputs[1] = name.to_owned();
        let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
        fs::write(dir.path().join("onnx/model.onnx"), onnx::encoded(&proto)).expect("writes");
        let said = dir.open(Kind::Dense).err().expect("is refused").to_string();
        assert!(said.contains(name) && said.contains(says), "{said}");
    }
}

#[test]
fn a_directory_of_graphs_is_read_with_what_lies_above_it() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let source = ModelSource::Directory(dir.path().join("onnx"));
    let model = Model::resolve(Kind::Dense, &source).expect("reads");
    let name = dir.path().file_name().expect("named").display().to_string();
    assert_eq!(model.map(|m| m.name), Some(name));
}

#[test]
fn a_named_runtime_that_is_not_there_is_named() {
    let choice = EncoderChoice {
        ort_lib: Some(PathBuf::from("no/such/library.so")),
        ..EncoderChoice::default()
    };
    let error = Encoders::open(&choice).err();
    assert!(
        matches!(&error, Some(EncodeError::RuntimeBad { path, .. }) if path.is_absolute())
            || matches!(&error, Some(EncodeError::RuntimeTaken { wanted, .. }) if wanted.contains("library.so")),
        "{error:?}"
    );
}

/// The runtime would leave a device id and an event store beside our own directory.
#[cfg(all(unix, feature = "embedded-runtime"))]
#[test]
fn the_runtime_collects_nothing() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    let this = std::env::current_exe().expect("a test runs in a program");
    let output = std::process::Command::new(this)
        .args(["--exact", "encode::tests::nothing_gives_nothing"])
        .env("XDG_CACHE_HOME", cache.path())
        .env("HOME", cache.path())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("ORT_RUNNING_UNIT_TESTS")
        .env_remove("CI")
        .output()
        .expect("runs one test");
    assert!(output.status.success(), "{output:?}");
    let entries = fs::read_dir(cache.path()).expect("lists");
    let names: Vec<_> = entries.map(|e| e.expect("lists").file_name()).collect();
    assert_eq!(names, ["helix-build"]);
}
