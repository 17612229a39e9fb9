//! Quantizes the weights of matrix products to 8 bits, and activations dynamically.
//!
//! Every product of rows and a constant matrix becomes `DynamicQuantizeLinear`, `MatMulInteger` and a scaling, in the form
//! that ONNX Runtime fuses into one kernel. Matrices have a scale for each column, embedding tables one for each row. All
//! activations of a tensor share one scale, so neighbours in a batch would change a text's numbers: such a graph runs
//! batches of one.

use super::error::OnnxError;
use super::graph::{Attribute, Graph, Names, Node, Proto};
use super::tensor::{Element, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantized {
    pub products: usize,
    pub tables: usize,
}

/// Largest magnitude of a weight: 7 bits with their sign. Processors without VNNI add two products
/// of unsigned and signed bytes in 16 bits, which 255 * 64 * 2 just fits and 255 * 127 * 2 does not: there a
/// full byte gives other, wrong numbers.
const LARGEST: f32 = 64.0;
/// A table is quantised row by row and never multiplied as bytes, so it may use the whole byte.
const LARGEST_IN_TABLE: f32 = 127.0;
/// Smaller matrices gain nothing.
const LEAST_WEIGHTS: u64 = 4096;
/// Smaller tables are not a burden: those of positions and types.
const LEAST_TABLE: u64 = 1 << 20;

/// Quantises what can be, and leaves the rest as it is.
///
/// # Errors
/// Those of reading the weights; `Unsupported` when there is nothing to quantise, and for an operator set
/// before 11.
pub fn quantize(proto: &mut Proto) -> Result<Quantized, OnnxError> {
    proto.check_opset()?;
    let graph = &mut proto.graph;
    let mut done = Quantized::default();
    let mut quantizer = Quantizer {
        names: Names::of(graph),
        graph,
        nodes: Vec::new(),
        rows: BTreeMap::new(),
        matrices: BTreeMap::new(),
    };
    let nodes = quantizer.graph.nodes.clone();
    let tables = quantizer.tables(&nodes);
    for node in nodes {
        let matrix = quantizer.matrix(&node);
        if let Some(matrix) = matrix {
            quantizer.product(&node, &matrix)?;
            done.products += 1;
        } else if let Some((table, indices)) = node.as_lookup()
            && tables.contains(table)
        {
            quantizer.lookup(table, indices, &node.outputs[0])?;
            done.tables += 1;
        } else {
            quantizer.nodes.push(node);
        }
    }
    quantizer.graph.nodes = quantizer.nodes;
    graph.prune();
    if done.products == 0 {
        return Err(OnnxError::Unsupported(
            "the graph has no product with constant 32-bit weights to quantise".to_owned(),
        ));
    }
    Ok(done)
}

struct Quantizer<'a> {
    graph: &'a mut Graph,
    names: Names,
    /// The new nodes.
    nodes: Vec<Node>,
    /// Quantised activations, by what they were made of.
    rows: BTreeMap<String, Rows>,
    /// Quantised matrices, by their tensor and whether it was transposed.
    matrices: BTreeMap<(String, bool), Scaled>,
}

#[derive(Clone)]
struct Rows {
    values: String,
    scale: String,
    zero: String,
}

/// Bytes and their scales, by the names of their tensors.
#[derive(Clone)]
struct Scaled {
    values: String,
    scales: String,
}

/// A constant matrix of a product.
struct Matrix {
    tensor: String,
    is_transposed: bool,
}

