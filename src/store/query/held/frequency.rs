//! How often a word occurs in a chunk, as the full-text index counts it.
//!
//! FTS5 shows frequencies to auxiliary functions only. Its own `bm25` would walk over a word's chunks twice and read each
//! chunk's length from the database.

use rusqlite::{Connection, ffi};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Name of the function in SQL: `helix_frequency(genes_fts)` is the number of places at which the chunk matches.
pub const FUNCTION: &str = "helix_frequency";

/// Make [`FUNCTION`] known to a connection.
pub fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut api: *mut ffi::fts5_api = ptr::null_mut();
    // SAFETY: the connection is open for the whole call. `fts5(?1)` stores a pointer into `api`, which outlives the
    // statement (fts5.html, section 8), and the pointer that it stores lives as long as the connection.
    unsafe {
        let mut statement = ptr::null_mut();
        let sql = c"SELECT fts5(?1)".as_ptr();
        let prepared = ffi::sqlite3_prepare_v2(
            connection.handle(),
            sql,
            -1,
            &raw mut statement,
            ptr::null_mut(),
        );
        if prepared == ffi::SQLITE_OK {
            ffi::sqlite3_bind_pointer(
                statement,
                1,
                (&raw mut api).cast::<c_void>(),
                c"fts5_api_ptr".as_ptr(),
                None,
            );
            ffi::sqlite3_step(statement);
        }
        ffi::sqlite3_finalize(statement);
        let create = api.as_ref().and_then(|api| api.xCreateFunction);
        let code = create.map_or(ffi::SQLITE_ERROR, |create| {
            let name: *const c_char = c"helix_frequency".as_ptr();
            create(api, name, ptr::null_mut(), Some(frequency), None)
        });
        match code {
            ffi::SQLITE_OK => Ok(()),
            code => Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(code),
                Some("the full-text index offers no functions".to_owned()),
            )),
        }
    }
}

/// Answer with the number of places in the current row that match the query.
unsafe extern "C" fn frequency(
    api: *const ffi::Fts5ExtensionApi,
    row: *mut ffi::Fts5Context,
    answer: *mut ffi::sqlite3_context,
    _n_arguments: c_int,
    _arguments: *mut *mut ffi::sqlite3_value,
) {
    let mut places: c_int = 0;
    // SAFETY: FTS5 passes its own live pointers, and `places` outlives the call.
    unsafe {
        let count = (*api).xInstCount;
        match count.map_or(ffi::SQLITE_ERROR, |count| count(row, &raw mut places)) {
            ffi::SQLITE_OK => ffi::sqlite3_result_int(answer, places),
            code => ffi::sqlite3_result_error_code(answer, code),
        }
    }
}
