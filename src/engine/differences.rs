//! Lists the settings that differ between an existing output and a request, for the message of exit code 12.
//!
//! Pure. The fingerprint is only a hash; `build_meta` stores the settings behind it.

use crate::encode::{EncoderInfo, ModelInfo};
use crate::profile::recipe::Recipe;
use serde_json::{Map, Value};

/// The settings that an index was built with, as stored in `build_meta`.
#[derive(Clone, Debug)]
pub struct BuiltWith {
    /// JSON of an [`EncoderInfo`].
    pub encoder: String,
    /// JSON of a [`Recipe`].
    pub recipe: String,
    pub tool_version: String,
}

/// Return each difference as `NAME BEFORE -> NOW`. Never empty: if all settings are equal, the program's own rules
/// differ.
pub fn differences(before: &BuiltWith, recipe: &Recipe, encoders: &EncoderInfo) -> Vec<String> {
    let mut recipe_before = object(serde_json::from_str(&before.recipe).ok());
    // Settings that are newer than the index had their default value.
    if let Ok(known) = serde_json::from_str::<Recipe>(&before.recipe) {
        for (name, value) in object(serde_json::to_value(known).ok()) {
            recipe_before.entry(name).or_insert(value);
        }
    }
    let recipe_now = object(serde_json::to_value(recipe).ok());
    let mut found = Vec::new();
    for (name, now) in &recipe_now {
        let was = recipe_before.get(name);
        if was != Some(now) {
            found.push(format!("{name} {} -> {}", shown(was), shown(Some(now))));
        }
    }
    for (name, was) in &recipe_before {
        if !recipe_now.contains_key(name) {
            found.push(format!("{name} {} -> {}", shown(Some(was)), shown(None)));
        }
    }
    // Coverage and precision are part of each encoder's hash: a change of either changes the hash too.
    let mut is_rehashed = recipe_before.get("coverage") != recipe_now.get("coverage");
    if let Ok(encoders_before) = serde_json::from_str::<EncoderInfo>(&before.encoder) {
        let (was, now) = (encoders_before.precision(), encoders.precision());
        if was != now {
            is_rehashed = true;
            found.push(format!("precision {was} -> {now}"));
        }
        for (kind, was, now) in [
            ("sparse", &encoders_before.sparse, &encoders.sparse),
            ("dense", &encoders_before.dense, &encoders.dense),
        ] {
            found.extend(encoder_difference(kind, [was, now], is_rehashed));
        }
    }
    if found.is_empty() {
        let now = env!("CARGO_PKG_VERSION");
        found.push(format!(
            "indexing rules of helix-build {} -> {now}",
            before.tool_version
        ));
    }
    found
}

fn encoder_difference(
    kind: &str,
    [was, now]: [&Option<ModelInfo>; 2],
    is_rehashed: bool,
) -> Option<String> {
    let hash = |model: &Option<ModelInfo>| model.as_ref().map(|model| model.hash);
    let name = |model: &Option<ModelInfo>| model.as_ref().map(|model| model.name.clone());
    if hash(was) == hash(now) || (is_rehashed && name(was) == name(now)) {
        return None;
    }
    // Show the hashes of two models of the same name.
    let shown = |model: &Option<ModelInfo>| match model {
        None => "none".to_owned(),
        Some(model) if name(was) == name(now) => {
            format!("{} ({:.12})", model.name, model.hash.to_string())
        }
        Some(model) => model.name.clone(),
    };
    Some(format!("{kind} encoder {} -> {}", shown(was), shown(now)))
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use crate::profile::encoders::Precision;
    use crate::profile::recipe::{Chunker, Coverage};

    fn model(name: &str, hash: u8) -> Option<ModelInfo> {
        Some(ModelInfo {
            server: None,
            name: name.to_owned(),
            hash: Digest([hash; 32]),
            dim: 4,
            licence: None,
            precision: Precision::Fp32,
        })
    }

    fn differences_between(
        recipe: (&Recipe, &Recipe),
        encoders: (&EncoderInfo, &EncoderInfo),
    ) -> Vec<String> {
        let before = BuiltWith {
            encoder: serde_json::to_string(encoders.0).expect("JSON"),
            recipe: serde_json::to_string(recipe.0).expect("JSON"),
            tool_version: "0.0.9".to_owned(),
        };
        differences(&before, recipe.1, encoders.1)
    }

    #[test]
    fn each_difference_shows_both_values() {
        let recipe = Recipe::default();
        let both = EncoderInfo {
            sparse: model("splade", 1),
            dense: model("minilm", 2),
        };
        let other = Recipe {
            chunk_chars: 1500,
            chunker: Chunker::Compat,
            ..recipe.clone()
        };
        assert_eq!(
            differences_between((&recipe, &other), (&both, &both)),
            ["chunk_chars 2000 -> 1500", "chunker ast -> compat"]
        );
        let head = Recipe {
            coverage: Coverage::Head,
            ..recipe.clone()
        };
        let rehashed = EncoderInfo {
            sparse: model("splade", 3),
            dense: model("minilm", 4),
        };
        assert_eq!(
            differences_between((&recipe, &head), (&both, &rehashed)),
            ["coverage whole -> head"]
        );
        let halved = EncoderInfo {
            sparse: model("splade", 5).map(|model| ModelInfo {
                precision: Precision::Fp16,
                ..model
            }),
            dense: model("minilm", 2),
        };
        assert_eq!(
            differences_between((&recipe, &recipe), (&both, &halved)),
            ["precision fp32 -> fp16"]
        );
        let changed = EncoderInfo {
            sparse: model("splade", 3),
            dense: None,
        };
        assert_eq!(
            differences_between((&recipe, &recipe), (&both, &changed)),
            [
                "sparse encoder splade (010101010101) -> splade (030303030303)",
                "dense encoder minilm -> none"
            ]
        );
        assert_eq!(
            differences_between((&recipe, &recipe), (&both, &both)),
            [format!(
                "indexing rules of helix-build 0.0.9 -> {}",
                env!("CARGO_PKG_VERSION")
            )]
        );
    }

    #[test]
    fn settings_unknown_to_one_version_are_listed() {
        let before = BuiltWith {
            encoder: "?".to_owned(),
            recipe:
                r#"{"chunker":"ast","chunk_chars":2000,"density_gate":"deny_list","overlap":3}"#
                    .to_owned(),
            tool_version: String::new(),
        };
        let none = EncoderInfo {
            sparse: None,
            dense: None,
        };
        assert_eq!(
            differences(&before, &Recipe::default(), &none),
            [
                "coverage not set -> whole",
                "rules not set -> standard",
                "secrets_in_text not set -> keep",
                "overlap 3 -> not set"
            ]
        );
        let older = BuiltWith {
            recipe: r#"{"chunker":"ast","chunk_chars":1500,"density_gate":"deny_list","coverage":"whole"}"#
                .to_owned(),
            ..before
        };
        assert_eq!(
            differences(&older, &Recipe::default(), &none),
            ["chunk_chars 1500 -> 2000", "rules compat -> standard"]
        );
    }
}
