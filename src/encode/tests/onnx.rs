//! Writes ONNX graphs of a few bytes: a table of rows, looked up by token id.
//!
//! Only the fields of the format that such a graph needs, numbered as in `onnx.proto`.

use super::WORDS;

/// What a graph gives out. The table's row for token t is given with each.
#[derive(Clone, Copy, PartialEq)]
pub enum Output {
    /// `logits` [1, L, 8]: t at position t, 0.5 at the one before, -1 elsewhere.
    Logits,
    /// `last_hidden_state` [1, L, 3]: t, 1, t * t.
    Hidden,
    /// As [`Self::Hidden`], but NaN for `red`.
    NotFinite,
    /// As [`Self::Hidden`], but NaN for what is not in the vocabulary.
    Damaged,
    /// `sentence_embedding` [1, 3]: the mean of [`Self::Hidden`].
    Sentence,
    /// `sparse_weights` [1, 4096]: the mean over 16 KiB for each token, all t.
    Wide,
}

/// A model with the three usual inputs, two of which it ignores.
pub fn graph(output: Output) -> Vec<u8> {
    let width = match output {
        Output::Logits => WORDS.len(),
        Output::Wide => 4096,
        _ => 3,
    };
    let table: Vec<f32> = (0..WORDS.len())
        .flat_map(|token| row(output, token))
        .collect();
    let name = match output {
        Output::Logits => "logits",
        Output::Hidden | Output::NotFinite | Output::Damaged => "last_hidden_state",
        Output::Sentence => "sentence_embedding",
        Output::Wide => "sparse_weights",
    };
    let pooled = matches!(output, Output::Sentence | Output::Wide);
    let rows = if pooled { "rows" } else { name };
    let mut graph = message(1, &node("Gather", &["table", "input_ids"], rows));
    if pooled {
        let mut mean = node("ReduceMean", &[rows, "axis"], name);
        mean.extend(message(
            5,
            &[text(1, "keepdims"), number(3, 0), number(20, 2)].concat(),
        ));
        graph.extend(message(1, &mean));
        let axis = [
            number(1, 1),
            number(2, 7),
            text(8, "axis"),
            message(9, &1_i64.to_le_bytes()),
        ];
        graph.extend(message(5, &axis.concat()));
    }
    let bytes: Vec<u8> = table.iter().flat_map(|v| v.to_le_bytes()).collect();
    let table = [
        number(1, WORDS.len() as u64),
        number(1, width as u64),
        number(2, 1),
        text(8, "table"),
        message(9, &bytes),
    ];
    graph.extend(text(2, "lookup"));
    graph.extend(message(5, &table.concat()));
    for input in ["input_ids", "attention_mask", "token_type_ids"] {
        graph.extend(message(11, &value(input, 7, &[None, None])));
    }
    let width = Some(width as u64);
    let shape = if pooled {
        vec![None, width]
    } else {
        vec![None, None, width]
    };
    graph.extend(message(12, &value(name, 1, &shape)));
    let opset = message(8, &number(2, 18));
    [number(1, 8), opset, message(7, &graph)].concat()
}

fn row(output: Output, token: usize) -> Vec<f32> {
    let t = token as f32;
    match output {
        Output::Logits => (0..WORDS.len())
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

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|input| text(1, input)).collect();
    node.extend(text(2, output));
    node.extend(text(4, operator));
    node
}

/// A named tensor; `None` is a dimension that a run decides.
fn value(name: &str, element: u64, shape: &[Option<u64>]) -> Vec<u8> {
    let dimensions: Vec<u8> = shape
        .iter()
        .enumerate()
        .flat_map(|(index, size)| {
            let symbol = format!("{name}_{index}");
            message(
                1,
                &size.map_or_else(|| text(2, &symbol), |size| number(1, size)),
            )
        })
        .collect();
    let tensor = [number(1, element), message(2, &dimensions)].concat();
    [text(1, name), message(2, &message(1, &tensor))].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    message(field, value.as_bytes())
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
