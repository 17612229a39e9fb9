//! Whether every table, index, view and trigger of a database is the builder's, or one that a known server adds.
//!
//! What a server may add is a closed list, [`super::server_schema`]: a trigger or a view more would change rows when a
//! server writes, or show others than are stored.

use super::fault::{FaultKind, Finder};
use super::schema_object::{created_by, objects};
use super::server_schema::ServerSchema;
use rusqlite::Connection;

/// The objects that a database should have: the builder's, and those that servers add.
pub struct ExpectedSchema {
    pub builder: &'static [&'static str],
    pub server: ServerSchema,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaSummary {
    /// Whether all of the builder's tables are there, so that further checks make sense.
    pub has_tables: bool,
    /// Objects that a known server has added or widened.
    pub of_server: usize,
}

/// Compare the objects of a database with its shape. Each that is missing, has another shape, or comes from
/// neither the builder nor a known server is a fault.
pub fn compare(
    connection: &Connection,
    shape: &ExpectedSchema,
    finder: &mut Finder<'_>,
) -> SchemaSummary {
    let read = || -> Result<_, rusqlite::Error> {
        let (builder, server) = (created_by(shape.builder)?, shape.server.objects()?);
        Ok((builder, server, objects(connection)?))
    };
    let (builder, server, found) = match read() {
        Ok(all) => all,
        Err(error) => {
            finder.on_error("sqlite_schema", Err(error));
            return SchemaSummary::default();
        }
    };
    let mut held = SchemaSummary {
        has_tables: true,
        of_server: 0,
    };
    for (name, expected) in &builder {
        let what = match found.get(name) {
            None => format!("{} is missing", expected.kind),
            Some(found) if found == expected || found.means(expected) => continue,
            Some(found) if server.get(name).is_some_and(|widened| widened.means(found)) => {
                held.of_server += 1;
                continue;
            }
            Some(_) => format!("{} has another shape", expected.kind),
        };
        held.has_tables &= expected.kind == "index";
        finder.fault(FaultKind::Schema, &expected.table, name, what);
    }
    for (name, found) in found
        .iter()
        .filter(|(name, _)| !builder.contains_key(*name))
    {
        if server.get(name).is_some_and(|known| known.means(found)) {
            held.of_server += 1;
            continue;
        }
        let what = format!(
            "{} that neither helix-build nor a server known to it makes",
            found.kind
        );
        finder.fault(FaultKind::Schema, &found.table, name, what);
    }
    held
}
