//! The wire format of protocol buffers: decodes and encodes fields.
//!
//! Unknown fields are kept as bytes ([`Field`]), so that an edited graph loses nothing. Nothing here knows what a field means.

use std::io::{self, BufReader, Read, Seek};

/// A field with its number, as it stands on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub number: u32,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Vec<u8>),
    Fixed32([u8; 4]),
}

impl Field {
    pub fn text(&self) -> String {
        match &self.value {
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    /// The number, or the numbers of a packed field.
    pub fn varints(&self) -> Vec<u64> {
        match &self.value {
            Value::Varint(value) => vec![*value],
            Value::Bytes(bytes) => {
                let mut rest = bytes.as_slice();
                std::iter::from_fn(|| (!rest.is_empty()).then(|| varint(&mut rest).ok())?).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        let tag = |kind: u64| u64::from(self.number) << 3 | kind;
        match &self.value {
            Value::Varint(value) => {
                put_varint(bytes, tag(0));
                put_varint(bytes, *value);
            }
            Value::Fixed64(value) => {
                put_varint(bytes, tag(1));
                bytes.extend(value);
            }
            Value::Bytes(value) => {
                put_varint(bytes, tag(2));
                put_varint(bytes, value.len() as u64);
                bytes.extend(value);
            }
            Value::Fixed32(value) => {
                put_varint(bytes, tag(5));
                bytes.extend(value);
            }
        }
    }
}

/// What a field's head says.
pub enum Head {
    Varint(u64),
    Fixed64([u8; 8]),
    /// That many bytes follow, which the caller reads or skips.
    Bytes(u64),
    Fixed32([u8; 4]),
}

/// Reads fields from a file or a slice, and can skip what it need not see.
pub struct Source<R> {
    inner: BufReader<R>,
    at: u64,
}

impl<R: Read + Seek> Source<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner: BufReader::new(inner),
            at: 0,
        }
    }

    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next field before `end`; `None` at `end`.
    ///
    /// # Errors
    /// `UnexpectedEof` for one that reaches beyond `end`, `InvalidData` for what is not a field.
    pub fn head(&mut self, end: u64) -> io::Result<Option<(u32, Head)>> {
        if self.at == end {
            return Ok(None);
        }
        let tag = varint(self)?;
        let number = u32::try_from(tag >> 3).map_err(|_| invalid())?;
        let head = match tag & 7 {
            0 => Head::Varint(varint(self)?),
            1 => Head::Fixed64(self.array()?),
            2 => Head::Bytes(varint(self)?),
            5 => Head::Fixed32(self.array()?),
            _ => return Err(invalid()),
        };
        let length = match head {
            Head::Bytes(length) => length,
            _ => 0,
        };
        if number == 0 {
            return Err(invalid());
        }
        if self.at.checked_add(length).is_none_or(|last| last > end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((number, head)))
    }

    /// The whole of a field whose head has been read.
    pub fn field(&mut self, number: u32, head: Head) -> io::Result<Field> {
        let value = match head {
            Head::Varint(value) => Value::Varint(value),
            Head::Fixed64(value) => Value::Fixed64(value),
            Head::Fixed32(value) => Value::Fixed32(value),
            Head::Bytes(length) => Value::Bytes(self.take_bytes(length)?),
        };
        Ok(Field { number, value })
    }

    pub fn take_bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.by_ref().take(length).read_to_end(&mut bytes)?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    pub fn skip(&mut self, length: u64) -> io::Result<()> {
        let offset = i64::try_from(length).map_err(|_| invalid())?;
        self.inner.seek_relative(offset)?;
        self.at += length;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// All fields of a message in memory.
pub fn fields(bytes: &[u8]) -> io::Result<Vec<Field>> {
    let mut source = Source::new(io::Cursor::new(bytes));
    let mut fields = Vec::new();
    while let Some((number, head)) = source.head(bytes.len() as u64)? {
        fields.push(source.field(number, head)?);
    }
    Ok(fields)
}

pub fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn varint(from: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(value);
        }
    }
    Err(invalid())
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
