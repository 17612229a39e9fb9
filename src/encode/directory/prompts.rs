//! The prompts of sentence transformers: text in front of queries and documents.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
pub(super) struct LibraryConfig {
    #[serde(default)]
    pub prompts: BTreeMap<String, Option<String>>,
    pub default_prompt_name: Option<String>,
    /// Numbers of a vector to keep.
    pub truncate_dim: Option<usize>,
}

/// Names that the library looks for, first one first.
const QUERY: [&str; 1] = ["query"];
const DOCUMENT: [&str; 3] = ["document", "passage", "corpus"];

impl LibraryConfig {
    /// Return the text in front of queries.
    pub fn query_prompt(&self) -> &str {
        self.prompt(&QUERY, &DOCUMENT)
    }

    /// Return the text in front of documents.
    pub fn document_prompt(&self) -> &str {
        self.prompt(&DOCUMENT, &QUERY)
    }

    /// Return the first prompt of `names` with a text, else the default prompt unless the file has one of `names` or the default
    /// is for the other side.
    fn prompt(&self, names: &[&str], others: &[&str]) -> &str {
        let text = |name: &str| Some(self.prompts.get(name)?.as_deref().unwrap_or_default());
        let mut own = names.iter().filter_map(|name| text(name));
        if let Some(prompt) = own.clone().find(|prompt| !prompt.is_empty()) {
            return prompt;
        }
        let default = self.default_prompt_name.as_deref();
        match default.filter(|name| own.next().is_none() && !others.contains(name)) {
            Some(name) => text(name).unwrap_or_default(),
            None => "",
        }
    }

    /// Return the default prompt's name if it is not in the list of prompts.
    pub fn missing_default(&self) -> Option<&str> {
        let name = self.default_prompt_name.as_deref()?;
        let is_known =
            self.prompts.contains_key(name) || QUERY.contains(&name) || name == DOCUMENT[0];
        (!is_known).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(text: &str) -> [String; 2] {
        let config: LibraryConfig = serde_json::from_str(text).expect("reads");
        [
            config.query_prompt().to_owned(),
            config.document_prompt().to_owned(),
        ]
    }

    #[test]
    fn each_side_has_its_own_prompt() {
        for (text, query, document) in [
            ("{}", "", ""),
            (
                r#"{"prompts": {"query": "q: ", "document": "d: "}}"#,
                "q: ",
                "d: ",
            ),
            (
                r#"{"prompts": {"query": "q: ", "passage": "p: "}}"#,
                "q: ",
                "p: ",
            ),
            (
                r#"{"prompts": {"query": "q: ", "document": "", "passage": "p: "}}"#,
                "q: ",
                "p: ",
            ),
            (
                r#"{"prompts": {"query": "q: ", "document": null}, "default_prompt_name": "query"}"#,
                "q: ",
                "",
            ),
            (
                r#"{"prompts": {"query": "q: "}, "default_prompt_name": "query"}"#,
                "q: ",
                "",
            ),
            (
                r#"{"prompts": {"any": "a: "}, "default_prompt_name": "any"}"#,
                "a: ",
                "a: ",
            ),
            (
                r#"{"prompts": {"query": "", "document": "", "any": "a: "}, "default_prompt_name": "any"}"#,
                "",
                "",
            ),
            (
                r#"{"prompts": {"any": "a: "}, "default_prompt_name": null}"#,
                "",
                "",
            ),
        ] {
            assert_eq!(prompts(text), [query, document], "{text}");
        }
    }
}
