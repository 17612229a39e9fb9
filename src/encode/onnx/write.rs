//! Writes a graph to a file.
//!
//! Only edited weights are in memory. [`write()`] copies all others from their files into the new one; [`write_beside`] leaves
//! them where they are and refers to them.

use super::error::OnnxError;
use super::graph::{Attribute, Graph, Node, Proto};
use super::tensor::{Data, Extent, Tensor};
use super::wire::{Field, Value, put_varint};
use std::io::{self, Write};
use std::path::Path;

/// Protocol buffers are limited to 2 GiB.
const MAX_BYTES: u64 = (1 << 31) - 1;

/// Write a graph with all its weights.
///
/// # Errors
/// `Unsupported` for more than 2 GiB, `Unreadable` or `Truncated` for weights whose file has changed, `Unwritten`.
pub fn write(proto: &Proto, to: &mut impl Write) -> Result<(), OnnxError> {
    write_message(proto, Weights::Inside, to)
}

/// Write a graph that refers to weights in files of `folder`. Load it at once: it has byte offsets in files that may change.
///
/// # Errors
/// As [`write()`]; the 2 GiB apply to edited weights only.
pub fn write_beside(proto: &Proto, folder: &Path, to: &mut impl Write) -> Result<(), OnnxError> {
    write_message(proto, Weights::Beside(folder), to)
}

/// Encode a tensor as the value of an attribute.
pub(super) fn tensor_bytes(one: &Tensor) -> Vec<u8> {
    let pieces = tensor(one, Weights::Inside).pieces;
    let bytes = pieces.into_iter().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Part(_) => Vec::new(),
    });
    bytes.flatten().collect()
}

/// Where weights are that were not edited.
#[derive(Clone, Copy)]
enum Weights<'a> {
    Inside,
    Beside(&'a Path),
}

fn write_message(
    proto: &Proto,
    weights: Weights<'_>,
    to: &mut impl Write,
) -> Result<(), OnnxError> {
    let mut message = Message::default();
    for field in &proto.rest {
        message.field(field);
    }
    for (domain, version) in &proto.opsets {
        let mut opset = Message::default();
        opset.text(1, domain);
        opset.number(2, *version);
        message.message(8, opset);
    }
    message.message(7, graph(&proto.graph, weights));
    if message.length > MAX_BYTES {
        return Err(OnnxError::Unsupported(format!(
            "its graph has {} MiB with its weights, and one file holds 2047 at most",
            message.length >> 20
        )));
    }
    for piece in message.pieces {
        match piece {
            Piece::Bytes(bytes) => to.write_all(&bytes).map_err(OnnxError::Unwritten)?,
            Piece::Part(extent) => copy(&extent, to)?,
        }
    }
    Ok(())
}

fn copy(extent: &Extent, to: &mut impl Write) -> Result<(), OnnxError> {
    let path = || extent.path.clone();
    let mut part = extent.open().map_err(|source| OnnxError::Unreadable {
        path: path(),
        source,
    })?;
    let copied = io::copy(&mut part, to).map_err(OnnxError::Unwritten)?;
    if copied != extent.length {
        return Err(OnnxError::Truncated { path: path() });
    }
    Ok(())
}

/// A message being put together, of bytes and of parts of files.
#[derive(Default)]
struct Message {
    pieces: Vec<Piece>,
    length: u64,
}

enum Piece {
    Bytes(Vec<u8>),
    Part(Extent),
}

impl Message {
    fn bytes(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        match self.pieces.last_mut() {
            Some(Piece::Bytes(last)) => last.extend(bytes),
            _ => self.pieces.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    fn field(&mut self, field: &Field) {
        let mut bytes = Vec::new();
        field.append_to(&mut bytes);
        self.bytes(&bytes);
    }

    fn number(&mut self, number: u32, value: u64) {
        let value = Value::Varint(value);
        self.field(&Field { number, value });
    }

    fn text(&mut self, number: u32, text: &str) {
        let value = Value::Bytes(text.as_bytes().to_vec());
        self.field(&Field { number, value });
    }

    fn head(&mut self, number: u32, length: u64) {
        let mut head = Vec::new();
        put_varint(&mut head, u64::from(number) << 3 | 2);
        put_varint(&mut head, length);
        self.bytes(&head);
    }

    fn message(&mut self, number: u32, message: Self) {
        self.head(number, message.length);
        for piece in message.pieces {
            match piece {
                Piece::Bytes(bytes) => self.bytes(&bytes),
                Piece::Part(extent) => self.part(extent),
            }
        }
    }

    fn part(&mut self, extent: Extent) {
        self.length += extent.length;
        self.pieces.push(Piece::Part(extent));
    }
}

fn graph(graph: &Graph, weights: Weights<'_>) -> Message {
    let mut message = Message::default();
    for one in &graph.nodes {
        message.message(1, node(one));
    }
    for field in &graph.rest {
        message.field(field);
    }
    for one in &graph.tensors {
        message.message(5, tensor(one, weights));
    }
    for (number, values) in [(11, &graph.inputs), (12, &graph.outputs)] {
        for value in values {
            message.head(number, value.bytes.len() as u64);
            message.bytes(&value.bytes);
        }
    }
    message
}

fn node(node: &Node) -> Message {
    let mut message = Message::default();
    for input in &node.inputs {
        message.text(1, input);
    }
    for output in &node.outputs {
        message.text(2, output);
    }
    message.text(4, &node.operator);
    if !node.domain.is_empty() {
        message.text(7, &node.domain);
    }
    for one in &node.attributes {
        message.message(5, attribute(one));
    }
    for field in &node.rest {
        message.field(field);
    }
    message
}

fn attribute(attribute: &Attribute) -> Message {
    let mut message = Message::default();
    message.text(1, &attribute.name);
    for field in &attribute.fields {
        message.field(field);
    }
    message
}

fn tensor(tensor: &Tensor, weights: Weights<'_>) -> Message {
    let mut message = Message::default();
    for dim in &tensor.dims {
        message.number(1, *dim);
    }
    message.number(2, tensor.element.0);
    message.text(8, &tensor.name);
    for field in &tensor.rest {
        message.field(field);
    }
    match &tensor.data {
        Data::Here(bytes) => {
            message.head(9, bytes.len() as u64);
            message.bytes(bytes);
        }
        Data::There(extent) => match place_beside(extent, weights) {
            Some(place) => {
                const EXTERNAL: u64 = 1;
                for entry in place {
                    message.message(13, entry);
                }
                message.number(14, EXTERNAL);
            }
            None => {
                message.head(9, extent.length);
                message.part(extent.clone());
            }
        },
        Data::Typed => {}
    }
    message
}

/// The entries that say where weights lie; `None` for those that come to lie in the graph's file.
fn place_beside(extent: &Extent, weights: Weights<'_>) -> Option<[Message; 3]> {
    let Weights::Beside(folder) = weights else {
        return None;
    };
    let location = extent.path.strip_prefix(folder).ok()?.to_str()?;
    let entry = |key: &str, value: &str| {
        let mut entry = Message::default();
        entry.text(1, key);
        entry.text(2, value);
        entry
    };
    Some([
        entry("location", location),
        entry("offset", &extent.offset.to_string()),
        entry("length", &extent.length.to_string()),
    ])
}
