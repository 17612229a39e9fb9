//! Tokens that their issuers made to be recognised.
//!
//! Prefixes, characters and lengths are those that each issuer documents for its tokens, or shows in its
//! examples. Where the length is not promised, the shortest ever shown counts.

use super::random::{Mix, is_uuid};
use super::{Found, stand_ins};

/// How the tokens of an issuer look.
pub(super) struct Issuer {
    pub prefix: &'static str,
    /// Characters behind the prefix.
    body: Body,
    /// How many at least.
    least: usize,
    /// How many at most. Where the prefix is a word of its own, a fixed length tells the token from a name.
    most: usize,
    /// Whether it is worth keeping secret. Public keys are kept out of tags, no more.
    is_secret: bool,
    what: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Capitals and digits.
    Upper,
    Hex,
    /// The same with `-`.
    UrlHex,
    /// Hexadecimal digits, `8-4-4-4-12`.
    Uuid,
    /// Letters, digits, `$`.
    Dollars,
    /// Letters and digits.
    Letters,
    /// Letters, digits, `_`.
    Word,
    /// Letters, digits, `_`, `-`.
    Url,
    /// The same with `.`.
    Dotted,
    /// The same with `+`, `/`, `=`.
    Base64,
    /// No blank, quote or angle bracket.
    Path,
}

impl Body {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::UrlHex | Self::Uuid => byte.is_ascii_hexdigit() || byte == b'-',
            Self::Dollars => byte.is_ascii_alphanumeric() || byte == b'$',
            Self::Letters => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Url => byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
            Self::Dotted => byte.is_ascii_alphanumeric() || b"_-.".contains(&byte),
            Self::Base64 => byte.is_ascii_alphanumeric() || b"_-.+/=~".contains(&byte),
            Self::Path => byte.is_ascii_graphic() && !b"\"'`<>()[]{},;\\".contains(&byte),
        }
    }
}

impl Issuer {
    /// Return whether no name begins and goes on like this.
    fn is_telling(&self) -> bool {
        match self.body {
            Body::Upper | Body::Uuid | Body::UrlHex => true,
            Body::Hex if self.least >= 16 => true,
            Body::Letters | Body::Hex => {
                self.prefix.len() >= 4 && self.prefix.ends_with(['_', '-'])
            }
            _ => false,
        }
    }
}

const fn secret(prefix: &'static str, body: Body, least: usize, what: &'static str) -> Issuer {
    Issuer {
        prefix,
        body,
        least,
        most: MAX_BYTES,
        is_secret: true,
        what,
    }
}

/// Return a token of a fixed length.
const fn exact(prefix: &'static str, body: Body, length: usize, what: &'static str) -> Issuer {
    Issuer {
        most: length,
        ..secret(prefix, body, length, what)
    }
}

const fn public(prefix: &'static str, body: Body, least: usize, what: &'static str) -> Issuer {
    Issuer {
        prefix,
        body,
        least,
        most: MAX_BYTES,
        is_secret: false,
        what,
    }
}

use Body::{Base64, Dollars, Dotted, Hex, Letters, Path, Upper, Url, UrlHex, Uuid, Word};

