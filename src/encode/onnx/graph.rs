//! A graph as data: nodes, tensors, inputs and outputs.

use super::error::OnnxError;
use super::tensor::{Data, Element, Tensor};
use super::wire::{self, Field, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proto {
    pub graph: Graph,
    /// Versions of the operator sets, by domain; the common one is "".
    pub opsets: BTreeMap<String, u64>,
    pub rest: Vec<Field>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// In an order in which they can run.
    pub nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
    pub inputs: Vec<ValueInfo>,
    pub outputs: Vec<ValueInfo>,
    pub rest: Vec<Field>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub operator: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
    pub rest: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    pub name: String,
    pub fields: Vec<Field>,
}

/// A named value and its type.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueInfo {
    pub name: String,
    /// `None` for other types than tensors.
    pub element: Option<Element>,
    /// `None`: not stated. An inner `None` is a size that varies by run.
    pub shape: Option<Vec<Option<u64>>>,
    pub(super) bytes: Vec<u8>,
}

impl Proto {
    /// Return the version of the common operator set.
    pub fn opset(&self) -> u64 {
        let common = self.opsets.get("").or_else(|| self.opsets.get("ai.onnx"));
        common.copied().unwrap_or(1)
    }

    /// Refuse a graph whose operators are too old to be edited. Since version 11, slices, `TopK` and others take their sizes
    /// as inputs, and activations can be quantized.
    pub(super) fn check_opset(&self) -> Result<(), OnnxError> {
        const OLDEST: u64 = 11;
        let opset = self.opset();
        if opset >= OLDEST {
            return Ok(());
        }
        Err(OnnxError::Unsupported(format!(
            "the graph has operator set {opset}; export it with {OLDEST} or a later one"
        )))
    }
}

impl Graph {
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The node that makes `name`.
    pub fn producer(&self, name: &str) -> Option<&Node> {
        let makes = |node: &&Node| node.outputs.iter().any(|output| output == name);
        self.nodes.iter().find(makes)
    }

    /// `name`, or what it is a plain copy of.
    pub fn behind_copies<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        // Each step goes to an earlier node, so this ends; a damaged graph may have a circle.
        for _ in 0..self.nodes.len() {
            let copy = self
                .producer(name)
                .filter(|n| n.is("Identity") || n.is("Cast"));
            match copy.and_then(|node| node.inputs.first()) {
                Some(input) => name = input,
                None => break,
            }
        }
        name
    }

    /// Removes nodes, tensors and statements about values that no output needs.
    pub fn prune(&mut self) {
        let mut needed: BTreeSet<String> = self.outputs.iter().map(|o| o.name.clone()).collect();
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                needed.extend(node.inputs.iter().cloned());
                needed.extend(node.inner_inputs(DEEPEST));
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.tensors.retain(|tensor| needed.contains(&tensor.name));
        // Statements about values in between may be wrong after an edit; the runtime infers them.
        const VALUE_INFO: u32 = 13;
        self.rest.retain(|field| field.number != VALUE_INFO);
    }
}

/// Graphs within graphs that are looked through. Nobody nests deeper, and the stack is finite.
const DEEPEST: usize = 32;

/// The names in use.
pub struct Names(BTreeSet<String>);

impl Names {
    pub fn of(graph: &Graph) -> Self {
        let nodes = graph.nodes.iter();
        let values = nodes.flat_map(|node| node.outputs.iter().chain(&node.inputs));
        let tensors = graph.tensors.iter().map(|tensor| &tensor.name);
        Self(values.chain(tensors).cloned().collect())
    }

    /// Return a new name that starts with `stem`.
    pub fn fresh(&mut self, stem: &str) -> String {
        let mut name = stem.to_owned();
        let mut count = 1;
        while !self.0.insert(name.clone()) {
            name = format!("{stem}_{count}");
            count += 1;
        }
        name
    }
}

