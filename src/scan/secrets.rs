//! Names under which people keep keys and credentials.
//!
//! Judged by names alone; contents are never looked at. The list would rather miss an odd name than
//! hide sources: a word such as `secrets` counts only in front of a data format's extension, so
//! `secrets.rs` is a source like any other. Upper and lower case are alike.

use crate::file::RelPath;

/// Whole names.
const NAMES: &str = "
    .env .envrc .env~ .dev.vars .netrc _netrc .authinfo .npmrc .yarnrc.yml .pypirc .htpasswd htpasswd
    .pgpass pgpass.conf .my.cnf .mylogin.cnf .git-credentials .credentials .secret .secrets .token
    .dockercfg .s3cfg .s3curl .boto .databrickscfg .twurlrc .vault-token .vault_pass .vault-pass
    .vault_password .terraformrc terraform.rc .msmtprc .esmtprc .fetchmailrc .ftpconfig
    .erlang.cookie .bash_history .zsh_history .python_history .node_repl_history .psql_history
    .mysql_history .rediscli_history .irb_history fish_history credentials kubeconfig k3s.yaml
    wallet.dat wallet.json accesskeys.csv rootkey.csv application_default_credentials.json
    client_secret.json client_secrets.json google-services.json googleservice-info.plist
    msal_token_cache.json accesstokens.json azureprofile.json firebase-tools.json kaggle.json
    gcloud-service-key.json gcp-key.json credentials.tfrc.json settings-security.xml ngrok.yml
    rclone.conf sftp-config.json sitemanager.xml filezilla.xml recentservers.xml winscp.ini
    secring.gpg logins.json key3.db key4.db wp-config.php secret_token.rb passwords.json
    .vault_pass.txt vault_pass.txt vault-password.txt mnemonic.txt insecure_private_key
    .claude.json acme.json local.settings.json key.properties keystore.properties rke2.yaml kubelet.conf
    bootstrap-kubelet.conf super-admin.conf talosconfig http-client.private.env.json cookies.txt
    service_principal_entries.json credentials-config.json .sentryclirc .mbsyncrc .offlineimaprc .passwd-s3fs
    oauth_creds.json appsettings.production.json appsettings.prod.json appsettings.staging.json
    appsettings.local.json token.json .clasprc.json .dbshell deploy_key deploy-key deploy_token
";

/// Words that mean secrets when only a [data format](DATA) follows.
const WORDS: &[&str] = &[
    "credentials",
    "secrets",
    "secret",
    "passwords",
    "private_key",
    "private-key",
];

/// Those of them that mean it behind another word too: `google-credentials.json`.
const LAST_WORDS: &[&str] = &["credentials", "secrets", "passwords"];

/// What makes them names of programs and their settings: `external-secrets.yaml`.
const PROGRAMS: &[&str] = &["external-secrets", "sealed-secrets"];

/// Stages of a deployment, behind such a word: `secrets.prod.yaml`, `credentials-staging.json`. Not `test`: those
/// are made up.
const STAGES: &[&str] = &[
    "prod",
    "production",
    "prd",
    "live",
    "staging",
    "stage",
    "stg",
    "preprod",
    "qa",
    "uat",
    "dev",
    "development",
    "local",
    "private",
];

/// What people call a file of text that holds nothing but a key.
const NOTES: &[&str] = &[
    "token",
    "api-key",
    "apikey",
    "secret-key",
    "secretkey",
    "access-key",
    "private-key",
    "privkey",
    "client-secret",
    "seed-phrase",
    "seedphrase",
    "recovery-phrase",
    "passphrase",
];

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
    "xml",
];

/// Extensions of private keys, key stores and states that hold passwords.
const EXTENSIONS: &[&str] = &[
    "pem",
    "key",
    "p12",
    "pkcs12",
    "pfx",
    "p8",
    "pvk",
    "snk",
    "jks",
    "jceks",
    "keystore",
    "bks",
    "kdbx",
    "kdb",
    "psafe3",
    "ovpn",
    "ppk",
    "keytab",
    "keyring",
    "keychain",
    "keychain-db",
    "agilekeychain",
    "opvault",
    "kubeconfig",
    "publishsettings",
    "tfstate",
    "tfvars",
    "env",
];

/// First and last part of a name.
const SHAPES: &[(&str, &str)] = &[
    ("service-account", ".json"),
    ("service_account", ".json"),
    ("serviceaccount", ".json"),
    ("client_secret_", ".json"),
    ("gha-creds-", ".json"),
    ("kubeconfig", ".yaml"),
    ("kubeconfig", ".yml"),
    ("bitwarden_export", ""),
    ("lastpass", ".csv"),
    ("krb5cc_", ""),
    ("utc--", ""),
    ("password", ".txt"),
    ("password", ".csv"),
];