pub(super) const ISSUERS: &[Issuer] = &[
    // Code hosting.
    secret("ghp_", Letters, 20, "GitHub token"),
    secret("gho_", Letters, 20, "GitHub token"),
    secret("ghu_", Letters, 20, "GitHub token"),
    secret("ghs_", Letters, 20, "GitHub token"),
    secret("ghr_", Letters, 20, "GitHub token"),
    secret("github_pat_", Word, 22, "GitHub token"),
    secret("glpat-", Dotted, 20, "GitLab token"),
    secret("gldt-", Dotted, 20, "GitLab token"),
    secret("glrt-", Dotted, 20, "GitLab token"),
    secret("glcbt-", Dotted, 20, "GitLab token"),
    secret("glptt-", Dotted, 20, "GitLab token"),
    secret("glft-", Dotted, 20, "GitLab token"),
    secret("glimt-", Dotted, 20, "GitLab token"),
    secret("glagent-", Dotted, 20, "GitLab token"),
    secret("gloas-", Dotted, 20, "GitLab token"),
    secret("glsoat-", Dotted, 20, "GitLab token"),
    secret("glffct-", Dotted, 20, "GitLab token"),
    secret("GR1348941", Url, 20, "GitLab token"),
    secret("ATATT3", Base64, 40, "Atlassian token"),
    secret("ATCTT3", Base64, 40, "Atlassian token"),
    secret("ATBB", Letters, 28, "Bitbucket password"),
    exact("ATTA", Hex, 72, "Trello token"),
    secret("sgp_", Word, 40, "Sourcegraph token"),
    // Cloud providers.
    secret("AKIA", Upper, 16, "AWS access key"),
    secret("ASIA", Upper, 16, "AWS access key"),
    secret("ABIA", Upper, 16, "AWS access key"),
    secret("ACCA", Upper, 16, "AWS access key"),
    secret("ABSK", Base64, 40, "AWS key"),
    secret("AIza", Url, 30, "Google key"),
    secret("ya29.", Url, 20, "Google token"),
    secret("GOCSPX-", Url, 20, "Google client secret"),
    secret("1//0", Url, 30, "Google refresh token"),
    secret("LTAI", Letters, 12, "Alibaba access key"),
    secret("AKID", Letters, 32, "Tencent secret id"),
    secret("AQVN", Url, 35, "Yandex key"),
    secret("dop_v1_", Hex, 40, "DigitalOcean token"),
    secret("doo_v1_", Hex, 40, "DigitalOcean token"),
    secret("dor_v1_", Hex, 40, "DigitalOcean token"),
    exact("EXO", Hex, 24, "Exoscale key"),
    secret("SCW", Upper, 17, "Scaleway key"),
    secret("v1.0-", UrlHex, 100, "Cloudflare key"),
    secret("YC", Url, 38, "Yandex key"),
    secret("t1.", Base64, 80, "Yandex token"),
    secret("tk-us-", Url, 48, "Scalingo token"),
    secret("rnd_", Letters, 28, "Render key"),
    secret("pscale_tkn_", Base64, 32, "PlanetScale token"),
    secret("pscale_oauth_", Base64, 32, "PlanetScale token"),
    secret("pscale_pw_", Base64, 32, "PlanetScale password"),
    secret("dnkey-", Url, 60, "Defined Networking key"),
    secret("amzn.mws.", Uuid, 36, "Amazon key"),
    secret("ico-", Letters, 32, "Infracost key"),
    secret("HRKU-", Url, 30, "Heroku key"),
    secret("dapi", Hex, 32, "Databricks token"),
    secret("pul-", Hex, 40, "Pulumi token"),
    secret("hvs.", Url, 24, "Vault token"),
    secret("hvb.", Url, 24, "Vault token"),
    secret("hvr.", Url, 24, "Vault token"),
    secret("dp.pt.", Letters, 40, "Doppler token"),
    secret("dp.st.", Dotted, 40, "Doppler token"),
    secret("fm1_", Base64, 40, "Fly token"),
    secret("fm2_", Base64, 40, "Fly token"),
    secret("fo1_", Url, 40, "Fly token"),
    secret("nfp_", Word, 36, "Netlify token"),
    secret("sbp_", Hex, 40, "Supabase token"),
    secret("sb_secret_", Url, 20, "Supabase key"),
    secret("vercel_blob_rw_", Word, 30, "Vercel token"),
    secret("tskey-", Url, 20, "Tailscale key"),
    secret("ops_eyJ", Base64, 40, "1Password token"),
    secret("AGE-SECRET-KEY-1", Upper, 50, "age key"),
    secret("b3BlbnNzaC1rZXktdjE", Base64, 40, "OpenSSH key"),
    // Payments.
    secret("sk_live_", Letters, 10, "Stripe key"),
    secret("sk_test_", Letters, 10, "Stripe key"),
    secret("rk_live_", Letters, 10, "Stripe key"),
    secret("rk_test_", Letters, 10, "Stripe key"),
    secret("whsec_", Base64, 20, "webhook secret"),
    public("pk_live_", Letters, 10, "Stripe public key"),
    public("pk_test_", Letters, 10, "Stripe public key"),
    secret("sq0atp-", Url, 22, "Square token"),
    secret("sq0csp-", Url, 22, "Square secret"),
    secret("EAAAE", Base64, 50, "Square token"),
    secret("FLWSECK_TEST-", Letters, 12, "Flutterwave key"),
    secret("FLWSECK-", Url, 20, "Flutterwave key"),
    secret("shippo_live_", Hex, 40, "Shippo token"),
    secret("shippo_test_", Hex, 40, "Shippo token"),
    exact("live_", Hex, 35, "Lob key"),
    exact("test_", Hex, 35, "Lob key"),
    secret("access_token$production$", Dollars, 40, "Braintree token"),
    secret("rzp_live_", Letters, 14, "Razorpay key"),
    secret("rzp_test_", Letters, 14, "Razorpay key"),
    secret("sk_prod_", Letters, 10, "Stripe key"),
    secret("rk_prod_", Letters, 10, "Stripe key"),
    secret("duffel_test_", Url, 40, "Duffel token"),
    secret("duffel_live_", Url, 40, "Duffel token"),
    secret("access-production-", Hex, 8, "Plaid token"),
    secret("access-development-", Hex, 8, "Plaid token"),
    secret("access-sandbox-", Hex, 8, "Plaid token"),
    // Shops and mail.
    secret("shpat_", Hex, 32, "Shopify token"),
    secret("shpss_", Hex, 32, "Shopify secret"),
    secret("shpca_", Hex, 32, "Shopify token"),
    secret("shppa_", Hex, 32, "Shopify token"),
    secret("SG.", Dotted, 40, "SendGrid key"),
    secret("xkeysib-", Url, 40, "Brevo key"),
    secret("xsmtpsib-", Url, 40, "Brevo key"),
    secret("key-", Hex, 32, "Mailgun key"),
    secret("pubkey-", Hex, 32, "Mailgun key"),
    exact("pk_", Hex, 34, "Klaviyo key"),
    exact("SK", Hex, 32, "Twilio key"),
    secret("re_", Word, 20, "Resend key"),
    // Chat.
    secret("xoxb-", Url, 15, "Slack token"),
    secret("xoxa-", Url, 15, "Slack token"),
    secret("xoxp-", Url, 15, "Slack token"),
    secret("xoxr-", Url, 15, "Slack token"),
    secret("xoxs-", Url, 15, "Slack token"),
    secret("xoxc-", Url, 15, "Slack token"),
    secret("xoxd-", Base64, 15, "Slack token"),
    secret("xoxe-", Url, 15, "Slack token"),
    secret("xoxe.xox", Dotted, 20, "Slack token"),
    secret("xapp-", Url, 15, "Slack token"),
    secret("hooks.slack.com/services/", Path, 20, "Slack webhook"),
    secret("hooks.slack.com/workflows/", Path, 20, "Slack webhook"),
    secret("discord.com/api/webhooks/", Path, 30, "Discord webhook"),
    secret("discordapp.com/api/webhooks/", Path, 30, "Discord webhook"),
    secret(".webhook.office.com/webhookb2/", Path, 30, "Teams webhook"),
    secret("api.telegram.org/bot", Path, 35, "Telegram token"),
    // Packages.
    secret("npm_", Letters, 30, "npm token"),
    secret("pypi-AgE", Url, 40, "PyPI token"),
    secret("rubygems_", Hex, 40, "RubyGems key"),
    secret("dckr_pat_", Url, 20, "Docker token"),
    secret("dckr_oat_", Url, 20, "Docker token"),
    secret("oy2", Letters, 43, "NuGet key"),
    secret("AKCp", Letters, 60, "Artifactory key"),
    secret("cmVmdGtu", Letters, 50, "Artifactory token"),
    secret("packagist_", Word, 40, "Packagist token"),
    secret("CLOJARS_", Letters, 60, "Clojars token"),
    exact("API-", Upper, 26, "Octopus key"),
    secret("cio", Letters, 32, "Cargo registry token"),
    // Models.
    secret("sk-", Url, 20, "API key"),
    exact("sk_", Hex, 48, "ElevenLabs key"),
    exact("sk_", Hex, 64, "API key"),
    secret("csk-", Letters, 40, "Cerebras key"),
    secret("sk-ant-", Url, 20, "Anthropic key"),
    secret("sk-proj-", Url, 20, "OpenAI key"),
    secret("hf_", Letters, 30, "Hugging Face token"),
    secret("api_org_", Letters, 30, "Hugging Face token"),
    secret("r8_", Letters, 30, "Replicate token"),
    secret("gsk_", Letters, 40, "Groq key"),
    secret("xai-", Letters, 40, "xAI key"),
    secret("pplx-", Letters, 40, "Perplexity key"),
    secret("nvapi-", Url, 40, "NVIDIA key"),
    secret("tvly-", Url, 20, "Tavily key"),
    secret("lsv2_", Word, 30, "LangSmith key"),
    secret("pcsk_", Word, 40, "Pinecone key"),
    secret("jina_", Word, 40, "Jina key"),
    // Monitoring and CI.
    secret("glsa_", Word, 30, "Grafana token"),
    secret("glc_", Base64, 30, "Grafana token"),
    secret("NRAK-", Upper, 20, "New Relic key"),
    secret("NRII-", Url, 20, "New Relic key"),
    secret("NRJS-", Hex, 15, "New Relic key"),
    secret("hcaik_", Letters, 40, "Honeycomb key"),
    secret("xaat-", Uuid, 36, "Axiom token"),
    secret("sdk-", Uuid, 36, "LaunchDarkly key"),
    secret("signkey-prod-", Hex, 32, "Inngest key"),
    secret("signkey-test-", Hex, 32, "Inngest key"),
    secret("sntrys_", Base64, 30, "Sentry token"),
    secret("sntryu_", Hex, 40, "Sentry token"),
    secret("dt0c01.", Dotted, 60, "Dynatrace token"),
    secret("dt0s01.", Dotted, 60, "Dynatrace token"),
    secret("phx_", Word, 30, "PostHog key"),
    public("phc_", Word, 30, "PostHog public key"),
    secret("bkua_", Hex, 30, "Buildkite token"),
    secret("CCIPAT_", Word, 30, "CircleCI token"),
    secret("sqp_", Hex, 40, "SonarQube token"),
    secret("squ_", Hex, 40, "SonarQube token"),
    secret("sqa_", Hex, 40, "SonarQube token"),
    secret("pnu_", Letters, 36, "Prefect key"),
    secret(".atlasv1.", Url, 40, "Terraform token"),
    // Collaboration.
    secret("lin_api_", Letters, 30, "Linear key"),
    secret("lin_oauth_", Letters, 30, "Linear token"),
    secret("ntn_", Letters, 40, "Notion token"),
    secret("secret_", Letters, 40, "Notion token"),
    secret("figd_", Url, 30, "Figma token"),
    secret("PMAK-", Url, 40, "Postman key"),
    secret("CFPAT-", Url, 40, "Contentful token"),
    secret("RGAPI-", Uuid, 36, "Riot key"),
    secret("pat-na1-", Uuid, 36, "HubSpot token"),
    secret("pat-eu1-", Uuid, 36, "HubSpot token"),
    secret("s-s4t2ud-", Hex, 64, "42 secret"),
    secret("s-s4t2af-", Hex, 64, "42 secret"),
    secret("sm_aat_", Letters, 16, "SettleMint token"),
    secret("sm_pat_", Letters, 16, "SettleMint token"),
    secret("sm_sat_", Letters, 16, "SettleMint token"),
    secret("hooks.zapier.com/hooks/catch/", Path, 10, "Zapier webhook"),
    secret("rdme_", Letters, 50, "ReadMe key"),
    secret("tfp_", Dotted, 40, "Typeform token"),
    secret("fio-u-", Url, 40, "Frame.io token"),
    secret("EZAK", Letters, 40, "EasyPost key"),
    secret("EZTK", Letters, 40, "EasyPost key"),
    secret("SSWS ", Url, 30, "Okta token"),
    secret("p8e-", Hex, 32, "Adobe secret"),
    public("pk.eyJ", Dotted, 40, "Mapbox public token"),
    secret("sk.eyJ", Dotted, 40, "Mapbox token"),
    // Generic.
    secret("eyJ", Dotted, 30, "JSON web token"),
    secret("sha256~", Url, 40, "OpenShift token"),
];

