//! Passwords in addresses.

use super::*;

#[test]
fn passwords_in_urls_may_hold_what_ends_the_host() {
    for password in [
        "Kx9#mQ2vLp7z",
        "Kx9/mQ2vLp7z",
        "Kx9?mQ2vLp7z",
        "/Kx9mQ2vLp7z",
        "Kx9@mQ2vLp7z",
        "p#/9aB?c",
    ] {
        for text in [
            format!("postgres://user:{password}@host/db"),
            format!("url = \"amqp://user:{password}@10.0.0.1:5672/\""),
            format!("See <mongodb://user:{password}@a.example,b.example/db>."),
        ] {
            assert_eq!(certain(&text, Style::Any), [password], "{text}");
            assert!(is_guarded("url", &text, true), "{text}");
        }
    }
    for text in [
        "https://host:8080/npm/@scope2/pack",
        "https://host:8080/a1#b2@c",
        "https://host/x1:y2@z",
        "https://host/a/b:c3d4/e5@v2",
        "http://localhost:{port2}/a@b",
        "see http://a:b/ and mail me2@x.org",
        "https://cdn.org/npm:left-pad2@1.3",
    ] {
        assert_eq!(certain(text, Style::Any), Vec::<&str>::new(), "{text}");
    }
}
