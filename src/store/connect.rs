//! Opening databases: one function per way in which we use a file.

use super::error::{StoreError, note_system_error};
use super::schema::PAGE_BYTES;
use crate::ids::FileHash;
use crate::named_file;
use crate::platform;
use crate::report::marks;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

/// Descriptors that one database takes: itself, its log and the log's shared memory.
const FILES_A_DATABASE: u64 = 3;

/// Descriptors left for everything else: libraries, pipes, the files in hand.
const OTHER_FILES: u64 = 64;

/// Return how many databases of an index this process keeps open at the same time, at least 8: the others are opened
/// when they are read.
pub fn most_open_databases() -> usize {
    let free = platform::most_open_files().saturating_sub(OTHER_FILES);
    usize::try_from(free / FILES_A_DATABASE).map_or(usize::MAX, |n| n.max(8))
}

/// How long a call waits for another process's lock. Servers checkpoint in well under a second.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether the lock is free, where SQLite does not look itself.
const BUSY_LOOK: Duration = Duration::from_millis(10);

/// Page cache of a connection that loads a shard, in KiB: the trees that grow at random places, about 80 bytes a chunk.
/// Doubling it would cost its size in every publication.
const LOAD_CACHE_KIB: u32 = 16 * 1024;

/// Page cache while indexes are built, in KiB. It is the size of a sorted run as well, and runs that
/// fit the processor's cache sort fastest: for the three indexes over 2.1 million sparse terms, 4 MiB
/// took 3.0 s of CPU time, 64 MiB 4.8 s and 256 MiB 5.1 s; 1 and 2 MiB were no better.
const INDEX_CACHE_KIB: u32 = 4 * 1024;

/// Set SQLite up for this process: before its first use, since later it changes nothing.
fn set_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Counting its memory takes a lock shared by all threads for each allocation; nobody asks for it.
        // SAFETY: documented variadic calls; one takes an int, the other a function and its first argument.
        unsafe {
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
            ffi::sqlite3_config(
                ffi::SQLITE_CONFIG_LOG,
                note_system_error as extern "C" fn(*mut c_void, c_int, *const c_char),
                std::ptr::null_mut::<c_void>(),
            );
        }
    });
}

/// Lets sorters of this process spill into `folder` rather than the system's folder for temporary files,
/// which may be small: then a build would end with a full disk that is not the one it names. The files
/// have no names, so that a kill leaves none. Call it while no other thread uses the store.
pub fn spill_into(folder: &Path) -> Result<(), StoreError> {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let text = CString::new(bytes).map_err(|error| StoreError::io(folder)(error.into()))?;
    set_up();
    // SAFETY: the variable holds null or what SQLite allocated; it is read when a temporary file is
    // opened, which no thread does now.
    unsafe {
        let earlier = ffi::sqlite3_temp_directory;
        ffi::sqlite3_temp_directory = ffi::sqlite3_mprintf(c"%s".as_ptr(), text.as_ptr());
        ffi::sqlite3_free(earlier.cast());
    }
    Ok(())
}

/// Open a connection whose statements keep their plans. Otherwise SQLite looks at bound values where a partial index might
/// serve, as on `genes`, and compiles the statement again whenever they change: half the time of reading a chunk.
fn connect(path: impl AsRef<Path>, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(conn)
}

pub(super) fn open_in_memory() -> rusqlite::Result<Connection> {
    set_up();
    Connection::open_in_memory()
}

/// Create a database with these bytes. Nobody else sees it until it is renamed.
pub(super) fn create_for_load(path: &Path, bytes: &[u8]) -> Result<Connection, StoreError> {
    File::create_new(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(StoreError::io(path))?;
    open_for_load(path)
}

/// Open a database of [`create_for_load`] again: no journal, no fsync, one owner. A crash leaves rubbish, which is what
/// the temporary name says.
pub(super) fn open_for_load(path: &Path) -> Result<Connection, StoreError> {
    set_up();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = connect(path, flags).map_err(StoreError::sql(path))?;
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = OFF;
         PRAGMA synchronous = OFF;
         PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA foreign_keys = OFF;
         PRAGMA cache_size = -{LOAD_CACHE_KIB};"
    ))
    .map_err(StoreError::sql(path))?;
    Ok(conn)
}

