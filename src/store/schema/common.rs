//! Tables that a shard and the routing database have alike. A server writes who asked and what it answered into the
//! database that it serves, be it one of chunks or the routing database, and looks for `genes` in both; in the routing
//! database `genes` stays empty.

/// The row that a server would add to `orgs` when it is missing; bind the build's epoch seconds.
pub const INSERT_LOCAL_ORG: &str = "
INSERT OR IGNORE INTO orgs (org_id, display_name, trust_domain, created_at)
VALUES ('local', 'Local Org (default)', 'local', ?1)";

/// The tables. Every statement may be repeated.
pub const COMMON_TABLES: &str = "
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
CREATE TABLE IF NOT EXISTS orgs (
    org_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
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
";

/// Their indexes.
pub const COMMON_INDEXES: &str = "
CREATE INDEX IF NOT EXISTS idx_genes_supersedes ON genes(supersedes) WHERE supersedes IS NOT NULL;
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
";
