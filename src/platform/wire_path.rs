//! Encodes paths for messages between processes. Paths need not be Unicode.
//!
//! For `#[serde(with)]`. Both processes run on one machine, so the form may differ between systems.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::path::PathBuf;

/// A path, or a collection of paths.
pub trait Paths: Sized {
    type Form: Serialize + for<'de> Deserialize<'de>;

    fn form(&self) -> Self::Form;
    fn from_form(form: Self::Form) -> Self;
}

#[cfg(unix)]
impl Paths for PathBuf {
    type Form = Vec<u8>;

    fn form(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt as _;
        self.as_os_str().as_bytes().to_vec()
    }

    fn from_form(form: Vec<u8>) -> Self {
        use std::os::unix::ffi::OsStringExt as _;
        OsString::from_vec(form).into()
    }
}

#[cfg(windows)]
impl Paths for PathBuf {
    type Form = Vec<u16>;

    fn form(&self) -> Vec<u16> {
        use std::os::windows::ffi::OsStrExt as _;
        self.as_os_str().encode_wide().collect()
    }

    fn from_form(form: Vec<u16>) -> Self {
        use std::os::windows::ffi::OsStringExt as _;
        OsString::from_wide(&form).into()
    }
}

impl<T: Paths> Paths for Vec<T> {
    type Form = Vec<T::Form>;

    fn form(&self) -> Self::Form {
        self.iter().map(T::form).collect()
    }

    fn from_form(form: Self::Form) -> Self {
        form.into_iter().map(T::from_form).collect()
    }
}

impl<T: Paths> Paths for Option<T> {
    type Form = Option<T::Form>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(T::form)
    }

    fn from_form(form: Self::Form) -> Self {
        form.map(T::from_form)
    }
}

pub fn serialize<T: Paths, S: Serializer>(paths: &T, serializer: S) -> Result<S::Ok, S::Error> {
    paths.form().serialize(serializer)
}

pub fn deserialize<'de, T: Paths, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(T::from_form(T::Form::deserialize(deserializer)?))
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
            prop_assert_eq!(postcard::from_bytes::<Wire>(&sent), Ok(wire));
        }
    }
}
