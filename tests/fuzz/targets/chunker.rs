#![no_main]

#[path = "../checks/chunker.rs"]
mod checks;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{LazyLock, Mutex};
use std::thread;

/// Bytes. Frames of the grammars' C code are larger with AddressSanitizer than the chunker reckons with,
/// and it must not be the stack that ends.
const STACK: usize = 256 << 20;

/// One thread for all texts: a new one each time would cost more than a small text.
struct Checker {
    texts: SyncSender<Vec<u8>>,
    done: Mutex<Receiver<()>>,
}

static CHECKER: LazyLock<Checker> = LazyLock::new(|| {
    let (texts, inbox) = sync_channel::<Vec<u8>>(0);
    let (outbox, done) = sync_channel(0);
    let run = move || {
        for text in inbox {
            checks::check(&text);
            if outbox.send(()).is_err() {
                return;
            }
        }
    };
    let builder = thread::Builder::new().stack_size(STACK);
    builder.spawn(run).expect("a thread");
    let done = Mutex::new(done);
    Checker { texts, done }
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    CHECKER.texts.send(data.to_vec()).expect("the thread lives");
    let done = CHECKER.done.lock().expect("one caller");
    done.recv().expect("the thread lives");
});
