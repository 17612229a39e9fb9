//! Parses a text within a fixed amount of work, counted and never timed, so that the answer is the same
//! on every machine.
//!
//! tree-sitter is linear on programs, but not on every text: while it recovers from errors it may keep
//! many alternatives alive, and a grammar's own scanner may read to the end of the text at each token
//! (4 KB of `<!--` as C took 1.8 s, 200 KB of `)` as Bash 99 s). Its own count of operations stays
//! small meanwhile, so we also count its memory allocations and the pieces of text it reads.

use std::cell::Cell;
use std::ffi::c_void;
use std::ops::ControlFlow;
use std::sync::Once;
use tree_sitter::{Allocator, Language, ParseOptions, ParseState, Parser, Tree};

/// Work allowed: a base and so much for each byte. 12,000 real files needed 1 a byte, 11 at most (a base
/// apart); twice as much doubles the time that a hostile text can take.
const BASE_WORK: u64 = 100_000;
const WORK_PER_BYTE: u64 = 16;

/// The lexer is handed the text in pieces of so many bytes; to read one takes about as long as so many
/// operations.
const PIECE: usize = 256;
const WORK_PER_PIECE: u64 = 16;

/// tree-sitter reports after so many operations.
const WORK_PER_REPORT: u64 = 100;

/// An allocation counts as an operation, and another for so many bytes of it, for they may be copied.
const BYTES_PER_WORK: usize = 64;

/// Stack a parse may need: a base and so much for each byte. tree-sitter frees the alternatives it drops
/// by recursion, one level of 112 bytes (optimised) for each token; 1 MB of `%w(` as C overflowed 8 MiB.
const BASE_STACK: usize = 256 * 1024;
const STACK_PER_BYTE: usize = 256;

/// The syntax tree of `text`; `None` when the work allowed is used up.
///
/// Takes a new stack where the thread's own is too small for a text of this length (10 us).
pub fn parse(language: &Language, text: &str) -> Option<Tree> {
    let stack = BASE_STACK + STACK_PER_BYTE * text.len();
    stacker::maybe_grow(stack, stack, || parse_here(language, text))
}

/// A new parser each time: it costs 0.2 us, and one that keeps memory from the text before would
/// allocate less for this one.
fn parse_here(language: &Language, text: &str) -> Option<Tree> {
    count_allocations();
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let bytes = text.as_bytes();
    let allowed = BASE_WORK + WORK_PER_BYTE * bytes.len() as u64;
    let reading = Cell::new(0);
    let before = ALLOCATIONS.get();
    let work = |reporting: u64| reading.get() + reporting + ALLOCATIONS.get() - before;

    let mut read = |at: usize, _| {
        reading.set(reading.get() + WORK_PER_PIECE);
        if reading.get() > allowed {
            // Ends a scan that would go on to the end; the report that follows ends the rest.
            return &[][..];
        }
        &bytes[at.min(bytes.len())..bytes.len().min(at + PIECE)]
    };
    let mut reporting = 0;
    let mut report = |_: &ParseState| {
        reporting += WORK_PER_REPORT;
        if work(reporting) > allowed {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let options = ParseOptions::new().progress_callback(&mut report);
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    tree.filter(|_| work(reporting) <= allowed)
}

thread_local! {
    /// Work of tree-sitter's allocations on this thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Has tree-sitter allocate through us from now on.
fn count_allocations() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let allocator = Allocator {
            malloc: counted_malloc,
            calloc: counted_calloc,
            realloc: counted_realloc,
            free,
        };
        // SAFETY: the functions are the C library's own, which tree-sitter uses by default as well,
        // and never return null. `Once` keeps other threads of ours out, and all of our uses of
        // tree-sitter come after it.
        unsafe { tree_sitter::set_allocator(Some(allocator)) };
    });
}

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn realloc(memory: *mut c_void, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// Counts one allocation. Without memory the process ends, as it does with tree-sitter's own functions.
fn counted(memory: *mut c_void, size: usize) -> *mut c_void {
    if memory.is_null() && size > 0 {
        std::process::abort();
    }
    let work = 1 + (size / BYTES_PER_WORK) as u64;
    ALLOCATIONS.set(ALLOCATIONS.get() + work);
    memory
}

unsafe extern "C" fn counted_malloc(size: usize) -> *mut c_void {
    // SAFETY: as for the C library's function.
    counted(unsafe { malloc(size) }, size)
}

unsafe extern "C" fn counted_calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: as for the C library's function.
    counted(unsafe { calloc(count, size) }, size)
}

unsafe extern "C" fn counted_realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: as for the C library's function.
    counted(unsafe { realloc(memory, size) }, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_parsed_and_texts_made_to_hang_are_given_up() {
        let c = tree_sitter_c::LANGUAGE.into();
        assert!(parse(&c, &"int f(int a) { return a + 1; }\n".repeat(1_000)).is_some());
        // Each spends its work on something else: reading, operations and allocations, large allocations.
        assert!(parse(&tree_sitter_bash::LANGUAGE.into(), &")".repeat(30_000)).is_none());
        assert!(parse(&c, &"<!--".repeat(8_000)).is_none());
        assert!(parse(&c, &"%w(".repeat(10_000)).is_none());
    }
}