/// Middle and last part of a name.
const MIDDLES: &[(&str, &str)] = &[
    ("-service-account", ".json"),
    ("-firebase-adminsdk", ".json"),
    (".tfstate.", ""),
    (".tfvars.", "json"),
    ("kubeconfig", ".yaml"),
    ("recovery-codes", ".txt"),
    ("recovery_codes", ".txt"),
    ("private", ".asc"),
    ("secret", ".asc"),
    ("private", ".gpg"),
    ("secret", ".gpg"),
];

/// Folder and name of files that are secret only there: where the documentation of each tool says that it keeps
/// its tokens.
const IN_FOLDER: &[(&str, &str)] = &[
    (".aliyun", "config.json"),
    (".ansible", "galaxy_token"),
    (".anthropic", "config.json"),
    (".bluemix", "config.json"),
    (".codex", "auth.json"),
    (".databricks", "token-cache.json"),
    (".dbt", "profiles.yml"),
    (".expo", "state.json"),
    (".jupyter", "jupyter_notebook_config.json"),
    (".jupyter", "jupyter_server_config.json"),
    (".mc", "config.json"),
    (".netlify", "config.json"),
    (".railway", "config.json"),
    (".snowflake", "config.toml"),
    (".snowflake", "connections.toml"),
    (".vercel", "auth.json"),
    ("age", "keys.txt"),
    ("argocd", "config"),
    ("bitwarden cli", "data.json"),
    ("bitwarden", "data.json"),
    ("com.vercel.cli", "auth.json"),
    ("containers", "auth.json"),
    ("exoscale", "exoscale.toml"),
    ("github-copilot", "apps.json"),
    ("github-copilot", "hosts.json"),
    ("helm", "repositories.yaml"),
    ("kubernetes", "controller-manager.conf"),
    ("kubernetes", "scheduler.conf"),
    ("netlify", "config.json"),
    ("op", "config"),
    ("opencode", "auth.json"),
    ("pypoetry", "auth.toml"),
    ("scw", "config.yaml"),
    ("solana", "id.json"),
    ("stripe", "config.toml"),
    ("tea", "config.yml"),
    ("weechat", "sec.conf"),
    (".aws", "config"),
    (".bundle", "config"),
    (".cargo", "credentials.toml"),
    (".circleci", "cli.yml"),
    (".composer", "auth.json"),
    (".config", "hub"),
    (".docker", "config.json"),
    (".fly", "config.yml"),
    (".gradle", "gradle.properties"),
    (".huggingface", "token"),
    (".kube", "config"),
    (".m2", "settings.xml"),
    (".oci", "config"),
    (".snowsql", "config"),
    (".vscode", "sftp.json"),
    ("composer", "auth.json"),
    ("doctl", "config.yaml"),
    ("etc", "shadow"),
    ("gcloud", "access_tokens.db"),
    ("gcloud", "credentials.db"),
    ("gh", "hosts.yml"),
    ("glab-cli", "config.yml"),
    ("hcloud", "cli.toml"),
    ("huggingface", "token"),
    ("kubernetes", "admin.conf"),
    ("sops", "keys.txt"),
];

/// Folder and extension of files whose names are made up by a tool or its user.
const KINDS_IN_FOLDER: &[(&str, &str)] = &[
    (".cloudflared", "json"),
    (".kube", "conf"),
    (".kube", "yaml"),
    (".kube", "yml"),
];

/// Folders that hold nothing but keys.
const FOLDERS: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".password-store",
    ".secrets",
    ".aws/cli/cache",
    ".aws/sso/cache",
    ".subversion/auth",
    ".wrangler/config",
    "gcloud/legacy_credentials",
];

/// Names of private keys of SSH, which people add words to: `id_rsa_work`.
const SSH_KEYS: &[&str] = &[
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_xmss",
    "ssh_host_rsa_key",
    "ssh_host_dsa_key",
    "ssh_host_ecdsa_key",
    "ssh_host_ed25519_key",
];

/// Endings of names without an extension under which people keep keys of SSH for one service: `github_rsa`.
const KEY_ENDINGS: &[&str] = &[
    "_rsa",
    "_dsa",
    "_ecdsa",
    "_ed25519",
    "_deploy_key",
    "-deploy-key",
];

/// Endings of files that show what to fill in: `.env.example`, `example.env`.
const TEMPLATES: &[&str] = &[
    "example", "sample", "template", "tmpl", "tpl", "dist", "defaults", "schema",
];

/// Endings of copies: they hold what the file without them held.
const COPIES: &[&str] = &[".bak", ".old", ".orig", ".backup", ".save", ".txt", "~"];

/// The pattern by which a file's name says that it holds secrets.
pub fn secret_pattern(path: &RelPath) -> Option<String> {
    let (folder, name) = last_two(path);
    let original = COPIES.iter().find_map(|copy| name.strip_suffix(copy));
    pattern(&folder, &name).or_else(|| pattern(&folder, original?))
}

