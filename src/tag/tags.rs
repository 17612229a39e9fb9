//! What the tagger says about a chunk.

use serde::{Deserialize, Serialize};

/// Tags of one chunk, in the order in which they are stored. All limits in Unicode scalar values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// At most 10, distinct ignoring ASCII case, best first; the file stem and its folder lead.
    pub domains: Vec<String>,
    /// At most 15, distinct ignoring ASCII case, original case, best first.
    pub entities: Vec<String>,
    /// At most 15 strings `key=value`, each shorter than 200.
    pub key_values: Vec<String>,
    /// What the chunk is for; at most 200.
    pub intent: String,
    pub intent_class: IntentClass,
    /// At most 200.
    pub summary: String,
    /// Extractive summary: up to 3 salient sentences or lines of at most 300 each, else the first
    /// 500.
    pub extract: String,
    /// At most 30 short labels of what the chunk does or defines.
    pub labels: Vec<String>,
    /// At most 24 lower-case words of the text by which someone would ask for this chunk, rarest
    /// looking first, 3 to 40 long. Words that are domains or entities already are left out, since
    /// those route too. They lead queries to the right shard.
    pub route_words: Vec<String>,
}

/// The closed set of the format; readers reject others.
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
    /// The stable spelling of the format.
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
