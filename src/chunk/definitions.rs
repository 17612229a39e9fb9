//! Which nodes of a syntax tree define something, and what it is called.
//!
//! Pure functions of a node. Kinds of all grammars are in one list: those that several grammars have mean the same.

use super::symbols::name_of;
use tree_sitter::Node;

/// Kinds of nodes that define what their name says. Sorted.
const DEFINITIONS: &[&str] = &[
    "abstract_class_declaration",
    "annotation_type_declaration",
    "block_mapping_pair",
    "class",
    "class_declaration",
    "class_definition",
    "class_specifier",
    "const_item",
    "constructor_declaration",
    "create_function",
    "create_index",
    "create_materialized_view",
    "create_procedure",
    "create_table",
    "create_trigger",
    "create_type",
    "create_view",
    "delegate_declaration",
    "destructor_declaration",
    "enum_declaration",
    "enum_item",
    "enum_specifier",
    "file_scoped_namespace_declaration",
    "function_declaration",
    "function_definition",
    "function_item",
    "function_signature",
    "function_signature_item",
    "generator_function_declaration",
    "impl_item",
    "interface_declaration",
    "internal_module",
    "local_function_statement",
    "macro_definition",
    "method",
    "method_declaration",
    "method_definition",
    "mod_item",
    "module",
    "namespace_declaration",
    "namespace_definition",
    "pair",
    "preproc_function_def",
    "property_declaration",
    "record_declaration",
    "singleton_method",
    "static_item",
    "struct_declaration",
    "struct_item",
    "struct_specifier",
    "table",
    "table_array_element",
    "trait_item",
    "type_alias_declaration",
    "type_definition",
    "type_item",
    "type_spec",
    "union_item",
    "union_specifier",
];

/// Kinds that hold a definition and belong to it: modifiers before it, a semicolon behind it. Sorted.
const WRAPPERS: &[&str] = &[
    "ambient_declaration",
    "declaration",
    "decorated_definition",
    "export_statement",
    "expression_statement",
    "field_declaration",
    "lexical_declaration",
    "statement",
    "template_declaration",
    "type_declaration",
    "variable_declaration",
];

/// Kinds of values that make a variable a definition. Sorted.
const FUNCTIONS: &[&str] = &[
    "arrow_function",
    "class",
    "function_definition",
    "function_expression",
    "generator_function",
];

/// The names that `node` defines, outermost first, and the node that has them: itself, or one that it wraps.
pub fn defined_by<'t>(node: Node<'t>, text: &str) -> Option<(Vec<String>, Node<'t>)> {
    let names = names(node, text);
    if !names.is_empty() {
        return Some((names, node));
    }
    if !contains(WRAPPERS, node.kind()) {
        return None;
    }
    let mut cursor = node.walk();
    let mut children = node.named_children(&mut cursor).take(WRAPPED);
    children.find_map(|child| defined_by(child, text))
}

/// Children of a wrapper that are looked at: decorators and modifiers come first.
const WRAPPED: usize = 8;

fn names(node: Node, text: &str) -> Vec<String> {
    let field = |name: &str| node.child_by_field_name(name);
    let kind = node.kind();
    let name = match kind {
        // Without a body they name a type that is defined elsewhere.
        "struct_specifier" | "union_specifier" | "enum_specifier" | "class_specifier"
            if field("body").is_none() =>
        {
            None
        }
        "impl_item" => field("type").map(|node| before_generics(text_of(node, text))),
        "block_mapping_pair" | "pair" => field("key").map(|node| unquoted(text_of(node, text))),
        "table" | "table_array_element" => node.named_child(0).map(|node| text_of(node, text)),
        "variable_declarator" | "field_definition" | "public_field_definition"
            if is_function(field("value")) =>
        {
            field("name")
                .or(field("property"))
                .map(|node| text_of(node, text))
        }
        "assignment_expression" if is_function(field("right")) => {
            field("left").map(|node| text_of(node, text))
        }
        // Go: the receiver's type is what the method belongs to.
        "method_declaration" if field("receiver").is_some() => {
            let receiver = field("receiver").map_or("", |node| text_of(node, text));
            let owner = receiver.trim_matches(['(', ')']).split_whitespace().last();
            let owner = owner.map(|owner| before_generics(owner.trim_start_matches('*')));
            let name = field("name").map(|node| text_of(node, text));
            return owner.into_iter().chain(name).filter_map(name_of).collect();
        }
        _ if contains(DEFINITIONS, kind) => named(node).map(|node| text_of(node, text)),
        _ => None,
    };
    name.and_then(name_of).into_iter().collect()
}

/// Return the node that holds the name of a definition.
fn named(node: Node) -> Option<Node> {
    if let Some(name) = node.child_by_field_name("name") {
        return Some(name);
    }
    // C: the name is behind pointers and parameters.
    let mut declarator = node.child_by_field_name("declarator");
    while let Some(inner) = declarator {
        let next = inner.child_by_field_name("declarator").or_else(|| {
            let is_wrapper = matches!(
                inner.kind(),
                "reference_declarator" | "parenthesized_declarator"
            );
            is_wrapper.then(|| inner.named_child(0)).flatten()
        });
        if next.is_none() {
            return declarator;
        }
        declarator = next;
    }
    let mut cursor = node.walk();
    let mut children = node.named_children(&mut cursor).take(WRAPPED);
    children.find(|child| {
        let kind = child.kind();
        kind.contains("identifier") || matches!(kind, "object_reference" | "name" | "constant")
    })
}

fn is_function(value: Option<Node>) -> bool {
    value.is_some_and(|value| contains(FUNCTIONS, value.kind()))
}

fn contains(kinds: &[&str], kind: &str) -> bool {
    kinds.binary_search(&kind).is_ok()
}

fn text_of<'t>(node: Node, text: &'t str) -> &'t str {
    text.get(node.byte_range()).unwrap_or_default()
}

fn before_generics(name: &str) -> &str {
    name.split(['<', '[']).next().unwrap_or(name)
}

fn unquoted(name: &str) -> &str {
    name.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted() {
        assert!(
            [DEFINITIONS, WRAPPERS, FUNCTIONS]
                .iter()
                .all(|kinds| kinds.is_sorted())
        );
    }
}
