//! Every object of a shard and of the routing database.
//!
//! The names, columns and indexes are the published format, with what later servers (up to 0.11)
//! would add to it: a server that mounts the files adds nothing to them. Tables that only a server fills are created empty. Our own tables carry the
//! prefix `build_`; a server leaves them alone.
//!
//! Tables come before the rows and indexes after them, since an index over finished rows is sorted
//! once instead of being split page by page.

/// `build_meta.format` and `PRAGMA user_version`-like number of our own tables. A shard with
/// another number is built anew.
pub const FORMAT_VERSION: i64 = 1;

/// Bytes in a page of every database we write; the format asks for it.
pub const PAGE_BYTES: u32 = 4096;

/// Tables of a shard that hold its chunks, and the full-text index over them.
pub const SHARD_TABLES: &str = "
CREATE TABLE genes (
    gene_id TEXT PRIMARY KEY,
    content TEXT,
    complement TEXT,
    codons TEXT,
    promoter TEXT,
    epigenetics TEXT,
    chromatin INTEGER,
    is_fragment INTEGER,
    embedding TEXT,
    source_id TEXT,
    repo_root TEXT,
    source_kind TEXT,
    observed_at REAL,
    mtime REAL,
    content_hash TEXT,
    volatility_class TEXT,
    authority_class TEXT,
    support_span TEXT,
    last_verified_at REAL,
    version INTEGER,
    supersedes TEXT,
    key_values TEXT,
    embedding_dense TEXT,
    embedding_dense_v2 BLOB,
    compression_tier INTEGER DEFAULT 0,
    last_seen REAL,
    live_truth_score REAL DEFAULT 1.0
);
CREATE TABLE promoter_index (gene_id TEXT, tag_type TEXT, tag_value TEXT);
CREATE TABLE entity_graph (
    entity TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    PRIMARY KEY (entity, gene_id)
);
CREATE TABLE gene_relations (
    gene_id_a TEXT,
    gene_id_b TEXT,
    relation INTEGER,
    confidence REAL,
    updated_at REAL,
    PRIMARY KEY (gene_id_a, gene_id_b)
);
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
);
CREATE TABLE splade_terms (gene_id TEXT NOT NULL, term TEXT NOT NULL, weight REAL NOT NULL);
CREATE TABLE splade_term_df (term TEXT PRIMARY KEY, df INTEGER NOT NULL DEFAULT 0);
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
);
CREATE VIEW genes_fts_source AS
    SELECT
        g.rowid AS rowid,
        g.gene_id AS gene_id,
        coalesce(g.source_id, '') || ' '
            || coalesce(
                (SELECT group_concat(tags.tag_value, ' ')
                 FROM (SELECT p.tag_value FROM promoter_index AS p
                       WHERE p.gene_id = g.gene_id ORDER BY p.rowid) AS tags),
                '')
            || ' ' || g.content AS content,
        coalesce(g.complement, '') AS complement
    FROM genes AS g;
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
/// order, `path` is spelled relative to its root, `blake3` is 32 bytes or NULL, `skip_reason` is
/// NULL when the file is indexed.
/// `build_sources` names the chunk at every place of every file, so a duplicate text lists all the
/// files that hold it. `is_fragment` belongs to the place: equal texts may be cut differently.
/// `build_routes` holds a JSON array of words that lead queries here, one row per chunk; the first
/// `encoded` of them are the encoder's, the others the tagger's.
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
    detail TEXT
);
CREATE TABLE build_sources (
    file_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    gene_id TEXT NOT NULL,
    is_fragment INTEGER NOT NULL,
    PRIMARY KEY (file_id, seq)
) WITHOUT ROWID;
CREATE TABLE build_routes (
    gene_id TEXT PRIMARY KEY,
    terms TEXT NOT NULL,
    encoded INTEGER NOT NULL
);
CREATE TABLE build_segments (
    segment_index INTEGER PRIMARY KEY,
    files INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    device TEXT NOT NULL
);
";

/// Kept while rows arrive: what `path_key_index` is made of at the end, sorted, since its rows are
/// many and fall all over the tree.
pub const STAGING_TABLES: &str = "
CREATE TABLE build_path_tokens (
    file_id INTEGER,
    path_token TEXT,
    PRIMARY KEY (file_id, path_token)
) WITHOUT ROWID;
CREATE TABLE build_keys (file_id INTEGER, kv_key TEXT, gene_id TEXT);
";

/// Turns the staged rows into the index and drops them; later trees take their pages.
pub const FILL_PATH_KEYS: &str = "
INSERT INTO path_key_index (path_token, kv_key, gene_id)
SELECT t.path_token, k.kv_key, k.gene_id
FROM build_keys AS k JOIN build_path_tokens AS t ON t.file_id = k.file_id
ORDER BY t.path_token, k.kv_key, k.gene_id;
DROP TABLE build_keys;
DROP TABLE build_path_tokens;
";