impl Node {
    pub fn new(operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            operator: operator.to_owned(),
            inputs: owned(inputs),
            outputs: owned(outputs),
            ..Self::default()
        }
    }

    pub fn with(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name)
    }

    /// Whether it is this operator of the common set.
    pub fn is(&self, operator: &str) -> bool {
        self.operator == operator && matches!(self.domain.as_str(), "" | "ai.onnx")
    }

    /// Whether rows of a table are looked up: what it returns is the table and the indices.
    pub fn as_lookup(&self) -> Option<(&String, &String)> {
        let axis = self.attribute("axis").map(Attribute::as_integers);
        match (self.inputs.as_slice(), self.outputs.as_slice()) {
            ([table, indices], [_]) if self.is("Gather") && axis.is_none_or(|a| a == [0]) => {
                Some((table, indices))
            }
            _ => None,
        }
    }

    /// What a plain transposition of a matrix transposes.
    pub fn as_transpose(&self) -> Option<&String> {
        let perm = self.attribute("perm").map(Attribute::as_integers);
        match (self.inputs.as_slice(), self.outputs.as_slice()) {
            ([matrix], [_])
                if self.is("Transpose") && perm.as_ref().is_none_or(|p| *p == [1, 0]) =>
            {
                Some(matrix)
            }
            _ => None,
        }
    }

    /// Names that graphs within its attributes (loops, branches) may take from outside.
    fn inner_inputs(&self, depth: usize) -> Vec<String> {
        const GRAPHS: [u32; 2] = [6, 11];
        if depth == 0 {
            return Vec::new();
        }
        let fields = self.attributes.iter().flat_map(|a| &a.fields);
        let graphs = fields.filter(|field| GRAPHS.contains(&field.number));
        graphs
            .filter_map(|field| match &field.value {
                Value::Bytes(bytes) => wire::fields(bytes).ok(),
                _ => None,
            })
            .flatten()
            .filter(|field| field.number == 1)
            .filter_map(|field| match &field.value {
                Value::Bytes(bytes) => Self::parse(bytes).ok(),
                _ => None,
            })
            .flat_map(|node| {
                let inner = node.inner_inputs(depth - 1);
                node.inputs.into_iter().chain(inner)
            })
            .collect()
    }

    pub(super) fn parse(bytes: &[u8]) -> std::io::Result<Self> {
        let mut node = Self::default();
        for field in wire::fields(bytes)? {
            match (field.number, &field.value) {
                (1, _) => node.inputs.push(field.text()),
                (2, _) => node.outputs.push(field.text()),
                (4, _) => node.operator = field.text(),
                (7, _) => node.domain = field.text(),
                (5, Value::Bytes(bytes)) => node.attributes.push(Attribute::parse(bytes)?),
                _ => node.rest.push(field),
            }
        }
        Ok(node)
    }
}

impl Attribute {
    pub fn integer(name: &str, value: i64) -> Self {
        Self::of(name, 2, [(3, Value::Varint(value as u64))])
    }

    pub fn float(name: &str, value: f32) -> Self {
        Self::of(name, 1, [(2, Value::Fixed32(value.to_le_bytes()))])
    }

    pub fn integers(name: &str, values: &[i64]) -> Self {
        let values = values.iter().map(|v| (8, Value::Varint(*v as u64)));
        Self::of(name, 7, values)
    }

    pub fn as_floats(&self) -> Vec<f32> {
        let numbers = |bytes: &[u8]| -> Vec<f32> {
            let number = |four: &[u8]| f32::from_le_bytes(four.try_into().expect("four bytes"));
            bytes.chunks_exact(4).map(number).collect()
        };
        let fields = self.fields.iter().filter(|f| matches!(f.number, 2 | 7));
        fields
            .flat_map(|field| match &field.value {
                Value::Fixed32(bytes) => numbers(bytes),
                Value::Bytes(bytes) => numbers(bytes),
                _ => Vec::new(),
            })
            .collect()
    }

