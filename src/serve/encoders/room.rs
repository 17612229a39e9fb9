//! Room in memory for requests and answers: bounds what all connections hold together.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What takes no room. Ordinary queries are smaller, so that they never wait for large requests; all connections together
/// hold 16 MiB of them.
const FREE_BYTES: usize = 64 << 10;

/// Unit of the semaphore, which counts in 32 bits.
const UNIT_BYTES: usize = 1 << 10;

/// Bytes that many requests share.
pub struct Room {
    units: Arc<Semaphore>,
    most: usize,
}

/// A part of the room, given back when it is dropped.
#[derive(Debug, Default)]
pub struct Taken {
    _units: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub fn of(bytes: usize) -> Self {
        let most = bytes / UNIT_BYTES;
        Self {
            units: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// Wait until there is room for `bytes`; for more than there ever is, until nothing else takes any.
    pub async fn take(&self, bytes: usize) -> Taken {
        if bytes <= FREE_BYTES {
            return Taken::default();
        }
        let units = bytes.div_ceil(UNIT_BYTES).min(self.most);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.units).acquire_many_owned(units).await;
        Taken {
            _units: Some(taken.expect("the semaphore is never closed")),
        }
    }
}

/// Bytes that hold their room until they have been sent.
pub struct Held {
    bytes: Vec<u8>,
    _taken: Taken,
}

impl Held {
    pub fn new(bytes: Vec<u8>, taken: Taken) -> Self {
        Self {
            bytes,
            _taken: taken,
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn an_answer_holds_its_room_until_it_is_sent() {
        let runtime = crate::serve::runtime::runtime().expect("a runtime");
        runtime.block_on(async {
            let room = Room::of(1 << 20);
            let soon = Duration::from_millis(10);
            let taken = room.take(1 << 30).await;
            let answer = Bytes::from_owner(Held::new(vec![1], taken));
            let part = answer.slice(..1);
            drop(answer);
            assert!(timeout(soon, room.take(FREE_BYTES + 1)).await.is_err());
            assert!(timeout(soon, room.take(FREE_BYTES)).await.is_ok());
            drop(part);
            let whole = timeout(soon, room.take(1 << 20)).await;
            assert!(whole.is_ok());
        });
    }
}
