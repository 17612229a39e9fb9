//! Frames: a length, a checksum and a message.
//!
//! Knows nothing about the meaning of messages. Never waits longer than its reader, and never trusts a length before it
//! is checked.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// Longest message in bytes. The largest message is a segment's file list: 2 MiB of text in files of 50 bytes with paths
/// of 4 KiB would need 170 MiB, real trees need well under 1 MiB. Doubling it costs nothing; it only limits how much a
/// corrupt length can allocate.
pub const MAX_FRAME_BYTES: u32 = 256 << 20;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side ended in the middle of a frame, or the pipe broke.
    #[error("the pipe broke: {0}")]
    Io(#[from] io::Error),
    /// Not written by this protocol's encoder: a stray print, or another program.
    #[error("not a frame of this protocol: {0}")]
    Garbled(&'static str),
}

/// Write one frame and flush: 4 bytes of length (little endian), 4 bytes of checksum, then the message as postcard.
pub fn write_frame<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), FrameError> {
    let body =
        postcard::to_stdvec(message).map_err(|_| FrameError::Garbled("cannot be encoded"))?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|n| *n <= MAX_FRAME_BYTES)
        .ok_or(FrameError::Garbled("message too long"))?;
    let mut frame = Vec::with_capacity(body.len() + 8);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&checksum(&body));
    frame.extend_from_slice(&body);
    to.write_all(&frame)?;
    to.flush()?;
    Ok(())
}

/// Read one frame; `None` at a clean end. Blocks as the reader does.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut header = [0; 8];
    if !fill_or_end(from, &mut header)? {
        return Ok(None);
    }
    let [a, b, c, d, sum @ ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::Garbled("length out of range"));
    }
    // The buffer grows as bytes arrive, so that a corrupt length cannot allocate more than was sent.
    let mut body = Vec::new();
    from.take(length.into()).read_to_end(&mut body)?;
    if body.len() != length as usize {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    if checksum(&body) != sum {
        return Err(FrameError::Garbled("checksum differs"));
    }
    postcard::from_bytes(&body)
        .map(Some)
        .map_err(|_| FrameError::Garbled("unknown message"))
}

/// Fill the buffer; `false` if the reader ended before the first byte.
fn fill_or_end(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(body);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_follow_each_other_and_end_cleanly() {
        let mut pipe = Vec::new();
        write_frame(&mut pipe, &"one").expect("writes");
        write_frame(&mut pipe, &"two").expect("writes");
        let mut reader = pipe.as_slice();
        assert_eq!(
            read_frame::<String>(&mut reader).expect("reads").as_deref(),
            Some("one")
        );
        assert_eq!(
            read_frame::<String>(&mut reader).expect("reads").as_deref(),
            Some("two")
        );
        assert_eq!(read_frame::<String>(&mut reader).expect("ends"), None);
    }

    #[test]
    fn a_stray_print_is_detected() {
        let mut reader = b"Downloading tokenizer.json 100%\n".as_slice();
        assert!(matches!(
            read_frame::<String>(&mut reader),
            Err(FrameError::Garbled(_))
        ));
    }

    proptest! {
        #[test]
        fn any_message_survives(messages in proptest::collection::vec(any::<(u64, String, Vec<u8>)>(), 0..8)) {
            let mut pipe = Vec::new();
            for message in &messages {
                write_frame(&mut pipe, message).expect("writes");
            }
            let mut reader = pipe.as_slice();
            for message in &messages {
                let read: (u64, String, Vec<u8>) = read_frame(&mut reader).expect("reads").expect("is there");
                prop_assert_eq!(&read, message);
            }
        }

        #[test]
        fn a_flipped_or_cut_frame_is_never_read_as_another(text in ".{0,60}", at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
            let mut pipe = Vec::new();
            write_frame(&mut pipe, &text).expect("writes");
            let at = at.index(pipe.len());
            if cut {
                pipe.truncate(at);
            } else {
                pipe[at] ^= 1 << bit;
            }
            match read_frame::<String>(&mut pipe.as_slice()) {
                Ok(Some(read)) => prop_assert!(false, "read {read:?} from a damaged frame"),
                Ok(None) => prop_assert!(cut && at == 0),
                Err(_) => {}
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_frame::<Vec<String>>(&mut bytes.as_slice());
        }
    }
}
