//! Damage to the routing database, and links between shards that lead nowhere.

use super::*;

const ROUTING_DAMAGES: &[(&str, Level, FaultKind, &str)] = {
    use FaultKind::*;
    use Level::*;
    &[
        (
            "UPDATE shards SET gene_count = 99 WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET health = 'cold' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET path = 'a.genome.db' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET metadata = '{}' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET shard_name = 'c' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE shards SET shard_name = 'c' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "source_index",
        ),
        (
            "DELETE FROM fingerprint_index",
            Quick,
            Routing,
            "fingerprint_index",
        ),
        (
            "DELETE FROM source_index WHERE rowid = 1",
            Quick,
            Routing,
            "source_index",
        ),
        (
            "DELETE FROM fingerprint_index WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET source_id = NULL WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET entities = '[]' WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET domains = NULL WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET is_parent = 1 - is_parent WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE source_index SET content_hash = '' WHERE rowid = 1",
            Full,
            Routing,
            "source_index",
        ),
        (
            "DROP INDEX idx_fp_shard",
            Quick,
            Schema,
            "fingerprint_index",
        ),
        ("DROP TABLE source_index", Quick, Schema, "source_index"),
        ("DROP TABLE shards", Quick, Unreadable, "shards"),
    ]
};

#[test]
fn every_damage_to_the_routing_database_is_named() {
    let fixture = Fixture::new();
    let sound = std::fs::read(fixture.routing()).expect("read");
    let mut unseen = Vec::new();
    for (sql, level, kind, table) in ROUTING_DAMAGES {
        std::fs::write(fixture.routing(), &sound).expect("written");
        change(&fixture.routing(), sql);
        let report = fixture.verify(*level);
        report.faults.listed().for_each(names_its_place);
        if !has(&report, ROUTING_NAME, *kind, table) {
            unseen.push(format!("{sql}\n{kind:?} {table}\n{:#?}", listed(&report)));
        }
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
    std::fs::write(fixture.routing(), &sound).expect("written");
    change(
        &fixture.routing(),
        "UPDATE shards SET metadata = replace(metadata, '\"digest\":\"', '\"digest\":\"0')",
    );
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "a", FaultKind::Digest, "shards"),
        "{:#?}",
        listed(&report)
    );
}

#[test]
fn links_to_nowhere_are_found_across_shards() {
    let fixture = Fixture::new();
    let link = |to: &str| {
        format!(
            "INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at)
             SELECT gene_id, {to}, 1.0, 0 FROM build_routes WHERE rowid = 1"
        )
    };
    let other = {
        let b = Connection::open(fixture.shard("b")).expect("opened");
        let sql = "SELECT quote(gene_id) FROM build_routes WHERE rowid = 1";
        b.query_row(sql, [], |row| row.get::<_, String>(0))
            .expect("a chunk")
    };
    change(&fixture.shard("a"), &link(&other));
    assert!(fixture.verify(Level::Full).is_sound());
    change(&fixture.shard("a"), &link("'0123456789abcdef'"));
    let report = fixture.verify(Level::Full);
    assert!(has(
        &report,
        ROUTING_NAME,
        FaultKind::Orphan,
        "harmonic_links"
    ));
}
