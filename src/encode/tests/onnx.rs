//! Graphs of a few bytes: a table of rows, looked up by token id.

use super::super::onnx::{
    Attribute, Data, Element, Field, Graph, Node, Proto, Tensor, Value, ValueInfo, write,
};
use super::WORDS;

/// What a graph gives out. The table's row for token t is given with each.
#[derive(Clone, Copy, PartialEq)]
pub enum Output {
    /// `logits` [1, L, 8]: t at position t, 0.5 at the one before, -1 elsewhere.
    Logits,
    /// As [`Self::Logits`], but pooled: the weights [1, 4] of the heaviest, as 16-bit floats, and
    /// their columns, as 32-bit integers.
    Heaviest,
    /// As [`Self::Heaviest`], but each column is one too high.
    Shifted,
    /// `last_hidden_state` [1, L, 3]: t, 1, t * t.
    Hidden,
    /// As [`Self::Hidden`], in 16 bits.
    Half,
    /// As [`Self::Logits`], in 16 bits.
    HalfLogits,
    /// As [`Self::Hidden`], but NaN for `red`.
    NotFinite,
    /// As [`Self::Hidden`], but NaN for what is not in the vocabulary.
    Damaged,
    /// `sentence_embedding` [1, 3]: the mean of [`Self::Hidden`].
    Sentence,
    /// `sparse_weights` [1, 4096]: the mean over 16 KiB for each token, all t. For tests that look at memory.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Wide,
    /// `logits` as of [`Self::Logits`], made of hidden states by a product and a bias.
    Product(Shape),
}

/// How exporters write the last product.
#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    BiasRight,
    /// The weights come through a transposition, and the bias is added from the left.
    Tied,
    NoBias,
    /// Something that no rule knows comes last.
    Unknown,
}

/// A model with the three usual inputs, two of which it ignores.
pub fn graph(output: Output) -> Vec<u8> {
    encoded(&proto(output))
}

pub fn encoded(proto: &Proto) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(proto, &mut bytes).expect("writes");
    bytes
}

/// The same with inputs of 32 bits.
pub fn narrow(output: Output) -> Proto {
    let mut proto = proto(output);
    for input in &mut proto.graph.inputs {
        *input = ValueInfo::tensor(&input.name, Element::INT32, &[None, None]);
    }
    proto
}

pub fn proto(output: Output) -> Proto {
    let n = WORDS.len() as u64;
    let width = match output {
        Output::Logits
        | Output::HalfLogits
        | Output::Heaviest
        | Output::Shifted
        | Output::Product(_) => n,
        Output::Wide => 4096,
        _ => 3,
    };
    let name = match output {
        Output::Logits
        | Output::HalfLogits
        | Output::Heaviest
        | Output::Shifted
        | Output::Product(_) => "logits",
        Output::Sentence => "sentence_embedding",
        Output::Wide => "sparse_weights",
        _ => "last_hidden_state",
    };
    let table: Vec<f32> = (0..WORDS.len())
        .flat_map(|token| row(output, token))
        .collect();
    let ids = ["input_ids", "attention_mask", "token_type_ids"];
    let info = |name| ValueInfo::tensor(name, Element::INT64, &[None, None]);
    let mut graph = Graph {
        tensors: vec![Tensor::floats("table", &[n, width], &table)],
        inputs: ids.map(info).to_vec(),
        outputs: vec![ValueInfo::tensor(
            name,
            Element::FLOAT,
            &[None, None, Some(width)],
        )],
        ..Graph::default()
    };
    let lookup = |to| Node::new("Gather", &["table", "input_ids"], &[to]);
    match output {
        Output::Sentence | Output::Wide => {
            graph.tensors.push(Tensor::integers("axis", &[1]));
            let mean = Node::new("ReduceMean", &["rows", "axis"], &[name]);
            let mean = mean.with(Attribute::integer("keepdims", 0));
            graph.nodes = vec![lookup("rows"), mean];
            graph.outputs = vec![ValueInfo::tensor(
                name,
                Element::FLOAT,
                &[None, Some(width)],
            )];
        }
        Output::Half | Output::HalfLogits => {
            graph.nodes = vec![lookup("rows"), cast("rows", name, Element::FLOAT16)];
            graph.outputs[0] =
                ValueInfo::tensor(name, Element::FLOAT16, &[None, None, Some(width)]);
        }
        Output::Heaviest | Output::Shifted => cut(&mut graph, output == Output::Shifted),
        Output::Product(shape) => product(&mut graph, shape),
        _ => graph.nodes = vec![lookup(name)],
    }
    Proto {
        graph,
        opsets: [(String::new(), 18)].into(),
        // The version of the format itself.
        rest: vec![Field {
            number: 1,
            value: Value::Varint(8),
        }],
    }
}

