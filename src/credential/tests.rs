//! Credentials as people write them down, what is taken for none, and a sweep of generated ones.

use super::*;
use proptest::prelude::*;

/// What `find` is certain of in `text`.
fn certain(text: &str, style: Style) -> Vec<&str> {
    find_certain(text, style)
        .into_iter()
        .map(|one| &text[one.range])
        .collect()
}

fn hidden(text: &str, style: Style) -> String {
    blank(text, &find(text, style)).into_owned()
}

#[test]
fn credentials_are_found_where_people_write_them() {
    for (text, value) in [
        ("SMTP_PASS = \"Tr0ub4dor3zz\"", "Tr0ub4dor3zz"),
        (
            "  github: ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ),
        (
            "  aws_access_key_id: AKIAIOSFODNN7QXZMPLE",
            "AKIAIOSFODNN7QXZMPLE",
        ),
        (
            "  aws_secret: 0JxXujr4qqaaABvvLOzAxzXMcU1vsHiQMaRiNTN9",
            "0JxXujr4qqaaABvvLOzAxzXMcU1vsHiQMaRiNTN9",
        ),
        (
            "stripe: sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        ),
        ("  db_pass: Tr0ub4dor3zz", "Tr0ub4dor3zz"),
        ("  db_password: 7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        ("spring.datasource.password=7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        ("{\"password\": \"7xKfP2q9LmZb\"}", "7xKfP2q9LmZb"),
        ("{\\\"password\\\": \\\"7xKfP2q9LmZb\\\"}", "7xKfP2q9LmZb"),
        ("<password>7xKfP2q9LmZb</password>", "7xKfP2q9LmZb"),
        (
            "<add key=\"DbPassword\" value=\"7xKfP2q9LmZb\" />",
            "7xKfP2q9LmZb",
        ),
        (
            "<key>password</key>\n  <string>7xKfP2q9LmZb</string>",
            "7xKfP2q9LmZb",
        ),
        ("- name: DB_PASSWORD\n  value: 7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        (
            "{\"name\": \"DB_PASSWORD\", \"value\": \"7xKfP2q9LmZb\"}",
            "7xKfP2q9LmZb",
        ),
        ("password: |\n    7xKfP2q9LmZb\nnext: 1", "7xKfP2q9LmZb"),
        ("export DB_PASSWORD=7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        ("ENV DB_PASSWORD=7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        ("set DB_PASSWORD=7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        (
            "docker run -e DB_PASSWORD=7xKfP2q9LmZb image",
            "7xKfP2q9LmZb",
        ),
        ("tool --password 7xKfP2q9LmZb --port 3", "7xKfP2q9LmZb"),
        ("tool --password=7xKfP2q9LmZb", "7xKfP2q9LmZb"),
        ("sshpass -p 7xKfP2q9LmZb ssh host", "7xKfP2q9LmZb"),
        ("curl -u admin:7xKfP2q9LmZb https://host/", "7xKfP2q9LmZb"),
        (
            "machine host login me password 7xKfP2q9LmZb",
            "7xKfP2q9LmZb",
        ),
        ("postgres://app:7xKfP2q9LmZb@db/x", "7xKfP2q9LmZb"),
        (
            "Server=db;User Id=me;Password=7xKfP2q9LmZb;Database=x",
            "7xKfP2q9LmZb",
        ),
        (
            "https://host/?access_token=7xKfP2q9LmZb&page=2",
            "7xKfP2q9LmZb",
        ),
        ("The password is 7xKfP2q9LmZb.", "7xKfP2q9LmZb"),
        (
            "Its password is `7xKfP2q9LmZb`, do not tell.",
            "7xKfP2q9LmZb",
        ),
        (
            "ALTER USER me WITH PASSWORD '7xKfP2q9LmZb';",
            "7xKfP2q9LmZb",
        ),
        (
            "os.getenv(\"DB_PASSWORD\", \"7xKfP2q9LmZb\")",
            "7xKfP2q9LmZb",
        ),
        ("client.set_password(\"7xKfP2q9LmZb\")", "7xKfP2q9LmZb"),
        (
            "let password: Option<String> = Some(\"7xKfP2q9LmZb\".into());",
            "7xKfP2q9LmZb",
        ),
        ("const password: &str = \"7xKfP2q9LmZb\";", "7xKfP2q9LmZb"),
        ("char *password = \"7xKfP2q9LmZb\";", "7xKfP2q9LmZb"),
        ("var password string = \"7xKfP2q9LmZb\"", "7xKfP2q9LmZb"),
        ("password := `7xKfP2q9LmZb`", "7xKfP2q9LmZb"),
        ("$config['password'] = '7xKfP2q9LmZb';", "7xKfP2q9LmZb"),
        (":password => '7xKfP2q9LmZb',", "7xKfP2q9LmZb"),
        ("if password == \"7xKfP2q9LmZb\":", "7xKfP2q9LmZb"),
        ("${DB_PASSWORD:-7xKfP2q9LmZb}", "7xKfP2q9LmZb"),
        (
            "Authorization: Bearer 7xKfP2q9LmZb7xKfP2q9LmZb",
            "7xKfP2q9LmZb7xKfP2q9LmZb",
        ),
        (
            "headers = {\"Authorization\": \"Basic bWU6N3hLZlAycTlMbVpi\"}",
            "bWU6N3hLZlAycTlMbVpi",
        ),
        (
            "x-api-key: 9f86d081884c7d659a2feaa0c55ad015",
            "9f86d081884c7d659a2feaa0c55ad015",
        ),
        ("password = \u{201c}7xKfP2q9LmZb\u{201d}", "7xKfP2q9LmZb"),
        (
            "AccountKey=oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4dXgA7sE6mKpU==;EndpointSuffix=core",
            "oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4dXgA7sE6mKpU==",
        ),
    ] {
        assert_eq!(certain(text, Style::Any), [value], "{text}");
        let style = Style::Settings;
        assert!(
            certain(text, style)
                .iter()
                .any(|found| found.contains(value)),
            "{text} as settings"
        );
    }
}

/// The same value in all of them, each as another tool or language has it.
#[test]
fn one_value_is_found_in_many_ways() {
    let value = "k3JfLq9ZxPa7";
    for text in [
        "docker login -u me -p k3JfLq9ZxPa7 registry",
        "mysql -u root -pk3JfLq9ZxPa7 db",
        "redis-cli -a k3JfLq9ZxPa7 ping",
        "redis://:k3JfLq9ZxPa7@host:6379/0",
        "jdbc:mysql://host/db?user=me&password=k3JfLq9ZxPa7",
        "//registry.example.org/:_authToken=k3JfLq9ZxPa7",
        "requests.post(url, auth=(\"me\", \"k3JfLq9ZxPa7\"))",
        "smtp.login(\"me@x.org\", \"k3JfLq9ZxPa7\")",
        "os.environ[\"API_TOKEN\"] = \"k3JfLq9ZxPa7\"",
        "const token = process.env.TOKEN || 'k3JfLq9ZxPa7';",
        "password = os.getenv(\"X\") or \"k3JfLq9ZxPa7\"",
        "@Value(\"${db.password:k3JfLq9ZxPa7}\")",
        "#define WIFI_PASSWORD \"k3JfLq9ZxPa7\"",
        "define('DB_PASSWORD', 'k3JfLq9ZxPa7');",
        "'password' => env('DB_PASSWORD', 'k3JfLq9ZxPa7'),",
        ".basic_auth(\"me\", Some(\"k3JfLq9ZxPa7\"))",
        "ConvertTo-SecureString \"k3JfLq9ZxPa7\" -AsPlainText -Force",
        "CREATE USER me IDENTIFIED BY 'k3JfLq9ZxPa7';",
        "CREATE ROLE me LOGIN PASSWORD 'k3JfLq9ZxPa7';",
        "<property name=\"password\" value=\"k3JfLq9ZxPa7\"/>",
        "<entry key=\"password\">k3JfLq9ZxPa7</entry>",
        "<password><![CDATA[k3JfLq9ZxPa7]]></password>",
        "<add name=\"x\" connectionString=\"Server=s;Database=d;User Id=u;Password=k3JfLq9ZxPa7;\"/>",
        "  - key: password\n    value: k3JfLq9ZxPa7",
        "[{\"ParameterKey\":\"DbPassword\",\"ParameterValue\":\"k3JfLq9ZxPa7\"}]",
        "variable \"db_password\" {\n  default = \"k3JfLq9ZxPa7\"\n}",
        "stringData:\n  password: k3JfLq9ZxPa7",
        "- **Password**: k3JfLq9ZxPa7",
        "- **Password:** `k3JfLq9ZxPa7`",
        "mot de passe : k3JfLq9ZxPa7",
        "aws configure set aws_secret_access_key k3JfLq9ZxPa7",
        "host1 ansible_user=me ansible_password=k3JfLq9ZxPa7",
        "machine x\n  login me\n  password k3JfLq9ZxPa7",
        "(setq smtp-password \"k3JfLq9ZxPa7\")",
        "password <- \"k3JfLq9ZxPa7\"",
        "[\"--token\", \"k3JfLq9ZxPa7\"]",
        "-Dpassword=k3JfLq9ZxPa7",
        "client_id=abc&client_secret=k3JfLq9ZxPa7",
    ] {
        assert_eq!(certain(text, Style::Any), [value], "{text}");
        assert!(
            !redact(text, Style::Settings).0.contains(value),
            "{text} as settings"
        );
    }
}

/// What is behind another sign, in a table, in another language, or piped.
#[test]
fn one_value_is_found_behind_any_sign() {
    let value = "qW7tZk2PxR9m";
    for text in [
        "| password | `qW7tZk2PxR9m` |",
        "| `password` | qW7tZk2PxR9m | of the store |",
        "| user | password |\n|------|:--------:|\n| bob | `qW7tZk2PxR9m` |\n| eve | |",
        "user | password\n--- | ---\nann | none\nbob | qW7tZk2PxR9m",
        "name,password,mail\nbob,qW7tZk2PxR9m,b@x.org\n",
        "name;password\nann;-\nbob;\"qW7tZk2PxR9m\"\n",
        "bob,password,qW7tZk2PxR9m",
        "bob\tpassword\tqW7tZk2PxR9m",
        "<tr><td>password</td><td><code>qW7tZk2PxR9m</code></td></tr>",
        "<th>Password</th>\n<td>qW7tZk2PxR9m</td>",
        "<dt>Password</dt><dd>qW7tZk2PxR9m</dd>",
        "setenv DB_PASSWORD qW7tZk2PxR9m",
        "set -gx DB_PASSWORD qW7tZk2PxR9m",
        "setx DB_PASSWORD qW7tZk2PxR9m",
        "ENV DB_PASSWORD qW7tZk2PxR9m",
        "git config x.token qW7tZk2PxR9m",
        "password = (\n    \"qW7tZk2PxR9m\"\n)",
        "password = \\\n    'qW7tZk2PxR9m'",
        "passwords = [\n    \"qW7tZk2PxR9m\",\n]",
        "process.env.TOKEN || \"qW7tZk2PxR9m\"",
        "process.env.TOKEN ?? 'qW7tZk2PxR9m'",
        "process.env[\"TOKEN\"] || 'qW7tZk2PxR9m'",
        "os.environ.get(\"TOKEN\") or \"qW7tZk2PxR9m\"",
        "config.password ?: \"qW7tZk2PxR9m\"",
        "password -> qW7tZk2PxR9m",
        "password \u{2192} qW7tZk2PxR9m",
        "Password \u{2014} qW7tZk2PxR9m",
        "password - qW7tZk2PxR9m",
        "contrase\u{f1}a: qW7tZk2PxR9m",
        "CONTRASE\u{d1}A=qW7tZk2PxR9m",
        "senha: qW7tZk2PxR9m",
        "wachtwoord: qW7tZk2PxR9m",
        "has\u{142}o: qW7tZk2PxR9m",
        "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}: qW7tZk2PxR9m",
        "\u{41f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} = 'qW7tZk2PxR9m'",
        "\u{5bc6}\u{7801}\u{ff1a}qW7tZk2PxR9m",
        "\u{5bc6}\u{7801}\u{662f} qW7tZk2PxR9m",
        "\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}: qW7tZk2PxR9m",
        "echo qW7tZk2PxR9m | docker login --password-stdin",
        "echo -n 'qW7tZk2PxR9m' | helm registry login x -u me --password-stdin",
        "docker login x --password-stdin <<< qW7tZk2PxR9m",
        "printf '%s' qW7tZk2PxR9m | gh auth login --with-token",
        "echo \"qW7tZk2PxR9m\" | sudo -S apt update",
        "echo bob:qW7tZk2PxR9m | chpasswd",
        "postgres://user:qW7tZk2PxR9m@host/db",
    ] {
        for style in [Style::Any, Style::Settings] {
            let redacted = redact(text, style).0;
            assert!(!redacted.contains(value), "{redacted}, {style:?}");
        }
        assert_eq!(certain(text, Style::Any), [value], "{text}");
    }
}

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

#[test]
fn tables_and_signs_about_credentials_hold_none() {
    for text in [
        "| password | string | required | 8 |",
        "| Field | Type |\n|---|---|\n| password | varchar2 |\n| token | string32 |",
        "| password | Meaning |\n|---|---|\n| sha256 | how it is stored |\n| none | not at all |",
        "| token | kind |\n|---|---|\n| LBrace2 | sign |\n| KwWhile | word |",
        "login(user,password,address2)",
        "f(user, password, sha256)",
        "user,password,mail",
        "match token { Token::Pass -> next2, _ -> none }",
        "x = n_pass - count2",
        "fn f(token: u8) -> Result2",
        "token -> token2",
        "if token || other2 {}",
        "if (token || \"\") {}",
        "password = (old, new2)",
        "tokens = [\"if\", \"else\", \"while2\"]",
        "echo done2 | tee log",
        "echo $PASSWORD | docker login --password-stdin",
        "cat token.txt | docker login --password-stdin",
        "the git config token setting",
        "has\u{142}o: string",
        "\u{5bc6}\u{7801}\u{ff1a}${PASSWORD}",
    ] {
        assert_eq!(certain(text, Style::Any), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn what_stands_for_a_credential_is_none() {
    for text in [
        "password: ${DB_PASSWORD}",
        "password = os.getenv(\"DB_PASSWORD\")",
        "password: {{ vault_password }}",
        "password: ENC[AES256_GCM,data:oHp7Zk2x,iv:kT8j0VwQ]",
        "password: <your password>",
        "password: xxxxxxxx",
        "password: [redacted]",
        "\"password\": \"string\"",
        "'password' => 'required|min'",
        "password: changeme",
        "type: password",
        "token = self.next_token()",
        "let token: Token = lexer.peek2();",
        "max_tokens: 4096",
        "tokens = 128",
        "fn login(user: &str, password: &str) -> Token",
        "pub password: String,",
        "secret: Uint8Array;",
        "The token is base64-encoded, the password is sha256.",
        "Enter the password and press the key.",
        "password_file: /run/secrets/db1",
        "commit 9398de8a1f0c2b3d4e5f60718293a4b5c6d7e8f9",
        "id = \"550e8400-e29b-41d4-a716-446655440000\"",
        "checksum = \"c982642fa9e8606056828ee9a8505737230110bb1099153c79efe865c59d12ba\"",
        "\"integrity\": \"sha512-oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4dXgA7sE6mKpWzN0hGvJqYtI2bOaFlMcD8iSxVeQ==\"",
        "https://user@host/path and git@github.com:a/b.git",
        "sk-learn-text-classification-example-2023",
        "risk-free-token-bucket-algorithm-v2",
        "for (key, value) in map.iter2() {}",
        "pw = password.encode(\"utf-8\")",
        "t.pass(\"tests/run-pass/*.rs\");",
        "Do not pass <a href=\"buffer.html#class-buffer2\">it</a> in.",
        "password_encryption = scram-sha-256",
        "auth = '%s:%s' % (user, password)",
        "fn kill(sig: NonZeroI32) {}",
    ] {
        for style in [Style::Any, Style::Settings] {
            if style == Style::Settings && text.contains(['(', ';', ',']) {
                continue;
            }
            assert_eq!(certain(text, style), Vec::<&str>::new(), "{text}");
        }
    }
}

#[test]
fn private_keys_are_found_whole_and_torn() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu";
    let whole =
        format!("# key\n-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\nnext");
    assert_eq!(certain(&whole, Style::Any), [body]);
    let escaped = whole.replace('\n', "\\n");
    assert_eq!(certain(&escaped, Style::Any).len(), 1);
    // The rest of a key in the next chunk.
    assert!(hidden(body, Style::Any).trim().is_empty());
    let public = whole.replace("PRIVATE", "PUBLIC");
    assert_eq!(certain(&public, Style::Any), Vec::<&str>::new());
}

#[test]
fn a_known_value_is_hidden_wherever_it_stands() {
    let text = "SMTP_PASS = \"Tr0ub4dor3zz\"\nclient.login(\"mailer\", \"Tr0ub4dor3zz\")";
    assert!(!hidden(text, Style::Any).contains("Tr0ub"));
    assert_eq!(redact(text, Style::Any).1, 2);
}

#[test]
fn redacting_is_told_and_leaves_the_rest() {
    let (text, count) = redact(
        "a: 1\ndb_pass: Tr0ub4dor3zz # note\nb: 2\n",
        Style::Settings,
    );
    assert_eq!(
        (text.as_ref(), count),
        ("a: 1\ndb_pass: [redacted] # note\nb: 2\n", 1)
    );
    let plain = "fn main() {}\n";
    assert!(matches!(redact(plain, Style::Any), (Cow::Borrowed(text), 0) if text == plain));
}

#[test]
fn settings_of_credentials_are_guarded() {
    for (key, value) in [
        ("db_password", "hunter2"),
        ("GITHUB_TOKEN", "x"),
        ("url", "postgres://app:pw@db/x"),
        ("key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("digest", "9f86d081884c7d659a2feaa0c55ad015"),
        ("k", "dGhpcyBpcyBhIHNl+Y3JldCB2YWx1ZQ4x9Q2zZ7=="),
        ("id", "4111111111111111"),
        ("smtp_pass", "x"),
    ] {
        assert!(is_guarded(key, value, true), "{key}={value}");
    }
    assert!(is_guarded("db_password", "7xKfP2q9LmZb", false));
    assert!(is_guarded("db_password", "12345678", false));
    assert!(is_guarded("api_key", "4eC39HqLyjWDarjtT1zdp7dc", false));
    for (key, value) in [
        ("host", "db.example.org"),
        ("author", "Ovid"),
        ("tokenizer", "bert"),
        ("name", "InternationalizationProvider2"),
        ("image", "python:3.11-slim-bookworm"),
        ("path", "/usr/local/share/applications"),
        ("model", "all_minilm_l6_v2_quantized"),
        ("date", "2024-01-31T00:00:00"),
        ("rev", "9398de8a1f0c2b3d4e5f60718293a4b5c6d7e8f9"),
        (
            "checksum",
            "c982642fa9e8606056828ee9a8505737230110bb1099153c79efe865c59d12ba",
        ),
        ("uuid", "550e8400-e29b-41d4-a716-446655440000"),
    ] {
        assert!(!is_guarded(key, value, true), "{key}={value}");
    }
    assert!(!is_guarded("max_tokens", "4096", false));
    assert!(!is_guarded("SEED", "0x9e3779b97f4a7c15", false));
    assert!(!is_guarded("use_token", "true", false));
}

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// A token as an issuer makes it, or as people draw it: of each pattern character one of its kind (`x` letters
/// and digits, `u` capitals and digits, `h` hexadecimal, `b` base64, `-` of URLs), the rest as it stands.
fn drawn(seed: u64, parts: &[(&str, char, usize)]) -> String {
    let mut state = seed;
    let mut draw = |from: &str| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(from.as_bytes()[(state >> 33) as usize % from.len()])
    };
    let alphabet = |kind| match kind {
        'u' => ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "234567"].concat(),
        'h' => [DIGITS, "abcdef"].concat(),
        'b' => [LETTERS, DIGITS, "+/"].concat(),
        '-' => [LETTERS, DIGITS, "-_"].concat(),
        'd' => DIGITS.to_owned(),
        'l' => LETTERS.to_owned(),
        _ => [LETTERS, DIGITS].concat(),
    };
    let mut token = String::new();
    for (prefix, kind, length) in parts {
        token.push_str(prefix);
        let from = alphabet(*kind);
        token.extend(std::iter::repeat_with(|| draw(&from)).take(*length));
    }
    token
}

/// Forms of issuers, and values without a form.
const TOKENS: &[&[(&str, char, usize)]] = &[
    &[("ghp_", 'x', 36)],
    &[("ghs_", 'x', 36)],
    &[("github_pat_", 'x', 22), ("_", 'x', 59)],
    &[("glpat-", '-', 20)],
    &[("AKIA", 'u', 16)],
    &[("ASIA", 'u', 16)],
    &[("", 'b', 40)],
    &[("", 'x', 32)],
    &[("", '-', 43)],
    &[("sk_live_", 'x', 24)],
    &[("rk_test_", 'x', 24)],
    &[("xoxb-", 'd', 11), ("-", 'd', 12), ("-", 'x', 24)],
    &[("AIza", '-', 35)],
    &[("npm_", 'x', 36)],
    &[("hf_", 'l', 34)],
    &[("SG.", '-', 22), (".", '-', 43)],
    &[("eyJhbGciOiJIUzI1NiJ9.eyJ", 'x', 40), (".", '-', 43)],
    &[("sk-ant-api03-", '-', 80)],
    &[("sk-proj-", 'x', 48)],
    &[("dop_v1_", 'h', 64)],
    &[("shpat_", 'h', 32)],
    &[("pypi-AgEIcHlwaS5vcmc", '-', 80)],
    &[("hvs.", '-', 90)],
    &[("GOCSPX-", '-', 28)],
    &[("ya29.", '-', 60)],
    &[("", 'd', 9), (":AA", '-', 33)],
    // Prefix, and hexadecimal digits.
    &[("SK", 'h', 32)],
    &[("key-", 'h', 32)],
    &[("", 'h', 32), ("-us", 'd', 2)],
    &[("dapi", 'h', 32)],
    &[("live_", 'h', 35)],
    &[("sk_", 'h', 48)],
    &[("ico-", 'x', 32)],
    &[("patQ7w2zK9xLm4Rt", 'x', 1), (".", 'h', 64)],
    &[("s-s4t2ud-", 'h', 64)],
    &[("v1.0-", 'h', 24), ("-", 'h', 146)],
    &[("sgp_", 'h', 16), ("_", 'h', 40)],
    &[("ATTA", 'h', 72)],
    &[("EXO", 'h', 24)],
    &[("pk_", 'h', 34)],
    &[("signkey-prod-", 'h', 64)],
    &[("access_token$production$", 'h', 16), ("$", 'h', 32)],
    &[
        ("amzn.mws.", 'h', 8),
        ("-", 'h', 4),
        ("-", 'h', 4),
        ("-", 'h', 4),
        ("-", 'h', 12),
    ],
    &[
        ("RGAPI-", 'h', 8),
        ("-", 'h', 4),
        ("-", 'h', 4),
        ("-", 'h', 4),
        ("-", 'h', 12),
    ],
    &[("pscale_tkn_", '-', 43)],
    &[("dnkey-", 'x', 26), ("-", 'x', 52)],
    &[("API-", 'u', 26)],
    &[("CLOJARS_", 'x', 60)],
    &[("sm_pat_", 'x', 16)],
    &[("FLWSECK_TEST-", 'h', 12)],
    &[("rzp_live_", 'x', 14)],
];

/// Passwords and keys without a form of their own; each begins as it likes.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9][A-Za-z]{4,8}[0-9][A-Za-z]{2,4}[0-9][A-Za-z0-9]{1,8}",
        "[0-9][A-Za-z0-9]{10,30}[0-9][a-z]",
        "[0-9][a-f][0-9a-f]{30}",
    ]
}

/// Ways to write a value behind a key.
const KEYED: &[&str] = &[
    "{k}={v}\n",
    "export {k}='{v}'\n",
    "{k}: {v}\nother: 1\n",
    "  {k}: '{v}'\n",
    "{\n  \"{k}\": \"{v}\",\n  \"a\": 1\n}\n",
    "{k} = \"{v}\"\n",
    "[section]\n{k} = {v}\n",
    "<{k}>{v}</{k}>\n",
    "<add key=\"{k}\" value=\"{v}\"/>\n",
    "    {k} = \"{v}\"\n    login(client, {k})\n",
    "const {k} = '{v}';\n",
    "let {k} = `{v}`;\n",
    "run(--{k}={v})\n",
    "run --{k} {v}\n",
    "Set `{k}` to... {k}: {v}\n",
];

/// Ways to write a value that has a form of its own.
const BARE: &[&str] = &[
    "{v}\n",
    "Use {v} to sign in, then go on.\n",
    "call(\"{v}\")\n",
    "x: {v}\n",
    "x = '{v}'\n",
    "https://me:{v}@host.org/path\n",
    "https://host.org/path?x={v}&y=1\n",
    "* `{v}` (mine)\n",
    "<x>{v}</x>\n",
    "# {v}\n",
    "\"a\\n{v}\\n\"\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_token_stays_in_any_format(seed in any::<u64>(), form in 0..TOKENS.len(), key in "(db_password|API_KEY|authToken|aws_secret|smtp_pass)") {
        let token = drawn(seed, TOKENS[form]);
        let has_form = TOKENS[form].len() > 1 || !TOKENS[form][0].0.is_empty();
        for (way, is_keyed) in KEYED.iter().map(|way| (way, true)).chain(BARE.iter().map(|way| (way, false))) {
            let text = way.replace("{k}", &key).replace("{v}", &token);
            for style in [Style::Any, Style::Settings] {
                // What has no form and stands behind no key is told by its letters, nearly always: see `random`.
                if is_keyed || has_form {
                    prop_assert!(!hidden(&text, style).contains(&token), "{:?} in {:?}", token, text);
                    prop_assert!(!redact(&text, style).0.contains(&token), "{:?} in {:?}", token, text);
                }
            }
        }
    }

    #[test]
    fn no_password_stays_behind_its_key(word in words(), key in "(db_password|DB_PASS|password|smtpPass|user-pwd)") {
        for way in KEYED {
            let text = way.replace("{k}", &key).replace("{v}", &word);
            for style in [Style::Any, Style::Settings] {
                let left = hidden(&text, style);
                prop_assert!(!left.contains(&word), "{:?} in {:?}", word, text);
            }
        }
    }

    #[test]
    fn any_text_will_do(pieces in proptest::collection::vec(prop_oneof![
        "(password|token|secret|api_key|auth|://|-----BEGIN |PRIVATE KEY-----|bearer |basic | -u |~|:AA|AKIA|ghp_|sk-)",
        "[ \n\t=:,;>(){}\\[\\]\"'`|\\\\/<#&$%@!-]{1,4}", "[A-Za-z0-9]{1,20}", "\\PC{1,3}",
    ], 0..30)) {
        let text = pieces.concat();
        for style in [Style::Any, Style::Settings] {
            let found = find(&text, style);
            let mut end = 0;
            for one in &found {
                prop_assert!(one.range.start >= end && one.range.end > one.range.start);
                prop_assert!(text.get(one.range.clone()).is_some());
                end = one.range.end;
            }
            let left = blank(&text, &found);
            prop_assert_eq!(left.len(), text.len());
            let (redacted, _) = redact(&text, style);
            let again = redact(&redacted, style);
            prop_assert_eq!(&*again.0, &*redacted);
        }
    }
}

/// However it is said: what looks drawn by lot behind a password's key on its line is one.
#[test]
fn what_is_drawn_is_found_on_the_line_of_a_password() {
    let value = "qW7tZk2PxR9m";
    for text in [
        "Password: qW7tZk2PxR9m (temporary)",
        "Passwort lautet qW7tZk2PxR9m",
        "The password is set to qW7tZk2PxR9m, change it.",
        "password ~> qW7tZk2PxR9m",
        "password | qW7tZk2PxR9m",
        "password (qW7tZk2PxR9m)",
        "password=<qW7tZk2PxR9m>",
        "PASSWORD ?= qW7tZk2PxR9m",
        "password ||= 'qW7tZk2PxR9m'",
        "set password [list qW7tZk2PxR9m]",
        "password: !!str qW7tZk2PxR9m",
        "<input name=\"password\" type=\"text\" value=\"qW7tZk2PxR9m\">",
        "env::var(\"DB_PASSWORD\").unwrap_or_else(|_| \"qW7tZk2PxR9m\".into())",
        "os.environ.get('DB_PASSWORD', default='qW7tZk2PxR9m')",
        "has\u{142}o bazy: qW7tZk2PxR9m",
        "passwords:\n  - qW7tZk2PxR9m\n  - other",
    ] {
        for style in [Style::Any, Style::Settings] {
            assert!(!redact(text, style).0.contains(value), "{text}, {style:?}");
        }
    }
    for text in [
        "fn password_hash(input: &Uint8Array, len: NonZeroI16) {}",
        "password = digest(9398de8a1f0c2b3d4e5f60718293a4b5c6d7e8f9)",
        "check_password(HUFv07_decompress4X4_usingDTable)",
        "password_file = qW7tZk2PxR9m",
    ] {
        assert_eq!(certain(text, Style::Any), Vec::<&str>::new(), "{text}");
    }
}
