//! The arguments of `serve`.

use super::ModelFlags;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("protocol").required(true).multiple(false).args(["encoders", "mcp"]))]
pub struct ServeArgs {
    /// Index to read: a database, or the folder that holds it [default: the
    /// only one in the output folder; with --encoders, if that has none, the
    /// models of the flags are served]
    pub index: Option<PathBuf>,
    /// Answer the encoder requests of Helix/Cymatix servers over HTTP at this
    /// address: IP:PORT, or a port of this machine
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub encoders: Option<SocketAddr>,
    /// Allow an address that other machines can reach. Requests are not
    /// authenticated
    #[arg(long, requires = "encoders")]
    pub allow_remote: bool,
    /// Answer searches of agents over the Model Context Protocol on standard
    /// input and output
    #[arg(long)]
    pub mcp: bool,
    #[command(flatten)]
    pub models: ModelFlags,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let local = |port| SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    let with_name = text.strip_prefix("localhost:").unwrap_or(text);
    match with_name.parse::<u16>() {
        Ok(port) => Ok(local(port)),
        Err(_) => text.parse().map_err(|_| {
            "expected a port, or an IP address and a port such as 127.0.0.1:11440".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn ports_and_names_of_this_machine_are_addresses() {
        for (typed, meant) in [
            ("11440", "127.0.0.1:11440"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            let parsed = address(typed).map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), Ok(meant));
        }
        for wrong in ["", "70000", "host", "127.0.0.1", "localhost"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
