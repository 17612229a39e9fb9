//! Folds SPLADE's pooling and the top k into the graph.
//!
//! A graph with logits [B, L, V] returns 62 MB for 512 tokens of BERT's vocabulary, of which a few hundred numbers are used.
//! Padded rows are replaced by the first row (CLS), which changes no maximum over positions. The maximum is taken over the
//! last product, since adding a bias and ln(1 + relu(x)) keep the order of numbers. The logarithm, in 64 bits as in
//! [`crate::encode`], is taken of the top k only.

use super::error::OnnxError;
use super::graph::{Attribute, Graph, Names, Node, Proto, ValueInfo};
use super::tensor::{Element, Tensor};

/// What is to be folded.
pub struct Fold<'a> {
    /// The output to replace.
    pub output: &'a str,
    pub form: Form,
    /// Which of the V columns may be a term; the others get the weight 0 before the cut.
    pub kept: &'a [bool],
    /// Terms to hand out.
    pub top_k: usize,
}

/// What the output holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// [B, L, V]: of the maximum's positive part, ln(1 + x) is to be taken so many times.
    Logits { logarithms: u32 },
    /// [B, V], finished.
    Weights,
}

/// Where the maximum is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// Of the last product, before its bias: rows are masked at the width of the hidden states.
    Product,
    /// Of the logits, since nothing known makes them.
    Logits,
    /// The graph pools itself; only the cut was added.
    Cut,
}

/// `ReduceMax` takes its axes as an input from here on.
const AXES_AS_INPUT: u64 = 18;

/// Puts pooling and cut into the graph, whose only outputs then are the weights [B, K] f32, heaviest
/// first, and their columns [B, K] i64.
///
/// # Errors
/// `Unsupported` for an operator set before 11.
pub fn fold(proto: &mut Proto, fold: &Fold<'_>) -> Result<Folded, OnnxError> {
    proto.check_opset()?;
    let opset = proto.opset();
    let mut editor = Editor {
        names: Names::of(&proto.graph),
        graph: &mut proto.graph,
        opset,
    };
    let output = editor.graph.behind_copies(fold.output).to_owned();
    let (pooled, folded) = match (fold.form, editor.product(&output, fold.kept.len())) {
        (Form::Weights, _) => (fold.output.to_owned(), Folded::Cut),
        (Form::Logits { .. }, Some(product)) => (editor.pool_product(&product), Folded::Product),
        (Form::Logits { .. }, None) => (editor.pool_rows(&output), Folded::Logits),
    };
    editor.cut(&pooled, fold);
    proto.graph.prune();
    Ok(folded)
}

/// `rows` x `weights` (+ `bias`).
struct Product {
    rows: String,
    weights: String,
    bias: Option<String>,
}

struct Editor<'a> {
    graph: &'a mut Graph,
    names: Names,
    opset: u64,
}

