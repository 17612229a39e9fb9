//! `do_lower_case` of sentence transformers: the tokenizer sees the text in lower case.

use serde_json::{Value, json};
use std::borrow::Cow;

/// Return `tokenizer.json` with a normalizer that lowers the case in front, as the library adds it to tokenizers that have none.
///
/// # Errors
/// Those of reading JSON.
pub(super) fn with_lower_case(tokenizer: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
    let mut file: Value = serde_json::from_slice(tokenizer)?;
    let normalizer = file["normalizer"].take();
    if lowers(&normalizer) {
        return Ok(Cow::Borrowed(tokenizer));
    }
    let mut steps = vec![json!({"type": "Lowercase"})];
    match normalizer {
        Value::Null => {}
        Value::Object(mut sequence) if sequence.get("type") == Some(&json!("Sequence")) => {
            if let Some(Value::Array(others)) = sequence.remove("normalizers") {
                steps.extend(others);
            }
        }
        other => steps.push(other),
    }
    file["normalizer"] = json!({"type": "Sequence", "normalizers": steps});
    serde_json::to_vec(&file).map(Cow::Owned)
}

/// Whether a normalizer gives lower case.
fn lowers(normalizer: &Value) -> bool {
    match normalizer["type"].as_str() {
        Some("Lowercase") => true,
        Some("BertNormalizer") => normalizer["lowercase"] == true,
        Some("Sequence") => {
            let steps = normalizer["normalizers"].as_array();
            steps.is_some_and(|steps| steps.iter().any(lowers))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_added_once_and_in_front() {
        let lower = json!({"type": "Lowercase"});
        let nfc = json!({"type": "NFC"});
        let sequence = |steps: &[&Value]| json!({"type": "Sequence", "normalizers": steps});
        let kept = json!({"type": "BertNormalizer", "lowercase": true});
        let cased = json!({"type": "BertNormalizer", "lowercase": false});
        for (before, after) in [
            (Value::Null, sequence(&[&lower])),
            (nfc.clone(), sequence(&[&lower, &nfc])),
            (cased.clone(), sequence(&[&lower, &cased])),
            (sequence(&[&nfc]), sequence(&[&lower, &nfc])),
            (lower.clone(), lower.clone()),
            (kept.clone(), kept),
            (sequence(&[&nfc, &lower]), sequence(&[&nfc, &lower])),
        ] {
            let file = json!({"normalizer": before, "model": {"vocab": {"a": 0}}}).to_string();
            let edited = with_lower_case(file.as_bytes()).expect("reads");
            let edited: Value = serde_json::from_slice(&edited).expect("is JSON");
            assert_eq!(edited["normalizer"], after);
            assert_eq!(edited["model"]["vocab"]["a"], 0);
        }
    }
}
