//! One file: fetched in pieces that survive a broken connection, and compared with what the server announces.

use super::client::{Answer, Client};
use super::error::{Failed, HubError};
use crate::http;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use ureq::http::HeaderMap;

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Announced {
    /// SHA-256 of its bytes, in hexadecimal.
    Sha256(String),
    /// The name of its blob in git: SHA-1 of a head and its bytes.
    GitBlob(String),
}

/// Fetch `url` into `to`, whose `.part` holds what came so far. Report the growing number of bytes.
pub(super) fn download(
    client: &Client,
    url: &str,
    to: &Path,
    size: Option<u64>,
    report: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    let unwritten = |error: io::Error| HubError::unwritten(to, error);
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(unwritten)?;
    }
    if to.is_file() {
        // Compared and renamed by an earlier run.
        report(length(to));
        return Ok(());
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = to.with_file_name(name);
    let (announced, length_announced) =
        client.with_retries(url, || length(&part), || piece(client, url, &part, report))?;
    let size = size.or(length_announced);
    let reason = match (size, length(&part)) {
        (Some(size), found) if found != size => Some(format!("it has {found} bytes, not {size}")),
        _ => compare(&part, &announced).map_err(unwritten)?,
    };
    if let Some(reason) = reason {
        fs::remove_file(&part).map_err(unwritten)?;
        let file = url.to_owned();
        return Err(HubError::Wrong { file, reason });
    }
    fs::rename(&part, to).map_err(unwritten)
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}

/// Append what the server has beyond the bytes that are there. Return what it announces of the whole file.
fn piece(
    client: &Client,
    url: &str,
    part: &PathBuf,
    report: &mut dyn FnMut(u64),
) -> Result<(Announced, Option<u64>), Failed> {
    let unwritten = |error: io::Error| Failed::For(HubError::unwritten(part, error));
    let start = length(part);
    let Answer {
        status,
        headers,
        first,
        body,
    } = client.get(url, start)?;
    let announced = announced(&first).or_else(|| announced(&headers)).ok_or_else(|| {
        HubError::Refused {
            url: url.to_owned(),
            reason: "the server states no hash (ETag, X-Linked-Etag), so that the file cannot be checked; \
                set HF_ENDPOINT to a server that does"
                .to_owned(),
        }
    })?;
    let of_body = http::number(&headers, "content-length");
    let (start, total) = match status.as_u16() {
        // The file may be there already; comparing it tells.
        416 => {
            let range = headers
                .get("content-range")
                .and_then(|range| range.to_str().ok());
            let total = range.and_then(|range| range.strip_prefix("bytes */")?.parse::<u64>().ok());
            if total.is_none_or(|total| total != start) {
                fs::remove_file(part).map_err(unwritten)?;
                return Err(Failed::later("the server has another file by now"));
            }
            return Ok((announced, total));
        }
        206 => match range(&headers) {
            Some((first, total)) if first == start => (start, total),
            _ => {
                return Err(Failed::later(
                    "the server sends another range than was asked for",
                ));
            }
        },
        _ => (0, of_body),
    };
    let file = OpenOptions::new().create(true).append(true).open(part);
    let mut file = file.map_err(unwritten)?;
    file.set_len(start).map_err(unwritten)?;
    let copied = copy(body.into_reader(), &mut file, start, report);
    file.sync_data().map_err(unwritten)?;
    let end = match copied {
        Ok(end) => end,
        Err(CopyError::Read(error)) => return Err(Failed::later(error)),
        Err(CopyError::Write(error)) => return Err(unwritten(error)),
    };
    let linked = http::number(&first, "x-linked-size");
    let total = total.or(linked);
    match total {
        Some(total) if end < total => Err(Failed::later(format!(
            "the connection ended after {end} of {total} bytes"
        ))),
        _ => Ok((announced, total)),
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copy everything, and return the position of the end.
fn copy(
    mut from: impl Read,
    to: &mut File,
    start: u64,
    report: &mut dyn FnMut(u64),
) -> Result<u64, CopyError> {
    let mut buffer = vec![0; 1 << 16];
    let mut end = start;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(end),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        to.write_all(&buffer[..n]).map_err(CopyError::Write)?;
        end += n as u64;
        report(end);
    }
}

/// Return the start and the total of `Content-Range: bytes START-END/TOTAL`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get("content-range")?.to_str().ok()?;
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = span.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

/// Return the hash that the headers of a hub state.
fn announced(headers: &HeaderMap) -> Option<Announced> {
    let of = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        let text = text.trim().trim_start_matches("W/").trim_matches('"');
        let is_hash = text.bytes().all(|b| b.is_ascii_hexdigit());
        match text.len() {
            64 if is_hash => Some(Announced::Sha256(text.to_ascii_lowercase())),
            40 if is_hash => Some(Announced::GitBlob(text.to_ascii_lowercase())),
            _ => None,
        }
    };
    of("x-linked-etag").or_else(|| of("etag"))
}

/// Return how a file differs from what was announced.
fn compare(path: &Path, announced: &Announced) -> io::Result<Option<String>> {
    let (found, wanted, name) = match announced {
        Announced::Sha256(wanted) => (sha256(path)?, wanted, "SHA-256"),
        Announced::GitBlob(wanted) => (git_blob(path)?, wanted, "git hash"),
    };
    Ok((found != *wanted).then(|| format!("its {name} is {found}, not {wanted}")))
}

/// Return the SHA-256 of a file in hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    pieces(path, |bytes| hash.update(bytes))?;
    Ok(crate::ids::hex(&hash.finalize()))
}

fn git_blob(path: &Path) -> io::Result<String> {
    let mut hash = gix_hash::hasher(gix_hash::Kind::Sha1);
    hash.update(format!("blob {}\0", length(path)).as_bytes());
    pieces(path, |bytes| hash.update(bytes))?;
    let id = hash.try_finalize().map_err(io::Error::other)?;
    Ok(id.to_hex().to_string())
}

fn pieces(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n]),
        }
    }
}
