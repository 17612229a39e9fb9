//! Attention as one operator.

use super::index::Index;
use super::{RUNTIME, use_runtime_operators};
use crate::encode::onnx::graph::{Attribute, Names, Node, Proto};
use crate::encode::onnx::tensor::Tensor;

/// From here on a softmax without an axis is over the last dimension.
const AXIS_IS_LAST: u64 = 13;

/// [B, L, heads, size] to [B, heads, L, size], and back.
const HEADS: [i64; 4] = [0, 2, 1, 3];

/// Attention that was recognised: softmax(queries x keys * scale + mask) x values, for each head.
struct Attention {
    /// Position of the node that joins the heads again.
    joint: usize,
    /// [B, L, heads * size].
    queries: String,
    keys: String,
    values: String,
    /// What is added to the scores; any shape that broadcasts to [B, heads, L, L].
    mask: Option<String>,
    heads: i64,
    scale: f32,
}

/// One of the three inputs, as rows and by head.
struct Heads<'a> {
    /// [B, L, heads * size].
    rows: &'a str,
    /// [B, heads, L, size].
    split: &'a str,
    heads: i64,
    size: i64,
}

/// Replaces attention with `MultiHeadAttention` of ONNX Runtime, and returns how often.
///
/// Recognised are BERT's relatives as PyTorch's exporters and optimum write them: a reshape to heads, a transposition, a
/// product scaled before or after, an added mask of any kind, a softmax, a product, and the way back. Rotated positions and
/// grouped heads are not.
pub fn fuse_attention(proto: &mut Proto) -> usize {
    let opset = proto.opset();
    let index = Index::of(&proto.graph);
    let nodes = proto.graph.nodes.iter().enumerate();
    let found: Vec<_> = nodes
        .filter_map(|(joint, node)| recognise(&index, joint, node, opset))
        .collect();
    if found.is_empty() {
        return 0;
    }
    let mut names = Names::of(&proto.graph);
    let mut fused = found.iter().peekable();
    let mut nodes = Vec::with_capacity(proto.graph.nodes.len());
    let mut constants = vec![];
    let mut constant = |names: &mut Names, values: &[i64]| {
        let name = names.fresh("attention_integers");
        constants.push(Tensor::integers(&name, values));
        name
    };
    let [zero, one, two, ones] =
        [&[0][..], &[1], &[2], &[1, 1]].map(|values| constant(&mut names, values));
    for (position, mut node) in std::mem::take(&mut proto.graph.nodes)
        .into_iter()
        .enumerate()
    {
        if let Some(attention) = fused.next_if(|attention| attention.joint == position) {
            let mut fresh = |stem: &str| names.fresh(&format!("attention_{stem}"));
            let bias = attention.mask.as_ref().map(|mask| {
                // The kernels want the mask for every query: [.., L, L].
                let [shape, length, whole, bias] =
                    ["shape", "length", "whole", "bias"].map(&mut fresh);
                nodes.extend([
                    Node::new("Shape", &[&attention.queries], &[&shape]),
                    Node::new("Slice", &[&shape, &one, &two, &zero], &[&length]),
                    Node::new("Concat", &[&ones, &length, &one], &[&whole])
                        .with(Attribute::integer("axis", 0)),
                    Node::new("Expand", &[mask, &whole], &[&bias]),
                ]);
                bias
            });
            let output = fresh("output");
            nodes.push(attention.node(bias.as_deref(), &output));
            node.inputs[0] = output;
        }
        nodes.push(node);
    }
    proto.graph.nodes = nodes;
    proto.graph.tensors.extend(constants);
    proto.graph.prune();
    use_runtime_operators(proto);
    found.len()
}

impl Attention {
    fn node(&self, bias: Option<&str>, output: &str) -> Node {
        let rows = [&*self.queries, &self.keys, &self.values];
        // Between values and bias come a bias of the products and a mask of lengths.
        let more = bias.map(|bias| ["", "", bias]);
        let inputs: Vec<&str> = rows.into_iter().chain(more.into_iter().flatten()).collect();
        Node {
            domain: RUNTIME.to_owned(),
            ..Node::new("MultiHeadAttention", &inputs, &[output])
        }
        .with(Attribute::integer("num_heads", self.heads))
        .with(Attribute::float("scale", self.scale))
    }
}

