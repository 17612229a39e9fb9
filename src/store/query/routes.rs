//! Which shards a server would consult for a query: the format's routing rule.

use rusqlite::{Connection, params_from_iter};

/// Labels of the shards that have a fingerprint row with one of `terms` among its `domains` or
/// `entities`: a string equal to the term, ASCII case aside. Most matching rows first, then by
/// label. Like the servers' own test, it leaves `_` and `%` in a term as wildcards.
pub fn routed(routing: &Connection, terms: &[String]) -> Result<Vec<String>, rusqlite::Error> {
    let clauses: Vec<String> = (1..=terms.len())
        .map(|n| format!("lower(domains) LIKE ?{n} OR lower(entities) LIKE ?{n}"))
        .collect();
    let mut statement = routing.prepare(&format!(
        "SELECT shard_name FROM fingerprint_index WHERE {}
         GROUP BY shard_name ORDER BY count(*) DESC, shard_name",
        clauses.join(" OR ")
    ))?;
    let needles = terms.iter().map(|term| format!("%\"{term}\"%"));
    statement
        .query_map(params_from_iter(needles), |row| row.get(0))?
        .collect()
}
