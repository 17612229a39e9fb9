//! Arguments and results of the tools. Their documentation is what an agent reads.

use rmcp::schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
#[serde(deny_unknown_fields)]
pub struct SearchArguments {
    /// What to look for: a question, a description, or names of functions, types and settings.
    pub query: String,
    /// Number of hits, 1 to 50. Default: 10.
    #[schemars(range(min = 1, max = 50))]
    pub limit: Option<u32>,
    /// Hits to skip: the `next_offset` of the page before.
    #[schemars(range(max = 1000))]
    pub offset: Option<u32>,
    /// How to search. `hybrid` (default) combines the others; `lexical` finds words and parts of identifiers only.
    pub mode: Option<SearchMode>,
    /// Only files whose path matches one of these globs, for example `src/**/*.rs` or a folder name.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Only files in these languages, for example `python`.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Only these shards; `status` lists them.
    #[serde(default)]
    pub shards: Vec<String>,
    /// Characters of text a hit, 0 to 20000. Default: 1200.
    #[schemars(range(max = 20_000))]
    pub max_chars: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    Hybrid,
    Lexical,
    Sparse,
    Dense,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<HitValue>,
    /// Give it as `offset` for the next page. Absent: there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u32>,
    /// What the caller should know about the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct HitValue {
    /// From 1.
    pub rank: u32,
    /// Absolute.
    pub path: String,
    /// Lines of the file, from 1, both included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_line: Option<u32>,
    /// Definitions around the text, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    pub shard: String,
    pub chunk_id: String,
    pub text: String,
    /// `text` was cut; `get` has the lines.
    pub is_cut: bool,
    /// Other files that hold the same text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
#[serde(deny_unknown_fields)]
pub struct GetArguments {
    /// Path of a file as hits have it, or its end, for example `retry/policy.rs`.
    pub path: String,
    /// First line. Default: 1, or the `next_line` of the page before.
    #[schemars(range(min = 1))]
    pub first_line: Option<u32>,
    /// Last line, included. Default: as many as fit on a page.
    #[schemars(range(min = 1))]
    pub last_line: Option<u32>,
    /// `lines` (default): the text. `chunks`: the outline, with the lines and definitions of each chunk and no text.
    pub view: Option<View>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
#[serde(rename_all = "lowercase")]
pub enum View {
    #[default]
    Lines,
    Chunks,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct GetResult {
    /// Absolute.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    pub shard: String,
    /// Of the file.
    pub bytes: i64,
    /// Last line that the index has.
    pub last_line: i64,
    /// Lines by number, as the index has them: blank lines between chunks may be missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<ChunkValue>,
    /// Give it as `first_line` for the next page. Absent: there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_line: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct LineValue {
    /// From 1.
    pub line: i64,
    pub text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct ChunkValue {
    pub chunk_id: String,
    pub first_line: i64,
    pub last_line: i64,
    /// Definitions around it, outermost first.
    pub symbols: Vec<String>,
    /// Names of the definitions in it, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defines: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
#[serde(deny_unknown_fields)]
pub struct StatusArguments {
    /// Shards to skip: the `next_offset` of the page before.
    pub offset: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct StatusResult {
    /// Database that was opened.
    pub index: String,
    /// Of all shards.
    pub files: i64,
    pub chunks: i64,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub built_at: Option<i64>,
    /// Names of the encoders; absent without such vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse_encoder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_encoder: Option<String>,
    /// A build has begun and not ended: results may be missing.
    pub is_unfinished: bool,
    pub shards: Vec<ShardValue>,
    /// Give it as `offset` for the next page. Absent: there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct ShardValue {
    pub label: String,
    /// Folders that it was built from.
    pub roots: Vec<String>,
    pub files: i64,
    pub chunks: i64,
}