/// Of a name and the folder above it, both in lower case.
fn pattern(folder: &str, name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    if is_template(name) || is_template(stem) {
        return None;
    }
    if NAMES.split_whitespace().any(|known| known == name) {
        return Some(name.to_owned());
    }
    if [".env.", ".env-", ".env_"]
        .iter()
        .any(|first| name.starts_with(first))
    {
        return Some(".env.*".into());
    }
    // `.key` alone is a hidden file of that name, not a file of that kind.
    if !stem.is_empty() && EXTENSIONS.contains(&extension) && !is_public(stem) {
        return Some(format!("*.{extension}"));
    }
    if DATA.contains(&extension) && says_secrets(stem) {
        return Some(name.to_owned());
    }
    if extension == "txt" && is_note(stem) {
        return Some(name.to_owned());
    }
    if let Some(key) = SSH_KEYS.iter().find(|key| is_ssh_key(name, key)) {
        return Some(format!("{key}*"));
    }
    if let Some(end) = KEY_ENDINGS
        .iter()
        .find(|end| extension.is_empty() && name.ends_with(**end))
    {
        return Some(format!("*{end}"));
    }
    if stem.strip_prefix("wg").is_some_and(is_number) && extension == "conf" {
        return Some("wg*.conf".into());
    }
    let within = IN_FOLDER
        .iter()
        .find(|(above, last)| folder == *above && name == *last);
    if let Some((above, last)) = within {
        return Some(format!("{above}/{last}"));
    }
    let kind = KINDS_IN_FOLDER
        .iter()
        .find(|(above, last)| folder == *above && extension == *last);
    if let Some((above, last)) = kind {
        return Some(format!("{above}/*.{last}"));
    }
    let shape = SHAPES
        .iter()
        .find(|(first, last)| name.starts_with(first) && name.ends_with(last));
    if let Some((first, last)) = shape {
        return Some(format!("{first}*{last}"));
    }
    let middle = MIDDLES
        .iter()
        .find(|(middle, last)| name.contains(middle) && name.ends_with(last));
    middle.map(|(middle, last)| format!("*{middle}*{last}"))
}

/// `.env.example`, `.env-example`; the stem of `example.env`.
fn is_template(name: &str) -> bool {
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    TEMPLATES.contains(&last)
}

/// Keys that are made to be shown.
fn is_public(stem: &str) -> bool {
    let mut words = stem.split(['-', '_', '.']);
    words.any(|word| matches!(word, "public" | "pub" | "pubkey"))
}

/// Of a name in front of a data format's extension.
fn says_secrets(stem: &str) -> bool {
    let stem = stem.trim_start_matches('.');
    if WORDS.contains(&stem) || is_of_stage(stem) {
        return true;
    }
    let last = stem.rsplit(['-', '_', '.']).next().unwrap_or(stem);
    let is_after_dot = stem
        .strip_suffix(last)
        .is_some_and(|rest| rest.ends_with('.'));
    !PROGRAMS.iter().any(|program| stem.ends_with(program))
        && (LAST_WORDS.contains(&last) || is_after_dot && WORDS.contains(&last))
}

/// `secrets.prod`, `credentials-staging`.
fn is_of_stage(stem: &str) -> bool {
    let parts = stem.split_once(['-', '_', '.']);
    parts.is_some_and(|(word, stage)| LAST_WORDS.contains(&word) && STAGES.contains(&stage))
}

/// `api_key`, `github-token`: a note's name, alone or behind another word.
fn is_note(stem: &str) -> bool {
    let stem = stem.replace('_', "-");
    NOTES.iter().any(|note| {
        stem.strip_suffix(note)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    })
}

/// The key's name, alone or with words behind it, and no extension that makes it something else.
fn is_ssh_key(name: &str, key: &str) -> bool {
    name.strip_prefix(key).is_some_and(|rest| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        rest.is_empty() || rest.starts_with(['_', '-']) && rest.chars().all(is_word)
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The pattern by which a folder's name, and those above it, say that it holds secrets.
pub fn folder_pattern(path: &RelPath) -> Option<String> {
    let path = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    folder_ending(&path)
}

/// Of a path in lower case.
fn folder_ending(path: &str) -> Option<String> {
    let ends_path = |folder: &&&str| {
        let above = path.strip_suffix(**folder);
        above.is_some_and(|above| above.is_empty() || above.ends_with('/'))
    };
    let folder = FOLDERS.iter().find(ends_path)?;
    Some(format!("{folder}/"))
}

/// The pattern by which a file, or any folder above it, says so.
pub fn pattern_on_the_way(path: &RelPath) -> Option<String> {
    let lower = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    let mut ends = lower
        .match_indices('/')
        .map(|(end, _)| end)
        .chain([lower.len()]);
    ends.find_map(|end| folder_ending(&lower[..end]))
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
mod tests;
