//! Finds the tables in an embedded ONNX file, without a copy.

use std::collections::HashMap;

/// The initialisers of an ONNX file by name: their `raw_data`.
pub(super) struct Tensors(HashMap<&'static str, &'static [u8]>);

impl Tensors {
    /// Read the file's table of contents. `None` if it is not a message of protocol buffers.
    pub fn of(file: &'static [u8]) -> Option<Self> {
        // Field numbers are those of `onnx.proto`.
        const GRAPH: u64 = 7;
        const INITIALIZER: u64 = 5;
        const NAME: u64 = 8;
        const RAW_DATA: u64 = 9;
        let graph = fields(file)?.find(|field| field.0 == GRAPH)?.1;
        let mut tensors = HashMap::new();
        for (number, tensor) in fields(graph)? {
            if number != INITIALIZER {
                continue;
            }
            let field = |wanted| fields(tensor)?.find(|f| f.0 == wanted).map(|f| f.1);
            if let (Some(name), Some(data)) = (field(NAME), field(RAW_DATA)) {
                tensors.insert(std::str::from_utf8(name).ok()?, data);
            }
        }
        Some(Self(tensors))
    }

    /// Return the bytes of a tensor that must have `length` of them.
    pub fn bytes(&self, name: &str, length: usize) -> Option<&'static [u8]> {
        self.0
            .get(name)
            .copied()
            .filter(|data| data.len() == length)
    }

    /// Return the number in a tensor of one 32-bit float.
    pub fn float(&self, name: &str) -> Option<f32> {
        let bytes = self.bytes(name, 4)?;
        Some(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

/// Return the length-delimited fields of a message; others are skipped. `None` unless the bytes are one message.
fn fields(message: &'static [u8]) -> Option<std::vec::IntoIter<(u64, &'static [u8])>> {
    let mut rest = message;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        if tag & 7 == 2 {
            found.push((tag >> 3, value));
        }
    }
    Some(found.into_iter())
}

fn varint(from: &mut &'static [u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}
