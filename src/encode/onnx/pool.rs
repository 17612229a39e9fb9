//! Folds the pooling of hidden states into a graph, so that a device returns one row for each text.
//!
//! BGE-M3's hidden states of 8,192 tokens are 32 MB, of which the first row of each text is used. Copying them took a tenth
//! of a run's time on an H200 in 16 bits.

use super::error::OnnxError;
use super::graph::{Attribute, Names, Node, Proto, ValueInfo};
use super::tensor::Tensor;

/// How rows become the one of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The first position's.
    First,
    /// The mean over the positions that `attention_mask` does not hide.
    Mean,
}

/// `ReduceSum` takes its axes as an input from here on.
const AXES_AS_INPUT: u64 = 13;

/// Replaces the output `name`, hidden states [B, L, H], by [B, 1, H] under the same name; other outputs are dropped.
///
/// # Errors
/// `Unsupported` for an operator set before 13, for an output that is not there, and for a mean without
/// `attention_mask` among the inputs.
pub fn pool_rows(proto: &mut Proto, name: &str, rows: Rows) -> Result<(), OnnxError> {
    proto.check_opset()?;
    let unsupported = |text: String| Err(OnnxError::Unsupported(text));
    if proto.opset() < AXES_AS_INPUT {
        return unsupported(format!(
            "operator set {} sums over fixed axes",
            proto.opset()
        ));
    }
    let graph = &mut proto.graph;
    let Some(output) = graph.outputs.iter().find(|output| output.name == name) else {
        return unsupported(format!("the graph has no output {name}"));
    };
    let (Some(element), Some([batch, _, width])) = (output.element, output.shape.as_deref()) else {
        return unsupported(format!("the graph does not state the shape of {name}"));
    };
    let (batch, width) = (*batch, *width);
    const MASK: &str = "attention_mask";
    if rows == Rows::Mean && !graph.inputs.iter().any(|input| input.name == MASK) {
        return unsupported(format!("the graph has no input {MASK}"));
    }
    let mut names = Names::of(graph);
    let hidden = names.fresh(&format!("{name}_rows"));
    for node in &mut graph.nodes {
        let values = node.inputs.iter_mut().chain(&mut node.outputs);
        values
            .filter(|value| *value == name)
            .for_each(|value| value.clone_from(&hidden));
    }
    let mut constant = |stem: &str, values: &[i64]| {
        let constant = names.fresh(&format!("pooled_{stem}"));
        graph.tensors.push(Tensor::integers(&constant, values));
        constant
    };
    let one = constant("one", &[1]);
    match rows {
        Rows::First => {
            let zero = constant("zero", &[0]);
            graph
                .nodes
                .push(Node::new("Slice", &[&hidden, &zero, &one, &one], &[name]));
        }
        Rows::Mean => {
            let two = constant("two", &[2]);
            let [kept, column, products, sums, counts] =
                ["kept", "column", "products", "sums", "counts"]
                    .map(|stem| names.fresh(&format!("pooled_{stem}")));
            let to = Attribute::integer("to", element.0 as i64);
            let sum = |from: &str, to: &str| {
                Node::new("ReduceSum", &[from, &one], &[to]).with(Attribute::integer("keepdims", 1))
            };
            graph.nodes.extend([
                Node::new("Cast", &[MASK], &[&kept]).with(to),
                Node::new("Unsqueeze", &[&kept, &two], &[&column]),
                Node::new("Mul", &[&hidden, &column], &[&products]),
                sum(&products, &sums),
                sum(&column, &counts),
                Node::new("Div", &[&sums, &counts], &[name]),
            ]);
        }
    }
    graph.outputs = vec![ValueInfo::tensor(name, element, &[batch, Some(1), width])];
    graph.prune();
    Ok(())
}