impl Quantizer<'_> {
    /// The constant matrix that a product is with.
    fn matrix(&self, node: &Node) -> Option<Matrix> {
        if !node.is("MatMul") {
            return None;
        }
        let ([_, name], [_]) = (node.inputs.as_slice(), node.outputs.as_slice()) else {
            return None;
        };
        let transposed = self.graph.producer(name).and_then(Node::as_transpose);
        let tensor = transposed.unwrap_or(name);
        self.is_matrix(tensor, LEAST_WEIGHTS).then(|| Matrix {
            tensor: tensor.clone(),
            is_transposed: transposed.is_some(),
        })
    }

    /// Whether `name` is a constant matrix of at least so many 32-bit floats.
    fn is_matrix(&self, name: &str, least: u64) -> bool {
        let tensor = self.graph.tensor(name);
        tensor.is_some_and(|tensor| {
            let bytes = tensor.size().unwrap_or(0);
            bytes / 4 >= least && tensor.dims.len() == 2 && tensor.is_plain_float()
        })
    }

    /// Large tables that nothing needs as they are.
    fn tables(&self, nodes: &[Node]) -> BTreeSet<String> {
        let mut tables: BTreeSet<String> = nodes
            .iter()
            .filter_map(Node::as_lookup)
            .map(|(table, _)| table.clone())
            .filter(|name| self.is_matrix(name, LEAST_TABLE))
            .collect();
        for node in nodes {
            // The transpose of a tied matrix goes away with the product that it was made for.
            let tied = node.as_transpose().is_some()
                && nodes
                    .iter()
                    .filter(|user| user.inputs.iter().any(|i| node.outputs.contains(i)))
                    .all(|user| self.matrix(user).is_some_and(|m| m.is_transposed));
            for (position, input) in node.inputs.iter().enumerate() {
                let own = node.as_lookup().is_some() && position == 0
                    || tied
                    || position == 1 && self.matrix(node).is_some();
                if !own {
                    tables.remove(input);
                }
            }
        }
        tables
    }

    /// rows x matrix, in integers.
    fn product(&mut self, node: &Node, matrix: &Matrix) -> Result<(), OnnxError> {
        let rows = self.quantized_rows(&node.inputs[0]);
        let key = (matrix.tensor.clone(), matrix.is_transposed);
        let scaled = match self.matrices.get(&key) {
            Some(scaled) => scaled.clone(),
            None => {
                let scaled = self.quantize_columns(matrix)?;
                self.matrices.insert(key, scaled.clone());
                scaled
            }
        };
        let output = &node.outputs[0];
        let [sums, floats, scales] =
            ["sums", "floats", "scales"].map(|part| self.names.fresh(&format!("{output}_{part}")));
        let multiply = [&*rows.values, &*scaled.values, &*rows.zero];
        self.nodes.extend([
            Node::new("MatMulInteger", &multiply, &[&sums]),
            Node::new("Cast", &[&sums], &[&floats])
                .with(Attribute::integer("to", Element::FLOAT.0 as i64)),
            Node::new("Mul", &[&rows.scale, &scaled.scales], &[&scales]),
            Node::new("Mul", &[&floats, &scales], &[output]),
        ]);
        Ok(())
    }

    /// Once for all products with the same rows.
    fn quantized_rows(&mut self, name: &str) -> Rows {
        if let Some(rows) = self.rows.get(name) {
            return rows.clone();
        }
        let [values, scale, zero] =
            ["bytes", "scale", "zero"].map(|part| self.names.fresh(&format!("{name}_{part}")));
        let outputs = [&*values, &*scale, &*zero];
        self.nodes
            .push(Node::new("DynamicQuantizeLinear", &[name], &outputs));
        let rows = Rows {
            values,
            scale,
            zero,
        };
        self.rows.insert(name.to_owned(), rows.clone());
        rows
    }

    /// The matrix [H, N] with a scale for each of its N columns.
    fn quantize_columns(&mut self, matrix: &Matrix) -> Result<Scaled, OnnxError> {
        let (values, [rows, columns]) = self.floats(&matrix.tensor)?;
        let (height, width) = match matrix.is_transposed {
            true => (columns, rows),
            false => (rows, columns),
        };
        let at = |row: usize, column: usize| match matrix.is_transposed {
            true => values[column * height + row],
            false => values[row * width + column],
        };
        let scales: Vec<f32> = (0..width)
            .map(|column| scale((0..height).map(|row| at(row, column)), LARGEST))
            .collect();
        let mut bytes = Vec::with_capacity(values.len());
        for row in 0..height {
            bytes.extend((0..width).map(|column| byte(at(row, column), scales[column])));
        }
        Ok(self.scaled(&matrix.tensor, [height, width], bytes, &[width], &scales))
    }

    /// A row of a table, taken as bytes and scaled.
    fn lookup(&mut self, table: &str, indices: &str, output: &str) -> Result<(), OnnxError> {
        let (values, [rows, width]) = self.floats(table)?;
        let lines = || values.chunks_exact(width);
        let scales: Vec<f32> = lines()
            .map(|row| scale(row.iter().copied(), LARGEST_IN_TABLE))
            .collect();
        let bytes = lines().zip(&scales).flat_map(|(row, scale)| {
            let scale = *scale;
            row.iter().map(move |value| byte(*value, scale))
        });
        let scaled = self.scaled(table, [rows, width], bytes.collect(), &[rows, 1], &scales);
        let [bytes, floats, scales] =
            ["bytes", "floats", "scales"].map(|part| self.names.fresh(&format!("{output}_{part}")));
        self.nodes.extend([
            Node::new("Gather", &[&scaled.values, indices], &[&bytes]),
            Node::new("Cast", &[&bytes], &[&floats])
                .with(Attribute::integer("to", Element::FLOAT.0 as i64)),
            Node::new("Gather", &[&scaled.scales, indices], &[&scales]),
            Node::new("Mul", &[&floats, &scales], &[output]),
        ]);
        Ok(())
    }

    fn floats(&self, name: &str) -> Result<(Vec<f32>, [usize; 2]), OnnxError> {
        let missing = || OnnxError::Unsupported(format!("the tensor {name} is damaged"));
        let tensor = self.graph.tensor(name).ok_or_else(missing)?;
        let values = tensor.read_floats()?;
        let &[rows, columns] = tensor.dims.as_slice() else {
            return Err(missing());
        };
        let dims = [rows as usize, columns as usize];
        if values.is_empty() || dims[0].checked_mul(dims[1]) != Some(values.len()) {
            return Err(missing());
        }
        Ok((values, dims))
    }

    fn scaled(
        &mut self,
        name: &str,
        dims: [usize; 2],
        bytes: Vec<u8>,
        scale_dims: &[usize],
        scales: &[f32],
    ) -> Scaled {
        let wide = |dims: &[usize]| dims.iter().map(|d| *d as u64).collect::<Vec<_>>();
        let values = self.names.fresh(&format!("{name}_int8"));
        let dims = wide(&dims);
        self.graph
            .tensors
            .push(Tensor::new(&values, Element::INT8, &dims, bytes));
        let named = self.names.fresh(&format!("{values}_scales"));
        self.graph
            .tensors
            .push(Tensor::floats(&named, &wide(scale_dims), scales));
        Scaled {
            values,
            scales: named,
        }
    }
}

/// What one unit stands for, so that the largest magnitude just fits.
fn scale(values: impl Iterator<Item = f32>, largest: f32) -> f32 {
    let highest = values.fold(0.0_f32, |highest, value| highest.max(value.abs()));
    match highest > 0.0 {
        true => highest / largest,
        false => 1.0,
    }
}

fn byte(value: f32, scale: f32) -> u8 {
    // `as` saturates; two's complement, as the tensor's type has it.
    (value / scale).round_ties_even() as i8 as u8
}