/// Prepares a connection of [`open_for_load`] for building indexes. `threads` help the sorter: they
/// save time where cores are idle (2.2 s instead of 3.0 s in the measurement above) and cost a quarter
/// more CPU time.
pub(super) fn tune_for_indexes(conn: &Connection, threads: u32) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "PRAGMA cache_size = -{INDEX_CACHE_KIB}; PRAGMA threads = {threads};"
    ))
}

/// Steps of SQLite's virtual machine between two looks at a stop flag: some ten microseconds.
const STEPS_PER_LOOK: i32 = 1_000;

/// Make whatever the connection is doing end, with [`StoreError::Interrupted`], once `stop` is set:
/// building an index of a large shard takes minutes.
pub(super) fn end_when_set(conn: &mut Connection, stop: Arc<AtomicBool>) -> rusqlite::Result<()> {
    conn.progress_handler(STEPS_PER_LOOK, Some(move || stop.load(Ordering::Relaxed)))
}

/// Make sure that the file can be written, creating it. SQLite would fall back to reading, or say
/// "unable to open"; the system's own reason is better.
fn ensure_writable(path: &Path) -> Result<(), StoreError> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    let opened = platform::without_waiting(&mut options).open(path);
    opened.map(drop).map_err(StoreError::io(path))
}

/// Open or create a database that survives a kill at any point and has one owner at a time: a
/// second process gets [`StoreError::Busy`]. No shared-memory file is made.
pub(super) fn open_owned(path: &Path) -> Result<Connection, StoreError> {
    set_up();
    ensure_writable(path)?;
    let conn = connect(path, OpenFlags::default()).map_err(StoreError::sql(path))?;
    conn.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES};
         PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA synchronous = NORMAL;
         PRAGMA foreign_keys = OFF;"
    ))
    .and_then(|()| set_journal_mode(&conn, "WAL"))
    .map_err(StoreError::sql(path))?;
    Ok(conn)
}

/// Changes the journal mode and hears what becomes of it. The file is written when the statement ends,
/// after it has answered; a caller that takes the answer alone misses a failed write.
pub(super) fn set_journal_mode(conn: &Connection, mode: &str) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!("PRAGMA journal_mode = {mode}"))?;
    let mut rows = statement.query([])?;
    let mut answer = String::new();
    while let Some(row) = rows.next()? {
        answer = row.get(0)?;
    }
    if answer.eq_ignore_ascii_case(mode) {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_IOERR),
        Some(format!("the journal mode stayed {answer}")),
    ))
}

/// Open or create a database that servers may have open at the same time, and whose commits
/// survive a power cut.
pub(super) fn open_shared(path: &Path) -> Result<Connection, StoreError> {
    set_up();
    ensure_writable(path)?;
    let conn = connect(path, OpenFlags::default()).map_err(StoreError::sql(path))?;
    conn.busy_timeout(BUSY_TIMEOUT)
        .map_err(StoreError::sql(path))?;
    // No trigger is the builder's or a server's: one that was planted must not undo what is registered.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .map_err(StoreError::sql(path))?;
    let setup = format!(
        "PRAGMA page_size = {PAGE_BYTES};
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = OFF;"
    );
    // SQLite does not wait for another process that is creating the database: the journal mode is
    // changed in a transaction that began as a reader's.
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let done = conn
            .execute_batch(&setup)
            .and_then(|()| set_journal_mode(&conn, "WAL"))
            .map_err(StoreError::sql(path));
        match done {
            Ok(()) => return Ok(conn),
            Err(StoreError::Busy { .. }) if Instant::now() < deadline => thread::sleep(BUSY_LOOK),
            Err(error) => return Err(error),
        }
    }
}

/// What of a write-ahead log lies beside a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    None,
    /// The file is empty, and its shared memory is there: a program has the database open and has written nothing
    /// since the last checkpoint, or died like that.
    Empty,
    /// What was committed last may stand in the log alone.
    Filled,
}

