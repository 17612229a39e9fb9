//! What all HTTP clients of the program share: certificates, time limits, and the waits that servers ask for.
//!
//! Opens no connection by itself. `hub` and `encode` send requests with the agents that it makes.

#[cfg(test)]
pub mod loopback;

use std::time::Duration;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// Return what every agent is configured with: the certificates of the system, to which companies add their own; no
/// redirects, which the caller follows or refuses; statuses as answers; at most `stall` for a connection, for the head of an
/// answer and for the next bytes of its body.
pub fn config(stall: Duration) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
    Agent::config_builder()
        .tls_config(tls.build())
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_connect(Some(stall))
        .timeout_recv_response(Some(stall))
        .timeout_per_read(Some(stall))
        .user_agent(concat!("helix-build/", env!("CARGO_PKG_VERSION")))
}

/// Return a number in a header.
pub fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Return how long a server asks to wait before the next try, at most `longest`.
pub fn retry_after(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let seconds = number(headers, "retry-after")?;
    Some(Duration::from_secs(seconds).min(longest))
}
