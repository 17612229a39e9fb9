//! Hashes of model files.

use super::error::EncodeError;
use crate::batch::EncoderKind;
use crate::named_file;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Compare a file with the SHA-256 in `helix-model.toml`.
///
/// # Errors
/// `FileBad` if they differ, `ModelMissing` if the file cannot be read.
pub(super) fn check_sha256(
    kind: EncoderKind,
    path: &Path,
    wanted: &str,
) -> Result<(), EncodeError> {
    let found = file_sha256(kind, path)?;
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let reason = format!(
        "its sha256 is {found}, not the one in helix-model.toml; \
         fetch it again, or correct the line if you trust it"
    );
    Err(EncodeError::file(kind, path, reason))
}

/// Return the SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// `ModelMissing` if it cannot be read.
pub(super) fn file_sha256(kind: EncoderKind, path: &Path) -> Result<String, EncodeError> {
    let mut hasher = Sha256::new();
    read_in_pieces(kind, path, |bytes| hasher.update(bytes))?;
    Ok(crate::ids::hex(&hasher.finalize()))
}

/// Hand the bytes of a file to `take`, a mebibyte at a time.
///
/// # Errors
/// `ModelMissing` if it cannot be read.
pub(super) fn read_in_pieces(
    kind: EncoderKind,
    path: &Path,
    mut take: impl FnMut(&[u8]),
) -> Result<(), EncodeError> {
    use std::io::Read as _;
    let missing = |error| EncodeError::missing(kind, path, error);
    let mut file = named_file::open(path).map_err(missing)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(missing)? {
            0 => return Ok(()),
            n => take(&buffer[..n]),
        }
    }
}
