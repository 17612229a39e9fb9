//! Reads a graph from its file.

use super::error::OnnxError;
use super::graph::{Graph, Node, Proto, ValueInfo};
use super::tensor::{Data, Element, Extent, Tensor};
use super::wire::{self, Field, Head, Source, Value};
use crate::named_file;
use std::io::{self, Read, Seek};
use std::path::{Component, Path};

/// Tensors of at least so many bytes stay in the file.
const LEAVE: u64 = 4096;

/// Read the graph in `path`, except for large tensors, which stay in the file. Do not look for weight files beside it.
///
/// # Errors
/// `Unreadable`, `Truncated`, `Foreign`, `Outside`.
pub fn read(path: &Path) -> Result<Proto, OnnxError> {
    let owned = || path.to_owned();
    let file = named_file::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = file.map_err(|source| OnnxError::Unreadable {
        path: owned(),
        source,
    })?;
    let mut reader = Reader {
        source: Source::new(file),
        path,
        outside: None,
    };
    let proto = reader.proto(length);
    if let Some(location) = reader.outside {
        let path = owned();
        return Err(OnnxError::Outside { path, location });
    }
    match proto {
        Ok(proto) if !proto.graph.nodes.is_empty() && !proto.graph.outputs.is_empty() => Ok(proto),
        Ok(_) => Err(OnnxError::Foreign { path: owned() }),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::UnexpectedEof => OnnxError::Truncated { path: owned() },
            io::ErrorKind::InvalidData => OnnxError::Foreign { path: owned() },
            _ => OnnxError::Unreadable {
                path: owned(),
                source: error,
            },
        }),
    }
}

/// A tensor within an attribute.
///
/// # Errors
/// `InvalidData` and `UnexpectedEof` for what is none, and for one whose numbers are elsewhere.
pub(super) fn tensor(bytes: &[u8]) -> io::Result<Tensor> {
    let mut reader = Reader {
        source: Source::new(io::Cursor::new(bytes)),
        path: Path::new(""),
        outside: None,
    };
    let tensor = reader.tensor(bytes.len() as u64)?;
    match tensor.data {
        Data::There(Extent { offset, length, .. }) if !tensor.is_external => {
            let (start, end) = (offset as usize, (offset + length) as usize);
            let data = Data::Here(bytes[start..end].to_vec());
            Ok(Tensor { data, ..tensor })
        }
        Data::There(_) => Err(io::ErrorKind::InvalidData.into()),
        Data::Here(_) | Data::Typed => Ok(tensor),
    }
}

struct Reader<'a, R> {
    source: Source<R>,
    path: &'a Path,
    /// A location of weights that is refused.
    outside: Option<String>,
}

impl<R: Read + Seek> Reader<'_, R> {
    fn proto(&mut self, end: u64) -> io::Result<Proto> {
        // The highest number of a field that a model has is 26; text, read as fields, has others.
        const LAST: u32 = 64;
        let mut proto = Proto::default();
        while let Some((number, head)) = self.source.head(end)? {
            match (number, head) {
                (7, Head::Bytes(length)) => {
                    let end = self.source.position() + length;
                    proto.graph = self.graph(end)?;
                }
                (8, Head::Bytes(length)) => {
                    let opset = wire::fields(&self.source.take_bytes(length)?)?;
                    let domain = opset.iter().find(|f| f.number == 1);
                    let version = opset.iter().find(|f| f.number == 2);
                    proto.opsets.insert(
                        domain.map(Field::text).unwrap_or_default(),
                        version
                            .and_then(|f| f.varints().first().copied())
                            .unwrap_or(1),
                    );
                }
                (number, _) if number > LAST => return Err(io::ErrorKind::InvalidData.into()),
                (number, head) => proto.rest.push(self.source.field(number, head)?),
            }
        }
        Ok(proto)
    }

    fn graph(&mut self, end: u64) -> io::Result<Graph> {
        let mut graph = Graph::default();
        while let Some((number, head)) = self.source.head(end)? {
            match (number, head) {
                (1, Head::Bytes(n)) => graph.nodes.push(Node::parse(&self.source.take_bytes(n)?)?),
                (5, Head::Bytes(length)) => {
                    let end = self.source.position() + length;
                    graph.tensors.push(self.tensor(end)?);
                }
                (11, Head::Bytes(n)) => graph
                    .inputs
                    .push(ValueInfo::parse(self.source.take_bytes(n)?)?),
                (12, Head::Bytes(n)) => {
                    graph
                        .outputs
                        .push(ValueInfo::parse(self.source.take_bytes(n)?)?);
                }
                (number, head) => graph.rest.push(self.source.field(number, head)?),
            }
        }
        // Old exporters list the tensors among the inputs.
        let Graph {
            inputs, tensors, ..
        } = &mut graph;
        inputs.retain(|input| !tensors.iter().any(|tensor| tensor.name == input.name));
        Ok(graph)
    }

    fn tensor(&mut self, end: u64) -> io::Result<Tensor> {
        let mut tensor = Tensor::new("", Element(0), &[], Vec::new());
        let mut place = Vec::new();
        while let Some((number, head)) = self.source.head(end)? {
            match (number, head) {
                (9, Head::Bytes(length)) if length >= LEAVE => {
                    tensor.data = Data::There(Extent {
                        path: self.path.to_owned(),
                        offset: self.source.position(),
                        length,
                    });
                    self.source.skip(length)?;
                }
                (9, Head::Bytes(length)) => {
                    tensor.data = Data::Here(self.source.take_bytes(length)?)
                }
                (number, head) => {
                    let field = self.source.field(number, head)?;
                    match (number, &field.value) {
                        (1, _) => tensor.dims.extend(field.varints()),
                        (2, Value::Varint(element)) => tensor.element = Element(*element),
                        (8, _) => tensor.name = field.text(),
                        (13, Value::Bytes(entry)) => place.push(wire::fields(entry)?),
                        // Where the numbers are is told by `data`.
                        (14, _) => {}
                        _ => tensor.rest.push(field),
                    }
                }
            }
        }
        if place.is_empty() {
            tensor.normalize();
        } else {
            tensor.data = Data::There(self.external(&place, &tensor)?);
            tensor.is_external = true;
        }
        Ok(tensor)
    }

    /// Where a tensor's numbers lie in a file of their own.
    fn external(&mut self, entries: &[Vec<Field>], tensor: &Tensor) -> io::Result<Extent> {
        let value = |key: &str| {
            let is = |fields: &&Vec<Field>| fields.iter().any(|f| f.number == 1 && f.text() == key);
            let fields = entries.iter().find(is)?;
            fields.iter().find(|f| f.number == 2).map(Field::text)
        };
        let number = |key| value(key).and_then(|text| text.parse::<u64>().ok());
        let location = value("location").unwrap_or_default();
        let mut parts = Path::new(&location).components();
        if location.is_empty()
            || !parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            self.outside = Some(location);
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = number("length").or_else(|| tensor.size());
        Ok(Extent {
            path: self.path.with_file_name(location),
            offset: number("offset").unwrap_or(0),
            length: length.ok_or(io::ErrorKind::InvalidData)?,
        })
    }
}
