//! A product's bias, a residual and a normalisation as one operator.

use super::index::Index;
use super::{RUNTIME, use_runtime_operators};
use crate::encode::onnx::graph::{Attribute, Node, Proto};

/// Replaces normalised sums of a product, its bias and a residual with `SkipLayerNormalization` of ONNX Runtime, and returns
/// how often.
pub fn fuse_norms(proto: &mut Proto) -> usize {
    let index = Index::of(&proto.graph);
    let nodes = proto.graph.nodes.iter().enumerate();
    let found: Vec<(usize, Node)> = nodes
        .filter_map(|(position, node)| Some((position, recognise(&index, node)?)))
        .collect();
    if found.is_empty() {
        return 0;
    }
    let n_found = found.len();
    for (position, node) in found {
        proto.graph.nodes[position] = node;
    }
    proto.graph.prune();
    use_runtime_operators(proto);
    n_found
}

fn recognise(index: &Index<'_>, node: &Node) -> Option<Node> {
    let [sum, scale, shift] = node.inputs.as_slice() else {
        return None;
    };
    let axis = node.attribute("axis").map(Attribute::as_integers);
    let is_last = axis.is_none_or(|axis| axis == [-1]);
    if !node.is("LayerNormalization") || node.outputs.len() != 1 || !is_last {
        return None;
    }
    if !index.is_used_once(sum) {
        return None;
    }
    let is_vector = |name: &str| index.constant(name).is_some_and(|t| t.dims.len() == 1);
    let biased = |name: &str| -> Option<(&str, &str)> {
        let sum = index.made_by(name, "Add")?;
        let mut pairs = Index::pairs(sum);
        pairs.find(|(product, bias)| index.made_by(product, "MatMul").is_some() && is_vector(bias))
    };
    let sum = index.made_by(sum, "Add")?;
    let ((product, bias), residual) = Index::pairs(sum)
        .find_map(|(branch, residual)| Some((biased(branch)?, residual)))
        // A constant is broadcast; a residual is not.
        .filter(|(_, residual)| index.constant(residual).is_none())?;
    let inputs = [product, residual, scale, shift, bias];
    let epsilon = node.attribute("epsilon").cloned();
    let epsilon = epsilon.unwrap_or_else(|| Attribute::float("epsilon", 1e-5));
    let fused = Node::new("SkipLayerNormalization", &inputs, &[&node.outputs[0]]).with(epsilon);
    Some(Node {
        domain: RUNTIME.to_owned(),
        ..fused
    })
}
