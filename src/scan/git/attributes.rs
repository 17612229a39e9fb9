//! What `.gitattributes` files say for GitHub's Linguist: `linguist-generated` and `linguist-vendored`.

use bstr::BStr;
use gix_attributes::StateRef;
use gix_attributes::parse::Kind;
use gix_glob::Pattern;
use gix_glob::pattern::Case;
use gix_glob::wildmatch::Mode;
use std::collections::BTreeMap;

/// Both attributes of a file; `None`: not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linguist {
    pub generated: Option<bool>,
    pub vendored: Option<bool>,
    /// Which of them are decided, maybe as unspecified.
    is_decided: [bool; 2],
}

impl Linguist {
    /// Add what a weaker file says.
    pub(super) fn add(&mut self, values: [Said; 2]) {
        let slots = [&mut self.generated, &mut self.vendored];
        for ((slot, is_decided), said) in slots.into_iter().zip(&mut self.is_decided).zip(values) {
            if let (false, Some(value)) = (*is_decided, said) {
                *slot = value;
                *is_decided = true;
            }
        }
    }
}

const NAMES: [&str; 2] = ["linguist-generated", "linguist-vendored"];

/// What a line says of an attribute: nothing, or a value, which may be that it is unspecified.
type Said = Option<Option<bool>>;

/// The lines of a file that say something of these attributes.
#[derive(Debug, Default)]
pub struct AttributeList {
    lines: Vec<(Pattern, [Said; 2])>,
    /// Attributes that stand for these.
    macros: BTreeMap<String, [Said; 2]>,
}

impl AttributeList {
    /// Return the lines in `bytes`. `outer` are the lists whose macros hold here, the innermost first.
    pub fn parse<'l>(bytes: &[u8], outer: impl Iterator<Item = &'l Self>) -> Self {
        let mut list = Self::default();
        let outer: Vec<_> = outer.collect();
        for (kind, assignments, _) in gix_attributes::parse(bytes).filter_map(Result::ok) {
            let mut said = [None; 2];
            for assignment in assignments.filter_map(Result::ok) {
                let name = assignment.name.as_str();
                let value = value(assignment.state);
                if let Some(at) = NAMES.iter().position(|known| *known == name) {
                    said[at] = Some(value);
                } else if value == Some(true) {
                    let mut lists = std::iter::once(&list).chain(outer.iter().copied());
                    let meant = lists.find_map(|list| list.macros.get(name)).copied();
                    for (slot, meant) in said.iter_mut().zip(meant.unwrap_or_default()) {
                        *slot = meant.or(*slot);
                    }
                }
            }
            if said == [None; 2] {
                continue;
            }
            match kind {
                Kind::Pattern(pattern) => list.lines.push((pattern, said)),
                Kind::Macro(name) => {
                    list.macros.insert(name.as_str().to_owned(), said);
                }
            }
        }
        list
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.macros.is_empty()
    }

    /// Return what the last lines that fit say of a file at `path`, which counts from the folder of the list.
    pub fn linguist(&self, path: &BStr, case: Case) -> [Said; 2] {
        let name = path.iter().rposition(|byte| *byte == b'/').map(|at| at + 1);
        let mut said = [None; 2];
        for (pattern, values) in &self.lines {
            let mode = Mode::NO_MATCH_SLASH_LITERAL;
            if pattern.matches_repo_relative_path(path, name, Some(false), case, mode) {
                for (slot, value) in said.iter_mut().zip(values) {
                    *slot = value.or(*slot);
                }
            }
        }
        said
    }
}

/// Return an attribute as Linguist reads it: anything but `false` is true.
fn value(state: StateRef<'_>) -> Option<bool> {
    match state {
        StateRef::Set => Some(true),
        StateRef::Unset => Some(false),
        StateRef::Value(value) => Some(value.as_bstr() != "false"),
        StateRef::Unspecified => None,
    }
}