/// Add the token whose prefix a search has found at `start`, in some case.
pub(super) fn token(text: &str, start: usize, issuer: &Issuer, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let body = start + issuer.prefix.len();
    let begins_word = issuer
        .prefix
        .starts_with(|c: char| c.is_ascii_alphanumeric());
    let before = start.checked_sub(1).map(|at| bytes[at]);
    let is_inside = begins_word && before.is_some_and(|b| b.is_ascii_alphanumeric());
    if is_inside && !follows_escape(bytes, start) || &bytes[start..body] != issuer.prefix.as_bytes()
    {
        return;
    }
    let length = bytes[body..]
        .iter()
        .take(MAX_BYTES)
        .take_while(|byte| issuer.body.has(**byte))
        .count();
    let mut end = body + length;
    // The stop at the end of a sentence is not a part of it.
    while end > body && b"./".contains(&bytes[end - 1]) {
        end -= 1;
    }
    if end - body < issuer.least || end - body > issuer.most || is_longer_word(issuer, bytes, end) {
        return;
    }
    let token = &text[body..end];
    if issuer.body == Body::Uuid && !is_uuid(token) {
        return;
    }
    if !is_drawn(token, issuer.is_telling()) {
        return;
    }
    found.push(match issuer.is_secret && !stand_ins::is_example(token) {
        true => Found::certain(start..end, issuer.what),
        false => Found::doubtful(start..end),
    });
}

