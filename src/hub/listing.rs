//! What a repository holds, and which of it a model needs.

use super::client::Client;
use super::error::{Failed, HubError};
use super::source::Source;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;

/// The answer of `/api/models/OWNER/MODEL/revision/REVISION`.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The commit.
    pub sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData", default)]
    card: Option<Card>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Card {
    license: Option<serde_json::Value>,
    license_name: Option<String>,
}

/// Largest listing that is read.
const MOST_BYTES: u64 = 16 << 20;
/// Largest settings file that is fetched.
const MOST_SETTINGS_BYTES: u64 = 512 << 20;

impl Listing {
    /// Ask the server.
    pub fn fetch(client: &Client, source: &Source) -> Result<Self, HubError> {
        let Source {
            repository,
            revision,
            ..
        } = source;
        // A slash would begin another part of the address.
        let revision = revision.replace('/', "%2F");
        let url = client.url(&format!(
            "api/models/{repository}/revision/{revision}?blobs=true"
        ));
        let bytes = client.with_retries(
            &url,
            || 0,
            || {
                let answer = client.get(&url, 0)?;
                let mut bytes = Vec::new();
                let mut body = answer.body.into_reader().take(MOST_BYTES);
                body.read_to_end(&mut bytes).map_err(Failed::later)?;
                Ok(bytes)
            },
        )?;
        let bad = |reason: String| HubError::Repository {
            repository: repository.clone(),
            reason,
        };
        let listing: Self = serde_json::from_slice(&bytes).map_err(|error| {
            bad(format!(
                "{url} is not a list of files as hubs give it ({error}); check HF_ENDPOINT"
            ))
        })?;
        let is_commit =
            listing.sha.len() == 40 && listing.sha.bytes().all(|b| b.is_ascii_hexdigit());
        match is_commit {
            true => Ok(listing),
            false => Err(bad(format!("its revision {:?} is no commit", listing.sha))),
        }
    }

    /// Return the licence that the model's card states.
    pub fn licence(&self) -> Option<String> {
        let card = self.card.as_ref()?;
        let stated = match card.license.as_ref()? {
            serde_json::Value::String(one) => one.clone(),
            serde_json::Value::Array(several) => {
                let several = several.iter().filter_map(|one| one.as_str());
                several.collect::<Vec<_>>().join(", ")
            }
            _ => return None,
        };
        match (&*stated, &card.license_name) {
            ("other", Some(name)) => Some(name.clone()),
            _ => Some(stated),
        }
    }

    /// Return the names of all files that may be written below a directory, with their sizes if the server states them.
    fn files(&self) -> BTreeMap<&str, Option<u64>> {
        let files = self.siblings.iter();
        let files = files.map(|file| (&*file.rfilename, file.size));
        files.filter(|(name, _)| is_safe(name)).collect()
    }

