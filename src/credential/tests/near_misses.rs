//! What is taken for no credential.

use super::*;

/// Placeholders, references, types, prose: each line of `near_misses.txt`. None is certain, in either style.
#[test]
fn near_misses_are_kept() {
    let lines = include_str!("near_misses.txt").lines();
    let mut taken = Vec::new();
    for text in lines.map(|line| line.replace("\\n", "\n")) {
        for style in [Style::Any, Style::Settings] {
            let found = certain(&text, style);
            if !found.is_empty() {
                taken.push(format!("{style:?} {found:?} in {text:?}"));
            }
        }
    }
    assert_eq!(taken, Vec::<String>::new(), "{}", taken.join("\n"));
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

/// What people fear of a detector: digests, ids, names and sentences, beside the words that credentials have.
#[test]
fn what_stands_beside_the_words_of_credentials_is_none() {
    for text in [
        "[[package]]\nname = \"password-hash\"\nversion = \"0.5.0\"\nchecksum = \"346f04948ba92c43e8469c1ee6736c7563d71012b17d40745260fe106aac2166\"",
        "password-hash 0.5.0 sha256:346f04948ba92c43e8469c1ee6736c7563d71012b17d40745260fe106aac2166",
        "\"resolved\": \"https://registry.example.org/generate-password/-/generate-password-1.7.1.tgz\"",
        "example.org/x/crypto v0.17.0 h1:r8bRNjWL3GshPW3gkd+RpvzWrZAwPS49OmTGZ/uhM4k= // password hashing",
        "550e8400-e29b-41d4-a716-446655440000 is the id of the password",
        "\"550e8400-e29b-41d4-a716-446655440000\" # password id",
        "use bcrypt2 as the password hash",
        "Argon2id is the password hash of choice.",
        "let checked = verify2(password); // the password",
        "return 401 # bad password",
        "if (user2 == password) {}",
        "sha256(password)",
        "md5crypt2(password, salt1)",
        "host2.example.org is the password server",
        "/etc/nginx/htpasswd2 # the password file",
        "SELECT md5(concat2) AS password",
        "The user1 password is not stored.",
        "Version 2024.1 (password)",
        "password for user1: required",
        "The password for the host db2 is below: see the page.",
        "std::cout << password << std::endl;",
        "x = password << 2;",
        "docker login -u me -p $PASSWORD",
        "docker run -p 8080:80 image",
        "mysql -P 3306 -u root -p db2",
        "mysql -u root -p",
        "curl -u $USER:$PASS https://host",
        "curl -u admin https://host",
        "ssh -p 2222 host",
        "gh secret set NAME --body \"$VALUE\"",
        "gh secret set NAME < file2.txt",
        "openssl enc -aes-256-cbc -k $KEY -in x1",
        "openssl passwd -apr1",
        "htpasswd -b file user $PASSWORD",
        "vault login -method=github",
        "sqlplus / as sysdba",
        "net use Z: /delete",
        "zip -r out2.zip folder",
        "mongo --port 27017",
        "AccountKey=<key>;EndpointSuffix=core",
        "Authorization: Bearer {token}",
        "Authorization: Basic ${AUTH}",
        "Authorization: Basic base64(user:password)",
        "//registry.example.org/:_authToken=${NPM_TOKEN}",
        "password: &pw ${PASSWORD}",
        "password: !vault secret/db1",
        "password: !Ref DbPassword2",
        "<password></password><user>me2</user>",
        "<password kind=\"x2\"/>",
        "<property name=\"password\"><value>${db.password}</value></property>",
        "char password[32];",
        "INSERT INTO users (name, password) VALUES (?, ?)",
        "INSERT INTO users (name, password) VALUES ('me2', $1)",
        "strcmp(password, other2)",
        "assertEquals(password, \"\")",
        "password = \"a\" + b2",
        "send \"y\\r\"",
        "login: see page2 / page3",
        "PASSWORD=$(cat <<EOF\n$SECRET\nEOF\n)",
        "password = '{user}-{host}'",
        "password_hash = f\"{salt}${digest}\"",
        "name: PASSWORD\nvalue: ${PASSWORD}",
        "{\"value\": \"\", \"name\": \"DB_PASSWORD\"}",
        "{\"value\": \"utf8\", \"name\": \"charset\"}",
        "const TOKEN_ALL: TOKEN_MASK = 983551u32;",
        "Local_Credentials = 0x80041064,",
        "Win32_Auth = [\"Win32_Security\"]",
        "StencilPassOp: D3D11_STENCIL_OP,",
    ] {
        assert_eq!(certain(text, Style::Any), Vec::<&str>::new(), "{text}");
    }
}
