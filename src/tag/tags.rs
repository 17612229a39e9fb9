//! The tags of a chunk.

use serde::{Deserialize, Serialize};

/// Tags of one chunk, in the order in which they are stored. All limits in Unicode scalar values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// What the chunk belongs to: at most 10, distinct ignoring ASCII case, best first, beginning with the file's
    /// stem and folder.
    pub domains: Vec<String>,
    /// Names in the chunk: at most 15, distinct ignoring ASCII case, in their original case, best first.
    pub entities: Vec<String>,
    /// At most 15 strings `key=value`, each shorter than 200.
    pub key_values: Vec<String>,
    /// What the chunk is for; at most 200.
    pub intent: String,
    pub intent_class: IntentClass,
    /// At most 200.
    pub summary: String,
    /// Up to 3 salient sentences or lines of at most 300 each, else the first 500.
    pub extract: String,
    /// At most 30 short labels of what the chunk does or defines.
    pub labels: Vec<String>,
    /// Words that lead queries to the chunk's shard: at most 24 of its text in lower case, 3 to 40 long, the rarest
    /// looking ones first. Without domains and entities, since those lead queries too.
    pub route_words: Vec<String>,
    /// Words of the full-text index that are not written in the text, see [`words`](crate::words::unwritten); with blanks
    /// between.
    pub unwritten: String,
}

/// The format's classes of purposes; readers reject others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentClass {
    #[default]
    Unknown,
    Mechanism,
    ConfigKnob,
    DataStructure,
    ProcessStep,
    TriggerCondition,
    Fact,
    Relationship,
}

impl IntentClass {
    /// Return the format's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Mechanism => "mechanism",
            Self::ConfigKnob => "config_knob",
            Self::DataStructure => "data_structure",
            Self::ProcessStep => "process_step",
            Self::TriggerCondition => "trigger_condition",
            Self::Fact => "fact",
            Self::Relationship => "relationship",
        }
    }
}
