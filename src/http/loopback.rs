//! A server on loopback for tests: reads requests, and leaves the answers to the test. The end-to-end tests compile it as well.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A port of this machine on which nothing answers yet.
pub struct Loopback {
    listener: TcpListener,
    pub port: u16,
}

pub struct Request {
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Loopback {
    pub fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("an address").port();
        Self { listener, port }
    }

    /// Answer all requests until the process ends, each connection in a thread of its own. `None` closes the connection.
    pub fn serve(
        self,
        answer: impl Fn(&Request, &mut TcpStream) -> Option<()> + Send + Sync + 'static,
    ) {
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for mut stream in self.listener.incoming().flatten() {
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().ok()?);
                    while let Some(request) = read(&mut reader) {
                        answer(&request, &mut stream)?;
                    }
                    Some(())
                });
            }
        });
    }
}

/// Read a request; `None` at the end of the connection.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = || -> Option<String> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        Some(line.trim_end().to_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map(|n| n.parse());
    let mut body = vec![0; length.unwrap_or(Ok(0)).ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path,
        headers,
        body,
    })
}

/// Send an answer with `headers`, each of which ends in CR LF.
pub fn send(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> Option<()> {
    send_part(stream, status, headers, body, body.len())
}

/// Announce `n` bytes and send `body`, which may be shorter.
pub fn send_part(
    stream: &mut TcpStream,
    status: u16,
    headers: &str,
    body: &[u8],
    n: usize,
) -> Option<()> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {n}\r\n{headers}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    (body.len() == n).then_some(())
}

/// Send nothing more until the client closes the connection.
pub fn stall(stream: &mut TcpStream) -> Option<()> {
    let _ = stream.read(&mut [0]);
    None
}