impl Editor<'_> {
    /// The product that makes `output`, when it is a plain one over `width` columns.
    fn product(&self, output: &str, width: usize) -> Option<Product> {
        let graph = &*self.graph;
        let makes = |name: &str| graph.producer(graph.behind_copies(name));
        let last = graph.producer(output)?;
        let (product, bias) = if last.is("Add") {
            let [left, right] = last.inputs.as_slice() else {
                return None;
            };
            let is_bias = |name: &str| {
                let tensor = graph.tensor(graph.behind_copies(name));
                tensor.is_some_and(|tensor| tensor.dims == [width as u64])
            };
            let (product, bias) = match (is_bias(left), is_bias(right)) {
                (false, true) => (left, right),
                (true, false) => (right, left),
                _ => return None,
            };
            (makes(product)?, Some(bias.clone()))
        } else {
            (last, None)
        };
        let [rows, weights] = product.inputs.as_slice() else {
            return None;
        };
        if !product.is("MatMul") || !self.is_matrix(weights, width) {
            return None;
        }
        Some(Product {
            rows: rows.clone(),
            weights: weights.clone(),
            bias,
        })
    }

    /// Whether `name` is a constant [H, width], or the transpose of a constant [width, H].
    fn is_matrix(&self, name: &str, width: usize) -> bool {
        let graph = &*self.graph;
        let name = graph.behind_copies(name);
        let width = width as u64;
        if let Some(tensor) = graph.tensor(name) {
            return matches!(tensor.dims[..], [_, columns] if columns == width);
        }
        let transposed = graph.producer(name).and_then(Node::as_transpose);
        let tensor = transposed.and_then(|name| graph.tensor(graph.behind_copies(name)));
        tensor.is_some_and(|t| matches!(t.dims[..], [rows, _] if rows == width))
    }

    fn pool_product(&mut self, product: &Product) -> String {
        let rows = self.masked(&product.rows);
        let scores = self.node("MatMul", &[&rows, &product.weights]);
        let highest = self.highest(&scores);
        match &product.bias {
            Some(bias) => self.node("Add", &[&highest, bias]),
            None => highest,
        }
    }

    fn pool_rows(&mut self, rows: &str) -> String {
        let rows = self.masked(rows);
        self.highest(&rows)
    }

    /// `rows` [B, L, N] with the first row wherever there is padding. Without a mask among the inputs
    /// nobody can tell what is padding.
    fn masked(&mut self, rows: &str) -> String {
        const MASK: &str = "attention_mask";
        if !self.graph.inputs.iter().any(|input| input.name == MASK) {
            return rows.to_owned();
        }
        let flags = self.push("Cast", &[MASK], Some(to(Element::BOOL)));
        let shape = self.constant(Tensor::integers("shape", &[0, -1, 1]));
        let flags = self.node("Reshape", &[&flags, &shape]);
        let zero = self.constant(Tensor::integers("zero", &[0]));
        let one = self.constant(Tensor::integers("one", &[1]));
        let first = self.node("Slice", &[rows, &zero, &one, &one]);
        self.node("Where", &[&flags, rows, &first])
    }

    /// The maximum over positions: [B, L, V] to [B, V].
    fn highest(&mut self, rows: &str) -> String {
        let mut inputs = vec![rows.to_owned()];
        let mut node = Node::new("ReduceMax", &[], &[]).with(Attribute::integer("keepdims", 0));
        if self.opset < AXES_AS_INPUT {
            node = node.with(Attribute::integers("axes", &[1]));
        } else {
            inputs.push(self.constant(Tensor::integers("axis", &[1])));
        }
        node.inputs = inputs;
        self.add(node)
    }

    /// The heaviest of `pooled` [B, V], which become the outputs.
    fn cut(&mut self, pooled: &str, fold: &Fold<'_>) {
        let flags: Vec<f32> = fold.kept.iter().map(|k| f32::from(u8::from(*k))).collect();
        let kept = self.constant(Tensor::floats("kept", &[flags.len() as u64], &flags));
        let top_k = fold.top_k.min(flags.len());
        let count = self.constant(Tensor::integers("top_k", &[top_k as i64]));
        let mut weights = self.push("Cast", &[pooled], Some(to(Element::FLOAT)));
        if matches!(fold.form, Form::Logits { .. }) {
            weights = self.node("Relu", &[&weights]);
        }
        weights = self.node("Mul", &[&weights, &kept]);
        let (values, indices) = (self.names.fresh("values"), self.names.fresh("indices"));
        let heaviest = match fold.form {
            Form::Weights => values.clone(),
            Form::Logits { .. } => self.names.fresh("folded_heaviest"),
        };
        let top = Node::new("TopK", &[&weights, &count], &[&heaviest, &indices]);
        self.graph.nodes.push(top);
        if let Form::Logits { logarithms } = fold.form {
            let mut exact = self.push("Cast", &[&heaviest], Some(to(Element::DOUBLE)));
            let one = 1_f64.to_le_bytes().to_vec();
            let one = self.constant(Tensor::new("one", Element::DOUBLE, &[1], one));
            for _ in 0..logarithms {
                let sum = self.node("Add", &[&exact, &one]);
                exact = self.node("Log", &[&sum]);
            }
            let last = Node::new("Cast", &[&exact], &[&values]).with(to(Element::FLOAT));
            self.graph.nodes.push(last);
        }
        let shape = [None, Some(top_k as u64)];
        self.graph.outputs = vec![
            ValueInfo::tensor(&values, Element::FLOAT, &shape),
            ValueInfo::tensor(&indices, Element::INT64, &shape),
        ];
    }

    fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.push(operator, inputs, None)
    }

    fn push(&mut self, operator: &str, inputs: &[&str], attribute: Option<Attribute>) -> String {
        let mut node = Node::new(operator, inputs, &[]);
        node.attributes.extend(attribute);
        self.add(node)
    }

    /// Adds a node at the end; its only output, which gets a name.
    fn add(&mut self, mut node: Node) -> String {
        let stem = format!("folded_{}", node.operator.to_lowercase());
        let output = self.names.fresh(&stem);
        node.outputs = vec![output.clone()];
        self.graph.nodes.push(node);
        output
    }

    fn constant(&mut self, mut tensor: Tensor) -> String {
        tensor.name = self.names.fresh(&format!("folded_{}", tensor.name));
        let name = tensor.name.clone();
        self.graph.tensors.push(tensor);
        name
    }
}

fn to(element: Element) -> Attribute {
    Attribute::integer("to", element.0 as i64)
}