    pub fn as_integers(&self) -> Vec<i64> {
        let fields = self.fields.iter().filter(|f| matches!(f.number, 3 | 8));
        fields.flat_map(Field::varints).map(|v| v as i64).collect()
    }

    pub(super) fn of(
        name: &str,
        kind: u64,
        values: impl IntoIterator<Item = (u32, Value)>,
    ) -> Self {
        const KIND: u32 = 20;
        let fields = values.into_iter().chain([(KIND, Value::Varint(kind))]);
        Self {
            name: name.to_owned(),
            fields: fields
                .map(|(number, value)| Field { number, value })
                .collect(),
        }
    }

    fn parse(bytes: &[u8]) -> std::io::Result<Self> {
        let (names, fields) = wire::fields(bytes)?
            .into_iter()
            .partition(|f| f.number == 1);
        let names: Vec<Field> = names;
        Ok(Self {
            name: names.first().map(Field::text).unwrap_or_default(),
            fields,
        })
    }
}

impl ValueInfo {
    /// A tensor; `None` is a size that a run decides.
    pub fn tensor(name: &str, element: Element, shape: &[Option<u64>]) -> Self {
        let message = |number, bytes| Field {
            number,
            value: Value::Bytes(bytes),
        };
        let number = |number, value| Field {
            number,
            value: Value::Varint(value),
        };
        let bytes = |fields: &[Field]| {
            let mut bytes = Vec::new();
            fields.iter().for_each(|field| field.append_to(&mut bytes));
            bytes
        };
        let dims: Vec<Field> = shape
            .iter()
            .enumerate()
            .map(|(index, size)| {
                let dim = match size {
                    Some(size) => number(1, *size),
                    None => message(2, format!("{name}_{index}").into_bytes()),
                };
                message(1, bytes(&[dim]))
            })
            .collect();
        let tensor = [number(1, element.0), message(2, bytes(&dims))];
        let kind = [message(1, bytes(&tensor))];
        let info = [
            message(1, name.as_bytes().to_vec()),
            message(2, bytes(&kind)),
        ];
        Self {
            name: name.to_owned(),
            element: Some(element),
            shape: Some(shape.to_vec()),
            bytes: bytes(&info),
        }
    }

    pub(super) fn parse(bytes: Vec<u8>) -> std::io::Result<Self> {
        let mut info = Self {
            name: String::new(),
            element: None,
            shape: None,
            bytes: Vec::new(),
        };
        let inner = |fields: Vec<Field>, number| {
            let field = fields.into_iter().find(|f: &Field| f.number == number);
            match field.map(|f| f.value) {
                Some(Value::Bytes(bytes)) => wire::fields(&bytes).map(Some),
                _ => Ok(None),
            }
        };
        let fields = wire::fields(&bytes)?;
        if let Some(name) = fields.iter().find(|f| f.number == 1) {
            info.name = name.text();
        }
        let kind = inner(fields, 2)?.unwrap_or_default();
        if let Some(tensor) = inner(kind, 1)? {
            let element = tensor.iter().find(|f| f.number == 1);
            info.element = element
                .and_then(|f| f.varints().first().copied())
                .map(Element);
            if let Some(dims) = inner(tensor, 2)? {
                let size = |dim: &Field| match &dim.value {
                    Value::Bytes(bytes) => {
                        let fields = wire::fields(bytes).ok()?;
                        let size = fields.iter().find(|f| f.number == 1)?;
                        size.varints().first().copied()
                    }
                    _ => None,
                };
                info.shape = Some(dims.iter().map(size).collect());
            }
        }
        info.bytes = bytes;
        Ok(info)
    }
}

impl Tensor {
    /// Whether its numbers lie where this program can read them as 32-bit floats.
    pub fn is_plain_float(&self) -> bool {
        self.element == Element::FLOAT && self.data != Data::Typed
    }
}
