//! Encodes paths for messages between processes and for plans of builds.
//!
//! For `#[serde(with)]`. In messages paths need not be Unicode: both processes run on one machine, so the form may differ
//! between systems. In text (JSON) a path is a string, and one that is not Unicode is an error.

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::path::PathBuf;

/// A path, or a collection of paths.
pub trait Paths: Sized {
    type Form: Serialize + for<'de> Deserialize<'de>;
    type Text: Serialize + for<'de> Deserialize<'de>;

    fn form(&self) -> Self::Form;
    fn from_form(form: Self::Form) -> Self;
    /// `None`: a path is not Unicode.
    fn text(&self) -> Option<Self::Text>;
    fn from_text(text: Self::Text) -> Self;
}

#[cfg(unix)]
impl Paths for PathBuf {
    type Form = Vec<u8>;
    type Text = String;

    fn form(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt as _;
        self.as_os_str().as_bytes().to_vec()
    }

    fn from_form(form: Vec<u8>) -> Self {
        use std::os::unix::ffi::OsStringExt as _;
        OsString::from_vec(form).into()
    }

    fn text(&self) -> Option<String> {
        self.to_str().map(str::to_owned)
    }

    fn from_text(text: String) -> Self {
        text.into()
    }
}

#[cfg(windows)]
impl Paths for PathBuf {
    type Form = Vec<u16>;
    type Text = String;

    fn form(&self) -> Vec<u16> {
        use std::os::windows::ffi::OsStrExt as _;
        self.as_os_str().encode_wide().collect()
    }

    fn from_form(form: Vec<u16>) -> Self {
        use std::os::windows::ffi::OsStringExt as _;
        OsString::from_wide(&form).into()
    }

    fn text(&self) -> Option<String> {
        self.to_str().map(str::to_owned)
    }

    fn from_text(text: String) -> Self {
        text.into()
    }
}

impl<T: Paths> Paths for Vec<T> {
    type Form = Vec<T::Form>;
    type Text = Vec<T::Text>;

    fn form(&self) -> Self::Form {
        self.iter().map(T::form).collect()
    }

    fn from_form(form: Self::Form) -> Self {
        form.into_iter().map(T::from_form).collect()
    }

    fn text(&self) -> Option<Self::Text> {
        self.iter().map(T::text).collect()
    }

    fn from_text(text: Self::Text) -> Self {
        text.into_iter().map(T::from_text).collect()
    }
}

impl<T: Paths> Paths for Option<T> {
    type Form = Option<T::Form>;
    type Text = Option<T::Text>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(T::form)
    }

    fn from_form(form: Self::Form) -> Self {
        form.map(T::from_form)
    }

    fn text(&self) -> Option<Self::Text> {
        match self {
            None => Some(None),
            Some(path) => path.text().map(Some),
        }
    }

    fn from_text(text: Self::Text) -> Self {
        text.map(T::from_text)
    }
}

pub fn serialize<T: Paths, S: Serializer>(paths: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return paths.form().serialize(serializer);
    }
    let text = paths.text();
    text.ok_or_else(|| S::Error::custom("a path is not valid Unicode"))?
        .serialize(serializer)
}

pub fn deserialize<'de, T: Paths, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    match deserializer.is_human_readable() {
        true => T::Text::deserialize(deserializer).map(T::from_text),
        false => T::Form::deserialize(deserializer).map(T::from_form),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wire {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(with = "super")]
        many: Vec<PathBuf>,
    }

    proptest! {
        #[test]
        fn paths_of_any_bytes_pass_between_processes(
            bytes in proptest::collection::vec(1u8.., 1..40),
        ) {
            let one = PathBuf::from_form(bytes);
            let wire = Wire { many: vec![one.clone(), one.join("x")], one };
            let sent = postcard::to_stdvec(&wire).expect("has a form");
            let read = postcard::from_bytes::<Wire>(&sent).expect("a form");
            prop_assert_eq!(&read, &wire);
            let text = serde_json::to_string(&wire);
            match wire.one.to_str() {
                None => prop_assert!(text.is_err()),
                Some(_) => {
                    let read = serde_json::from_str::<Wire>(&text.expect("Unicode"));
                    prop_assert_eq!(read.expect("a form"), wire);
                }
            }
        }
    }
}
