//! Names under which people keep keys and credentials.
//!
//! Judged by names alone; contents are never looked at. The list would rather miss an odd name than
//! hide sources: a word such as `secrets` counts only in front of a data format's extension, so
//! `secrets.rs` is a source like any other.

use crate::file::RelPath;

/// Whole names.
const NAMES: &str = "
    .env .envrc .netrc _netrc .npmrc .yarnrc.yml .pypirc .htpasswd .pgpass .my.cnf .mylogin.cnf
    .git-credentials .dockercfg .s3cfg .boto .vault-token .terraformrc .bash_history
    .zsh_history credentials kubeconfig wallet.dat wallet.json accesskeys.csv rootkey.csv
    application_default_credentials.json client_secret.json client_secrets.json terraform.tfvars
    passwords.txt passwords.csv passwords.json google-services.json id_rsa id_dsa id_ecdsa
    id_ecdsa_sk id_ed25519 id_ed25519_sk ssh_host_rsa_key ssh_host_dsa_key ssh_host_ecdsa_key
    ssh_host_ed25519_key
";

/// Words that mean secrets when only a [data format](DATA) follows.
const WORDS: &[&str] = &["credentials", "secrets", "secret"];

const DATA: &[&str] = &[
    "json",
    "yml",
    "yaml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "properties",
    "txt",
    "csv",
    "env",
];

/// Extensions of private keys, key stores and states that hold passwords.
const EXTENSIONS: &[&str] = &[
    "pem",
    "key",
    "p12",
    "pfx",
    "p8",
    "jks",
    "keystore",
    "bks",
    "kdbx",
    "kdb",
    "ovpn",
    "ppk",
    "keytab",
    "tfstate",
    "agilekeychain",
];

/// First and last part of a name.
const SHAPES: &[(&str, &str)] = &[
    ("service-account", ".json"),
    ("service_account", ".json"),
    ("serviceaccount", ".json"),
    ("client_secret_", ".json"),
    ("utc--", ""),
];

/// Folder and name of files that are secret only there.
const IN_FOLDER: &[(&str, &str)] = &[
    (".aws", "config"),
    (".docker", "config.json"),
    (".kube", "config"),
    (".cargo", "credentials.toml"),
    ("gh", "hosts.yml"),
    ("sops", "keys.txt"),
];

/// Folders that hold nothing but keys.
const FOLDERS: &[&str] = &[".ssh", ".gnupg", ".password-store"];

/// Endings of files that show what to fill in: `.env.example`.
const TEMPLATES: &[&str] = &[
    "example", "sample", "template", "tmpl", "dist", "defaults", "schema",
];

/// The pattern by which a file's name says that it holds secrets. Upper and lower case are alike.
pub fn secret_pattern(path: &RelPath) -> Option<String> {
    let (folder, name) = last_two(path);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
    if TEMPLATES.contains(&extension) {
        return None;
    }
    if is_one_of(NAMES, &name) {
        return Some(name);
    }
    if name.starts_with(".env.") {
        return Some(".env.*".into());
    }
    // `.key` alone is a hidden file of that name, not a file of that kind.
    if !stem.is_empty() && EXTENSIONS.contains(&extension) {
        return Some(format!("*.{extension}"));
    }
    if WORDS.contains(&stem) && DATA.contains(&extension) {
        return Some(name);
    }
    let within = IN_FOLDER
        .iter()
        .find(|(above, last)| folder == *above && name == *last);
    if let Some((above, last)) = within {
        return Some(format!("{above}/{last}"));
    }
    let shape = SHAPES
        .iter()
        .find(|(first, last)| name.starts_with(first) && name.ends_with(last));
    shape.map(|(first, last)| format!("{first}*{last}"))
}

fn is_one_of(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|one| one == word)
}

/// The pattern by which a folder's name says that it holds secrets.
pub fn folder_pattern(path: &RelPath) -> Option<String> {
    let (_, name) = last_two(path);
    FOLDERS.contains(&name.as_str()).then(|| format!("{name}/"))
}

/// The pattern by which a file, or any folder above it, says so.
pub fn pattern_on_the_way(path: &RelPath) -> Option<String> {
    let folders = path.as_bytes().split(|byte| *byte == b'/');
    let folder = folders
        .filter_map(|name| std::str::from_utf8(name).ok())
        .map(str::to_ascii_lowercase)
        .find(|name| FOLDERS.contains(&name.as_str()));
    folder
        .map(|name| format!("{name}/"))
        .or_else(|| secret_pattern(path))
}

