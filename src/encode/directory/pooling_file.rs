//! `1_Pooling/config.json`, as all versions of sentence transformers write it.

use crate::encode::model::Pooling;
use serde::Deserialize;

/// The file's content. Versions before 5.4 have a flag for each way of pooling, later ones name it.
#[derive(Default, Deserialize)]
pub(super) struct PoolingConfig {
    #[serde(alias = "embedding_dimension")]
    pub word_embedding_dimension: Option<usize>,
    pooling_mode: Option<Modes>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    /// Whether the tokens of a prompt are pooled too. The library's default is true.
    pub include_prompt: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Several(Vec<String>),
}

impl PoolingConfig {
    /// Return the ways of pooling that the file names; their vectors are concatenated.
    pub fn modes(&self) -> Vec<&str> {
        match &self.pooling_mode {
            Some(Modes::One(mode)) => vec![mode],
            Some(Modes::Several(modes)) => modes.iter().map(String::as_str).collect(),
            None => self.flags().collect(),
        }
    }

    fn flags(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.pooling_mode_cls_token, "cls"),
            (self.pooling_mode_max_tokens, "max"),
            (self.pooling_mode_mean_tokens, "mean"),
            (
                self.pooling_mode_mean_sqrt_len_tokens,
                "mean_sqrt_len_tokens",
            ),
            (self.pooling_mode_weightedmean_tokens, "weightedmean"),
            (self.pooling_mode_lasttoken, "lasttoken"),
        ]
        .into_iter()
        .filter_map(|(is_set, mode)| is_set.then_some(mode))
    }

    /// Return the pooling; `None` if the file names none.
    ///
    /// # Errors
    /// What it asks for, if this program does not pool that way.
    pub fn pooling(&self) -> Result<Option<Pooling>, String> {
        match self.modes()[..] {
            [] => Ok(None),
            ["cls"] => Ok(Some(Pooling::Cls)),
            // Vectors are normalised, so the divisor does not matter.
            ["mean" | "mean_sqrt_len_tokens"] => Ok(Some(Pooling::Mean)),
            ["lasttoken"] => Ok(Some(Pooling::Last)),
            [other] => Err(other.to_owned()),
            ref several => Err(format!("{} one after the other", several.join(" and "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_file_say_the_same() {
        for (text, expected) in [
            ("{}", Ok(None)),
            (
                r#"{"pooling_mode": "mean", "embedding_dimension": 3, "include_prompt": true}"#,
                Ok(Some(Pooling::Mean)),
            ),
            (r#"{"pooling_mode": ["cls"]}"#, Ok(Some(Pooling::Cls))),
            (r#"{"pooling_mode": "lasttoken"}"#, Ok(Some(Pooling::Last))),
            (
                r#"{"pooling_mode": "mean_sqrt_len_tokens"}"#,
                Ok(Some(Pooling::Mean)),
            ),
            (
                r#"{"pooling_mode": ["cls", "mean"]}"#,
                Err("cls and mean one after the other".to_owned()),
            ),
            (
                r#"{"pooling_mode": "weightedmean"}"#,
                Err("weightedmean".to_owned()),
            ),
            (
                r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#,
                Ok(Some(Pooling::Mean)),
            ),
            (
                r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#,
                Err("cls and mean one after the other".to_owned()),
            ),
            (
                r#"{"pooling_mode_max_tokens": true}"#,
                Err("max".to_owned()),
            ),
            (
                r#"{"pooling_mode_cls_token": true, "pooling_mode": "mean"}"#,
                Ok(Some(Pooling::Mean)),
            ),
        ] {
            let config: PoolingConfig = serde_json::from_str(text).expect("reads");
            assert_eq!(config.pooling(), expected, "{text}");
        }
    }
}
