//! Expands `~`, `$VAR`, `${VAR}` and `${VAR:-default}` in paths.
//!
//! Pure: the caller passes the environment in.

/// Looks up an environment variable. `None`: not set, or not Unicode.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Most defaults inside one another. More are a mistake.
const MAX_DEPTH: usize = 8;

/// A path with its variables expanded.
#[derive(Debug, PartialEq, Eq)]
pub struct Expanded {
    /// Read as a path.
    pub literal: String,
    /// Read as a glob. Characters from variables are escaped.
    pub pattern: String,
    /// Whether the path as typed contains `*`, `?` or `[`.
    pub is_glob: bool,
}

/// Why a path cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    #[error("more than {MAX_DEPTH} defaults inside one another")]
    TooDeep,
    #[error("`${{{0}}}` names no variable")]
    NoName(String),
    #[error("`${{{inner}}}`: write ${{{name}}} or ${{{name}:-default}}")]
    Operator { inner: String, name: String },
    #[error("`${{{0}` has no closing brace")]
    NoClosingBrace(String),
    #[error("`~` is the home folder, but HOME is not set")]
    NoHome,
    #[error("${0} is not set: set it, or write ${{{0}:-default}}")]
    NotSet(String),
}

/// Expand `typed`. A variable that is not set or is empty and has no default is an error, so that `$DATA/logs` never turns
/// into `/logs`.
pub fn expand(typed: &str, env: Env<'_>) -> Result<Expanded, ExpandError> {
    let mut expanded = Expanded {
        literal: String::new(),
        pattern: String::new(),
        is_glob: false,
    };
    expand_into(typed, env, 0, &mut expanded)?;
    Ok(expanded)
}

impl Expanded {
    fn push_value(&mut self, value: &str) {
        self.literal.push_str(value);
        self.pattern.push_str(&glob::Pattern::escape(value));
    }

    fn push_typed(&mut self, c: char) {
        self.literal.push(c);
        self.pattern.push(c);
        self.is_glob |= matches!(c, '*' | '?' | '[');
    }
}

fn expand_into(
    typed: &str,
    env: Env<'_>,
    depth: usize,
    out: &mut Expanded,
) -> Result<(), ExpandError> {
    if depth > MAX_DEPTH {
        return Err(ExpandError::TooDeep);
    }
    let mut rest = typed;
    if out.literal.is_empty() && is_home(typed) {
        out.push_value(&home(env)?);
        rest = &typed[1..];
    }
    while let Some(c) = rest.chars().next() {
        rest = match (c, rest[c.len_utf8()..].chars().next()) {
            ('$', Some('$')) => {
                out.push_typed('$');
                &rest[2..]
            }
            ('$', Some('{')) => {
                let (inner, after) = braced(&rest[2..])?;
                expand_braced(inner, env, depth, out)?;
                after
            }
            ('$', Some(first)) if is_name_start(first) => {
                let (name, after) = split_name(&rest[1..]);
                let value = variable(name, env).ok_or_else(|| not_set(name))?;
                out.push_value(&value);
                after
            }
            _ => {
                out.push_typed(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    Ok(())
}

fn expand_braced(
    inner: &str,
    env: Env<'_>,
    depth: usize,
    out: &mut Expanded,
) -> Result<(), ExpandError> {
    let (name, after) = split_name(inner);
    let default = match (name, after.strip_prefix(":-")) {
        ("", _) => return Err(ExpandError::NoName(inner.to_owned())),
        (_, None) if !after.is_empty() => {
            return Err(ExpandError::Operator {
                inner: inner.to_owned(),
                name: name.to_owned(),
            });
        }
        (_, default) => default,
    };
    match (variable(name, env), default) {
        (Some(value), _) => out.push_value(&value),
        (None, Some(default)) => expand_into(default, env, depth + 1, out)?,
        (None, None) => return Err(not_set(name)),
    }
    Ok(())
}

/// Split the text at the brace that closes the one before it.
fn braced(text: &str) -> Result<(&str, &str), ExpandError> {
    let mut open = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Ok((&text[..at], &text[at + 1..]));
        }
    }
    Err(ExpandError::NoClosingBrace(text.to_owned()))
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_home(path: &str) -> bool {
    path.strip_prefix('~')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(std::path::is_separator))
}

fn home(env: Env<'_>) -> Result<String, ExpandError> {
    variable("HOME", env)
        .or_else(|| variable("USERPROFILE", env))
        .ok_or(ExpandError::NoHome)
}

fn variable(name: &str, env: Env<'_>) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

fn not_set(name: &str) -> ExpandError {
    ExpandError::NotSet(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/[me]".into()),
            "DATA" => Some("/data".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn paths_expand() {
        for (typed, literal) in [
            ("~", "/home/[me]"),
            ("~/src", "/home/[me]/src"),
            ("a/~", "a/~"),
            ("~user/x", "~user/x"),
            ("$DATA/x", "/data/x"),
            ("${DATA}x", "/datax"),
            ("${NONE:-/d}/x", "/d/x"),
            ("${EMPTY:-/d}/x", "/d/x"),
            ("${NONE:-$DATA/y}/x", "/data/y/x"),
            ("${NONE:-${NADA:-~/z}}/x", "/home/[me]/z/x"),
            ("${DATA:-~}", "/data"),
            ("a$$b$", "a$b$"),
            ("$1", "$1"),
        ] {
            assert_eq!(
                expand(typed, &env).expect(typed).literal,
                literal,
                "{typed}"
            );
        }
    }

    #[test]
    fn values_are_not_globs_but_typed_stars_are() {
        let expanded = expand("~/[ab]*", &env).expect("expands");
        assert_eq!(expanded.pattern, "/home/[[]me[]]/[ab]*");
        assert!(expanded.is_glob);
        assert!(!expand("~/x", &env).expect("expands").is_glob);
    }

    #[test]
    fn mistakes_are_errors() {
        for (typed, part) in [
            (
                "$NONE/x",
                "$NONE is not set: set it, or write ${NONE:-default}",
            ),
            ("$EMPTY/x", "$EMPTY is not set"),
            ("${DATA/x", "no closing brace"),
            ("${}", "names no variable"),
            ("${DATA-x}", "write ${DATA} or ${DATA:-default}"),
        ] {
            let error = expand(typed, &env).expect_err(typed).to_string();
            assert!(error.contains(part), "{typed}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_or_refused(typed in "[~$:{}A-D/\\-*é]{0,60}") {
            let _ = expand(&typed, &env);
        }

        #[test]
        fn deep_defaults_are_refused(depth in 9usize..2000) {
            let typed = "${A:-".repeat(depth) + &"}".repeat(depth);
            prop_assert!(expand(&typed, &env).is_err());
        }
    }
}
