//! `router_config.json`: models of sentence transformers that treat queries and documents differently.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The file's name; versions before 5 call it `config.json`.
pub(super) const ROUTER: &str = "router_config.json";

/// The class of such a model's module.
pub(super) const ROUTER_CLASS: &str = "Router";

/// The file's content. A module's name is its folder, empty for the directory itself.
#[derive(Debug, Deserialize)]
pub(super) struct Router {
    /// Classes of the modules, by name.
    types: BTreeMap<String, String>,
    /// Modules of each route, in their order.
    structure: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    default_route: Option<String>,
    /// Routes by task and modality, each as Python prints a pair.
    #[serde(default)]
    route_mappings: Option<BTreeMap<String, String>>,
}

/// Queries or documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Query,
    Document,
}

impl Side {
    fn task(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Document => "document",
        }
    }
}

/// One module of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoutedModule<'a> {
    /// Below the directory; empty: the directory itself.
    pub folder: &'a str,
    /// The class, without the package.
    pub class: &'a str,
}

impl Router {
    /// Return the modules that a text of this side passes, in their order. Empty if the file names no route for it.
    pub fn modules(&self, side: Side) -> Vec<RoutedModule<'_>> {
        let route = self.route(side).and_then(|name| self.structure.get(name));
        let modules = route.into_iter().flatten();
        let module = |name: &'_ String| {
            let (folder, class) = self.types.get_key_value(name)?;
            let class = class.rsplit('.').next().unwrap_or_default();
            Some(RoutedModule { folder, class })
        };
        modules.filter_map(module).collect()
    }

    /// Return the folder of the first module of a side whose class ends with `class`.
    pub fn folder(&self, side: Side, class: &str) -> Option<&str> {
        let modules = self.modules(side);
        let found = modules.iter().find(|module| module.class.ends_with(class));
        found.map(|module| module.folder)
    }

    /// Whether the file names a class that ends with `class`.
    pub fn has(&self, class: &str) -> bool {
        self.types.values().any(|known| known.ends_with(class))
    }

    /// The names of all modules.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// Return the route of a side, in the library's order of preference.
    fn route(&self, side: Side) -> Option<&str> {
        let task = side.task();
        let pairs = [
            format!("('{task}', 'text')"),
            format!("('{task}', None)"),
            "(None, 'text')".to_owned(),
            "(None, None)".to_owned(),
        ];
        let mapped = self.parameters.route_mappings.as_ref();
        let mapped = pairs.iter().find_map(|pair| mapped?.get(pair));
        let direct = [task, "text"];
        let mut direct = direct
            .into_iter()
            .filter(|name| self.structure.contains_key(*name));
        let default = self.parameters.default_route.as_deref();
        mapped
            .map(String::as_str)
            .or_else(|| direct.next())
            .or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> [Vec<String>; 2] {
        let router: Router = serde_json::from_str(text).expect("reads");
        [Side::Query, Side::Document].map(|side| {
            let modules = router.modules(side).into_iter();
            modules
                .map(|m| format!("{}:{}", m.folder, m.class))
                .collect()
        })
    }

    #[test]
    fn each_side_has_its_route() {
        let types = r#""types": {"query_0_A": "p.q.A", "": "p.M", "document_1_P": "p.P"}"#;
        let structure =
            r#""structure": {"query": ["query_0_A"], "document": ["", "document_1_P"]}"#;
        let sides = [vec![":M", "document_1_P:P"], vec!["query_0_A:A"]];
        for (parameters, query, document) in [
            (r#"{"default_route": "document"}"#, 1, 0),
            (r#"{"route_mappings": null}"#, 1, 0),
            (
                r#"{"route_mappings": {"('query', 'text')": "document"}}"#,
                0,
                0,
            ),
            (r#"{"route_mappings": {"(None, 'text')": "query"}}"#, 1, 1),
        ] {
            let text = format!("{{{types}, {structure}, \"parameters\": {parameters}}}");
            assert_eq!(
                classes(&text),
                [sides[query].clone(), sides[document].clone()],
                "{text}"
            );
        }
        let other = format!(
            "{{{types}, \"structure\": {{\"any\": [\"\"]}}, \"parameters\": {{\"default_route\": \"any\"}}}}"
        );
        assert_eq!(classes(&other), [[":M"], [":M"]]);
        assert_eq!(
            classes(r#"{"types": {}, "structure": {}}"#),
            [const { Vec::<String>::new() }; 2]
        );
    }
}
