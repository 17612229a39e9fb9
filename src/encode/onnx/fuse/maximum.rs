//! The maximum over positions of the scores of a vocabulary.

use super::index::Index;
use crate::encode::onnx::graph::{Attribute, Names, Node, Proto};
use crate::encode::onnx::tensor::{Data, Tensor};

/// Into how many parts positions are split: runs must have a multiple of so many.
pub const PARTS: usize = 8;

/// Matrix kernels for tensor cores want rows of so many numbers.
const ALIGNED: u64 = 8;

/// `Split` takes the number of parts from here on.
const SPLIT_BY_NUMBER: u64 = 18;

/// A product [B, L, H] x [H, V] of which only the maximum over L is used.
struct Maximum<'a> {
    /// Position of the node that takes the maximum.
    position: usize,
    node: &'a Node,
    rows: &'a str,
    weights: Weights<'a>,
}

enum Weights<'a> {
    /// [H, V].
    Plain(&'a str),
    /// [V, H], as tied to the embeddings.
    Turned(&'a str),
}

/// Takes the maximum over positions in two steps: over [`PARTS`] parts of the positions element by element, then within a
/// part, since a GPU compares whole matrices at the speed of its memory, and positions of one at a fraction of it. Adds
/// columns of zeros for an aligned product. Returns whether such a maximum was there.
pub fn split_maximum(proto: &mut Proto) -> bool {
    let opset = proto.opset();
    let index = Index::of(&proto.graph);
    let nodes = proto.graph.nodes.iter().enumerate();
    let Some(found) = nodes
        .filter_map(|(position, node)| recognise(&index, position, node))
        .next()
    else {
        return false;
    };
    let weights = match found.weights {
        Weights::Plain(name) | Weights::Turned(name) => index.constant(name),
    };
    let Some(weights) = weights else {
        return false;
    };
    let mut names = Names::of(&proto.graph);
    let mut fresh = |stem: &str| names.fresh(&format!("maximum_{stem}"));
    let mut tensors = Vec::new();
    let mut nodes = Vec::new();

    let (table, turned, (height, width)) = match (found.weights, &weights.dims[..]) {
        (Weights::Plain(name), [height, width]) => (name, false, (*height, *width)),
        (Weights::Turned(name), [width, height]) => (name, true, (*height, *width)),
        _ => return false,
    };
    let missing = width.next_multiple_of(ALIGNED) - width;
    let mut table = table.to_owned();
    if missing > 0 {
        let dims = match turned {
            true => [missing, height],
            false => [height, missing],
        };
        let (zeros, wide) = (fresh("zeros"), fresh("table"));
        let mut tensor = Tensor::new(&zeros, weights.element, &dims, Vec::new());
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
    let mut scores = Vec::new();
    for part in &parts {
        let product = fresh("scores");
        nodes.push(Node::new("MatMul", &[part, &table], &[&product]));
        scores.push(product);
    }
    while scores.len() > 1 {
        let pairs: Vec<Vec<String>> = scores.chunks(2).map(<[String]>::to_vec).collect();
        scores = Vec::new();
        for pair in pairs {
            let highest = fresh("of_parts");
            let inputs: Vec<&str> = pair.iter().map(|name| &**name).collect();
            nodes.push(Node::new("Max", &inputs, &[&highest]));
            scores.push(highest);
        }
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
    if axes != [1] || !index.is_used_once(scores) {
        return None;
    }
    let [rows, weights] = index.made_by(scores, "MatMul")?.inputs.as_slice() else {
        return None;
    };
    let is_matrix = |name: &str| index.constant(name).is_some_and(|t| t.dims.len() == 2);
    let turned = index.made_by(weights, "Transpose");
    let weights = match turned.and_then(Node::as_transpose) {
        Some(table) if is_matrix(table) => Weights::Turned(table),
        _ if is_matrix(weights) => Weights::Plain(weights),
        _ => return None,
    };
    Some(Maximum {
        position,
        node,
        rows,
        weights,
    })
}
