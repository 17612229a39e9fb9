//! Tables and indexes of a shard that only a server fills.

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
CREATE TABLE sync_tracked (
    path TEXT PRIMARY KEY,
    root TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    mtime REAL NOT NULL,
    size INTEGER NOT NULL,
    synced_at REAL NOT NULL
);
CREATE TABLE sync_lock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    heartbeat_at REAL NOT NULL
);
";

/// The files as a server that follows folders notes them (0.11): it leaves those of the same time and size alone, and
/// those of the same bytes. `?1`: the build's time. `mtime` is rounded as Python rounds it, since servers compare for
/// equality. A file below two roots is noted once.
pub const FILL_SYNC_TRACKED: &str = "
INSERT OR IGNORE INTO sync_tracked (path, root, sha256, mtime, size, synced_at)
SELECT rtrim(r.path, '/') || '/' || f.path, r.path, lower(hex(f.sha256)),
       CAST((f.mtime_ns - f.ns) / 1000000000 AS REAL) + 1e-9 * f.ns, f.size, ?1
FROM (SELECT *, (mtime_ns % 1000000000 + 1000000000) % 1000000000 AS ns FROM build_files) AS f
JOIN build_roots AS r ON r.root_id = f.root_id
WHERE f.sha256 IS NOT NULL ORDER BY f.file_id";

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
CREATE INDEX idx_sync_tracked_root ON sync_tracked(root);
";