/// Tables of a shard that only a server fills.
pub const SERVER_TABLES: &str = "
CREATE TABLE health_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp REAL,
    query TEXT,
    ellipticity REAL,
    coverage REAL,
    density REAL,
    freshness REAL,
    genes_expressed INTEGER,
    genes_available INTEGER,
    status TEXT
);
CREATE TABLE okf_links (
    bundle_id TEXT NOT NULL,
    source_concept_id TEXT NOT NULL,
    target_concept_id TEXT NOT NULL,
    resolved_source_gene_id TEXT NOT NULL,
    resolved_target_gene_id TEXT,
    link_text TEXT
);
CREATE TABLE genome_calibration (
    key TEXT PRIMARY KEY,
    value_json TEXT NOT NULL,
    computed_at REAL NOT NULL
);
CREATE TABLE orgs (
    org_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
    created_at REAL NOT NULL,
    metadata TEXT
);
CREATE TABLE parties (
    party_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
    created_at REAL NOT NULL,
    metadata TEXT,
    org_id TEXT REFERENCES orgs(org_id),
    timezone TEXT
);
CREATE TABLE participants (
    participant_id TEXT PRIMARY KEY,
    party_id TEXT NOT NULL REFERENCES parties(party_id),
    handle TEXT NOT NULL,
    workspace TEXT,
    pid INTEGER,
    started_at REAL NOT NULL,
    last_heartbeat REAL NOT NULL,
    status TEXT NOT NULL DEFAULT 'active',
    capabilities TEXT,
    metadata TEXT,
    agent_kind TEXT,
    mcp_host TEXT,
    ide_detected TEXT,
    ide_detection_via TEXT,
    model_id TEXT
);
CREATE TABLE agents (
    agent_id TEXT PRIMARY KEY,
    participant_id TEXT NOT NULL REFERENCES participants(participant_id) ON DELETE CASCADE,
    handle TEXT NOT NULL,
    kind TEXT,
    created_at REAL NOT NULL,
    last_seen_at REAL,
    metadata TEXT,
    UNIQUE (participant_id, handle)
);
CREATE TABLE gene_attribution (
    gene_id TEXT PRIMARY KEY REFERENCES genes(gene_id) ON DELETE CASCADE,
    party_id TEXT NOT NULL REFERENCES parties(party_id),
    participant_id TEXT REFERENCES participants(participant_id) ON DELETE SET NULL,
    authored_at REAL NOT NULL,
    org_id TEXT REFERENCES orgs(org_id),
    agent_id TEXT REFERENCES agents(agent_id) ON DELETE SET NULL,
    authored_tz TEXT
);
CREATE TABLE hitl_events (
    event_id TEXT PRIMARY KEY,
    party_id TEXT NOT NULL REFERENCES parties(party_id),
    participant_id TEXT REFERENCES participants(participant_id) ON DELETE SET NULL,
    ts REAL NOT NULL,
    pause_type TEXT NOT NULL,
    task_context TEXT,
    resolved_without_operator INTEGER NOT NULL DEFAULT 0,
    operator_tone_uncertainty REAL,
    operator_risk_keywords TEXT,
    time_since_last_risk_event REAL,
    recoverability_signal TEXT,
    genome_total_genes INTEGER,
    genome_hetero_count INTEGER,
    cold_cache_size INTEGER,
    metadata TEXT
);
CREATE TABLE cwola_log (
    retrieval_id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts REAL NOT NULL,
    session_id TEXT,
    party_id TEXT,
    query TEXT,
    tier_features TEXT,
    top_gene_id TEXT,
    bucket TEXT,
    bucket_assigned_at REAL,
    requery_delta_s REAL,
    query_sema TEXT,
    top_candidate_sema TEXT
);
CREATE TABLE session_delivery_log (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    retrieval_id INTEGER,
    delivered_at REAL NOT NULL,
    content_hash TEXT,
    mode TEXT
);
CREATE TABLE bed_provenance (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_utc TEXT NOT NULL,
    event TEXT NOT NULL,
    provenance_version INTEGER NOT NULL,
    cymatix_version TEXT NOT NULL,
    git_sha TEXT,
    git_dirty INTEGER,
    ingest_c INTEGER,
    config_json TEXT,
    gene_count INTEGER,
    fts_count INTEGER,
    identity_sha256 TEXT,
    corpus_id TEXT,
    notes TEXT
);
";

