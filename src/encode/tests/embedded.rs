//! The embedded pair, against reference figures and against itself.

use super::*;

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
        0.0447433, 0.0113570, -0.0515690, 0.0209405, -0.0258177, -0.0745736,
    ];
    let encoded = encode(&mut embedded(), FUNCTION);
    let found = encoded.sparse.expect("a sparse encoder").0;
    assert_eq!(found.len(), 48);
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
