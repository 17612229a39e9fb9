//! A sweep of generated credentials, and of texts that may be anything.

use super::*;
use crate::random::SplitMix64;
use proptest::prelude::*;

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// A token as an issuer makes it, or as people draw it: of each pattern character one of its kind (`x` letters
/// and digits, `u` capitals and digits, `h` hexadecimal, `b` base64, `-` of URLs), the rest as it stands.
fn drawn(seed: u64, parts: &[(&str, char, usize)]) -> String {
    let mut numbers = SplitMix64::new(seed);
    let mut draw = |from: &str| char::from(*numbers.pick(from.as_bytes()));
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
pub(super) fn words() -> impl Strategy<Value = String> {
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

/// Each value begins where the one before is cut out: a pass a link.
#[test]
fn a_long_chain_of_values_is_cut_out_at_once() {
    let pieces = [
        "PW0passwordA\u{3041}passwordpasswordqfb0a0Aa0bv",
        "\u{10350}axj0fAAaAa",
        "@wkt1qJ88lHTOShM0",
        "\"Kqd4QEcp4VIc6KxFj5",
        "\u{1ee27}:T64Rth8cTtQEzV",
    ];
    let text = pieces.concat();
    let text = redact(&text, Style::Any).0.into_owned();
    assert_eq!(redact(&text, Style::Any).0, text);
    assert!(!text.contains("T64Rth8cTtQEzV"), "{text}");
}
