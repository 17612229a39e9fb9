//! Prepares what the binary carries: the vocabulary of the built-in encoders, and the ONNX Runtime library (feature
//! `embedded-runtime`).
//!
//! The library for the *target* platform comes from, in order: the file named by `HELIX_ORT_LIB` or
//! `ORT_DYLIB_PATH`; a copy kept in the user's cache directory; the `onnxruntime` wheel, through
//! pip. A kept or fetched library must have the SHA-256 pinned below; a file named by hand is taken
//! as it is. The result, compressed, lands in `OUT_DIR` for `src/encode/embedded.rs`.

#[path = "src/encode/builtin/vocabulary_file.rs"]
mod vocabulary_file;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    vocabulary::compile();
    start_quickly();
    #[cfg(feature = "embedded-runtime")]
    runtime::embed();
}

/// Tests start the program of the dev profile thousands of times. At a fixed place in memory, the pointers in its data
/// need no change at each start. What is published can be anywhere, as is usual.
fn start_quickly() {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "debug")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}

mod vocabulary {
    use super::vocabulary_file::{SLOTS, carries_meaning, first_slot};
    use std::path::PathBuf;
    use std::{env, fs};

    /// Writes `vocabulary.bin` in the layout of `vocabulary_file.rs`.
    pub fn compile() {
        const TOKENIZER: &str = "assets/models/tokenizer.json";
        println!("cargo::rerun-if-changed={TOKENIZER}");
        println!("cargo::rerun-if-changed=src/encode/builtin/vocabulary_file.rs");
        let file = fs::read(TOKENIZER).expect("the tokenizer is part of the source");
        let file: serde_json::Value = serde_json::from_slice(&file).expect("it is JSON");
        let ids = file["model"]["vocab"]
            .as_object()
            .expect("it has a vocabulary");
        let mut terms = vec![""; ids.len()];
        for (term, id) in ids {
            let id = id.as_u64().expect("ids are numbers") as usize;
            terms[id] = term;
        }
        let mut slots = vec![0_u16; SLOTS];
        for (id, term) in terms.iter().enumerate() {
            let mut slot = first_slot(term.as_bytes());
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = u16::try_from(id + 1).expect("fewer than 65,535 terms");
        }
        let mut bytes = (terms.len() as u32).to_le_bytes().to_vec();
        let mut offset = 0_u32;
        for term in terms.iter().chain([&""]) {
            bytes.extend(offset.to_le_bytes());
            offset += term.len() as u32;
        }
        bytes.extend(terms.iter().map(|term| u8::from(carries_meaning(term))));
        bytes.extend(slots.iter().flat_map(|slot| slot.to_le_bytes()));
        bytes.extend(terms.concat().as_bytes());
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        fs::write(out.join("vocabulary.bin"), bytes).expect("OUT_DIR can be written");
    }
}

#[cfg(feature = "embedded-runtime")]
mod runtime {
    use sha2::{Digest as _, Sha256};
    use std::env;
    use std::ffi::OsStr;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    const VERSION: &str = "1.31.1";
    /// zstd level: 29 MB become 8.9 MB in about 10 s, once per machine; 9 would leave 10.2 MB.
    const LEVEL: i32 = 19;

    /// Where one platform's library is found, and what it must hash to.
    struct Wheel {
        os: &'static str,
        arch: &'static str,
        /// pip's name of the platform.
        platform: &'static str,
        wheel_sha256: &'static str,
        /// File name of the library inside the wheel, below `onnxruntime/capi`.
        library: &'static str,
        library_sha256: &'static str,
    }

