//! The maximum over positions of the scores of a vocabulary.

use super::index::Index;
use crate::encode::onnx::graph::{Attribute, Names, Node, Proto};
use crate::encode::onnx::tensor::{Data, Tensor};
use std::borrow::Cow;

/// Into how many parts positions are split: runs must have a multiple of so many.
pub const PARTS: usize = 8;

/// Matrix kernels for tensor cores want rows of so many numbers.
const ALIGNED: u64 = 8;

/// `Split` takes the number of parts from here on.
const SPLIT_BY_NUMBER: u64 = 18;

/// Numbers in a row of hidden states at most: a damaged file may state any number.
const WIDEST: u64 = 1 << 16;

/// A product [B, L, H] x [H, V] of which only the maximum over L is used.
struct Maximum<'a> {
    /// Position of the node that takes the maximum.
    position: usize,
    node: &'a Node,
    rows: &'a str,
    /// The constant [H, V], or [V, H] as tied to the embeddings.
    table: &'a str,
    weights: Cow<'a, Tensor>,
    is_tied: bool,
}

/// Takes the maximum over positions in two steps: over [`PARTS`] parts of the positions element by element, then within a
/// part, since a GPU compares whole matrices at the speed of its memory, and positions of one at a fraction of it. Adds
/// columns of zeros for an aligned product. Returns whether such a maximum was there.
pub fn split_maximum(proto: &mut Proto) -> bool {
    let opset = proto.opset();
    let index = Index::of(&proto.graph);
    let mut nodes = proto.graph.nodes.iter().enumerate();
    let found = nodes.find_map(|(position, node)| recognise(&index, position, node));
    let Some(found) = found else {
        return false;
    };
    let mut names = Names::of(&proto.graph);
    let mut fresh = |stem: &str| names.fresh(&format!("maximum_{stem}"));
    let mut tensors = Vec::new();
    let mut nodes = Vec::new();

    let turned = found.is_tied;
    let (height, width) = match (turned, &found.weights.dims[..]) {
        (false, [height, width]) | (true, [width, height]) => (*height, *width),
        _ => return false,
    };
    let Some(aligned) = width.checked_next_multiple_of(ALIGNED) else {
        return false;
    };
    if height > WIDEST {
        return false;
    }
    let missing = aligned - width;
    let mut table = found.table.to_owned();
    if missing > 0 {
        let dims = match turned {
            true => [missing, height],
            false => [height, missing],
        };
        let (zeros, wide) = (fresh("zeros"), fresh("table"));
        let mut tensor = Tensor::new(&zeros, found.weights.element, &dims, Vec::new());
        let Some(n_bytes) = tensor.size() else {
            return false;
        };
        tensor.data = Data::Here(vec![0; n_bytes as usize]);
        tensors.push(tensor);
        let axis = Attribute::integer("axis", i64::from(!turned));
        nodes.push(Node::new("Concat", &[&table, &zeros], &[&wide]).with(axis));
        table = wide;
    }
    if turned {
        let plain = fresh("weights");
        let order = Attribute::integers("perm", &[1, 0]);
        nodes.push(Node::new("Transpose", &[&table], &[&plain]).with(order));
        table = plain;
    }
    let parts: Vec<String> = (0..PARTS).map(|_| fresh("rows")).collect();
    let outputs: Vec<&str> = parts.iter().map(|part| &**part).collect();
    let mut split = Node::new("Split", &[found.rows], &outputs).with(Attribute::integer("axis", 1));
    if opset >= SPLIT_BY_NUMBER {
        split = split.with(Attribute::integer("num_outputs", PARTS as i64));
    }
    nodes.push(split);
    let mut scores = Vec::with_capacity(PARTS);
    for part in &parts {
        let product = fresh("scores");
        nodes.push(Node::new("MatMul", &[part, &table], &[&product]));
        scores.push(product);
    }
    while scores.len() > 1 {
        let highest = scores.chunks(2).map(|pair| {
            let highest = fresh("of_parts");
            let inputs: Vec<&str> = pair.iter().map(|name| &**name).collect();
            nodes.push(Node::new("Max", &inputs, &[&highest]));
            highest
        });
        scores = highest.collect();
    }
    let mut last = found.node.clone();
    last.inputs[0] = scores.swap_remove(0);
    if missing > 0 {
        let output = last.outputs[0].clone();
        let wide = fresh("wide");
        last.outputs[0] = wide.clone();
        let mut integers = |values: &[i64]| {
            let name = fresh("integers");
            tensors.push(Tensor::integers(&name, values));
            name
        };
        let (start, end, axis) = (integers(&[0]), integers(&[width as i64]), integers(&[-1]));
        nodes.push(last);
        nodes.push(Node::new(
            "Slice",
            &[&wide, &start, &end, &axis],
            &[&output],
        ));
    } else {
        nodes.push(last);
    }
    let position = found.position;
    proto.graph.nodes.splice(position..=position, nodes);
    proto.graph.tensors.extend(tensors);
    proto.graph.prune();
    true
}

fn recognise<'a>(index: &Index<'a>, position: usize, node: &'a Node) -> Option<Maximum<'a>> {
    if !node.is("ReduceMax") {
        return None;
    }
    let scores = node.inputs.first()?;
    let axes = match node.inputs.get(1) {
        Some(axes) => index.integers(axes)?,
        None => node.attribute("axes").map(Attribute::as_integers)?,
    };
    if axes != [1] || node.outputs.len() != 1 || !index.is_used_once(scores) {
        return None;
    }
    let [rows, weights] = index.made_by(scores, "MatMul")?.inputs.as_slice() else {
        return None;
    };
    let turned = index.made_by(weights, "Transpose");
    let (table, is_tied) = match turned.and_then(Node::as_transpose) {
        Some(table) => (&**table, true),
        None => (&**weights, false),
    };
    Some(Maximum {
        position,
        node,
        rows,
        table,
        weights: index.constant(table)?,
        is_tied,
    })
}
