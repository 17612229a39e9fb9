//! The ONNX Runtime library inside this binary, and its unpacked copy on disk.
//!
//! The copy is shared by every process of the user and made once; its name carries its version and
//! hash, so that two builds of this program never share one by mistake. It is checked before each
//! use, since it is about to be executed.

use super::error::EncodeError;
use crate::named_file;
use crate::platform;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A library as `build.rs` left it.
pub(super) struct Embedded {
    /// Of the unpacked copy.
    pub file_name: &'static str,
    /// Bytes of the unpacked library.
    pub length: u64,
    /// BLAKE3 of the unpacked library, in hexadecimal.
    pub blake3: &'static str,
    /// The library as one zstd frame.
    pub compressed: &'static [u8],
}

#[cfg(feature = "embedded-runtime")]
include!(concat!(env!("OUT_DIR"), "/ort_embedded.rs"));

/// The library in this binary, when it was built with one.
pub(super) fn embedded() -> Option<&'static Embedded> {
    #[cfg(feature = "embedded-runtime")]
    return Some(&EMBEDDED);
    #[cfg(not(feature = "embedded-runtime"))]
    return None;
}

/// An unpacked library: its path, and the private directory that it lies in when the user's cache
/// could not be used.
pub(super) struct Unpacked {
    pub path: PathBuf,
    /// Removed on drop.
    pub private: Option<tempfile::TempDir>,
}

impl Embedded {
    /// Calls `load` with a checked copy on disk: in the user's cache, else in a private directory. The next place is
    /// tried when the copy cannot be made, and when it cannot be loaded from there, as on a disk that is mounted
    /// without permission to run programs.
    pub fn unpack<T>(
        &self,
        mut load: impl FnMut(&Path) -> Result<T, String>,
    ) -> Result<(Unpacked, T), EncodeError> {
        let mut failed = Vec::new();
        let mut give_up = |place: String, reason: String| failed.push((place, reason));
        match cache_dir() {
            Some(dir) => {
                let loaded = self.unpack_into(&dir).map_err(|error| error.to_string());
                match loaded.and_then(|path| Ok((load(&path)?, path))) {
                    Ok((loaded, path)) => {
                        return Ok((
                            Unpacked {
                                path,
                                private: None,
                            },
                            loaded,
                        ));
                    }
                    Err(reason) => give_up(dir.display().to_string(), reason),
                }
            }
            None => give_up("the cache".to_owned(), "no home directory".to_owned()),
        }
        let private = self.unpack_privately().map_err(|error| error.to_string());
        match private.and_then(|unpacked| Ok((load(&unpacked.path)?, unpacked))) {
            Ok((loaded, unpacked)) => Ok((unpacked, loaded)),
            Err(reason) => {
                give_up(std::env::temp_dir().display().to_string(), reason);
                let place = |(place, _): &(String, String)| place.clone();
                let reason = |(_, reason): &(String, String)| reason.clone();
                Err(EncodeError::RuntimeUnpack {
                    tried: failed.iter().map(place).collect::<Vec<_>>().join(" or "),
                    reason: failed.iter().map(reason).collect::<Vec<_>>().join("; "),
                })
            }
        }
    }

    /// Makes sure that `dir` holds a good copy. Any number of processes may do so at once: each
    /// writes its own file and renames it into place, and all of them are equal.
    fn unpack_into(&self, dir: &Path) -> io::Result<PathBuf> {
        let path = dir.join(self.file_name);
        if self.is_good(&path) {
            return Ok(path);
        }
        fs::create_dir_all(dir)?;
        let mut partial = platform::new_file(dir)?;
        partial.write_all(&self.decompress()?)?;
        // A crash after the rename must not leave a name without its bytes.
        partial.as_file().sync_all()?;
        match partial.persist(&path) {
            Ok(_) => Ok(path),
            // Windows refuses to replace a library in use: then another process has put it there.
            Err(_) if self.is_good(&path) => Ok(path),
            Err(error) => Err(error.error),
        }
    }

    /// A copy for this process alone.
    fn unpack_privately(&self) -> io::Result<Unpacked> {
        let private = private_dir()?;
        Ok(Unpacked {
            path: self.unpack_into(private.path())?,
            private: Some(private),
        })
    }

    /// Whether the file is this library, byte for byte. 29 MB take about 10 ms.
    fn is_good(&self, path: &Path) -> bool {
        let Ok(mut file) = named_file::open(path) else {
            return false;
        };
        if !file.metadata().is_ok_and(|meta| meta.len() == self.length) {
            return false;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        file.read_to_end(&mut bytes).is_ok() && self.matches(&bytes)
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        blake3::hash(bytes).to_hex().as_str() == self.blake3
    }

    #[cfg(feature = "embedded-runtime")]
    fn decompress(&self) -> io::Result<Vec<u8>> {
        let bytes = zstd::decode_all(self.compressed)?;
        if self.matches(&bytes) {
            return Ok(bytes);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the embedded copy is damaged",
        ))
    }

    #[cfg(not(feature = "embedded-runtime"))]
    fn decompress(&self) -> io::Result<Vec<u8>> {
        Ok(self.compressed.to_vec())
    }
}

/// The directory of unpacked libraries, in the user's cache.
fn cache_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    let user = etcetera::choose_base_strategy().ok()?;
    Some(user.cache_dir().join("helix-build").join("runtime"))
}

/// A directory of a random name that no other user can look into or change.
fn private_dir() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("helix-build-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder.tempdir()
}

#[cfg(all(test, feature = "embedded-runtime"))]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_copy_is_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = EMBEDDED.unpack_into(dir.path()).expect("unpacks");
        assert!(EMBEDDED.is_good(&path));
        // Same length, one bit off; then too short; then not a library at all.
        let mut bytes = fs::read(&path).expect("reads");
        bytes[1_000_000] ^= 1;
        for damaged in [&bytes[..], &bytes[..1000], b"nonsense"] {
            fs::write(&path, damaged).expect("writes");
            assert!(!EMBEDDED.is_good(&path));
            assert_eq!(EMBEDDED.unpack_into(dir.path()).expect("unpacks"), path);
            assert!(EMBEDDED.is_good(&path));
        }
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[test]
    fn eight_at_once_agree() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let paths: Vec<PathBuf> = std::thread::scope(|scope| {
            let unpack = || EMBEDDED.unpack_into(dir.path()).expect("unpacks");
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(unpack)).collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        });
        assert!(paths.iter().all(|path| *path == paths[0]));
        assert!(EMBEDDED.is_good(&paths[0]));
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("file");
        fs::write(&file, "x").expect("writes");
        assert!(EMBEDDED.unpack_into(&file).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_private_copy_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let unpacked = EMBEDDED.unpack_privately().expect("unpacks");
        let dir = unpacked
            .path
            .parent()
            .expect("lies in a directory")
            .to_owned();
        let mode = fs::metadata(&dir).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(unpacked);
        assert!(!dir.exists());
    }
}
