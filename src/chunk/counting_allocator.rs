//! Counts what tree-sitter allocates, as a part of its work.
//!
//! The one effect of this layer beyond its results: [`install`] replaces tree-sitter's allocator for the
//! whole process. The functions are mimalloc's, which are faster than the C library's for the many small parts of
//! a tree, plus a counter for each thread. No other part of the program uses tree-sitter.

use libmimalloc_sys::{mi_free, mi_malloc, mi_realloc, mi_zalloc};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Once;
use tree_sitter::Allocator;

/// An allocation counts as one operation, and one more for so many bytes of it, since they may be copied.
const BYTES_PER_WORK: usize = 64;

thread_local! {
    static WORK: Cell<u64> = const { Cell::new(0) };
}

/// Return the work of tree-sitter's allocations on this thread so far. Call [`install`] first.
pub(super) fn work() -> u64 {
    WORK.get()
}

/// Make tree-sitter allocate through this module from now on. Only the first call does something.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let allocator = Allocator {
            malloc: counted_malloc,
            calloc: counted_calloc,
            realloc: counted_realloc,
            free: mi_free,
        };
        // SAFETY: the functions are one allocator's, behave as C's own do and never return null. `Once`
        // keeps our other threads out, and every use of tree-sitter in this program comes after it.
        unsafe { tree_sitter::set_allocator(Some(allocator)) };
    });
}

/// Count one allocation. Abort when there is no memory, as tree-sitter's own functions do.
fn counted(memory: *mut c_void, size: usize) -> *mut c_void {
    if memory.is_null() && size > 0 {
        std::process::abort();
    }
    WORK.set(WORK.get() + 1 + (size / BYTES_PER_WORK) as u64);
    memory
}

unsafe extern "C" fn counted_malloc(size: usize) -> *mut c_void {
    // SAFETY: as for C's `malloc`.
    counted(unsafe { mi_malloc(size) }, size)
}

unsafe extern "C" fn counted_calloc(count: usize, size: usize) -> *mut c_void {
    let bytes = count.saturating_mul(size);
    // SAFETY: any number of bytes may be asked for; the answer is zeroed memory or null.
    counted(unsafe { mi_zalloc(bytes) }, size)
}

unsafe extern "C" fn counted_realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: as for C's `realloc`.
    counted(unsafe { mi_realloc(memory, size) }, size)
}
