//! Names under which people and tools keep secrets.

/// Whole names.
pub const NAMES: &str = "
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
pub const WORDS: &[&str] = &[
    "credentials",
    "secrets",
    "secret",
    "passwords",
    "private_key",
    "private-key",
];

/// Those of them that mean it behind another word too: `google-credentials.json`.
pub const LAST_WORDS: &[&str] = &["credentials", "secrets", "passwords"];

/// What makes them names of programs and their settings: `external-secrets.yaml`.
pub const PROGRAMS: &[&str] = &["external-secrets", "sealed-secrets"];

/// Stages of a deployment, behind such a word: `secrets.prod.yaml`, `credentials-staging.json`. Not `test`: those
/// are made up.
pub const STAGES: &[&str] = &[
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
pub const NOTES: &[&str] = &[
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

pub const DATA: &[&str] = &[
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
pub const EXTENSIONS: &[&str] = &[
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
pub const SHAPES: &[(&str, &str)] = &[
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
pub const MIDDLES: &[(&str, &str)] = &[
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
pub const IN_FOLDER: &[(&str, &str)] = &[
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
pub const KINDS_IN_FOLDER: &[(&str, &str)] = &[
    (".cloudflared", "json"),
    (".kube", "conf"),
    (".kube", "yaml"),
    (".kube", "yml"),
];

/// Folders that hold nothing but keys.
pub const FOLDERS: &[&str] = &[
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
pub const SSH_KEYS: &[&str] = &[
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
pub const KEY_ENDINGS: &[&str] = &[
    "_rsa",
    "_dsa",
    "_ecdsa",
    "_ed25519",
    "_deploy_key",
    "-deploy-key",
];

/// Endings of files that show what to fill in: `.env.example`, `example.env`.
pub const TEMPLATES: &[&str] = &[
    "example", "sample", "template", "tmpl", "tpl", "dist", "defaults", "schema",
];

/// Endings of copies: they hold what the file without them held.
pub const COPIES: &[&str] = &[".bak", ".old", ".orig", ".backup", ".save", ".txt", "~"];