impl Log {
    pub fn beside(path: &Path) -> Self {
        match std::fs::metadata(sidecar(path, "-wal")) {
            Ok(log) if log.len() > 0 => Self::Filled,
            Ok(_) if sidecar(path, "-shm").exists() => Self::Empty,
            _ => Self::None,
        }
    }
}

/// Open a finished database for reading only. Without a write-ahead log beside it the file is
/// taken as unchanging, so that reading creates nothing next to it and works in a folder that
/// cannot be written; with one (a server has it open) the log is read too, under SQLite's locks.
pub fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    set_up();
    // SQLite would say "unable to open"; the system's own reason is better.
    let file = named_file::open(path).map_err(StoreError::io(path))?;
    let bytes = file.metadata().map_err(StoreError::io(path))?.len();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |is_shared: bool| {
        let conn = match is_shared {
            true => connect(path, flags)?,
            false => connect(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
        };
        conn.busy_timeout(BUSY_TIMEOUT)?;
        Ok(conn)
    };
    let opened = match Log::beside(path) {
        // SQLite deletes a log that it finds beside an empty file.
        _ if bytes == 0 => open(false),
        Log::None => open(false),
        Log::Filled => open(true),
        // The shared memory may be another user's; the file says all there is.
        Log::Empty => open(true)
            .and_then(|conn| {
                conn.pragma_query(None, "schema_version", |_| Ok(()))
                    .map(|()| conn)
            })
            .or_else(|_| open(false)),
    };
    opened.map_err(StoreError::sql(path))
}

/// Close a database of which `conn` is the only user and whose journal mode is the one that servers expect; check that
/// its header says so and that nothing is left beside the file.
pub(super) fn close_as_wal(conn: Connection, path: &Path) -> Result<(), StoreError> {
    conn.close()
        .map_err(|(_, error)| StoreError::sql(path)(error))?;
    let mut header = [0; 20];
    named_file::open(path)
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(StoreError::io(path))?;
    // File format write and read versions: 2 is WAL (SQLite file format, section 1.3).
    if header[18..20] != [2, 2] {
        return Err(StoreError::corrupt(path, "the header does not say WAL"));
    }
    match std::fs::metadata(sidecar(path, "-wal")) {
        Ok(_) => Err(StoreError::corrupt(path, "the log was not folded in")),
        Err(_) => Ok(()),
    }
}

/// Return the hash of a whole file.
pub fn hash_file(path: &Path) -> Result<FileHash, StoreError> {
    let mut hasher = blake3::Hasher::new();
    named_file::open(path)
        .and_then(|file| hasher.update_reader(file).map(drop))
        .map_err(StoreError::io(path))?;
    Ok(FileHash(hasher.finalize().into()))
}

/// Return a file that SQLite keeps beside `path`.
pub(crate) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Remove a database and what SQLite keeps beside it; what is not there is no error. The database goes last: a log
/// without one would be taken for somebody else's.
pub fn remove_database(path: &Path) -> Result<(), StoreError> {
    remove_files(path, &["-wal", "-shm", "-journal", ""])
}

/// Remove what SQLite keeps beside a database that is about to be replaced: it would be taken for
/// the new one's.
pub fn remove_log(path: &Path) -> Result<(), StoreError> {
    remove_files(path, &["-wal", "-shm", "-journal"])
}

/// Return what SQLite keeps beside the database at `path` and holds something, if there is any.
pub fn log_beside(path: &Path) -> Option<PathBuf> {
    let mut logs = marks::BESIDE.iter().map(|suffix| sidecar(path, suffix));
    logs.find(|log| std::fs::symlink_metadata(log).is_ok_and(|found| found.len() > 0))
}

fn remove_files(path: &Path, suffixes: &[&str]) -> Result<(), StoreError> {
    for file in suffixes.iter().map(|suffix| sidecar(path, suffix)) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `file:` address of `path` with every unusual byte escaped. SQLite reads the part after
/// `file:` up to `?` as the path, whatever it is: relative, or with a drive's letter.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    // Two slashes in front would introduce a host.
    let path: PathBuf = path.components().collect();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b':' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}