fn recognise(index: &Index<'_>, joint: usize, node: &Node, opset: u64) -> Option<Attention> {
    if !node.is("Reshape") {
        return None;
    }
    let mixed = index.transposed(node.inputs.first()?, &HEADS)?;
    let [shares, values] = index.made_by(mixed, "MatMul")?.inputs.as_slice() else {
        return None;
    };
    let values = split_heads(index, values)?;
    let softmax = softmax(index, shares, opset)?;
    let scores = softmax.inputs.first()?;
    let masked = index.made_by(scores, "Add").and_then(|sum| {
        let mut pairs = Index::pairs(sum);
        pairs.find_map(|(scores, mask)| Some((self::scores(index, scores)?, Some(mask))))
    });
    let ((queries, keys, scale), mask) = match masked {
        Some(masked) => masked,
        None => (self::scores(index, scores)?, None),
    };
    let is_alike = |other: &Heads<'_>| (other.heads, other.size) == (queries.heads, queries.size);
    (is_alike(&keys) && is_alike(&values)).then(|| Attention {
        joint,
        queries: queries.rows.to_owned(),
        keys: keys.rows.to_owned(),
        values: values.rows.to_owned(),
        mask: mask.map(str::to_owned),
        heads: queries.heads,
        scale,
    })
}

/// The softmax over the last dimension that makes `shares`. What it gives for a row that is masked throughout, NaN, may be
/// replaced by 0: no row of a batch is.
fn softmax<'a>(index: &Index<'a>, shares: &str, opset: u64) -> Option<&'a Node> {
    let safe = index.made_by(shares, "Where").and_then(|node| {
        let [condition, zero, shares] = node.inputs.as_slice() else {
            return None;
        };
        let tested = index.made_by(condition, "IsNaN")?.inputs.first()?;
        (tested == shares && index.float(zero) == Some(0.0)).then_some(&**shares)
    });
    let node = index.made_by(safe.unwrap_or(shares), "Softmax")?;
    let axis = node.attribute("axis").map(Attribute::as_integers);
    let is_last = match axis.as_deref() {
        Some([axis]) => matches!(axis, -1 | 3),
        Some(_) => false,
        None => opset >= AXIS_IS_LAST,
    };
    is_last.then_some(node)
}

/// The queries and keys of which `name` has the products, and their scale.
fn scores<'a>(index: &Index<'a>, name: &'a str) -> Option<(Heads<'a>, Heads<'a>, f32)> {
    let (product, factors) = unscaled(index, name);
    let [queries, keys] = index.made_by(product, "MatMul")?.inputs.as_slice() else {
        return None;
    };
    let (queries, of_queries) = unscaled(index, queries);
    let (keys, of_keys) = unscaled(index, keys);
    let queries = split_heads(index, queries)?;
    let keys = turned_heads(index, keys)?;
    let mut scale = 1.0;
    for (operator, factor) in factors.into_iter().chain(of_queries).chain(of_keys) {
        let factor = number(index, factor, &queries, 0)?;
        match operator {
            Scaling::By => scale *= factor,
            Scaling::Over => scale /= factor,
        }
    }
    (scale.is_finite() && scale > 0.0).then_some((queries, keys, scale))
}

#[derive(Clone, Copy)]
enum Scaling {
    By,
    Over,
}

/// What remains of `name` without multiplications and divisions by what is no product or transposition itself, and those.
fn unscaled<'a>(index: &Index<'a>, name: &'a str) -> (&'a str, Vec<(Scaling, &'a str)>) {
    const MOST: usize = 3;
    let is_rows = |name: &str| {
        let maker = index.maker(name);
        let operators = ["MatMul", "Transpose", "Reshape", "Mul", "Div"];
        maker.is_some_and(|node| operators.iter().any(|operator| node.is(operator)))
            && index.constant(name).is_none()
    };
    let (mut name, mut factors) = (name, Vec::new());
    while let Some(node) = index.maker(name)
        && factors.len() < MOST
    {
        let [left, right] = node.inputs.as_slice() else {
            break;
        };
        let (rows, factor) = match (node.is("Mul"), node.is("Div")) {
            (true, _) if is_rows(left) && !is_rows(right) => (left, (Scaling::By, &**right)),
            (true, _) if is_rows(right) && !is_rows(left) => (right, (Scaling::By, &**left)),
            (_, true) if is_rows(left) => (left, (Scaling::Over, &**right)),
            _ => break,
        };
        factors.push(factor);
        name = rows;
    }
    (name, factors)
}