/// Indexes of a shard, created after its rows. The covering index over sparse terms comes first of
/// its table, since the document frequencies are counted from it.
pub const SHARD_INDEXES: &str = "
CREATE INDEX idx_genes_dense_v2_hot ON genes(gene_id)
    WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2;
CREATE INDEX idx_genes_last_seen ON genes(last_seen);
CREATE INDEX idx_genes_source ON genes(source_id);
CREATE INDEX idx_genes_supersedes ON genes(supersedes) WHERE supersedes IS NOT NULL;
CREATE INDEX idx_promoter_value ON promoter_index(tag_value);
CREATE INDEX idx_promoter_gene ON promoter_index(gene_id);
CREATE INDEX idx_promoter_cover ON promoter_index(tag_value, gene_id);
CREATE INDEX idx_entity_graph_entity ON entity_graph(entity);
CREATE INDEX idx_entity_graph_gene ON entity_graph(gene_id);
CREATE INDEX idx_gene_relations_rel_a ON gene_relations(relation, gene_id_a);
CREATE INDEX idx_gene_relations_rel_b ON gene_relations(relation, gene_id_b);
CREATE INDEX idx_pki_gene ON path_key_index(gene_id);
CREATE INDEX idx_filename_stem ON filename_index(filename_stem);
CREATE INDEX idx_filename_gene ON filename_index(gene_id);
CREATE INDEX idx_splade_term_cover ON splade_terms(term, gene_id, weight);
CREATE INDEX idx_splade_term ON splade_terms(term, weight DESC);
CREATE INDEX idx_splade_gene ON splade_terms(gene_id);
CREATE INDEX idx_harmonic_source ON harmonic_links(source);
CREATE INDEX idx_harmonic_b ON harmonic_links(gene_id_b);
CREATE INDEX idx_symbol_defs_symbol ON symbol_defs(symbol);
CREATE INDEX idx_symbol_defs_gene ON symbol_defs(gene_id);
";

/// Indexes of the tables that only a server fills; all of them empty.
pub const SERVER_INDEXES: &str = "
CREATE INDEX idx_okf_links_bundle ON okf_links(bundle_id);
CREATE INDEX idx_orgs_trust_domain ON orgs(trust_domain);
CREATE INDEX idx_parties_trust_domain ON parties(trust_domain);
CREATE INDEX idx_participants_party ON participants(party_id);
CREATE INDEX idx_participants_heartbeat ON participants(last_heartbeat);
CREATE INDEX idx_participants_handle ON participants(handle);
CREATE INDEX idx_participants_status ON participants(status);
CREATE INDEX idx_agents_participant ON agents(participant_id);
CREATE INDEX idx_agents_handle ON agents(handle);
CREATE INDEX idx_agents_kind ON agents(kind);
CREATE INDEX idx_attribution_party_time ON gene_attribution(party_id, authored_at DESC);
CREATE INDEX idx_attribution_participant_time
    ON gene_attribution(participant_id, authored_at DESC);
CREATE INDEX idx_attribution_org_time ON gene_attribution(org_id, authored_at DESC);
CREATE INDEX idx_attribution_agent_time ON gene_attribution(agent_id, authored_at DESC);
CREATE INDEX idx_hitl_party_time ON hitl_events(party_id, ts DESC);
CREATE INDEX idx_hitl_participant_time ON hitl_events(participant_id, ts DESC);
CREATE INDEX idx_hitl_pause_type ON hitl_events(pause_type);
CREATE INDEX idx_cwola_session_time ON cwola_log(session_id, ts);
CREATE INDEX idx_cwola_bucket ON cwola_log(bucket);
CREATE INDEX idx_sdl_session_gene ON session_delivery_log(session_id, gene_id);
CREATE INDEX idx_sdl_session_time ON session_delivery_log(session_id, delivered_at);
CREATE INDEX idx_bed_provenance_at ON bed_provenance(at_utc);
";

/// The row that a server would add to `orgs` when it is missing; bind the build's epoch seconds.
pub const INSERT_LOCAL_ORG: &str = "
INSERT OR IGNORE INTO orgs (org_id, display_name, trust_domain, created_at)
VALUES ('local', 'Local Org (default)', 'local', ?1)";

