//! The routing database.

/// The row that a server would add to `orgs` when it is missing; bind the build's epoch seconds.
pub const INSERT_LOCAL_ORG: &str = "
INSERT OR IGNORE INTO orgs (org_id, display_name, trust_domain, created_at)
VALUES ('local', 'Local Org (default)', 'local', ?1)";

/// Columns of `participants`, all of them text, that databases of earlier versions lack.
pub const ROUTING_WIDENED: [&str; 5] = [
    "agent_kind",
    "mcp_host",
    "ide_detected",
    "ide_detection_via",
    "model_id",
];

/// All of the routing database. Every statement may be repeated. The last tables are for what a server asks the routing
/// database when it serves shards, and complains if it is not there: logs of its sessions, and an empty `genes`.
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
    metadata TEXT,
    agent_kind TEXT,
    mcp_host TEXT,
    ide_detected TEXT,
    ide_detection_via TEXT,
    model_id TEXT
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
CREATE TABLE IF NOT EXISTS health_log (
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
CREATE TABLE IF NOT EXISTS gene_attribution (
    gene_id TEXT PRIMARY KEY REFERENCES genes(gene_id) ON DELETE CASCADE,
    party_id TEXT NOT NULL REFERENCES parties(party_id),
    participant_id TEXT REFERENCES participants(participant_id) ON DELETE SET NULL,
    authored_at REAL NOT NULL,
    org_id TEXT REFERENCES orgs(org_id),
    agent_id TEXT REFERENCES agents(agent_id) ON DELETE SET NULL,
    authored_tz TEXT
);
CREATE TABLE IF NOT EXISTS hitl_events (
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
CREATE TABLE IF NOT EXISTS cwola_log (
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
CREATE TABLE IF NOT EXISTS session_delivery_log (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    gene_id TEXT NOT NULL,
    retrieval_id INTEGER,
    delivered_at REAL NOT NULL,
    content_hash TEXT,
    mode TEXT
);
CREATE INDEX IF NOT EXISTS idx_attribution_party_time ON gene_attribution(party_id, authored_at DESC);
CREATE INDEX IF NOT EXISTS idx_attribution_participant_time
    ON gene_attribution(participant_id, authored_at DESC);
CREATE INDEX IF NOT EXISTS idx_attribution_org_time ON gene_attribution(org_id, authored_at DESC);
CREATE INDEX IF NOT EXISTS idx_attribution_agent_time ON gene_attribution(agent_id, authored_at DESC);
CREATE INDEX IF NOT EXISTS idx_hitl_party_time ON hitl_events(party_id, ts DESC);
CREATE INDEX IF NOT EXISTS idx_hitl_participant_time ON hitl_events(participant_id, ts DESC);
CREATE INDEX IF NOT EXISTS idx_hitl_pause_type ON hitl_events(pause_type);
CREATE INDEX IF NOT EXISTS idx_cwola_session_time ON cwola_log(session_id, ts);
CREATE INDEX IF NOT EXISTS idx_cwola_bucket ON cwola_log(bucket);
CREATE INDEX IF NOT EXISTS idx_sdl_session_gene ON session_delivery_log(session_id, gene_id);
CREATE INDEX IF NOT EXISTS idx_sdl_session_time ON session_delivery_log(session_id, delivered_at);
CREATE TABLE IF NOT EXISTS genes (
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
CREATE INDEX IF NOT EXISTS idx_genes_supersedes ON genes(supersedes) WHERE supersedes IS NOT NULL;
";
