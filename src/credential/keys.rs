//! Which keys of settings, names of variables and elements say that a credential follows.

/// What kind of credential a key announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Chosen by people, so any text may be one.
    Password,
    /// Random: tokens, secrets, API keys.
    Token,
}

/// Words of which one alone makes a key a password's.
const PASSWORDS: &[&str] = &[
    "pass",
    "passwd",
    "password",
    "passwords",
    "passphrase",
    "passcode",
    "passwort",
    "kennwort",
    "senha",
    "passe",
    "contrasena",
    "contrasenia",
    "clave",
    "motdepasse",
    "mdp",
    "wachtwoord",
    "haslo",
    "heslo",
    "losenord",
    "adgangskode",
    "passord",
    "jelszo",
    "salasana",
    "sifre",
    "sifra",
    "parola",
    "lozinka",
    "geslo",
    "parool",
    "sandi",
    "matkhau",
    "pwd",
    "pswd",
    "psw",
    "pw",
    "passw",
    // Redis.
    "masterauth",
];
/// The same as ends of longer words: `dbpassword`.
const PASSWORD_ENDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "kennwort",
    "wachtwoord",
    "pwd",
];
/// Words that end in `pass` and are not passwords; in all other words `pass` counts as short for password: `smtppass`.
const NO_PASSWORDS: &[&str] = &[
    "bypass",
    "compass",
    "buypass",
    "keepass",
    "lastpass",
    "trespass",
    "overpass",
    "underpass",
    "encompass",
    "surpass",
    "multipass",
    "subpass",
    "onepass",
    "twopass",
    "prepass",
    "postpass",
];

/// Words of which one alone makes a key a token's.
const TOKENS: &[&str] = &[
    "token",
    "tokens",
    "secret",
    "secrets",
    "apikey",
    "apitoken",
    "apisecret",
    "credential",
    "credentials",
    "creds",
    "cred",
    "auth",
    "authorization",
    "bearer",
    "authtoken",
    "accesskey",
    "secretkey",
    "privatekey",
    "authkey",
    "sas",
    "jwt",
    "psk",
    "sessionid",
    "sessid",
    "phpsessid",
    "jsessionid",
    "geheimnis",
];
const TOKEN_ENDS: &[&str] = &[
    "token",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
];
/// What makes `key` behind it a token's.
const KINDS_OF_KEYS: &[&str] = &[
    "api",
    "access",
    "private",
    "secret",
    "signing",
    "sign",
    "encryption",
    "encrypt",
    "decryption",
    "decrypt",
    "cipher",
    "crypto",
    "aes",
    "hmac",
    "master",
    "account",
    "storage",
    "shared",
    "auth",
    "deploy",
    "service",
    "license",
    "licence",
    "app",
    "application",
    "consumer",
    "session",
    "webhook",
    "admin",
    "root",
    "ssh",
    "write",
    "read",
    "integration",
    "server",
    "client",
    "subscription",
    "host",
    "function",
    "jwt",
    "symmetric",
    "app_key",
    "database",
    "cosmos",
    "pre",
    "preshared",
    "primary_access",
];

/// Last words of keys that speak about a credential and do not hold one.
const ABOUT: &[&str] = &[
    "file",
    "mgr",
    "realm",
    "encryption",
    "encoding",
    "encode",
    "encoder",
    "decode",
    "decoder",
    "hashes",
    "hashing",
    "files",
    "path",
    "dir",
    "folder",
    "url",
    "uri",
    "endpoint",
    "host",
    "name",
    "names",
    "type",
    "types",
    "kind",
    "length",
    "len",
    "size",
    "count",
    "num",
    "number",
    "limit",
    "max",
    "min",
    "timeout",
    "ttl",
    "expiry",
    "expires",
    "expiration",
    "expire",
    "policy",
    "field",
    "fields",
    "label",
    "hint",
    "placeholder",
    "prompt",
    "error",
    "errors",
    "message",
    "msg",
    "help",
    "regex",
    "pattern",
    "reset",
    "env",
    "var",
    "variable",
    "ref",
    "reference",
    "format",
    "parser",
    "stream",
    "list",
    "index",
    "offset",
    "position",
    "pos",
    "start",
    "end",
    "line",
    "lines",
    "class",
    "classes",
    "tree",
    "budget",
    "usage",
    "map",
    "store",
    "manager",
    "provider",
    "handler",
    "validator",
    "validation",
    "generator",
    "factory",
    "builder",
    "helper",
    "helpers",
    "util",
    "utils",
    "strength",
    "rotation",
    "version",
    "algorithm",
    "alg",
    "method",
    "issuer",
    "audience",
    "scope",
    "scopes",
    "enabled",
    "required",
    "visible",
    "input",
    "page",
    "form",
    "screen",
    "view",
    "button",
    "text",
    "title",
    "description",
    "desc",
    "example",
    "mode",
    "module",
    "middleware",
    "service",
    "plugin",
    "library",
    "is",
    "has",
    "rule",
    "rules",
    "schema",
    "column",
    "table",
    "id",
    "ids",
    "user",
    "username",
    "owner",
    "prefix",
    "suffix",
    "header",
    "headers",
    "source",
    "state",
    "status",
    "valid",
    "invalid",
    "missing",
    "changed",
    "expired",
    "forgot",
    "forgotten",
    "create",
    "update",
    "delete",
    "change",
    "backend",
    "backends",
    "request",
    "response",
    "server",
    "client",
    "role",
    "roles",
    "kinds",
    "set",
    "get",
    "mount",
    "mounts",
    "volume",
    "volumes",
    "management",
    "vault",
    "arn",
    "cache",
    "ing",
];