    /// Of the cp311 wheels of [`VERSION`]. There is none for macOS on Intel.
    const WHEELS: [Wheel; 5] = [
        Wheel {
            os: "linux",
            arch: "x86_64",
            platform: "manylinux_2_28_x86_64",
            wheel_sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
            library: "libonnxruntime.so.1.31.1",
            library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
        },
        Wheel {
            os: "linux",
            arch: "aarch64",
            platform: "manylinux_2_28_aarch64",
            wheel_sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
            library: "libonnxruntime.so.1.31.1",
            library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
        },
        Wheel {
            os: "macos",
            arch: "aarch64",
            platform: "macosx_14_0_arm64",
            wheel_sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
            library: "libonnxruntime.1.31.1.dylib",
            library_sha256: "f8b06155feece624e55e49124340eea279da812529ae6fbc46a9f2be9c9cad2e",
        },
        Wheel {
            os: "windows",
            arch: "x86_64",
            platform: "win_amd64",
            wheel_sha256: "c3d91b5de31e2fc82d71bd65b2b22bddee8b49057a3a36338e9a868e0ea90c05",
            library: "onnxruntime.dll",
            library_sha256: "8482d2ee174e28504f99730fb01d6861575870283de4ed3a897ad39170d9a9b9",
        },
        Wheel {
            os: "windows",
            arch: "aarch64",
            platform: "win_arm64",
            wheel_sha256: "93800007a7023b3ab26ad72e6463d0d57d84ead49a2f6341954d91438e046bc0",
            library: "onnxruntime.dll",
            library_sha256: "f4f7729bf4aa0c78b6ab5253747f3593bb9a28b4c4275a0a9f59f04ea580d61f",
        },
    ];

    /// Takes one member out of a wheel, which is a zip file: archive, member, destination.
    const UNZIP: &str = "import sys, zipfile; open(sys.argv[3], 'wb').write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";

    /// Writes `ort.zst` and `ort_embedded.rs` into `OUT_DIR`.
    pub fn embed() {
        println!("cargo::rerun-if-env-changed=HELIX_ORT_LIB");
        println!("cargo::rerun-if-env-changed=ORT_DYLIB_PATH");
        let library = library();
        let sha256 = hex(&Sha256::digest(&library));
        let compressed = compressed(&library, &sha256);
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        write(&out.join("ort.zst"), &compressed);
        let generated = format!(
            "const EMBEDDED: Embedded = Embedded {{\n    \
             file_name: {:?},\n    length: {},\n    \
             blake3: {:?},\n    \
             compressed: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/ort.zst\")),\n}};\n",
            file_name(&sha256),
            library.len(),
            blake3::hash(&library).to_hex().as_str(),
        );
        write(&out.join("ort_embedded.rs"), generated.as_bytes());
    }

    /// The name of the extracted copy: it differs whenever the library does.
    fn file_name(sha256: &str) -> String {
        let short = &sha256[..16];
        match target("OS").as_str() {
            "windows" => format!("onnxruntime-{VERSION}-{short}.dll"),
            "macos" => format!("libonnxruntime-{VERSION}-{short}.dylib"),
            _ => format!("libonnxruntime-{VERSION}-{short}.so"),
        }
    }

    /// The bytes of the library for the target platform, or a build failure that says what to do.
    fn library() -> Vec<u8> {
        for name in ["HELIX_ORT_LIB", "ORT_DYLIB_PATH"] {
            let Some(path) = env::var_os(name).filter(|path| !path.is_empty()) else {
                continue;
            };
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            return fs::read(&path).unwrap_or_else(|error| {
                give_up(&format!(
                    "{name} names {}: {error}",
                    Path::new(&path).display()
                ))
            });
        }
        let (os, arch) = (target("OS"), target("ARCH"));
        let Some(wheel) = WHEELS.iter().find(|w| w.os == os && w.arch == arch) else {
            give_up(&format!(
                "no onnxruntime {VERSION} wheel exists for {os}/{arch}"
            ));
        };
        let kept = cache_dir().join(format!("{}-{}", wheel.platform, wheel.library));
        if let Some(bytes) = read_if(&kept, wheel.library_sha256) {
            return bytes;
        }
        let bytes = fetch(wheel).unwrap_or_else(|error| give_up(&error));
        keep(&kept, &bytes);
        bytes
    }

