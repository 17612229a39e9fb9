//! Finds the makers of values in a graph, and what is known of constants.

use crate::encode::onnx::graph::{Attribute, Graph, Node};
use crate::encode::onnx::tensor::{Data, Element, Tensor};
use std::borrow::Cow;
use std::collections::HashMap;

/// Nodes and constants by the names of what they make.
pub(super) struct Index<'a> {
    makers: HashMap<&'a str, &'a Node>,
    tensors: HashMap<&'a str, &'a Tensor>,
    /// How many nodes take each value, and how often it is an output of the graph.
    uses: HashMap<&'a str, usize>,
}

impl<'a> Index<'a> {
    pub fn of(graph: &'a Graph) -> Self {
        let made = |node: &'a Node| node.outputs.iter().map(move |output| (&**output, node));
        let mut uses = HashMap::new();
        let taken = graph.nodes.iter().flat_map(|node| &node.inputs);
        let outputs = graph.outputs.iter().map(|output| &output.name);
        for name in taken.chain(outputs) {
            *uses.entry(&**name).or_insert(0) += 1;
        }
        Self {
            makers: graph.nodes.iter().flat_map(made).collect(),
            tensors: graph.tensors.iter().map(|t| (&*t.name, t)).collect(),
            uses,
        }
    }

    /// The node that makes `name`, if it is this operator of the common set.
    pub fn made_by(&self, name: &str, operator: &str) -> Option<&'a Node> {
        self.maker(name).filter(|node| node.is(operator))
    }

    /// The node that makes `name`, behind plain copies.
    pub fn maker(&self, name: &str) -> Option<&'a Node> {
        let mut node = *self.makers.get(name)?;
        // A damaged graph may have a circle.
        for _ in 0..self.makers.len() {
            match node.inputs.first() {
                Some(input) if node.is("Identity") => node = self.makers.get(&**input)?,
                _ => break,
            }
        }
        Some(node)
    }

    /// The transposition that makes `name`, if it puts the dimensions in this order.
    pub fn transposed(&self, name: &str, order: &[i64]) -> Option<&'a str> {
        let node = self.made_by(name, "Transpose")?;
        let found = node.attribute("perm").map(Attribute::as_integers)?;
        (found == order).then(|| node.inputs.first().map(|input| &**input))?
    }

    /// Whether one node takes this value and nothing else does.
    pub fn is_used_once(&self, name: &str) -> bool {
        self.uses.get(name) == Some(&1)
    }

    /// A constant: one of the graph's tensors, or what a `Constant` holds.
    pub fn constant(&self, name: &str) -> Option<Cow<'a, Tensor>> {
        let mut name = name;
        for _ in 0..=self.makers.len() {
            if let Some(tensor) = self.tensors.get(name) {
                return Some(Cow::Borrowed(*tensor));
            }
            let node = self.makers.get(name)?;
            match node.inputs.first() {
                Some(input) if node.is("Identity") => name = input,
                _ if node.is("Constant") => {
                    return node.attribute("value")?.as_tensor().map(Cow::Owned);
                }
                _ => return None,
            }
        }
        None
    }

    /// The 64-bit integers of a constant.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let tensor = self.constant(name)?;
        match (&tensor.data, tensor.element) {
            (Data::Here(bytes), Element::INT64) => {
                let (numbers, _) = bytes.as_chunks::<8>();
                Some(numbers.iter().map(|n| i64::from_le_bytes(*n)).collect())
            }
            _ => None,
        }
    }

    /// The one float of a constant.
    pub fn float(&self, name: &str) -> Option<f32> {
        let tensor = self.constant(name)?;
        let is_single = tensor.dims.iter().product::<u64>() == 1;
        let floats = is_single.then(|| tensor.read_floats().ok())??;
        floats.first().copied()
    }

    /// The two inputs of a node, in both orders.
    pub fn pairs(node: &'a Node) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pair = match node.inputs.as_slice() {
            [left, right] => Some((&**left, &**right)),
            _ => None,
        };
        let swapped = pair.map(|(left, right)| (right, left));
        pair.into_iter().chain(swapped)
    }
}
