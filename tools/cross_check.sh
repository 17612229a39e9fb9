#!/usr/bin/env bash
# On Linux, checks the code for systems that are not at hand:
#
#     tools/cross_check.sh macos      lints for aarch64-apple-darwin; nothing is linked or run
#     tools/cross_check.sh windows    lints for x86_64-pc-windows-gnu, then runs the tests under Wine
#     tools/cross_check.sh arm        lints for aarch64-unknown-linux-gnu, then runs unit tests under QEMU
#
# Needs the target (rustup target add ...); for Windows also gcc-mingw-w64-x86-64, g++-mingw-w64-x86-64 and wine64,
# for ARM gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu and qemu-user. Builds into target/cross; Wine's folder lies there too.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=$PWD/target/cross

lint() {
    cargo clippy --target "$1" --all-targets --locked -- -D warnings
}

macos() {
    # Apple's headers are not to be had; lints take no object files, so empty ones do.
    local bin=$CARGO_TARGET_DIR/no-cc
    mkdir -p "$bin"
    cat >"$bin/cc" <<'SCRIPT'
#!/usr/bin/env bash
while [ $# -gt 1 ]; do
    if [ "$1" = -o ]; then : >"$2"; fi
    shift
done
SCRIPT
    cat >"$bin/ar" <<'SCRIPT'
#!/usr/bin/env bash
for name in "$@"; do
    case $name in *.a) : >"$name" ;; esac
done
SCRIPT
    chmod +x "$bin/cc" "$bin/ar"
    CC_aarch64_apple_darwin=$bin/cc CXX_aarch64_apple_darwin=$bin/cc AR_aarch64_apple_darwin=$bin/ar \
        lint aarch64-apple-darwin
}

windows() {
    local target=x86_64-pc-windows-gnu
    lint $target
    cargo test --target $target --locked --no-run
    export WINEPREFIX=$CARGO_TARGET_DIR/wine WINEDEBUG=-all
    wineboot --init >/dev/null 2>&1
    # Wine 8 lacks the library of which Rust's standard library takes random bytes.
    local library=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
    if [ ! -e "$library" ]; then
        x86_64-w64-mingw32-gcc -shared -o "$library" -x c - -ladvapi32 <<'CODE'
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    while (count > 0) {
        ULONG some = count > 65536 ? 65536 : (ULONG)count;
        if (!RtlGenRandom(bytes, some)) return FALSE;
        bytes += some;
        count -= some;
    }
    return TRUE;
}
CODE
    fi
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine cargo test --target $target --locked
}

arm() {
    local target=aarch64-unknown-linux-gnu
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    lint $target
    # Under user emulation /proc describes the real processor, on which the runtime's look at it ends the process.
    cargo test --target $target --locked --lib -- --skip encode:: --skip worker::
}

case ${1-} in
macos | windows | arm) "$1" ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
