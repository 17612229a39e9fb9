//! Reading a segment file back, file by file.

use super::chunk_row::{self, EncodedChunk};
use super::record::{self, FRAME_BYTES, Next, Record};
use super::{LAYOUT, MAGIC, SegmentHeader};
use crate::file::{FileRecord, RelPath};
use crate::named_file;
use crate::store::error::StoreError;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes read ahead: a few records of small files. Longer records are read at once anyway.
const BUFFER_BYTES: usize = 64 << 10;

/// What the whole records of a segment file say.
#[derive(Debug)]
pub(super) struct Contents {
    pub header: SegmentHeader,
    /// Where the rows are encoded, if a record says so.
    pub device: Option<String>,
    /// Whether the last record says that nothing is missing.
    pub is_complete: bool,
    /// Where the records of files begin, and where the last whole record ends.
    pub begin: u64,
    pub end: u64,
    /// Whether anything follows the last whole record.
    pub is_torn: bool,
    /// In the order of their commits; the latest of each path.
    files: Vec<Committed>,
}

/// A file, and where its chunks lie.
#[derive(Debug)]
struct Committed {
    record: FileRecord,
    chunks_at: u64,
    chunks_bytes: u64,
}

impl Contents {
    /// Return those of a segment whose header ends at `begin`, and that has nothing else.
    pub fn empty(header: SegmentHeader, begin: u64) -> Self {
        Self {
            header,
            device: None,
            is_complete: false,
            begin,
            end: begin,
            is_torn: false,
            files: Vec::new(),
        }
    }

    /// Read `file` from its beginning to its last whole record. `None` if it does not begin as a segment of this layout.
    pub fn read(file: &File, path: &Path) -> Result<Option<Self>, StoreError> {
        let failed = StoreError::io(path);
        let bytes = file.metadata().map_err(&failed)?.len();
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
        reader.seek(SeekFrom::Start(0)).map_err(&failed)?;
        let mut magic = Vec::new();
        let mut head = reader.by_ref().take(MAGIC.len() as u64);
        head.read_to_end(&mut magic).map_err(&failed)?;
        if magic != MAGIC {
            return Ok(None);
        }
        let mut at = MAGIC.len() as u64;
        let mut buffer = Vec::new();
        let mut next = |at: u64, buffer: &mut Vec<u8>| {
            record::next(&mut reader, bytes - at.min(bytes), buffer).map_err(&failed)
        };
        let Next::Record(length) = next(at, &mut buffer)? else {
            return Ok(None);
        };
        let Some(header) = record::read_header(record::payload(&buffer), LAYOUT) else {
            return Ok(None);
        };
        at += FRAME_BYTES + length;
        let mut contents = Self::empty(header, at);
        let mut latest = HashMap::new();
        while let Next::Record(length) = next(contents.end, &mut buffer)? {
            let payload = record::payload(&buffer);
            let Some((record, chunks)) = record::read(payload) else {
                break;
            };
            contents.end += FRAME_BYTES + length;
            let chunks_bytes = chunks.len() as u64;
            contents.add(record, chunks_bytes, &mut latest);
        }
        contents.is_torn = contents.end < bytes;
        contents.keep(&latest);
        Ok(Some(contents))
    }

    /// Take the record that ends at [`Self::end`], with that many bytes of chunks. `latest` is the place of the latest
    /// record of each path in [`Self::files`].
    fn add(&mut self, record: Record, chunks_bytes: u64, latest: &mut HashMap<RelPath, usize>) {
        self.is_complete = false;
        match record {
            Record::Device(device) => self.device = Some(device),
            Record::Complete(device) => {
                self.is_complete = true;
                self.device = Some(device);
            }
            Record::Forget(path) => {
                latest.remove(&path);
            }
            Record::File(record) => {
                latest.insert(record.entry.path.clone(), self.files.len());
                self.files.push(Committed {
                    record,
                    chunks_at: self.end - chunks_bytes,
                    chunks_bytes,
                });
            }
        }
    }

    /// Drop the files that were replaced or forgotten.
    fn keep(&mut self, latest: &HashMap<RelPath, usize>) {
        let mut n = 0;
        self.files.retain(|file| {
            let is_latest = latest.get(&file.record.entry.path) == Some(&n);
            n += 1;
            is_latest
        });
    }

    /// Return the records of its files, in the order of their commits.
    pub fn ledger(&self) -> Vec<FileRecord> {
        self.files.iter().map(|file| file.record.clone()).collect()
    }
}

/// A segment file opened for loading.
#[derive(Debug)]
pub struct SegmentReader {
    file: File,
    path: PathBuf,
    contents: Contents,
    /// Places in the contents by path.
    by_path: HashMap<RelPath, usize>,
    /// The chunks of one file.
    buffer: RefCell<Vec<u8>>,
}

impl SegmentReader {
    /// Open what a [`SegmentWriter`](super::SegmentWriter) left, complete or not. Checks every record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the file does not begin as a segment of this layout. A torn end is no error.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = named_file::open(path).map_err(StoreError::io(path))?;
        let contents = Contents::read(&file, path)?
            .ok_or_else(|| StoreError::corrupt(path, "it does not begin as a segment"))?;
        let files = contents.files.iter().enumerate();
        let by_path = files.map(|(n, file)| (file.record.entry.path.clone(), n));
        Ok(Self {
            by_path: by_path.collect(),
            file,
            path: path.to_path_buf(),
            contents,
            buffer: RefCell::default(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn header(&self) -> &SegmentHeader {
        &self.contents.header
    }

    /// Return where the segment was encoded; `None` while it is not complete.
    pub fn device(&self) -> Option<&str> {
        let device = self.contents.device.as_deref();
        device.filter(|_| self.contents.is_complete)
    }

    /// Return whether anything follows the last whole record.
    pub fn is_torn(&self) -> bool {
        self.contents.is_torn
    }

    /// Return the records of its files, in the order of their commits.
    pub fn ledger(&self) -> Vec<FileRecord> {
        self.contents.ledger()
    }

    /// Return the ledger row of `path` and the file's number.
    pub(in crate::store) fn file(
        &self,
        path: &RelPath,
    ) -> Result<Option<(usize, &FileRecord)>, StoreError> {
        match self.by_path.get(path) {
            Some(n) => Ok(Some((*n, &self.contents.files[*n].record))),
            None if self.contents.is_torn => Err(StoreError::corrupt(
                &self.path,
                format!("its end is torn, and {path} is missing"),
            )),
            None => Ok(None),
        }
    }

    /// Call `take` for every chunk of a file, in sequence. One file's chunks are in memory at a time.
    pub(in crate::store) fn for_each_chunk<E: From<StoreError>>(
        &self,
        file_no: usize,
        mut take: impl FnMut(EncodedChunk<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let file = &self.contents.files[file_no];
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(file.chunks_bytes as usize, 0);
        let mut source = &self.file;
        source
            .seek(SeekFrom::Start(file.chunks_at))
            .and_then(|_| source.read_exact(&mut buffer))
            .map_err(StoreError::io(&self.path))?;
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let (chunk, more) = chunk_row::read(rest)
                .ok_or_else(|| StoreError::corrupt(&self.path, "a chunk does not decode"))?;
            take(chunk)?;
            rest = more;
        }
        Ok(())
    }
}