    /// Downloads the wheel with the first Python that can, and unpacks the library.
    fn fetch(wheel: &Wheel) -> Result<Vec<u8>, String> {
        let dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("wheel");
        // What an interrupted earlier attempt left.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut failures = String::new();
        for python in [&["python3"][..], &["python"], &["py", "-3"]] {
            match download(python, wheel, &dir).and_then(|path| unpack(python, wheel, &path)) {
                Ok(bytes) => {
                    let _ = fs::remove_dir_all(&dir);
                    return Ok(bytes);
                }
                Err(error) => failures.push_str(&format!("\n  {}: {error}", python.join(" "))),
            }
        }
        Err(format!("fetching the onnxruntime wheel failed:{failures}"))
    }

    fn download(python: &[&str], wheel: &Wheel, dir: &Path) -> Result<PathBuf, String> {
        let requirement = format!("onnxruntime=={VERSION}");
        let mut command = Command::new(python[0]);
        command
            .args(&python[1..])
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--only-binary=:all:", "--implementation", "cp"])
            .args(["--python-version", "311", "--abi", "cp311"])
            .args(["--platform", wheel.platform])
            .arg("--dest")
            .arg(dir)
            .arg(requirement);
        succeed(&mut command)?;
        let path = fs::read_dir(dir)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.extension() == Some(OsStr::new("whl")))
            .ok_or("pip left no wheel")?;
        match read_if(&path, wheel.wheel_sha256) {
            Some(_) => Ok(path),
            None => Err(format!("{} is not the pinned wheel", path.display())),
        }
    }

    fn unpack(python: &[&str], wheel: &Wheel, path: &Path) -> Result<Vec<u8>, String> {
        let library = path.with_file_name(wheel.library);
        let mut command = Command::new(python[0]);
        command
            .args(&python[1..])
            .args(["-c", UNZIP])
            .arg(path)
            .arg(format!("onnxruntime/capi/{}", wheel.library))
            .arg(&library);
        succeed(&mut command)?;
        read_if(&library, wheel.library_sha256)
            .ok_or_else(|| format!("{} is not the pinned library", library.display()))
    }

    fn succeed(command: &mut Command) -> Result<(), String> {
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", output.status, stderr.trim()))
    }

    /// The library compressed, from the cache when an earlier build left it there.
    fn compressed(library: &[u8], sha256: &str) -> Vec<u8> {
        let kept = cache_dir().join(format!("{}-z{LEVEL}.zst", &sha256[..16]));
        if let Ok(bytes) = fs::read(&kept)
            && zstd::decode_all(&bytes[..]).is_ok_and(|plain| plain == library)
        {
            return bytes;
        }
        let bytes = zstd::encode_all(library, LEVEL).expect("compressing in memory");
        keep(&kept, &bytes);
        bytes
    }

    fn cache_dir() -> PathBuf {
        use etcetera::BaseStrategy as _;
        match etcetera::choose_base_strategy() {
            Ok(user) => user.cache_dir().join("helix-build").join("build"),
            Err(_) => PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")),
        }
    }

    /// Keeps a copy for the next build. Failing to is no reason to fail this one.
    fn keep(path: &Path, bytes: &[u8]) {
        let partial = path.with_extension(format!("part-{}", std::process::id()));
        let kept = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&partial, bytes))
            .and_then(|()| fs::rename(&partial, path));
        if kept.is_err() {
            let _ = fs::remove_file(&partial);
        }
    }

    fn read_if(path: &Path, sha256: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(path).ok()?;
        (hex(&Sha256::digest(&bytes)) == sha256).then_some(bytes)
    }

    fn write(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes)
            .unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
    }

    fn target(what: &str) -> String {
        env::var(format!("CARGO_CFG_TARGET_{what}")).expect("cargo describes the target")
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn give_up(reason: &str) -> ! {
        panic!(
            "the ONNX Runtime library to embed is not at hand: {reason}\n\
             Any one of these helps:\n\
             1. point HELIX_ORT_LIB at an ONNX Runtime {VERSION} library for {}/{};\n\
             2. make `python3 -m pip download onnxruntime=={VERSION}` work on this machine;\n\
             3. build with --no-default-features and name the library at run time with --ort-lib.",
            target("OS"),
            target("ARCH"),
        );
    }
}