/// [`Output::Hidden`] with its table in the file `w.bin`, from byte 4 on.
pub fn with_external_table() -> (Vec<u8>, Vec<u8>) {
    let mut proto = proto(Output::Hidden);
    let table = &mut proto.graph.tensors[0];
    let Data::Here(bytes) = std::mem::replace(&mut table.data, Data::Typed) else {
        panic!("the table is in memory");
    };
    let entry = |key: &str, value: &str| {
        let mut bytes = Vec::new();
        for (number, text) in [(1, key), (2, value)] {
            let value = Value::Bytes(text.as_bytes().to_vec());
            Field { number, value }.append_to(&mut bytes);
        }
        let value = Value::Bytes(bytes);
        Field { number: 13, value }
    };
    let length = bytes.len().to_string();
    table.rest = vec![
        entry("location", "w.bin"),
        entry("offset", "4"),
        entry("length", &length),
        Field {
            number: 14,
            value: Value::Varint(1),
        },
    ];
    (encoded(&proto), [vec![9; 4], bytes].concat())
}

/// Logits [1, L, n_rows] of rows of 128 numbers, a matrix of 128 x 128, and the rows' own table.
pub fn quantizable(n_rows: usize) -> Proto {
    const WIDTH: usize = 128;
    // Repeatable numbers around 0 that look like nothing.
    let numbers = |n: usize, scale: f32| -> Vec<f32> {
        let number = |at: usize| (at as u32).wrapping_mul(2_654_435_761).rotate_left(7) as i32;
        (0..n)
            .map(|at| number(at + 1) as f32 / i32::MAX as f32 * scale)
            .collect()
    };
    let (rows, width) = (n_rows as u64, WIDTH as u64);
    let mut proto = proto(Output::Hidden);
    proto.graph.tensors = vec![
        Tensor::floats("table", &[rows, width], &numbers(n_rows * WIDTH, 1.0)),
        Tensor::floats("matrix", &[width, width], &numbers(WIDTH * WIDTH, 0.3)),
        Tensor::floats("bias", &[rows], &numbers(n_rows, 0.1)),
    ];
    proto.graph.nodes = vec![
        Node::new("Gather", &["table", "input_ids"], &["rows"]),
        Node::new("MatMul", &["rows", "matrix"], &["turned"]),
        Node::new("Transpose", &["table"], &["columns"]).with(Attribute::integers("perm", &[1, 0])),
        Node::new("MatMul", &["turned", "columns"], &["product"]),
        Node::new("Add", &["product", "bias"], &["logits"]),
    ];
    let shape = [None, None, Some(rows)];
    proto.graph.outputs = vec![ValueInfo::tensor("logits", Element::FLOAT, &shape)];
    proto
}

fn cast(from: &str, to: &str, element: Element) -> Node {
    Node::new("Cast", &[from], &[to]).with(Attribute::integer("to", element.0 as i64))
}

