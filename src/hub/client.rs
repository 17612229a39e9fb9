//! One request to a hub: redirects, the token, and what answers mean.

use super::error::{Failed, HubError};
use crate::http;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, Uri};

/// Times and numbers of tries.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for a connection, for the head of an answer and for the next bytes of its body.
    pub stall: Duration,
    /// Wait after the first failed try; doubled after each other one.
    pub backoff: Duration,
    /// Longest wait that a server may ask for.
    pub longest_wait: Duration,
    /// Tries for each file without any progress.
    pub tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(60),
            backoff: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            tries: 6,
        }
    }
}

/// Most redirects of one request; hubs need one or two.
const MOST_REDIRECTS: u32 = 8;

pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    pub limits: Limits,
}

/// An answer, after all redirects.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Headers of the hub's own answer, which may have been a redirect to a store of files.
    pub first: HeaderMap,
    pub body: ureq::Body,
}

impl Client {
    /// # Errors
    /// `Name` for an endpoint that is no address.
    pub fn new(endpoint: &str, token: Option<String>, limits: Limits) -> Result<Self, HubError> {
        let uri = endpoint.parse::<Uri>().ok();
        let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
        if !uri.is_some_and(|uri| is_http(&uri) && uri.host().is_some()) {
            return Err(HubError::Name(format!(
                "HF_ENDPOINT is {endpoint:?}, which is no address: set it to https://HOST, or unset it"
            )));
        }
        let config = http::config(limits.stall).build();
        Ok(Self {
            agent: Agent::new_with_config(config),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            limits,
        })
    }

    /// Return the address of a path below the endpoint.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint)
    }

    /// Request `url`, from byte `start` on. An answer has the status 200, 206 or 416.
    pub fn get(&self, url: &str, start: u64) -> Result<Answer, Failed> {
        let mut here: Uri = url
            .parse()
            .map_err(|_| self.refused(url, "it is no address"))?;
        let home = origin(&here);
        let mut first: Option<HeaderMap> = None;
        for _ in 0..MOST_REDIRECTS {
            let mut request = self.agent.get(&here);
            if let Some(token) = self.token.as_ref().filter(|_| origin(&here) == home) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if start > 0 {
                request = request.header("range", format!("bytes={start}-"));
            }
            let (head, body) = request.call().map_err(Failed::later)?.into_parts();
            let first_headers = first.get_or_insert_with(|| head.headers.clone());
            if !head.status.is_redirection() {
                let answer = Answer {
                    status: head.status,
                    first: std::mem::take(first_headers),
                    headers: head.headers,
                    body,
                };
                return self.judged(url, answer);
            }
            let target = head.headers.get("location").and_then(|to| to.to_str().ok());
            let target = target.and_then(|to| resolve(&here, to));
            let target = target.ok_or_else(|| self.refused(url, "its redirect leads nowhere"))?;
            if here.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
                return Err(self.refused(url, "its redirect leaves TLS"));
            }
            here = target;
        }
        Err(self.refused(url, "it is redirected without end"))
    }

    fn judged(&self, url: &str, answer: Answer) -> Result<Answer, Failed> {
        let status = answer.status;
        match status.as_u16() {
            200 | 206 | 416 => Ok(answer),
            401 | 403 => Err(self.refused(
                url,
                &format!(
                    "the server answers {status}: set HF_TOKEN to a token that may read it, and accept the model's terms \
                     on its page if it has any"
                ),
            )),
            404 => Err(self.refused(
                url,
                &format!("the server answers {status}: check owner, model and revision, and HF_TOKEN for a private model"),
            )),
            408 | 425 | 429 | 500..=599 => Err(Failed::Later {
                reason: format!("the server answers {status}"),
                wait: http::retry_after(&answer.headers, self.limits.longest_wait),
            }),
            _ => Err(self.refused(url, &format!("the server answers {status}"))),
        }
    }

    fn refused(&self, url: &str, reason: &str) -> Failed {
        Failed::For(HubError::Refused {
            url: url.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// Call `attempt` until it succeeds or fails for good. `progress` tells how far it has come: tries that come further
    /// do not count.
    pub fn with_retries<T>(
        &self,
        url: &str,
        progress: impl Fn() -> u64,
        mut attempt: impl FnMut() -> Result<T, Failed>,
    ) -> Result<T, HubError> {
        let mut tries = 0;
        loop {
            let before = progress();
            let (reason, wait) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failed::For(error)) => return Err(error),
                Err(Failed::Later { reason, wait }) => (reason, wait),
            };
            if progress() > before {
                tries = 0;
            }
            tries += 1;
            if tries >= self.limits.tries {
                return Err(HubError::Unavailable {
                    url: url.to_owned(),
                    tries,
                    reason,
                });
            }
            let backoff = self.limits.backoff * 2_u32.saturating_pow(tries - 1);
            std::thread::sleep(wait.unwrap_or(backoff).max(backoff));
        }
    }
}

/// Scheme, host and port: where a token may be sent.
fn origin(uri: &Uri) -> (Option<String>, Option<String>, u16) {
    let port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    (
        uri.scheme_str().map(str::to_owned),
        uri.host().map(str::to_ascii_lowercase),
        uri.port_u16().unwrap_or(port),
    )
}

/// Return the address that a `Location` header means.
fn resolve(here: &Uri, to: &str) -> Option<Uri> {
    if to.starts_with("http://") || to.starts_with("https://") {
        return to.parse().ok();
    }
    let scheme = here.scheme_str()?;
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    let authority = here.authority()?;
    to.starts_with('/')
        .then(|| format!("{scheme}://{authority}{to}").parse().ok())?
}
