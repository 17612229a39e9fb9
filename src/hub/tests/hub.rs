//! A server on loopback that has the paths of a hub, and fails as servers fail.

use crate::http::loopback::{Loopback, Request, send_part, stall};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

pub const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// This status, with a `Retry-After` of 0 seconds.
    Status(u16),
    /// Half of the body, then the end of the connection.
    Short,
    /// Half of the body, then nothing.
    Stall,
    /// Another byte in the body.
    Changed,
    /// The whole file, whatever range was asked for.
    WithoutRange,
    /// A redirect to the server's other name.
    Redirect,
    /// A redirect to itself.
    Circle,
    /// No hash.
    Unhashed,
}

/// A hub on loopback. Each file has a list of faults, one for each request; then all goes well.
pub struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    faults: Mutex<BTreeMap<String, Vec<Fault>>>,
    pub licence: &'static str,
    /// Method, path, range and authorization of each request, and the host's name.
    seen: Mutex<Vec<Seen>>,
    port: u16,
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub host: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

impl Hub {
    pub fn start(files: &[(&str, &[u8])], faults: &[(&str, &[Fault])]) -> Arc<Self> {
        let loopback = Loopback::bind();
        let files = files.iter().map(|(n, b)| ((*n).to_owned(), b.to_vec()));
        let faults = faults.iter().map(|(n, f)| ((*n).to_owned(), f.to_vec()));
        let hub = Arc::new(Self {
            files: files.collect(),
            faults: Mutex::new(faults.collect()),
            licence: "mit",
            seen: Mutex::default(),
            port: loopback.port,
        });
        let server = Arc::clone(&hub);
        loopback.serve(move |request, stream| {
            server.answer(request, stream);
            // One request a connection.
            None
        });
        hub
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn fault(&self, file: &str) -> Fault {
        let mut faults = self.faults.lock().expect("no panic");
        match faults.get_mut(file) {
            Some(list) if !list.is_empty() => list.remove(0),
            _ => Fault::None,
        }
    }

    pub fn seen(&self, file: &str) -> Vec<Seen> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter()
            .filter(|s| s.path.contains(file))
            .cloned()
            .collect()
    }

    fn answer(&self, request: &Request, stream: &mut TcpStream) -> Option<()> {
        let Request { path, headers, .. } = request;
        self.seen.lock().expect("no panic").push(Seen {
            path: path.clone(),
            host: headers.get("host").cloned().unwrap_or_default(),
            range: headers.get("range").cloned(),
            authorization: headers.get("authorization").cloned(),
        });
        if let Some(api) = path.strip_prefix("/api/models/owner/model/revision/") {
            let list: Vec<_> = self
                .files
                .iter()
                .map(|(name, bytes)| serde_json::json!({"rfilename": name, "size": bytes.len()}))
                .collect();
            let list = serde_json::json!({
                "sha": SHA, "siblings": list, "cardData": {"license": self.licence}, "revision": api,
            });
            let status = match self.fault("api") {
                Fault::Status(status) => status,
                _ => 200,
            };
            return self.send(stream, status, "", list.to_string().as_bytes(), Fault::None);
        }
        let name = path.strip_prefix(&format!("/owner/model/resolve/{SHA}/"))?;
        let Some(bytes) = self.files.get(name) else {
            return self.send(stream, 404, "", b"", Fault::None);
        };
        let fault = self.fault(name);
        let hash = match name.ends_with(".onnx") {
            true => format!(
                "X-Linked-Etag: \"{}\"\r\n",
                crate::ids::hex(&Sha256::digest(bytes))
            ),
            false => format!("ETag: \"{}\"\r\n", git_hash(bytes)),
        };
        match fault {
            Fault::Status(status) => {
                return self.send(stream, status, "Retry-After: 0\r\n", b"later", Fault::None);
            }
            Fault::Redirect | Fault::Circle => {
                let host = if fault == Fault::Circle {
                    "127.0.0.1"
                } else {
                    "localhost"
                };
                let extra = format!("Location: http://{host}:{}{path}\r\n{hash}", self.port);
                if fault == Fault::Circle {
                    let mut faults = self.faults.lock().expect("no panic");
                    faults
                        .entry(name.to_owned())
                        .or_default()
                        .push(Fault::Circle);
                }
                return self.send(stream, 302, &extra, b"", Fault::None);
            }
            _ => {}
        }
        let hash = if fault == Fault::Unhashed {
            String::new()
        } else {
            hash
        };
        let start = headers
            .get("range")
            .filter(|_| fault != Fault::WithoutRange)
            .and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            });
        match start {
            Some(start) if start >= bytes.len() => {
                let extra = format!("Content-Range: bytes */{}\r\n{hash}", bytes.len());
                self.send(stream, 416, &extra, b"", fault)
            }
            Some(start) => {
                let (end, n) = (bytes.len() - 1, bytes.len());
                let extra = format!("Content-Range: bytes {start}-{end}/{n}\r\n{hash}");
                self.send(stream, 206, &extra, &bytes[start..], fault)
            }
            None => self.send(stream, 200, &hash, bytes, fault),
        }
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        status: u16,
        headers: &str,
        body: &[u8],
        fault: Fault,
    ) -> Option<()> {
        let n = body.len();
        let mut body = body.to_vec();
        match fault {
            Fault::Short | Fault::Stall => body.truncate(n / 2),
            Fault::Changed => body[n / 2] ^= 1,
            _ => {}
        }
        let headers = format!("connection: close\r\n{headers}");
        let sent = send_part(stream, status, &headers, &body, n);
        match fault {
            Fault::Stall => stall(stream),
            _ => sent,
        }
    }
}

fn git_hash(bytes: &[u8]) -> String {
    let mut hash = gix_hash::hasher(gix_hash::Kind::Sha1);
    hash.update(format!("blob {}\0", bytes.len()).as_bytes());
    hash.update(bytes);
    hash.try_finalize().expect("a hash").to_hex().to_string()
}
