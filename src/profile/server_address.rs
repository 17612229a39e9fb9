//! Where an encoder server is, and how texts are sent to it: what a person writes as a URL.
//!
//! Pure. `encode` connects to it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An encoder server. Its text form is a URL without user info and without any key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAddress {
    /// `http://HOST[:PORT][/PATH]` or with `https`, without a slash at its end.
    pub base: String,
    /// The model to ask for, of a server that has several; empty: the only one.
    pub model: String,
    /// Put before each query and each chunk, as some models need.
    pub query_prefix: String,
    pub passage_prefix: String,
    /// Whether an index names the server, and not the user: it gets no key, and is on this machine.
    pub is_recorded: bool,
}

/// Why a text is no address of a server. Never quotes the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("a URL of an encoder server is http://HOST[:PORT][/PATH] or https://...")]
    NoUrl,
    #[error(
        "the URL of an encoder server may not hold a user name or a password: put the key into HELIX_BUILD_ENCODER_KEY"
    )]
    UserInfo,
    #[error(
        "a URL of an encoder server has the parameters model, query_prefix and passage_prefix and no others; a key \
         belongs into HELIX_BUILD_ENCODER_KEY"
    )]
    Parameter,
}

impl ServerAddress {
    /// Whether a text means a server, and not a folder.
    pub fn is_url(text: &str) -> bool {
        text.get(..8).is_some_and(|start| {
            let start = start.to_ascii_lowercase();
            start.starts_with("http://") || start == "https://"
        })
    }

    /// Whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        let rest = self.base.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::NoUrl)?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(AddressError::NoUrl);
        }
        let (place, parameters) = match rest.split_once('?') {
            Some((place, parameters)) => (place, parameters),
            None => (rest, ""),
        };
        let (authority, path) = match place.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (place, String::new()),
        };
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "#\\\"<>".contains(c);
        let host = authority.trim_end_matches(|c: char| c.is_ascii_digit());
        if matches!(host, "" | ":") || authority.starts_with(':') || place.contains(is_odd) {
            return Err(AddressError::NoUrl);
        }
        let authority = authority.to_ascii_lowercase();
        let mut address = Self {
            base: format!("{scheme}://{authority}{}", path.trim_end_matches('/')),
            model: String::new(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            is_recorded: false,
        };
        for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(AddressError::Parameter)?;
            let value = unescape(value).ok_or(AddressError::NoUrl)?;
            match name {
                "model" => address.model = value,
                "query_prefix" => address.query_prefix = value,
                "passage_prefix" => address.passage_prefix = value,
                _ => return Err(AddressError::Parameter),
            }
        }
        Ok(address)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        let parameters = [
            ("model", &self.model),
            ("query_prefix", &self.query_prefix),
            ("passage_prefix", &self.passage_prefix),
        ];
        let parameters = parameters.iter().filter(|(_, value)| !value.is_empty());
        for (n, (name, value)) in parameters.enumerate() {
            let sign = if n == 0 { '?' } else { '&' };
            write!(f, "{sign}{name}={}", escape(value))?;
        }
        Ok(())
    }
}

/// Spell a value so that it may stand in a URL.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            true => escaped.push(byte.into()),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Undo [`escape`]. `+` is a blank, as in forms.
fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                rest = &after[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ServerAddress, AddressError> {
        text.parse()
    }

    #[test]
    fn a_url_is_read_and_spelled_alike() {
        let address =
            parse("HTTPS://Api.Example.com/v1/?model=m&query_prefix=query:+").expect("fine");
        assert_eq!(address.base, "https://api.example.com/v1");
        assert_eq!((&*address.model, &*address.query_prefix), ("m", "query: "));
        assert_eq!(
            address.to_string(),
            "https://api.example.com/v1?model=m&query_prefix=query:%20"
        );
        assert!(!address.is_loopback());
    }

    #[test]
    fn what_is_no_address_or_holds_a_secret_is_refused_without_quoting_it() {
        for (text, error) in [
            ("http://user:hunter2@host", AddressError::UserInfo),
            ("http://token@host:80/x", AddressError::UserInfo),
            ("http://host?api_key=hunter2", AddressError::Parameter),
            ("http://host?model", AddressError::Parameter),
            ("http://", AddressError::NoUrl),
            ("http://:80", AddressError::NoUrl),
            ("ftp://host", AddressError::NoUrl),
            ("http://a b", AddressError::NoUrl),
            ("http://host#x", AddressError::NoUrl),
            ("http://host?model=%f", AddressError::NoUrl),
        ] {
            assert_eq!(parse(text), Err(error.clone()), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (text, is_loopback) in [
            ("http://localhost:1", true),
            ("http://127.0.0.2/x", true),
            ("http://[::1]:8080", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                parse(text).expect("fine").is_loopback(),
                is_loopback,
                "{text}"
            );
        }
        assert!(ServerAddress::is_url("http://x") && !ServerAddress::is_url("http:/x/y/z"));
    }

    proptest! {
        #[test]
        fn every_prefix_survives(prefix in ".*", model in "[^&]*") {
            let address = ServerAddress {
                model,
                passage_prefix: prefix,
                ..parse("http://h:1/a").expect("fine")
            };
            prop_assert_eq!(parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&format!("http://{text}"));
            ServerAddress::is_url(&text);
        }
    }
}
