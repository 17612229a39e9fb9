//! Credentials as people write them down.

use super::*;

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

/// What has a form of its own and stands behind no key.
#[test]
fn hashes_of_passwords_and_tokens_of_bots_are_found() {
    for (text, value) in [
        (
            "root:$6$Xr4ilOzQ4$NcqUWlHSXg1cGd3nJpWQ7eT3mKzBfV8yLhR5uOaCw0xYtEiZsPkDvMbGq2HjF9N1:19000:0:99999:7:::",
            "$6$Xr4ilOzQ4$NcqUWlHSXg1cGd3nJpWQ7eT3mKzBfV8yLhR5uOaCw0xYtEiZsPkDvMbGq2HjF9N1",
        ),
        (
            "bob:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7:19000:::::",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
        ),
        (
            "bob:$apr1$r31bhnRw$Jm8wF1zKqV0bXyLpTn4sE1",
            "$apr1$r31bhnRw$Jm8wF1zKqV0bXyLpTn4sE1",
        ),
        (
            "bob:$2y$05$hFz1rFqkq0oZyXy9wq1TzOPmQ2u4vB8nC6dE0fG3hI5jK7lM9nO1p",
            "$2y$05$hFz1rFqkq0oZyXy9wq1TzOPmQ2u4vB8nC6dE0fG3hI5jK7lM9nO1p",
        ),
        (
            "bob:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=",
            "fEqNCco3Yq9h5ZUglD3CZJT4lBs=",
        ),
        // Digits and letters in few runs.
        (
            "Use dapifbdedee080316436025aabac796296f3 to sign in.",
            "dapifbdedee080316436025aabac796296f3",
        ),
        (
            "Set it to... EXOfbdedee080316436025aabac",
            "EXOfbdedee080316436025aabac",
        ),
        (
            "userPassword: {SSHA}oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4d",
            "{SSHA}oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4d",
        ),
        (
            "client.run(MTk4NjIyNDgzNDcxOTI1MjQ4.Gl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWsVqBxYt1)",
            "MTk4NjIyNDgzNDcxOTI1MjQ4.Gl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWsVqBxYt1",
        ),
    ] {
        for style in [Style::Any, Style::Settings] {
            assert!(!redact(text, style).0.contains(value), "{text}, {style:?}");
        }
    }
}

/// Blanks of other scripts take several bytes.
#[test]
fn any_blank_may_stand_before_a_word_for_a_password() {
    for blank in ['\u{a0}', '\u{3000}', '\u{2003}'] {
        let text = format!("406355{blank}{blank}mcsignopass: see{blank}x1y2z3w4{blank}# password");
        let _ = find(&text, Style::Any);
        let text = format!("bob{blank}Kx9mQ2vLp7z # password");
        assert!(
            !hidden(&text, Style::Any).contains("Kx9mQ2vLp7z"),
            "{text:?}"
        );
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
fn redacting_says_which_lines_are_left() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(3);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----");
    let text = format!("a\n{key}\nb\n{key} {key}\nc");
    let redacted = redact_with_lines(&text, Style::Any);
    let left = [
        "a",
        "BEGIN",
        "[redacted]",
        "END",
        "b",
        "BEGIN",
        "[redacted]",
        "END BEGIN",
        "[redacted]",
        "END",
        "c",
    ];
    let bare = redacted
        .text
        .replace("-----", "")
        .replace(" PRIVATE KEY", "");
    assert_eq!(bare, left.join("\n"));
    assert_eq!(
        redacted.lines,
        Some(vec![1, 2, 3, 6, 7, 8, 9, 12, 13, 16, 17])
    );
    let redacted = redact_with_lines("a\ndb_pass: Tr0ub4dor3zz\nb", Style::Settings);
    assert_eq!((redacted.count, redacted.lines), (1, None));
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

#[test]
fn values_behind_other_assignments_are_found() {
    for form in [
        "ENV[\"API_TOKEN\"] ||= \"X\"",
        "api_token ||= \"X\"",
        "token ||= 'X'",
        "api_token ??= \"X\"",
        "api_token &&= \"X\"",
        "api_token ?= X",
        "API_TOKEN ?= X",
        "API_TOKEN ::= X",
        "api_token :== \"X\"",
        "api_token |= \"X\"",
        "api_token.=\"X\"",
        "api_token .= \"X\"",
        "api_token ~ \"X\"",
        "if api_token in (\"X\",):",
        "ENV.fetch(\"API_TOKEN\") { \"X\" }",
        "ENV.fetch('API_TOKEN') || 'X'",
        "val apiToken by lazy { \"X\" }",
        "set :api_token, \"X\"",
        "<api_token><![CDATA[X]]></api_token>",
        "{\"key\":\"api_token\",\"val\":\"X\"}",
    ] {
        // Neither looks drawn by lot beyond doubt.
        for value in ["69fieW7G93Up", "k2mveq81tqza"] {
            let text = form.replace('X', value);
            assert_eq!(certain(&text, Style::Any), [value], "{text}");
        }
    }
    for text in [
        "tokens |= other_tokens2",
        "token ||= find_token2(user)",
        "token in (\"string\",)",
        "password ~ \"^[a-z]+$\"",
        "token.=x",
        "flags.token ?= false",
        "attr_accessor :token, :name2",
    ] {
        assert_eq!(certain(text, Style::Any), Vec::<&str>::new(), "{text}");
    }
}
