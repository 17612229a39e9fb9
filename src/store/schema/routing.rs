//! The routing database.

/// Columns of `participants`, all of them text, that databases of earlier versions lack.
pub const ROUTING_WIDENED: [&str; 5] = [
    "agent_kind",
    "mcp_host",
    "ide_detected",
    "ide_detection_via",
    "model_id",
];

/// All of the routing database but [`COMMON_TABLES`](super::COMMON_TABLES). Every statement may be repeated.
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
CREATE INDEX IF NOT EXISTS idx_source_index_source ON source_index(source_id) WHERE gene_id IS NULL;
CREATE INDEX IF NOT EXISTS idx_source_index_repo ON source_index(repo_root) WHERE gene_id IS NULL;
CREATE INDEX IF NOT EXISTS idx_source_index_kind ON source_index(source_kind) WHERE gene_id IS NULL;
CREATE INDEX IF NOT EXISTS idx_source_index_volatility ON source_index(volatility_class) WHERE gene_id IS NULL;
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
CREATE TABLE IF NOT EXISTS parties (
    party_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
    org_id TEXT REFERENCES orgs(org_id),
    timezone TEXT,
    created_at REAL NOT NULL,
    metadata TEXT
);
";
