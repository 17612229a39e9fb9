//! Segments, shards and the routing database together, on real files in temporary folders.

pub mod sample;

mod digests;
pub mod loading;
mod routing;
mod segments;

/// The address that opens a database for reading takes every path as it stands.
#[test]
fn a_database_is_opened_whatever_its_path_looks_like() {
    let dir = crate::test_folder::create();
    let names = [
        "a b",
        "per%20cent",
        "que#st?ion=1",
        "ümlaut",
        "-dash",
        "co:lon",
    ];
    for name in names {
        // Windows has no such names.
        if cfg!(windows) && name.contains(['?', ':']) {
            continue;
        }
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join(format!("{name}.db"));
        let made = rusqlite::Connection::open(&path).expect("made");
        made.execute_batch("CREATE TABLE t (x)").expect("made");
        made.close().expect("closed");
        let doubled = format!("/{}", path.display());
        let doubled = match cfg!(unix) {
            true => std::path::Path::new(&doubled),
            false => path.as_path(),
        };
        for path in [&path, doubled] {
            let opened = super::connect::open_read_only(path);
            let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let read = opened.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
            assert_eq!(read, Ok(0), "{}", path.display());
        }
    }
}
