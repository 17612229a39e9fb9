//! Unpacks the ONNX Runtime library that this binary contains.
//!
//! All processes of a user share one copy. Its name contains its version and hash, so that two builds of this program never
//! share one by mistake. It is verified before each use, since it is about to be executed.

use crate::encode::error::EncodeError;
use crate::named_file;
use crate::platform;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A library as `build.rs` writes it.
pub(super) struct Embedded {
    /// Name of the unpacked copy.
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

/// Return the library in this binary, if it was built with one.
pub(super) fn embedded() -> Option<&'static Embedded> {
    #[cfg(feature = "embedded-runtime")]
    return Some(&EMBEDDED);
    #[cfg(not(feature = "embedded-runtime"))]
    return None;
}

/// Return the file name of the library inside this binary; `None` if it was built without one.
pub fn embedded_runtime() -> Option<&'static str> {
    embedded().map(|library| library.file_name)
}

/// An unpacked library: its path, and its private directory if the user's cache cannot be used.
pub(super) struct Unpacked {
    pub path: PathBuf,
    /// Removed on drop.
    pub private: Option<tempfile::TempDir>,
}

impl Embedded {
    /// Call `load` with a verified copy: in the user's cache, else in a private directory. Fall back to the directory if the
    /// copy cannot be written or cannot be loaded, as on a disk mounted with `noexec`.
    pub fn unpack<T, E: Display>(
        &self,
        mut load: impl FnMut(&Path) -> Result<T, E>,
    ) -> Result<(Unpacked, T), EncodeError> {
        let mut load = |path: &Path| load(path).map_err(|error| error.to_string());
        let mut failed = Vec::new();
        let mut give_up = |folder: String, reason: String| failed.push((folder, reason));
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
                let folder = |(folder, _): &(String, String)| folder.clone();
                let reason = |(_, reason): &(String, String)| reason.clone();
                Err(EncodeError::RuntimeUnpack {
                    tried: failed.iter().map(folder).collect::<Vec<_>>().join(" or "),
                    reason: failed.iter().map(reason).collect::<Vec<_>>().join("; "),
                })
            }
        }
    }

    /// Ensure that `dir` contains a good copy. Many processes may do so at once: each writes a file of its own and renames
    /// it, and all of them are equal.
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
            // Windows refuses to replace a library in use: another process was faster.
            Err(_) if self.is_good(&path) => Ok(path),
            Err(error) => Err(error.error),
        }
    }

    /// Write a copy for this process only.
    fn unpack_privately(&self) -> io::Result<Unpacked> {
        let private = private_dir()?;
        Ok(Unpacked {
            path: self.unpack_into(private.path())?,
            private: Some(private),
        })
    }

    /// Whether the file is this library, byte for byte. Hashing 29 MB takes about 10 ms.
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

/// Return the directory of unpacked libraries in the user's cache.
fn cache_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    let user = etcetera::choose_base_strategy().ok()?;
    Some(user.cache_dir().join("helix-build").join("runtime"))
}

/// Create a directory that no other user can read or change.
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
        let dir = crate::test_folder::create();
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
        let dir = crate::test_folder::create();
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
    fn a_folder_that_cannot_be_written_is_an_error() {
        let dir = crate::test_folder::create();
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
