//! Whether every table, index, view and trigger of a database is the builder's, or one that a known server adds.
//!
//! What a server may add is a closed list, [`super::server_schema`]: a trigger or a view more would change rows when a
//! server writes, or show others than are stored.

use super::fault::{FaultKind, Finder};
use super::schema_object::{SchemaObject, created_by, objects};
use super::server_schema::ServerSchema;
use once_cell::sync::OnceCell;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The objects that a database should have: the builder's, and those that servers add. Both are made by creating them,
/// which takes longer than to read a small database: once in a process, and a server's if there is anything else than
/// the builder's.
pub struct ExpectedSchema {
    statements: &'static [&'static str],
    server: ServerSchema,
    of_builder: OnceCell<BTreeMap<String, SchemaObject>>,
    of_server: OnceCell<BTreeMap<String, SchemaObject>>,
}

impl ExpectedSchema {
    /// Expect what the builder's `statements` create and what `server` may add.
    pub const fn new(statements: &'static [&'static str], server: ServerSchema) -> Self {
        Self {
            statements,
            server,
            of_builder: OnceCell::new(),
            of_server: OnceCell::new(),
        }
    }

    fn of_builder(&self) -> rusqlite::Result<&BTreeMap<String, SchemaObject>> {
        self.of_builder
            .get_or_try_init(|| created_by(self.statements))
    }

    /// Return whether a known server adds the object, or widens the builder's of that name to it.
    fn is_of_server(&self, name: &str, object: &SchemaObject) -> rusqlite::Result<bool> {
        let of_server = self.of_server.get_or_try_init(|| self.server.objects())?;
        Ok(of_server.get(name).is_some_and(|known| known.means(object)))
    }
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
    expected: &ExpectedSchema,
    finder: &mut Finder<'_>,
) -> SchemaSummary {
    compare_objects(connection, expected, finder).unwrap_or_else(|error| {
        finder.on_error("sqlite_schema", Err(error));
        SchemaSummary::default()
    })
}

fn compare_objects(
    connection: &Connection,
    expected: &ExpectedSchema,
    finder: &mut Finder<'_>,
) -> rusqlite::Result<SchemaSummary> {
    let builder = expected.of_builder()?;
    let found = objects(connection)?;
    let mut held = SchemaSummary {
        has_tables: true,
        of_server: 0,
    };
    for (name, object) in builder {
        let what = match found.get(name) {
            None => format!("{} is missing", object.kind),
            Some(found) if found == object || found.means(object) => continue,
            Some(found) if expected.is_of_server(name, found)? => {
                held.of_server += 1;
                continue;
            }
            Some(_) => format!("{} has another shape", object.kind),
        };
        held.has_tables &= object.kind == "index";
        finder.fault(FaultKind::Schema, &object.table, name, what);
    }
    for (name, found) in found
        .iter()
        .filter(|(name, _)| !builder.contains_key(*name))
    {
        if expected.is_of_server(name, found)? {
            held.of_server += 1;
            continue;
        }
        let what = format!(
            "{} that neither helix-build nor a server known to it makes",
            found.kind
        );
        finder.fault(FaultKind::Schema, &found.table, name, what);
    }
    Ok(held)
}
