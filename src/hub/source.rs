//! Names of models: those of the short list, and `hf:OWNER/MODEL[@REVISION]`.

use super::error::HubError;

/// A model of the short list: `models fetch NAME`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub name: &'static str,
    pub repository: &'static str,
    /// As its card states it. Fetching another licence is an error.
    pub licence: &'static str,
    /// Lines for `helix-model.toml` that its files do not state.
    pub(super) settings: &'static str,
}

/// Repositories that have an ONNX graph or a static model beside their files. No revision is pinned: the one that was
/// fetched is written down.
pub(super) const LISTED: [Listed; 5] = [
    Listed {
        name: "minilm",
        repository: "sentence-transformers/all-MiniLM-L6-v2",
        licence: "apache-2.0",
        settings: "",
    },
    Listed {
        name: "bge-small-en",
        repository: "BAAI/bge-small-en-v1.5",
        licence: "mit",
        settings: "query_prefix = \"Represent this sentence for searching relevant passages: \"\n",
    },
    Listed {
        name: "bge-m3",
        repository: "BAAI/bge-m3",
        licence: "mit",
        settings: "max_len = 512\n",
    },
    Listed {
        name: "potion-8m",
        repository: "minishlab/potion-base-8M",
        licence: "mit",
        settings: "",
    },
    Listed {
        name: "splade",
        repository: "Qdrant/Splade_PP_en_v1",
        licence: "apache-2.0",
        settings: "kind = \"sparse\"\n",
    },
];

/// A repository of a hub at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `OWNER/MODEL`.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    pub(super) listed: Option<&'static str>,
}

impl Source {
    /// Parse a name.
    ///
    /// # Errors
    /// `Name`, with what names there are.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        if let Some(listed) = LISTED.iter().find(|listed| listed.name == text) {
            return Ok(Self {
                repository: listed.repository.to_owned(),
                revision: "main".to_owned(),
                listed: Some(listed.name),
            });
        }
        let bad = || {
            let names: Vec<&str> = LISTED.iter().map(|listed| listed.name).collect();
            HubError::Name(format!(
                "{text:?} is no model: name hf:OWNER/MODEL, hf:OWNER/MODEL@REVISION, or one of {}",
                names.join(", ")
            ))
        };
        let name = text.strip_prefix("hf:").ok_or_else(bad)?;
        let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
        let (owner, model) = repository.split_once('/').ok_or_else(bad)?;
        // What a hub allows in names; none of it has to be encoded in an address.
        let is_name = |text: &str, others: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
            !text.is_empty() && text.len() <= 128 && text.chars().all(fits) && !text.contains("..")
        };
        let is_part = |text: &str| is_name(text, "-_.") && text != ".";
        match is_part(owner) && is_part(model) && is_name(revision, "-_./") {
            true => Ok(Self {
                repository: repository.to_owned(),
                revision: revision.to_owned(),
                listed: None,
            }),
            false => Err(bad()),
        }
    }

    /// Return the model's name without its owner.
    pub fn model(&self) -> &str {
        let parts = self.repository.split_once('/');
        parts.map_or(&*self.repository, |(_, model)| model)
    }

    /// Return the name, or the entry of the short list.
    pub(super) fn entry(&self) -> Option<&'static Listed> {
        LISTED
            .iter()
            .find(|listed| Some(listed.name) == self.listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_or_refused() {
        let parse = |text| {
            Source::parse(text)
                .map(|s| (s.repository, s.revision))
                .map_err(|error| error.to_string())
        };
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(parse("hf:a/b.c-d_1"), pair("a/b.c-d_1", "main"));
        assert_eq!(parse("hf:a/b@refs/pr/1"), pair("a/b", "refs/pr/1"));
        assert_eq!(parse("potion-8m"), pair("minishlab/potion-base-8M", "main"));
        for text in [
            "a/b",
            "hf:a",
            "hf:/b",
            "hf:a/",
            "hf:a/b/c",
            "hf:a/b@",
            "hf:../b",
            "hf:a/..",
            "hf:a/b@../x",
            "hf:a/b?x",
            "hf:a b/c",
            "nothing",
            "",
        ] {
            let error = parse(text).expect_err(text);
            assert!(
                error.contains("hf:OWNER/MODEL") && error.contains("minilm"),
                "{error}"
            );
        }
    }
}
