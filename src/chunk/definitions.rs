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
    "class_method_definition",
    "class_specifier",
    "class_statement",
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
    "define_directive",
    "delegate_declaration",
    "destructor_declaration",
    "directive_definition",
    "enum",
    "enum_declaration",
    "enum_item",
    "enum_specifier",
    "enum_type_definition",
    "extension_declaration",
    "extension_type_declaration",
    "file_scoped_namespace_declaration",
    "function_declaration",
    "function_definition",
    "function_item",
    "function_signature",
    "function_signature_item",
    "function_statement",
    "generator_function_declaration",
    "impl_item",
    "input_object_type_definition",
    "interface_declaration",
    "interface_type_definition",
    "internal_module",
    "local_function_statement",
    "macro_definition",
    "message",
    "method",
    "method_declaration",
    "method_definition",
    "mixin_declaration",
    "mod_item",
    "module",
    "namespace_declaration",
    "namespace_definition",
    "object_type_definition",
    "pair",
    "preproc_function_def",
    "property_declaration",
    "record_declaration",
    "rpc",
    "scalar_type_definition",
    "service",
    "singleton_method",
    "static_item",
    "struct_declaration",
    "struct_item",
    "struct_specifier",
    "table",
    "table_array_element",
    "trait_declaration",
    "trait_item",
    "type_alias_declaration",
    "type_definition",
    "type_item",
    "type_spec",
    "union_item",
    "union_specifier",
    "union_type_definition",
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
        // R: the name of a function is its keyword.
        "function_definition" if field("name").is_some_and(|name| !name.is_named()) => None,
        // Elixir's definitions are calls.
        "call" => return elixir(node, text),
        // R.
        "binary_operator" if is_function(field("rhs")) => {
            field("lhs").map(|node| text_of(node, text))
        }
        // Nix.
        "binding" => field("attrpath").map(|node| text_of(node, text)),
        // Make, CSS.
        "rule" | "rule_set" => node.named_child(0).map(|node| text_of(node, text)),
        "media_statement" | "keyframes_statement" => text_of(node, text).split('{').next(),
        // CMake.
        "function_def" | "macro_def" => {
            let arguments = node
                .named_child(0)
                .and_then(|command| first_of(command, "argument_list"));
            let name = arguments.and_then(|arguments| arguments.named_child(0));
            name.map(|node| text_of(node, text))
        }
        // Zig.
        "variable_declaration" if has_container(node) => {
            first_of(node, "identifier").map(|node| text_of(node, text))
        }
        "test_declaration" => node
            .named_child(0)
            .map(|node| unquoted(text_of(node, text))),
        _ if contains(DEFINITIONS, kind) => named(node).map(|node| text_of(node, text)),
        _ => None,
    };
    // C++: a macro before a namespace makes it look like a function.
    let name = name.filter(|name| kind != "function_definition" || *name != "namespace");
    name.and_then(name_of).into_iter().collect()
}

/// Return the node that holds the name of a definition.
fn named(node: Node) -> Option<Node> {
    if let Some(name) = node.child_by_field_name("name") {
        return Some(name);
    }
    // Dart: the name is in the signature.
    if let Some(signature) = node.child_by_field_name("signature") {
        let inner = signature.child_by_field_name("name");
        return inner.or_else(|| signature.named_child(0)?.child_by_field_name("name"));
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
        kind.contains("identifier")
            || kind.ends_with("_name")
            || matches!(kind, "object_reference" | "name" | "constant")
    })
}

/// Return what `def name(..)`, `defmodule Name` and their like define.
fn elixir(node: Node, text: &str) -> Vec<String> {
    let Some(target) = node.child_by_field_name("target") else {
        return Vec::new();
    };
    let is_definition = matches!(
        text_of(target, text),
        "def"
            | "defp"
            | "defmodule"
            | "defmacro"
            | "defmacrop"
            | "defprotocol"
            | "defimpl"
            | "defguard"
            | "test"
            | "describe"
    );
    let arguments = first_of(node, "arguments").filter(|_| is_definition);
    let name = arguments.and_then(|arguments| arguments.named_child(0));
    let name = name.map_or("", |node| text_of(node, text));
    let name = unquoted(name.split(['(', ',']).next().unwrap_or(name));
    let name = name.split(" when ").next().unwrap_or(name);
    name_of(name).into_iter().collect()
}

/// Whether a variable is a struct, union or enumeration.
fn has_container(node: Node) -> bool {
    [
        "struct_declaration",
        "union_declaration",
        "enum_declaration",
        "opaque_declaration",
    ]
    .iter()
    .any(|kind| first_of(node, kind).is_some())
}

/// Return the first named child of this kind.
fn first_of<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    let mut children = node.named_children(&mut cursor).take(WRAPPED);
    children.find(|child| child.kind() == kind)
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