    /// Return the size of a file.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.files().get(name).copied().flatten()
    }

    /// Return the small files: settings, tokenizers, tables of queries, licences.
    pub fn settings(&self) -> Vec<String> {
        let is_wanted = |name: &str| {
            let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
            let is_settings = file.ends_with(".json") && !file.ends_with(".index.json");
            let is_text = ["LICENSE", "LICENCE", "NOTICE"]
                .iter()
                .any(|stem| file.to_ascii_uppercase().starts_with(stem));
            // The table by which a router's queries are encoded.
            let is_table = folder.starts_with("query_") && file == "model.safetensors";
            let depth = name.matches('/').count();
            let is_other = ["openvino", "coreml", "checkpoint"]
                .iter()
                .any(|other| folder.starts_with(other));
            depth <= 1 && !is_other && (is_settings || is_text || is_table)
        };
        let files = self.files().into_iter();
        files
            .filter(|(name, size)| {
                is_wanted(name) && size.is_none_or(|size| size <= MOST_SETTINGS_BYTES)
            })
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Return the model: its graph (`named`, or one of the usual names) with the weights beside it, or a static model's
    /// table. The first one is the model itself.
    pub fn model(
        &self,
        named: Option<&str>,
        is_static: bool,
        repository: &str,
    ) -> Result<Vec<String>, HubError> {
        let files = self.files();
        let bad = |reason: String| HubError::Repository {
            repository: repository.to_owned(),
            reason,
        };
        let graphs: Vec<&str> = files
            .keys()
            .copied()
            .filter(|f| f.ends_with(".onnx"))
            .collect();
        let usual: Vec<&str> = match is_static {
            true => vec!["0_StaticEmbedding/model.safetensors", "model.safetensors"],
            false => {
                let routed = graphs
                    .iter()
                    .copied()
                    .filter(|f| f.starts_with("document_"));
                let usual = ["model.onnx", "onnx/model.onnx"].into_iter();
                usual.chain(routed).collect()
            }
        };
        let found = match named {
            Some(named) => files.contains_key(named).then_some(named),
            None => usual.into_iter().find(|name| files.contains_key(name)),
        };
        let Some(graph) = found else {
            return Err(bad(match (named, graphs.as_slice()) {
                (Some(named), []) => format!("it has no file {named}, and no ONNX graph"),
                (Some(named), graphs) => {
                    format!("it has no file {named}; its graphs are {}", graphs.join(", "))
                }
                (None, []) => "it has no ONNX graph: export the model, as the guide to models shows, or fetch one that \
                     has a graph"
                    .to_owned(),
                (None, graphs) => format!("it has the graphs {}: choose one with --file", graphs.join(", ")),
            }));
        };
        let mut wanted = vec![graph.to_owned()];
        let is_weights = |name: &str| {
            let rest = name.strip_prefix(graph).unwrap_or_default();
            rest.starts_with("_data") || rest.starts_with(".data")
        };
        wanted.extend(
            files
                .keys()
                .filter(|name| is_weights(name))
                .map(|name| (*name).to_owned()),
        );
        Ok(wanted)
    }
}

/// Whether a name stays below the directory that it is written to, on every system.
fn is_safe(name: &str) -> bool {
    let is_plain = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_. +()".contains(c);
        !part.is_empty() && !part.ends_with(['.', ' ']) && part.chars().all(fits)
    };
    name.len() <= 512 && name.split('/').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let siblings: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"rfilename": name}))
            .collect();
        let value = serde_json::json!({"sha": "0".repeat(40), "siblings": siblings});
        serde_json::from_value(value).expect("a listing")
    }

    #[test]
    fn what_a_model_needs_is_chosen() {
        let files = listing(&[
            ".gitattributes",
            "1_Pooling/config.json",
            "README.md",
            "LICENSE",
            "config.json",
            "model.safetensors",
            "model.safetensors.index.json",
            "onnx/model.onnx",
            "onnx/model.onnx_data",
            "onnx/model_O3.onnx",
            "openvino/config.json",
            "query_0_SparseStaticEmbedding/model.safetensors",
            "tokenizer.json",
            "../up.json",
            "a/../../b.json",
            "c:\\d.json",
            "/etc/e.json",
            "a/b/deep.json",
        ]);
        assert_eq!(
            files.settings(),
            [
                "1_Pooling/config.json",
                "LICENSE",
                "config.json",
                "query_0_SparseStaticEmbedding/model.safetensors",
                "tokenizer.json"
            ]
        );
        let model = |named, is_static| {
            files
                .model(named, is_static, "a/b")
                .map_err(|e| e.to_string())
        };
        assert_eq!(
            model(None, false).expect("a graph"),
            ["onnx/model.onnx", "onnx/model.onnx_data"]
        );
        assert_eq!(
            model(Some("onnx/model_O3.onnx"), false).expect("a graph"),
            ["onnx/model_O3.onnx"]
        );
        assert_eq!(model(None, true).expect("a table"), ["model.safetensors"]);
        assert!(
            model(Some("x.onnx"), false)
                .expect_err("absent")
                .contains("onnx/model_O3.onnx")
        );
        let error = listing(&["pytorch_model.bin"]).model(None, false, "a/b");
        assert!(
            error
                .expect_err("none")
                .to_string()
                .contains("no ONNX graph")
        );
        let error = listing(&["m.onnx"]).model(None, false, "a/b");
        assert!(error.expect_err("other").to_string().contains("--file"));
    }
}
