//! Any bytes on a worker's pipe are refused or read as a message that survives being sent again.

use helix_build::protocol::{FromWorker, MAX_FRAME_BYTES, ToWorker, read_frame, write_frame};
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use std::fmt::Debug;
use std::io::Read;

/// `data` is both a pipe's content and, since no checksum is guessed, the body of one frame.
pub fn check(data: &[u8]) {
    let mut frame = Vec::new();
    write_frame(&mut frame, &Body(data)).expect("shorter than a frame may be");
    assert_eq!(frame.len(), 8 + data.len());
    assert!(frame.starts_with(&(data.len() as u32).to_le_bytes()) && frame.ends_with(data));
    for pipe in [data, &frame] {
        read_all::<ToWorker>(pipe);
        read_all::<FromWorker>(pipe);
        ask_for_no_more_than_a_frame(pipe);
    }
}

/// Reads to the first error or the end.
fn read_all<T: DeserializeOwned + Serialize + PartialEq + Debug>(pipe: &[u8]) {
    let mut left = pipe;
    while let Ok(Some(message)) = read_frame::<T>(&mut left) {
        let mut sent = Vec::new();
        write_frame(&mut sent, &message).expect("what was read can be sent");
        let read = read_frame::<T>(&mut sent.as_slice()).expect("what was sent can be read");
        assert_eq!(read.as_ref(), Some(&message));
    }
}

/// A reader without an end, to see how much is asked of it.
fn ask_for_no_more_than_a_frame(pipe: &[u8]) {
    let Some((length, _)) = pipe.split_first_chunk() else {
        return;
    };
    let length = u32::from_le_bytes(*length);
    let mut endless = Endless { pipe, read: 0 };
    let _ = read_frame::<FromWorker>(&mut endless);
    let allowed = match length {
        // Longer frames are not waited for here: to fill one takes a tenth of a second.
        0..=0xFFFF => 8 + length as usize,
        _ if length > MAX_FRAME_BYTES => 8,
        _ => 8 + pipe.len(),
    };
    assert!(endless.read <= allowed, "{} of {allowed}", endless.read);
}

/// The pipe, and zeros behind it where the frame is short enough.
struct Endless<'a> {
    pipe: &'a [u8],
    read: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.pipe.get(self.read..).unwrap_or_default();
        let is_short = self
            .pipe
            .first_chunk()
            .is_some_and(|length| u32::from_le_bytes(*length) <= 0xFFFF);
        let n = match left.len().min(buffer.len()) {
            0 if is_short => {
                buffer.fill(0);
                buffer.len()
            }
            n => {
                buffer[..n].copy_from_slice(&left[..n]);
                n
            }
        };
        self.read += n;
        Ok(n)
    }
}

/// Bytes that are encoded as themselves.
struct Body<'a>(&'a [u8]);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}