/// All of the routing database. Every statement may be repeated.
pub const ROUTING_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS shards (
    shard_name TEXT PRIMARY KEY,
    category TEXT NOT NULL,
    path TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    gene_count INTEGER NOT NULL DEFAULT 0,
    byte_size INTEGER NOT NULL DEFAULT 0,
    health TEXT NOT NULL DEFAULT 'ok',
    metadata TEXT
);
CREATE INDEX IF NOT EXISTS idx_shards_category ON shards(category);
CREATE INDEX IF NOT EXISTS idx_shards_health ON shards(health);
CREATE TABLE IF NOT EXISTS fingerprint_index (
    gene_id TEXT NOT NULL,
    shard_name TEXT NOT NULL REFERENCES shards(shard_name),
    source_id TEXT,
    domains TEXT,
    entities TEXT,
    key_values TEXT,
    is_parent INTEGER NOT NULL DEFAULT 0,
    sequence_idx INTEGER,
    updated_at REAL NOT NULL,
    PRIMARY KEY (gene_id, shard_name)
);
CREATE INDEX IF NOT EXISTS idx_fp_shard ON fingerprint_index(shard_name);
CREATE INDEX IF NOT EXISTS idx_fp_source ON fingerprint_index(source_id);
CREATE INDEX IF NOT EXISTS idx_fp_is_parent ON fingerprint_index(is_parent);
CREATE TABLE IF NOT EXISTS source_index (
    gene_id TEXT NOT NULL,
    shard_name TEXT NOT NULL REFERENCES shards(shard_name),
    source_id TEXT,
    repo_root TEXT,
    source_kind TEXT,
    observed_at REAL,
    mtime REAL,
    content_hash TEXT,
    volatility_class TEXT NOT NULL DEFAULT 'medium',
    authority_class TEXT NOT NULL DEFAULT 'primary',
    support_span TEXT,
    last_verified_at REAL,
    invalidated_at REAL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (gene_id, shard_name)
);
CREATE INDEX IF NOT EXISTS idx_source_index_shard ON source_index(shard_name);
CREATE INDEX IF NOT EXISTS idx_source_index_source ON source_index(source_id);
CREATE INDEX IF NOT EXISTS idx_source_index_repo ON source_index(repo_root);
CREATE INDEX IF NOT EXISTS idx_source_index_kind ON source_index(source_kind);
CREATE INDEX IF NOT EXISTS idx_source_index_volatility ON source_index(volatility_class);
CREATE TABLE IF NOT EXISTS claims (
    claim_id TEXT PRIMARY KEY,
    gene_id TEXT NOT NULL,
    shard_name TEXT NOT NULL REFERENCES shards(shard_name),
    claim_type TEXT NOT NULL,
    entity_key TEXT,
    claim_text TEXT NOT NULL,
    extraction_kind TEXT NOT NULL DEFAULT 'literal',
    specificity REAL NOT NULL DEFAULT 0.5,
    confidence REAL NOT NULL DEFAULT 0.5,
    observed_at REAL,
    supersedes_claim_id TEXT,
    updated_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_claims_gene ON claims(gene_id);
CREATE INDEX IF NOT EXISTS idx_claims_entity ON claims(entity_key);
CREATE INDEX IF NOT EXISTS idx_claims_type ON claims(claim_type);
CREATE INDEX IF NOT EXISTS idx_claims_supersedes ON claims(supersedes_claim_id);
CREATE TABLE IF NOT EXISTS claim_edges (
    src_claim_id TEXT NOT NULL,
    dst_claim_id TEXT NOT NULL,
    edge_type TEXT NOT NULL,
    weight REAL NOT NULL DEFAULT 1.0,
    created_at REAL NOT NULL,
    PRIMARY KEY (src_claim_id, dst_claim_id, edge_type)
);
CREATE INDEX IF NOT EXISTS idx_claim_edges_dst ON claim_edges(dst_claim_id);
CREATE INDEX IF NOT EXISTS idx_claim_edges_type ON claim_edges(edge_type);
CREATE TABLE IF NOT EXISTS orgs (
    org_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
    created_at REAL NOT NULL,
    metadata TEXT
);
CREATE TABLE IF NOT EXISTS parties (
    party_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
    org_id TEXT REFERENCES orgs(org_id),
    timezone TEXT,
    created_at REAL NOT NULL,
    metadata TEXT
);
CREATE TABLE IF NOT EXISTS participants (
    participant_id TEXT PRIMARY KEY,
    party_id TEXT NOT NULL REFERENCES parties(party_id),
    handle TEXT NOT NULL,
    workspace TEXT,
    pid INTEGER,
    started_at REAL NOT NULL,
    last_heartbeat REAL NOT NULL,
    status TEXT NOT NULL DEFAULT 'active',
    capabilities TEXT,
    metadata TEXT
);
CREATE TABLE IF NOT EXISTS agents (
    agent_id TEXT PRIMARY KEY,
    participant_id TEXT NOT NULL REFERENCES participants(participant_id) ON DELETE CASCADE,
    handle TEXT NOT NULL,
    kind TEXT,
    created_at REAL NOT NULL,
    last_seen_at REAL,
    metadata TEXT,
    UNIQUE (participant_id, handle)
);
";