/// The names of the folder above and of the path itself, in lower case; empty where there is none.
fn last_two(path: &RelPath) -> (String, String) {
    let lower = |name: Option<&[u8]>| {
        String::from_utf8_lossy(name.unwrap_or_default()).to_ascii_lowercase()
    };
    let mut names = path.as_bytes().rsplit(|byte| *byte == b'/');
    let name = lower(names.next());
    (lower(names.next()), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(spelling: &str) -> RelPath {
        RelPath::from_spelling(spelling).expect(spelling)
    }

    const SECRET: &str = "
        .env app/.env .ENV .env.local .env.production .env.staging.local .envrc .netrc _netrc
        .npmrc web/.yarnrc.yml .pypirc .htpasswd .pgpass .my.cnf .git-credentials .dockercfg
        .s3cfg .boto .vault-token .terraformrc .bash_history credentials .aws/credentials
        .aws/config home/.aws/credentials credentials.json Credentials.JSON credentials.toml
        credentials.yml credentials.yaml credentials.csv config/secrets.yml secrets.json
        secrets.yaml secrets.toml secrets.ini secrets.env secret.json client_secret.json
        client_secret_123.apps.googleusercontent.com.json application_default_credentials.json
        service-account.json service-account-prod.json service_account_key.json
        serviceAccountKey.json google-services.json .docker/config.json .kube/config kubeconfig
        .cargo/credentials.toml .config/gh/hosts.yml wallet.dat wallet.json
        keystore/UTC--2017-11-30T22-12-05.473Z--8a7b id_rsa id_dsa id_ecdsa id_ed25519
        ssh_host_rsa_key ssh_host_ed25519_key server.pem certs/ca.pem privkey.pem tls.key
        server.KEY config/master.key cert.p12 cert.pfx AuthKey_ABC.p8 release.jks debug.keystore
        passwords.kdbx office.ovpn putty.ppk host.keytab terraform.tfstate prod/terraform.tfvars
        rootkey.csv accessKeys.csv passwords.txt passwords.csv
    ";

    const INNOCENT: &str = "
        .env.example .env.sample .env.template app/.env.dist .env.schema secrets.yml.example
        credentials.json.sample wallet.json.template env env.ts environment.ts
        environment.prod.ts dotenv.rs src/env/mod.rs .environment key.rs keys.py keyboard.json
        keymap.c keys.json primary_key.sql api_key.go key public.key.md monkey.txt .key
        secrets.rs secrets.py secret.go secrets.md secrets_test.go secrets-manager.yaml
        secretsmanager.json top-secret.json credentials.py credentials.rs credentials.md
        credentials.ts credentials_test.json credential.json aws_credentials.rb token.go
        tokens.json tokenizer.json tokenizer_config.json password.rs passwords.go
        password_hash.c auth.json oauth.ts id_rsa.pub id_ed25519.pub id_rsa.md wallet.rs
        wallet.test.ts wallets.json service-account.md service-accounts.tf service_account.go
        serviceaccount.yaml docs/service-account-setup.html config.json docker/config.json
        .docker/daemon.json config kube/config .kube/cache.json hosts.yml npmrc netrc.rs pem.rs
        pem.py jks.md keystore.rs keystore.java vault.rs certificates.md server.crt terraform.tf
        variables.tf history.txt main.rs ssh/config.rs gnupg.md utc.rs utc-time.py package.json
        Cargo.toml
    ";

    #[test]
    fn secrets_are_recognised() {
        assert!(SECRET.split_whitespace().count() >= 60);
        for name in SECRET.split_whitespace() {
            assert!(secret_pattern(&path(name)).is_some(), "{name}");
        }
    }

    #[test]
    fn sources_are_not_taken_for_secrets() {
        assert!(INNOCENT.split_whitespace().count() >= 60);
        for name in INNOCENT.split_whitespace() {
            assert_eq!(secret_pattern(&path(name)), None, "{name}");
        }
    }

    #[test]
    fn folders_of_keys_are_recognised() {
        assert_eq!(folder_pattern(&path("home/.ssh")), Some(".ssh/".into()));
        assert_eq!(folder_pattern(&path("home/ssh")), None);
        assert_eq!(
            pattern_on_the_way(&path(".gnupg/a/b.txt")),
            Some(".gnupg/".into())
        );
        assert_eq!(pattern_on_the_way(&path("a/.env")), Some(".env".into()));
        assert_eq!(pattern_on_the_way(&path("a/b.txt")), None);
    }
}