/// Return what the key `name` announces, judged by its words: `dbPassword`, `spring.datasource.password`,
/// `X-Api-Key`, `SECRET_KEY_BASE`; not `password_file`, `max_tokens_per_line`, `tokenizer`.
pub(super) fn key(name: &str) -> Option<Key> {
    // What tells assemblies of .NET apart.
    if ends_with(name, "PublicKeyToken") {
        return None;
    }
    let mut key = None;
    let mut before = "";
    for word in words(name) {
        let is = |list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
        let ends = |list: &[&str]| list.iter().any(|end| ends_with(word, end));
        if is(PASSWORDS) || ends(PASSWORD_ENDS) || ends_with(word, "pass") && !is(NO_PASSWORDS) {
            key = Some(Key::Password);
        } else if is(TOKENS) || ends(TOKEN_ENDS) || is_key_of(before, word) {
            // `password_token` resets one.
            key = Some(Key::Token);
        } else if is(ABOUT) {
            // Vault's `secret_id` is the secret of a role.
            let is_id = word.eq_ignore_ascii_case("id") && before.eq_ignore_ascii_case("secret");
            key = key.filter(|_| is_id);
        }
        before = word;
    }
    key
}

fn is_key_of(before: &str, word: &str) -> bool {
    // Community strings of SNMP let in whoever knows them.
    let is_community =
        word.eq_ignore_ascii_case("community") && before.eq_ignore_ascii_case("snmp");
    is_community
        || (word.eq_ignore_ascii_case("key") || word.eq_ignore_ascii_case("keys"))
            && KINDS_OF_KEYS
                .iter()
                .any(|kind| before.eq_ignore_ascii_case(kind))
}

fn ends_with(word: &str, end: &str) -> bool {
    word.len()
        .checked_sub(end.len())
        .and_then(|at| word.get(at..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// `db`, `Password` of `dbPassword`; numbers at the end of a word are left out.
pub(super) fn words(name: &str) -> impl Iterator<Item = &str> {
    let bytes = name.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !bytes[at].is_ascii_alphabetic() {
            at += 1;
        }
        let start = at;
        while at < bytes.len()
            && bytes[at].is_ascii_alphabetic()
            && (at == start || !humps(bytes, at))
        {
            at += 1;
        }
        name.get(start..at).filter(|word| !word.is_empty())
    })
}

/// Return whether this is a capital after a small letter, or the last of several capitals.
fn humps(bytes: &[u8], at: usize) -> bool {
    let is_small = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_lowercase);
    bytes[at].is_ascii_uppercase() && (is_small(bytes.get(at - 1)) || is_small(bytes.get(at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_credentials_are_known() {
        for name in [
            "password",
            "DB_PASS",
            "smtpPass",
            "dbpassword",
            "spring.datasource.password",
            "PGPASSWORD",
            "user-pwd",
            "password2",
            "password_prod",
            "APIPassword",
        ] {
            assert_eq!(key(name), Some(Key::Password), "{name}");
        }
        for name in [
            "token",
            "GITHUB_TOKEN",
            "X-Api-Key",
            "apiKey",
            "aws_secret",
            "aws_secret_access_key",
            "SECRET_KEY_BASE",
            "_authToken",
            "AccountKey",
            "client_secret",
            "secret_id",
            "Authorization",
        ] {
            assert_eq!(key(name), Some(Key::Token), "{name}");
        }
    }

    #[test]
    fn keys_about_credentials_are_not() {
        for name in [
            "tokenizer",
            "password_file",
            "passwordLength",
            "token_url",
            "secretName",
            "bypass",
            "compass",
            "author",
            "key",
            "primary_key",
            "token.kind",
            "keys",
            "keyboard",
            "access_key_id",
            "passenger",
            "authority",
            "host",
        ] {
            assert_eq!(key(name), None, "{name}");
        }
    }
}
