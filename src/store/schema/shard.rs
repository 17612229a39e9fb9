//! Tables and indexes of a shard that the builder fills.

/// Tables of a shard that hold its chunks, and the full-text index over them.
///
/// The view is ours and says what is searched, which is more than what is quoted: in place of the absolute path the
/// root's label and the path below it, and `build_routes.words`. Servers index, delete and rebuild the rows of all
/// chunks through it, those they add included, for which it says what their own view would say.
///
/// Rows that are read by one key lie in its order (`WITHOUT ROWID`). Servers create their indexes by name if they are
/// not there; where a key does the work of one, an index of its name over no rows keeps its place.
pub const SHARD_TABLES: &str = "
CREATE TABLE promoter_index (gene_id TEXT, tag_type TEXT, tag_value TEXT);
CREATE INDEX idx_promoter_value ON promoter_index(tag_value) WHERE tag_value IS NULL;
CREATE TABLE entity_graph (
    entity TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    PRIMARY KEY (entity, gene_id)
) WITHOUT ROWID;
CREATE INDEX idx_entity_graph_entity ON entity_graph(entity) WHERE entity IS NULL;
CREATE TABLE gene_relations (
    gene_id_a TEXT,
    gene_id_b TEXT,
    relation INTEGER,
    confidence REAL,
    updated_at REAL,
    PRIMARY KEY (gene_id_a, gene_id_b)
) WITHOUT ROWID;
CREATE INDEX idx_gene_relations_rel_a ON gene_relations(relation, gene_id_a) WHERE gene_id_a IS NULL;
CREATE TABLE path_key_index (
    path_token TEXT NOT NULL,
    kv_key TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    PRIMARY KEY (path_token, kv_key, gene_id)
) WITHOUT ROWID;
CREATE TABLE filename_index (
    filename_stem TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    PRIMARY KEY (filename_stem, gene_id)
) WITHOUT ROWID;
CREATE INDEX idx_filename_stem ON filename_index(filename_stem) WHERE filename_stem IS NULL;
CREATE TABLE splade_terms (
    gene_id TEXT NOT NULL,
    term TEXT NOT NULL,
    weight REAL NOT NULL,
    PRIMARY KEY (term, gene_id)
) WITHOUT ROWID;
CREATE INDEX idx_splade_term ON splade_terms(term) WHERE term IS NULL;
CREATE INDEX idx_splade_term_cover ON splade_terms(term) WHERE term IS NULL;
CREATE TABLE splade_term_df (term TEXT PRIMARY KEY, df INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE harmonic_links (
    gene_id_a TEXT NOT NULL,
    gene_id_b TEXT NOT NULL,
    weight REAL NOT NULL,
    updated_at REAL NOT NULL,
    source TEXT NOT NULL DEFAULT 'co_retrieved',
    co_count INTEGER NOT NULL DEFAULT 0,
    miss_count REAL NOT NULL DEFAULT 0.0,
    created_at REAL,
    PRIMARY KEY (gene_id_a, gene_id_b)
);
CREATE TABLE symbol_defs (
    symbol TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    kind TEXT,
    PRIMARY KEY (symbol, gene_id)
) WITHOUT ROWID;
CREATE INDEX idx_symbol_defs_symbol ON symbol_defs(symbol) WHERE symbol IS NULL;
CREATE VIEW genes_fts_source AS
    SELECT
        g.rowid AS rowid,
        g.gene_id AS gene_id,
        coalesce(
            (SELECT r.label || '/' || substr(g.source_id, length(rtrim(r.path, '/')) + 2)
             FROM build_roots AS r
             WHERE substr(g.source_id, 1, length(rtrim(r.path, '/')) + 1) = rtrim(r.path, '/') || '/'
             ORDER BY length(rtrim(r.path, '/')) DESC, r.root_id LIMIT 1),
            g.source_id, '') || ' '
            || coalesce(
                (SELECT group_concat(tags.tag_value, ' ')
                 FROM (SELECT p.tag_value FROM promoter_index AS p
                       WHERE p.gene_id = g.gene_id ORDER BY p.rowid) AS tags),
                '')
            || ' ' || g.content || ' ' || coalesce(w.words, '') AS content,
        coalesce(g.complement, '') AS complement
    FROM genes AS g LEFT JOIN build_routes AS w ON w.gene_id = g.gene_id;
CREATE VIRTUAL TABLE genes_fts USING fts5(
    gene_id, content, complement, content='genes_fts_source', content_rowid='rowid'
);
CREATE VIRTUAL TABLE genes_fts_vocab USING fts5vocab(genes_fts, instance);
";

/// Our own tables of a shard.
///
/// `build_meta` keys: `format`, `tool_version`, `label`, `fingerprint` (hex), `encoder` and
/// `recipe` (JSON), `epoch` (seconds), `files`, `chunks`, `digest` and `content_digest` (hex).
/// `build_files` is the ledger, one row per eligible file; `file_id` counts from 1 in canonical
/// order, `path` is spelled relative to its root, `blake3` is 32 bytes or NULL, `sha256` as well, and NULL also if not all of the file was read, `skip_reason` is
/// NULL when the file is indexed, and `encoding` and `language` when it is not; `language` also when its name tells
/// none.
/// `build_sources` names the chunk at every place of every file, so a duplicate text lists all the
/// files that hold it. `is_fragment` belongs to the place: equal texts may be cut differently. Bytes are
/// those of the file on disk, from `byte_start` to before `byte_end`, NULL where they are not the
/// text's; lines count from 1, the last included; `symbols` is a JSON array of the names of the
/// definitions around the chunk, outermost first.
/// `build_routes` holds a JSON array of words that lead queries here, one row per chunk; the first
/// `encoded` of them are the encoder's, the others the tagger's. `words` are further words of the full-text index,
/// with blanks between.
pub const BUILD_TABLES: &str = "
CREATE TABLE build_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE build_roots (root_id INTEGER PRIMARY KEY, label TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE build_files (
    file_id INTEGER PRIMARY KEY,
    root_id INTEGER NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    blake3 BLOB,
    chunks INTEGER NOT NULL,
    skip_reason TEXT,
    detail TEXT,
    encoding TEXT,
    language TEXT,
    sha256 BLOB
);
CREATE TABLE build_sources (
    file_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    gene_id TEXT NOT NULL,
    is_fragment INTEGER NOT NULL,
    byte_start INTEGER,
    byte_end INTEGER,
    line_start INTEGER NOT NULL,
    line_end INTEGER NOT NULL,
    symbols TEXT NOT NULL,
    PRIMARY KEY (file_id, seq)
) WITHOUT ROWID;
CREATE TABLE build_routes (
    gene_id TEXT PRIMARY KEY,
    terms TEXT NOT NULL,
    encoded INTEGER NOT NULL,
    words TEXT NOT NULL
);
CREATE TABLE build_segments (
    segment_index INTEGER PRIMARY KEY,
    files INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    device TEXT NOT NULL
);
";

/// Kept while rows arrive: what `path_key_index` and `gene_relations` are made of at the end, sorted, since their rows
/// are many and fall all over the tree.
pub const STAGING_TABLES: &str = "
CREATE TABLE build_path_tokens (
    file_id INTEGER,
    path_token TEXT,
    PRIMARY KEY (file_id, path_token)
) WITHOUT ROWID;
CREATE TABLE build_keys (file_id INTEGER, kv_key TEXT, gene_id TEXT);
CREATE TABLE build_relations (
    gene_id_a TEXT,
    gene_id_b TEXT,
    relation INTEGER,
    confidence REAL,
    updated_at REAL
);
";

/// The rows of `path_key_index`, in order.
pub const PATH_KEYS: &str = "
SELECT t.path_token, k.kv_key, k.gene_id
FROM build_keys AS k JOIN build_path_tokens AS t ON t.file_id = k.file_id
ORDER BY t.path_token, k.kv_key, k.gene_id";

/// The rows of `gene_relations`, in order.
pub const RELATIONS: &str = "SELECT * FROM build_relations ORDER BY gene_id_a, gene_id_b";

/// Later trees take their pages.
pub const DROP_STAGING_TABLES: &str = "
DROP TABLE build_keys;
DROP TABLE build_path_tokens;
DROP TABLE build_relations;
";

/// Indexes of a shard, created after its rows.
pub const SHARD_INDEXES: &str = "
CREATE INDEX idx_genes_dense_v2_hot ON genes(gene_id)
    WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2;
CREATE INDEX idx_genes_last_seen ON genes(last_seen);
CREATE INDEX idx_genes_source ON genes(source_id);
CREATE INDEX idx_promoter_gene ON promoter_index(gene_id);
CREATE INDEX idx_promoter_cover ON promoter_index(tag_value, gene_id);
CREATE INDEX idx_entity_graph_gene ON entity_graph(gene_id);
CREATE INDEX idx_gene_relations_rel_b ON gene_relations(relation, gene_id_b);
CREATE INDEX idx_pki_gene ON path_key_index(gene_id);
CREATE INDEX idx_filename_gene ON filename_index(gene_id);
CREATE INDEX idx_splade_gene ON splade_terms(gene_id);
CREATE INDEX idx_harmonic_source ON harmonic_links(source);
CREATE INDEX idx_harmonic_b ON harmonic_links(gene_id_b);
CREATE INDEX idx_symbol_defs_gene ON symbol_defs(gene_id);
";

/// What SQLite's planner is told of `harmonic_links` and `gene_relations`, after their indexes: many rows, few of them for
/// each chunk.
///
/// A server asks for the links within a pool of up to 16,000 chunks: `gene_id_a IN (..) AND gene_id_b IN (..)`. Without
/// statistics SQLite looks every pair of the pool up, in quadratic time. It also asks for relations of one kind of a few
/// chunks. Nearly all rows are of that kind, so the key of the chunk must be preferred. The numbers are fixed, so that they
/// hold for what servers add as well: for a large pool the table is scanned, for a small one an index is searched. `ANALYZE`
/// is the only statement that creates the table. A server's own `ANALYZE` replaces the rows.
pub const STATISTICS: &str = "
ANALYZE harmonic_links;
DELETE FROM sqlite_stat1;
DROP TABLE IF EXISTS sqlite_stat4;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('gene_relations', 'gene_relations', '100000 10 1'),
    ('gene_relations', 'idx_gene_relations_rel_b', '100000 50000 10 1'),
    ('harmonic_links', 'idx_harmonic_b', '100000 10'),
    ('harmonic_links', 'idx_harmonic_source', '100000 50000'),
    ('harmonic_links', 'sqlite_autoindex_harmonic_links_1', '100000 10 1');
";
