//! Damage to the tables, the vectors and the indexes of a shard.

use super::*;

/// Damage to shard `a`, the fault it must lead to, and whether the quick check sees it too.
const DAMAGES: &[(&str, Level, FaultKind, &str)] = {
    use FaultKind::*;
    use Level::*;
    &[
        ("UPDATE genes SET content = 'x' || content WHERE rowid = 2", Full, ChunkId, "genes"),
        ("UPDATE genes SET content = 'x' || content WHERE rowid = 2", Full, FullText, "genes_fts"),
        ("UPDATE genes SET complement = 'other' WHERE rowid = 2", Full, FullText, "genes_fts"),
        ("UPDATE genes SET rowid = 100000 WHERE rowid = 2; INSERT INTO genes_fts (genes_fts) VALUES ('rebuild')", Full, Column, "genes"),
        ("UPDATE genes SET rowid = -5 WHERE rowid = 2; INSERT INTO genes_fts (genes_fts) VALUES ('rebuild')", Full, Column, "genes"),
        ("UPDATE build_routes SET words = 'other' WHERE rowid = 2", Full, FullText, "genes_fts"),
        ("UPDATE build_routes SET words = upper(words) WHERE rowid = 2", Full, Digest, "shards"),
        ("UPDATE genes SET complement = upper(complement) WHERE rowid = 2", Full, Digest, "shards"),
        ("UPDATE genes SET content_hash = lower(hex(randomblob(32))) WHERE rowid = 1", Full, ChunkId, "genes"),
        ("UPDATE build_routes SET gene_id = '0123456789abcdef' WHERE gene_id = (SELECT gene_id FROM genes WHERE rowid = 3);
          UPDATE genes SET gene_id = '0123456789abcdef' WHERE rowid = 3", Full, ChunkId, "genes"),
        ("UPDATE genes SET gene_id = '0123456789abcdef' WHERE rowid = 3", Quick, Ledger, "build_routes"),
        ("UPDATE genes SET promoter = '{}' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET promoter = json_set(promoter, '$.intent_class', 'odd') WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET promoter = json_set(promoter, '$.sequence_index', 7) WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET epigenetics = NULL WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET codons = 'fn' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET key_values = '[\"nothing\"]' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET complement = NULL WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET chromatin = 7 WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET chromatin = (chromatin + 1) % 3 WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET source_id = '/elsewhere' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET mtime = 5.0 WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET is_fragment = 1 - is_fragment WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = x'0000803f' WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = zeroblob(16) WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = x'000080' WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = x'0000c07f000000000000000000000000' WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET volatility_class = 'low' WHERE rowid = 1", Full, Digest, "shards"),
        ("DELETE FROM genes WHERE rowid = 2", Quick, Counts, "genes_fts"),
        ("DELETE FROM genes WHERE rowid = 2", Quick, Ledger, "build_routes"),
        ("DELETE FROM genes WHERE rowid = 2", Quick, Orphan, "splade_terms"),
        ("DELETE FROM genes WHERE rowid = 2", Full, Ledger, "build_sources"),
        ("DELETE FROM genes_fts_docsize WHERE id = 1", Quick, Counts, "genes_fts"),
        ("INSERT INTO genes_fts (genes_fts) VALUES ('delete-all')", Quick, Counts, "genes_fts"),
        ("DELETE FROM promoter_index WHERE rowid = 1", Full, SideTable, "promoter_index"),
        ("UPDATE promoter_index SET tag_value = 'Other' WHERE rowid = 1", Full, SideTable, "promoter_index"),
        ("UPDATE promoter_index SET tag_type = 'other' WHERE rowid = 1", Full, SideTable, "promoter_index"),
        ("INSERT INTO promoter_index VALUES ('0123456789abcdef', 'domain', 'x')", Quick, Orphan, "promoter_index"),
        ("DELETE FROM entity_graph WHERE entity = (SELECT min(entity) FROM entity_graph)", Full, SideTable, "entity_graph"),
        ("INSERT INTO entity_graph VALUES ('x', '0123456789abcdef')", Quick, Orphan, "entity_graph"),
        ("DELETE FROM gene_relations WHERE (gene_id_a, gene_id_b) = (SELECT gene_id_a, gene_id_b FROM gene_relations LIMIT 1)", Full, SideTable, "gene_relations"),
        ("UPDATE gene_relations SET confidence = 0.123 WHERE (gene_id_a, gene_id_b) = (SELECT gene_id_a, gene_id_b FROM gene_relations LIMIT 1)", Full, SideTable, "gene_relations"),
        ("UPDATE gene_relations SET confidence = 1.5 WHERE (gene_id_a, gene_id_b) = (SELECT gene_id_a, gene_id_b FROM gene_relations LIMIT 1)", Full, Column, "gene_relations"),
        ("INSERT INTO gene_relations VALUES ('x', 'y', 5, 1.0, 0)", Quick, Orphan, "gene_relations"),
        ("DELETE FROM path_key_index WHERE path_token = (SELECT min(path_token) FROM path_key_index)", Full, SideTable, "path_key_index"),
        ("INSERT INTO path_key_index VALUES ('x', 'y', '0123456789abcdef')", Quick, Orphan, "path_key_index"),
        ("DELETE FROM filename_index WHERE filename_stem = (SELECT min(filename_stem) FROM filename_index)", Full, SideTable, "filename_index"),
        ("INSERT INTO filename_index SELECT 'surplus', gene_id FROM genes LIMIT 1", Full, SideTable, "filename_index"),
        ("INSERT INTO filename_index VALUES ('x', '0123456789abcdef')", Quick, Orphan, "filename_index"),
        ("UPDATE splade_terms SET weight = 0.0 WHERE term = (SELECT min(term) FROM splade_terms)", Full, SparseVector, "splade_terms"),
        ("UPDATE splade_terms SET weight = 'x' WHERE term = (SELECT min(term) FROM splade_terms)", Full, SparseVector, "splade_terms"),
        ("UPDATE splade_terms SET weight = weight + 0.0001 WHERE term = (SELECT min(term) FROM splade_terms)", Full, Digest, "shards"),
        ("DELETE FROM splade_terms WHERE term = (SELECT min(term) FROM splade_terms)", Full, SparseVector, "splade_term_df"),
        ("UPDATE splade_term_df SET df = df + 1 WHERE term = (SELECT min(term) FROM splade_term_df)", Full, SparseVector, "splade_term_df"),
        ("INSERT INTO splade_term_df VALUES ('surplus', 1)", Full, SparseVector, "splade_term_df"),
        ("DELETE FROM splade_term_df", Full, SparseVector, "splade_term_df"),
        ("UPDATE harmonic_links SET weight = 0.0", Full, Column, "harmonic_links"),
        ("DELETE FROM harmonic_links WHERE rowid = 1", Full, SideTable, "harmonic_links"),
        ("INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at) VALUES ('x', 'y', 1.0, 0)", Quick, Orphan, "harmonic_links"),
        ("INSERT INTO symbol_defs VALUES ('s', '0123456789abcdef', NULL)", Quick, Orphan, "symbol_defs"),
        ("DELETE FROM build_files WHERE file_id = 2", Quick, Counts, "build_meta"),
        ("DELETE FROM build_files WHERE file_id = 2", Full, Ledger, "build_files"),
        ("DELETE FROM build_files WHERE file_id = 1", Full, Ledger, "build_sources"),
        ("UPDATE build_files SET path = 'zz' WHERE file_id = 2", Full, Ledger, "build_files"),
        ("UPDATE build_files SET path = '../up' WHERE file_id = 2", Full, Ledger, "build_files"),
        ("UPDATE build_files SET skip_reason = 'mood' WHERE file_id = 2", Full, Ledger, "build_files"),
        ("UPDATE build_files SET blake3 = NULL WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET root_id = 9 WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET chunks = 9 WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET size = size + 1 WHERE file_id = 1", Full, Digest, "shards"),
        ("DELETE FROM build_sources WHERE file_id = 1 AND seq = 0", Full, Ledger, "build_files"),
        ("UPDATE build_files SET encoding = NULL WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET language = 'x' WHERE file_id = 1", Full, Digest, "shards"),
        ("UPDATE build_files SET language = 'x' WHERE skip_reason IS NOT NULL", Full, Ledger, "build_files"),
        ("UPDATE build_sources SET line_start = 0 WHERE file_id = 1 AND seq = 0", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET line_end = 0 WHERE file_id = 1 AND seq = 1", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET line_end = line_end + 1 WHERE file_id = 1 AND seq = 1", Full, Digest, "shards"),
        ("UPDATE build_sources SET line_end = line_end + 1 WHERE file_id = 1 AND seq = 0", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET byte_start = NULL WHERE byte_start = 0", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET byte_end = 9999 WHERE byte_start = 0", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET byte_start = byte_start - 1 WHERE byte_start > 0", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET symbols = 'Outer' WHERE file_id = 1 AND seq = 0", Full, Ledger, "build_sources"),
        ("UPDATE build_sources SET symbols = '[\"Other\"]' WHERE file_id = 1 AND seq = 1", Full, Digest, "shards"),
        ("DELETE FROM build_sources WHERE file_id = 1 AND seq = 0", Quick, Counts, "build_segments"),
        ("UPDATE build_meta SET value = 99 WHERE key = 'chunks'", Quick, Counts, "build_meta"),
        ("DELETE FROM build_meta WHERE key = 'tool_version'", Quick, Ledger, "build_meta"),
        ("UPDATE build_meta SET value = 1 WHERE key = 'format'", Quick, Format, "build_meta"),
        ("UPDATE build_meta SET value = '2' WHERE key = 'format'", Quick, Format, "build_meta"),
        ("UPDATE build_routes SET terms = '[]'", Full, Digest, "shards"),
        ("DROP INDEX idx_splade_gene", Quick, Schema, "splade_terms"),
        ("DROP TABLE filename_index", Quick, Schema, "filename_index"),
        ("DROP VIEW genes_fts_source", Quick, Schema, "genes_fts_source"),
        ("DROP TABLE okf_links", Quick, Schema, "okf_links"),
        ("ALTER TABLE genes ADD COLUMN odd", Quick, Schema, "genes"),
        ("PRAGMA user_version = 3", Quick, Header, ""),
        ("PRAGMA application_id = 3", Quick, Header, ""),
        ("PRAGMA journal_mode = DELETE", Quick, Header, ""),
        ("PRAGMA journal_mode = DELETE; PRAGMA page_size = 1024; VACUUM", Quick, Header, ""),
    ]
};

#[test]
fn every_damage_to_a_shard_is_named() {
    let fixture = Fixture::new();
    let sound = std::fs::read(fixture.shard("a")).expect("read");
    let mut unseen = Vec::new();
    for (sql, level, kind, table) in DAMAGES {
        std::fs::write(fixture.shard("a"), &sound).expect("written");
        change(&fixture.shard("a"), sql);
        let report = fixture.verify(*level);
        if !has(&report, "a", *kind, table) {
            unseen.push(format!("{sql}\n{kind:?} {table}\n{:#?}", listed(&report)));
        }
        report.faults.listed().for_each(names_its_place);
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}

#[test]
fn dense_vectors_of_two_lengths_are_a_fault() {
    let fixture = Fixture::new();
    change(
        &fixture.shard("a"),
        "UPDATE genes SET embedding_dense_v2 = x'0000803f'",
    );
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, ROUTING_NAME, FaultKind::DenseVector, "genes"),
        "{:#?}",
        listed(&report)
    );
}

