//! The `helix-build` program. It is the library's [`program`](helix_build::program) with another allocator.

/// Most of the time outside the encoders goes into many small strings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    helix_build::program()
}
