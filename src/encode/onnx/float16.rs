//! Converts a graph of 32-bit floats to 16 bits, for devices that multiply those faster.
//!
//! Every weight and intermediate value has 16 bits. Inputs are integers and stay as they are; outputs are widened again, so
//! that their readers see no difference. CUDA kernels for 16 bits accumulate in 32.

use super::error::OnnxError;
use super::graph::{Attribute, Graph, Names, Node, Proto, ValueInfo};
use super::tensor::{Data, Element, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt as _;

/// Operators whose floats the standard keeps at 32 bits, or whose meaning lies in them.
const REFUSED: [&str; 12] = [
    "DynamicQuantizeLinear",
    "QuantizeLinear",
    "DequantizeLinear",
    "MatMulInteger",
    "Range",
    "Resize",
    "Upsample",
    "RandomNormal",
    "RandomUniform",
    "If",
    "Loop",
    "Scan",
];

/// Converts the graph in place. Numbers beyond 65,504, the largest of 16 bits, become that: masks are written as
/// the lowest float, and must stay finite.
///
/// # Errors
/// Those of reading weights; `Unsupported` for an operator set before 11, for operators that have no 16 bits, and for
/// a graph without 32-bit weights.
pub fn to_float16(proto: &mut Proto) -> Result<(), OnnxError> {
    proto.check_opset()?;
    let graph = &mut proto.graph;
    check_operators(graph)?;
    let outputs = widened_outputs(graph);
    let mut weights = 0;
    for tensor in &mut graph.tensors {
        if tensor.element == Element::FLOAT {
            *tensor = narrowed(tensor)?;
            weights += 1;
        }
    }
    if weights == 0 {
        let text = "the graph has no 32-bit weights to turn into 16 bits".to_owned();
        return Err(OnnxError::Unsupported(text));
    }
    for node in &mut graph.nodes {
        narrow_node(node)?;
    }
    graph.nodes.extend(outputs);
    // Also drops what the file says of values in between, which have 16 bits now.
    graph.prune();
    Ok(())
}

fn check_operators(graph: &Graph) -> Result<(), OnnxError> {
    let has_floats = |node: &Node| {
        // Ranges of positions are integers.
        !node.is("Range")
            || node.inputs.iter().any(|input| {
                let tensor = graph.tensor(graph.behind_copies(input));
                tensor.is_some_and(|tensor| tensor.element == Element::FLOAT)
            })
    };
    let refused = graph
        .nodes
        .iter()
        .find(|node| REFUSED.iter().any(|operator| node.operator == *operator) && has_floats(node));
    match refused {
        None => Ok(()),
        Some(node) => Err(OnnxError::Unsupported(format!(
            "its operator {} has no form in 16 bits here; export the model in 16 bits",
            node.operator
        ))),
    }
}

/// Gives each 32-bit output of the graph a 16-bit value of another name, and returns the casts back.
fn widened_outputs(graph: &mut Graph) -> Vec<Node> {
    let mut names = Names::of(graph);
    let is_float = |output: &&ValueInfo| output.element == Some(Element::FLOAT);
    let floats: Vec<String> = graph
        .outputs
        .iter()
        .filter(is_float)
        .map(|o| o.name.clone())
        .collect();
    let mut casts = Vec::new();
    for name in floats {
        let inner = names.fresh(&format!("{name}_float16"));
        let values = graph
            .nodes
            .iter_mut()
            .flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
        values
            .filter(|value| **value == name)
            .for_each(|value| value.clone_from(&inner));
        casts.push(Node::new("Cast", &[&inner], &[&name]).with(cast_to(Element::FLOAT)));
    }
    casts
}

/// Casts to 32 bits become casts to 16, and constants within attributes change with them.
fn narrow_node(node: &mut Node) -> Result<(), OnnxError> {
    if node.is("Cast")
        && node.attribute("to").map(Attribute::as_integers) == Some(vec![Element::FLOAT.0 as i64])
    {
        node.attributes.retain(|attribute| attribute.name != "to");
        node.attributes.push(cast_to(Element::FLOAT16));
    }
    if !node.is("Constant") && !node.is("ConstantOfShape") {
        return Ok(());
    }
    if node.is("ConstantOfShape") && node.attributes.is_empty() {
        // By default it fills with a 32-bit zero.
        node.attributes.push(Attribute::tensor(
            "value",
            &Tensor::new("", Element::FLOAT16, &[1], vec![0, 0]),
        ));
    }
    for attribute in &mut node.attributes {
        let floats = match attribute.name.as_str() {
            "value" => match attribute.as_tensor() {
                Some(tensor) if tensor.element == Element::FLOAT => Some(tensor),
                _ => None,
            },
            "value_float" => attribute
                .as_floats()
                .first()
                .map(|value| Tensor::floats("", &[], &[*value])),
            "value_floats" => {
                let values = attribute.as_floats();
                Some(Tensor::floats("", &[values.len() as u64], &values))
            }
            _ => None,
        };
        if let Some(floats) = floats {
            *attribute = Attribute::tensor("value", &narrowed(&floats)?);
        }
    }
    Ok(())
}

/// The tensor in 16 bits, rounded to nearest, ties to even.
fn narrowed(tensor: &Tensor) -> Result<Tensor, OnnxError> {
    let mut values = tensor.read_floats()?;
    let largest = f16::MAX.to_f32();
    for value in &mut values {
        // A NaN stays one, and is found when the model is tried.
        *value = value.clamp(-largest, largest);
    }
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(&values);
    let bytes = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
    Ok(Tensor {
        element: Element::FLOAT16,
        data: Data::Here(bytes),
        is_external: false,
        ..tensor.clone()
    })
}

fn cast_to(element: Element) -> Attribute {
    Attribute::integer("to", element.0 as i64)
}