/// A JSON web token with a long body takes a few kilobytes.
const MAX_BYTES: usize = 8192;

/// Return whether this is a letter before the token that belongs to an escape: `\nghp_...`.
pub(super) fn follows_escape(bytes: &[u8], start: usize) -> bool {
    start >= 2 && bytes[start - 2] == b'\\' && b"nrt".contains(&bytes[start - 1])
}

/// Such keys have a fixed length, and are parts of longer words in encoded bytes.
fn is_longer_word(issuer: &Issuer, bytes: &[u8], end: usize) -> bool {
    let is_fixed = issuer.body == Body::Upper || issuer.most == issuer.least;
    is_fixed && bytes.get(end).is_some_and(u8::is_ascii_alphanumeric)
}

/// Return whether the body was random: several different characters and, unless the prefix is telling, digits
/// strewn in or letters that make no name.
fn is_drawn(body: &str, is_telling: bool) -> bool {
    let mix = Mix::of(body);
    let mut seen = 0_u128;
    for byte in body.bytes() {
        seen |= 1 << (byte & 0x7f);
    }
    let has_form = mix.digits >= 2 && mix.steps * 6 >= mix.len
        || mix.is_mixed() && mix.steps * 4 >= mix.len
        || mix.is_no_name();
    seen.count_ones() >= 6 && (is_telling || has_form)
}