/// Changes a byte of a text that stands in the pages of `index`, and nowhere else.
fn damage_index(path: &Path, index: &str, text: &[u8]) {
    let root: u32 = Connection::open(path)
        .expect("opened")
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [index],
            |row| row.get(0),
        )
        .expect("an index");
    let root = root as usize;
    let mut bytes = std::fs::read(path).expect("read");
    let page = &mut bytes[(root - 1) * 4096..root * 4096];
    let at = page.windows(text.len()).position(|window| window == text);
    page[at.expect("a key of one page")] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn an_index_that_does_not_hold_the_rows_of_its_table_is_found() {
    let fixture = Fixture::new();
    let sound = std::fs::read(fixture.shard("a")).expect("read");
    let id = {
        let db = Connection::open(fixture.shard("a")).expect("opened");
        let sql = "SELECT gene_id FROM genes WHERE rowid = 1";
        db.query_row(sql, [], |row| row.get::<_, String>(0))
            .expect("a chunk")
    };
    for (index, text) in [
        ("splade_terms", "##config"),
        ("idx_splade_gene", id.as_str()),
        ("idx_promoter_gene", id.as_str()),
        ("idx_entity_graph_gene", id.as_str()),
    ] {
        std::fs::write(fixture.shard("a"), &sound).expect("written");
        damage_index(&fixture.shard("a"), index, text.as_bytes());
        let report = fixture.verify(Level::Full);
        let mut listed_faults = report.faults.listed();
        let found = listed_faults.any(|f| f.shard == "a" && f.kind == FaultKind::Structure);
        assert!(found, "{index}: {:#?}", listed(&report));
    }
}