/// The value of a number that a graph computes of constants and of the size of a head, as in `sqrt(1 / sqrt(size))`.
fn number(index: &Index<'_>, name: &str, heads: &Heads<'_>, depth: usize) -> Option<f32> {
    const DEEPEST: usize = 8;
    if depth > DEEPEST {
        return None;
    }
    if let Some(constant) = index.float(name) {
        return Some(constant);
    }
    let node = index.maker(name)?;
    let input = |n: usize| number(index, node.inputs.get(n)?, heads, depth + 1);
    match &*node.operator {
        "Cast" => input(0),
        "Sqrt" => Some(input(0)?.sqrt()),
        "Div" => Some(input(0)? / input(1)?),
        "Mul" => Some(input(0)? * input(1)?),
        "Slice" | "Gather" => {
            let shape = index.made_by(node.inputs.first()?, "Shape")?;
            let of = shape.inputs.first()?;
            let place = index.integers(node.inputs.get(1)?)?;
            let is_last = of == heads.split && matches!(place[..], [-1 | 3]);
            is_last.then_some(heads.size as f32)
        }
        _ => None,
    }
}

/// Rows split into heads: a reshape to [B, L, heads, size] and a transposition.
fn split_heads<'a>(index: &Index<'a>, name: &'a str) -> Option<Heads<'a>> {
    let reshaped = index.transposed(name, &HEADS)?;
    heads(index, reshaped, name)
}

/// The same with the last two dimensions exchanged, as keys come.
fn turned_heads<'a>(index: &Index<'a>, name: &'a str) -> Option<Heads<'a>> {
    if let Some(reshaped) = index.transposed(name, &[0, 2, 3, 1]) {
        return heads(index, reshaped, name);
    }
    if let Some(split) = index.transposed(name, &[0, 1, 3, 2]) {
        return split_heads(index, split);
    }
    // As three dimensions, with the heads of all texts in one.
    let turned = index.made_by(name, "Reshape")?.inputs.first()?;
    let flat = index.transposed(turned, &[0, 2, 1])?;
    let split = index.made_by(flat, "Reshape")?.inputs.first()?;
    split_heads(index, split)
}

/// What `reshaped` splits; `split` is it with the heads before the positions.
fn heads<'a>(index: &Index<'a>, reshaped: &str, split: &'a str) -> Option<Heads<'a>> {
    let [rows, shape] = index.made_by(reshaped, "Reshape")?.inputs.as_slice() else {
        return None;
    };
    let (heads, size) = last_dimensions(index, shape)?;
    let width = || width(index, rows);
    let (heads, size) = match (heads, size) {
        (Some(heads), Some(size)) => (heads, size),
        (Some(heads), None) => (heads, width()? / heads),
        (None, Some(size)) => (width()? / size, size),
        (None, None) => return None,
    };
    Some(Heads {
        rows,
        split,
        heads,
        size,
    })
}

/// The last two of the dimensions that a shape names; `None` for one that is not a constant.
fn last_dimensions(index: &Index<'_>, shape: &str) -> Option<(Option<i64>, Option<i64>)> {
    let known = |size: i64| (size > 0).then_some(size);
    if let Some(sizes) = index.integers(shape) {
        let [_, _, heads, size] = sizes[..] else {
            return None;
        };
        return Some((known(heads), known(size)));
    }
    let parts = &index.made_by(shape, "Concat")?.inputs;
    let [.., heads, size] = parts.as_slice() else {
        return None;
    };
    let one = |name: &str| match index.integers(name)?[..] {
        [size] => known(size),
        _ => None,
    };
    Some((one(heads), one(size)))
}

/// Numbers in a row that a product with constants, and perhaps an added bias, makes.
fn width(index: &Index<'_>, rows: &str) -> Option<i64> {
    let node = index.maker(rows)?;
    let dims = |name: &String| index.constant(name).map(|tensor| tensor.dims.clone());
    let width = match (node.is("Add"), node.is("MatMul")) {
        (true, _) => node.inputs.iter().find_map(|name| match dims(name)?[..] {
            [width] => Some(width),
            _ => None,
        }),
        (_, true) => match dims(node.inputs.get(1)?)?[..] {
            [_, width] => Some(width),
            _ => None,
        },
        _ => None,
    };
    i64::try_from(width?).ok()
}