/// Pools the table's logits and cuts them, in the graph.
fn cut(graph: &mut Graph, shifted: bool) {
    graph.tensors.extend([
        Tensor::integers("axis", &[1]),
        Tensor::integers("four", &[4]),
        Tensor::floats("one", &[1], &[1.0]),
        Tensor::integers("shift", &[i64::from(shifted)]),
    ]);
    let max = Node::new("ReduceMax", &["rows", "axis"], &["highest"]);
    graph.nodes = vec![
        Node::new("Gather", &["table", "input_ids"], &["rows"]),
        max.with(Attribute::integer("keepdims", 0)),
        Node::new("Relu", &["highest"], &["positive"]),
        Node::new("Add", &["positive", "one"], &["sum"]),
        Node::new("Log", &["sum"], &["weights"]),
        Node::new("TopK", &["weights", "four"], &["heaviest", "columns"]),
        cast("heaviest", "scores", Element::FLOAT16),
        Node::new("Add", &["columns", "shift"], &["shifted"]),
        cast("shifted", "terms", Element::INT32),
    ];
    let info = |name, element| ValueInfo::tensor(name, element, &[None, Some(4)]);
    graph.outputs = vec![
        info("terms", Element::INT32),
        info("scores", Element::FLOAT16),
    ];
}

/// Splits the table of logits into one-hot rows and a product that gives the logits back.
fn product(graph: &mut Graph, shape: Shape) {
    let n = WORDS.len();
    let one_hot: Vec<f32> = (0..n * n)
        .map(|at| f32::from(u8::from(at / n == at % n)))
        .collect();
    let bias = 0.25;
    let table = graph.tensors[0].read_floats().expect("floats");
    let plain = match shape {
        Shape::BiasRight | Shape::Tied => table.iter().map(|v| v - bias).collect(),
        Shape::NoBias | Shape::Unknown => table,
    };
    let transposed: Vec<f32> = (0..n * n).map(|at| plain[at % n * n + at / n]).collect();
    let (is_tied, dims) = (shape == Shape::Tied, [n as u64, n as u64]);
    graph.tensors = vec![
        Tensor::floats("table", &dims, &one_hot),
        Tensor::floats("weights", &dims, if is_tied { &transposed } else { &plain }),
        Tensor::floats("bias", &dims[..1], &vec![bias; n]),
    ];
    graph.nodes = vec![Node::new("Gather", &["table", "input_ids"], &["rows"])];
    let mut matrix = "weights";
    if is_tied {
        let perm = Attribute::integers("perm", &[1, 0]);
        let transpose = Node::new("Transpose", &["weights"], &["matrix"]);
        graph.nodes.push(transpose.with(perm));
        matrix = "matrix";
    }
    let multiply = |to| Node::new("MatMul", &["rows", matrix], &[to]);
    match shape {
        Shape::NoBias => graph.nodes.push(multiply("logits")),
        Shape::Unknown => {
            let last = Node::new("Abs", &["product"], &["logits"]);
            graph.nodes.extend([multiply("product"), last]);
        }
        Shape::BiasRight | Shape::Tied => {
            let mut terms = ["product", "bias"];
            if is_tied {
                terms.reverse();
            }
            let add = Node::new("Add", &terms, &["logits"]);
            graph.nodes.extend([multiply("product"), add]);
        }
    }
}

fn row(output: Output, token: usize) -> Vec<f32> {
    let t = token as f32;
    match output {
        // Padding, here: seen in `blue` when it is not masked.
        Output::Product(_) if token == 0 => {
            let blue = |word| if word == "blue" { 9.0 } else { -1.0 };
            WORDS.map(blue).to_vec()
        }
        Output::Logits
        | Output::HalfLogits
        | Output::Heaviest
        | Output::Shifted
        | Output::Product(_) => (0..WORDS.len())
            .map(|column| match column {
                _ if column == token => t,
                _ if column + 1 == token => 0.5,
                _ => -1.0,
            })
            .collect(),
        Output::Wide => vec![t; 4096],
        Output::NotFinite if WORDS[token] == "red" => vec![t, f32::NAN, 0.0],
        Output::Damaged if WORDS[token] == "[UNK]" => vec![t, f32::INFINITY, 0.0],
        _ => vec![t, 1.0, t * t],
    }
}
