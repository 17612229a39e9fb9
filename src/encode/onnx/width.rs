//! How many numbers a row of a value has, where the file leaves that open.

use super::graph::{Graph, Node};

/// Operators whose rows are as wide as those of their first input.
const SAME_WIDTH: [&str; 9] = [
    "Cast",
    "Clip",
    "Div",
    "Elu",
    "Identity",
    "LeakyRelu",
    "Relu",
    "Sigmoid",
    "Tanh",
];
/// Most steps back through a graph; a pooled vector's last product is some ten steps before it.
const MOST_STEPS: usize = 32;

impl Graph {
    /// Return the numbers in a row of the value `name`, by the last product with weights before it; `None` if there is none
    /// that is recognised.
    pub fn width_of(&self, name: &str) -> Option<u64> {
        let mut name = name;
        for _ in 0..MOST_STEPS {
            let node = self.producer(name)?;
            if let Some(width) = self.width_of_weights(node) {
                return Some(width);
            }
            let of = |n: usize| node.inputs.get(n).map(String::as_str);
            name = match &*node.operator {
                operator if SAME_WIDTH.contains(&operator) => of(0)?,
                "Add" | "Mul" => of(0).filter(|input| self.tensor(input).is_none())?,
                _ => return None,
            };
        }
        None
    }

    /// Return the width that the weights of a node give its rows.
    fn width_of_weights(&self, node: &Node) -> Option<u64> {
        let dims = |n: usize| Some(self.tensor(node.inputs.get(n)?)?.dims.as_slice());
        match &*node.operator {
            "Gemm" => dims(2).and_then(|bias| bias.last().copied()),
            "MatMul" => dims(1).and_then(|weights| weights.last().copied()),
            "LayerNormalization" => dims(1).and_then(|scale| scale.last().copied()),
            "Add" | "Mul" => {
                let mut vectors = [0, 1].into_iter().filter_map(dims);
                vectors.find_map(|dims| match dims {
                    [width] if *width > 1 => Some(*width),
                    _ => None,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::onnx::Tensor;

    #[test]
    fn the_last_weights_give_the_width() {
        let tensors = vec![
            Tensor::floats("w", &[3, 5], &[0.0; 15]),
            Tensor::floats("b", &[5], &[0.0; 5]),
            Tensor::floats("one", &[1], &[1.0]),
        ];
        let graph = |nodes: Vec<Node>| Graph {
            nodes,
            tensors: tensors.clone(),
            ..Graph::default()
        };
        let project = |operator: &str, inputs: &[&str]| {
            graph(vec![
                Node::new("ReduceMean", &["x"], &["mean"]),
                Node::new(operator, inputs, &["y"]),
                Node::new("Tanh", &["y"], &["t"]),
                Node::new("Div", &["t", "norm"], &["out"]),
            ])
        };
        for (operator, inputs, width) in [
            ("Gemm", &["mean", "w", "b"][..], Some(5)),
            ("MatMul", &["mean", "w"], Some(5)),
            ("Add", &["b", "mean"], Some(5)),
            ("Mul", &["mean", "one"], None),
            ("Relu", &["mean"], None),
        ] {
            assert_eq!(
                project(operator, inputs).width_of("out"),
                width,
                "{operator}"
            );
        }
        // A cycle, which no valid graph has.
        let circle = graph(vec![Node::new("Tanh", &["a"], &["a"])]);
        assert_eq!(circle.width_of("a"), None);
    }
}
