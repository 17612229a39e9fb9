//! The `helix-build` program. It is the library's [`program`](helix_build::program) with another allocator.

/// Faster than the system's allocator for many small strings, which take most of the time outside the encoders.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    helix_build::program()
}
