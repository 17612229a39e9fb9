//! Segment files: what a worker has finished, so that a kill at any point loses nothing.
//!
//! A segment file has one [owner] at a time and only grows: a mark, a header, then [records](record), each with a checksum.
//! One record holds a file's chunks together with its ledger row, so whatever a kill leaves, the file begins with whole
//! files, oldest first; what follows is cut off when the next owner opens it. The worker's sink thread writes it,
//! publishing reads and then deletes it. It never decides what is stale: the caller compares identities and calls `forget`.

mod chunk_row;
mod owner;
mod reader;
mod record;

pub use chunk_row::EncodedChunk;
pub use reader::SegmentReader;

use super::connect;
use super::error::StoreError;
use crate::failpoint::failpoint;
use crate::file::{FileRecord, RelPath};
use crate::ids::Digest;
use crate::platform;
use crate::report::marks::SEGMENT_MAGIC as MAGIC;
use owner::Owner;
use reader::Contents;
use record::Record;
use std::fs::File;
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Number of the layout of the records. A file of another layout is replaced by an empty one.
const LAYOUT: u32 = 6;

/// What a segment file was made for. The rows of a file with another header are useless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Hash of everything that shapes the rows.
    pub fingerprint: Digest,
    /// The segment's place in its plan, as the caller spells it; compared, never parsed.
    pub identity: String,
}

/// Return the records of the segment at `path` if an earlier run completed it for `header`, and a publisher can load it
/// as it is. Only reads.
///
/// `None` also if it is damaged, or if another process owns it: a worker deals with those.
pub fn read_complete(
    path: &Path,
    header: &SegmentHeader,
) -> Result<Option<Vec<FileRecord>>, StoreError> {
    let Some(_owner) = Owner::take_if_free(path)? else {
        return Ok(None);
    };
    read_finished(path, header)
}

/// Do the same without asking for the lock: for a segment that was moved to its place when it was complete, in a folder that
/// may have no locks.
pub fn read_finished(
    path: &Path,
    header: &SegmentHeader,
) -> Result<Option<Vec<FileRecord>>, StoreError> {
    let segment = match SegmentReader::open(path) {
        Ok(segment) => segment,
        Err(StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_whole = segment.header() == header && segment.device().is_some() && !segment.is_torn();
    Ok(is_whole.then(|| segment.ledger()))
}

/// The one writer of a segment file.
#[derive(Debug)]
pub struct SegmentWriter {
    file: File,
    path: PathBuf,
    /// Where its rows were encoded; `None` until [`Self::encode_on`] says so.
    device: Option<String>,
    /// The files that an earlier owner committed.
    found: Vec<FileRecord>,
    /// Behind the header.
    begin: u64,
    /// Behind the last record. What lies there is of a write that failed, and the next one replaces it.
    end: u64,
    buffer: Vec<u8>,
    // Last, so that the lock is released after the file is closed.
    #[expect(dead_code, reason = "the lock is held as long as the value lives")]
    owner: Owner,
}

impl SegmentWriter {
    /// Open the segment at `path` and cut off what is not whole. Replace it by an empty one when it is missing, does not
    /// begin as a segment, is of another layout, or made for another header.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process owns it, and errors of the disk.
    pub fn open(path: &Path, header: &SegmentHeader) -> Result<Self, StoreError> {
        let owner = Owner::take(path)?;
        let (file, contents) = match reopen(path, header)? {
            Some(opened) => opened,
            None => create(path, header)?,
        };
        Ok(Self {
            file,
            path: path.to_path_buf(),
            found: contents.ledger(),
            begin: contents.begin,
            end: contents.end,
            device: contents.device,
            buffer: Vec::new(),
            owner,
        })
    }

    /// Return where its rows were encoded; `None` when [`Self::encode_on`] never said so.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// Note where the following rows are encoded. Call [`Self::start_over`] first when the segment has rows
    /// of another device: no segment mixes devices.
    pub fn encode_on(&mut self, device: &str) -> Result<(), StoreError> {
        if self.device() == Some(device) {
            return Ok(());
        }
        record::write(&mut self.buffer, &Record::Device(device.to_owned()));
        self.append()?;
        self.device = Some(device.to_owned());
        Ok(())
    }

    /// Drop everything behind the header.
    pub fn start_over(&mut self) -> Result<(), StoreError> {
        self.file
            .set_len(self.begin)
            .map_err(StoreError::io(&self.path))?;
        self.end = self.begin;
        self.found.clear();
        self.device = None;
        Ok(())
    }

    /// Return the records of the files that an earlier owner committed, in the order of their commits, but for those that
    /// were forgotten since.
    pub fn found(&self) -> &[FileRecord] {
        &self.found
    }

    /// Append files with their chunks. Replaces earlier rows of the same files.
    pub fn commit(
        &mut self,
        files: &[(&FileRecord, &[EncodedChunk<'_>])],
    ) -> Result<(), StoreError> {
        for (file, chunks) in files {
            record::write_file(&mut self.buffer, file, chunks);
        }
        self.append()
    }

    /// Drop a file whose identity changed since its commit.
    pub fn forget(&mut self, path: &RelPath) -> Result<(), StoreError> {
        record::write(&mut self.buffer, &Record::Forget(path.clone()));
        self.append()?;
        self.found.retain(|file| file.entry.path != *path);
        Ok(())
    }

    /// Mark the segment complete and close it; it is on the disk then. One file and its lock file remain. `device` is
    /// noted only when [`Self::encode_on`] was never called, which means that there are no rows.
    pub fn finish(mut self, device: &str) -> Result<(), StoreError> {
        let device = self.device.take().unwrap_or_else(|| device.to_owned());
        record::write(&mut self.buffer, &Record::Complete(device));
        self.append()?;
        self.file.sync_all().map_err(StoreError::io(&self.path))
    }

    /// Write the buffer behind the last record.
    fn append(&mut self) -> Result<(), StoreError> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&self.buffer));
        let length = self.buffer.len() as u64;
        self.buffer.clear();
        written.map_err(StoreError::io(&self.path))?;
        self.end += length;
        Ok(())
    }
}

/// Open the segment at `path` and cut off what is not whole. `None` when it has to be replaced.
fn reopen(path: &Path, header: &SegmentHeader) -> Result<Option<(File, Contents)>, StoreError> {
    let failed = StoreError::io(path);
    let mut options = File::options();
    options.read(true).write(true);
    let file = match platform::without_waiting(&mut options).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(&failed)?,
    };
    failpoint!("segment::reopen", path.display());
    let contents = Contents::read(&file, path)?.filter(|found| found.header == *header);
    let Some(contents) = contents else {
        return Ok(None);
    };
    if contents.is_torn {
        file.set_len(contents.end).map_err(&failed)?;
    }
    Ok(Some((file, contents)))
}

fn create(path: &Path, header: &SegmentHeader) -> Result<(File, Contents), StoreError> {
    failpoint!("segment::clear", path.display());
    connect::remove_database(path)?;
    failpoint!("segment::create", path.display());
    let mut bytes = MAGIC.to_vec();
    record::write_header(&mut bytes, LAYOUT, header);
    let write = || -> io::Result<File> {
        let mut options = File::options();
        let mut file = options.read(true).write(true).create_new(true).open(path)?;
        file.write_all(&bytes)?;
        Ok(file)
    };
    let file = write().map_err(StoreError::io(path))?;
    let contents = Contents::empty(header.clone(), bytes.len() as u64);
    Ok((file, contents))
}
