#!/usr/bin/env bash
# Fuzzes each target for so many seconds, and prints what came of it.
#
#     tools/fuzz.sh [SECONDS] [TARGET...]
#
# 600 seconds and all targets of tests/fuzz unless told otherwise. Needs a nightly compiler and cargo-fuzz
# (`cargo install cargo-fuzz --locked`). With clang, the grammars' C code is watched as well.
# Everything lies in target/fuzz: the corpora, which later runs continue, and the findings. A finding is
# made small by `cargo +nightly fuzz tmin` and kept in tests/regressions/TARGET, where `cargo test` replays it.
#
# Exit: 0 nothing found, 1 something found.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(chunker tagger profile frames paths)
work=$PWD/target/fuzz
common=(--fuzz-dir tests/fuzz --target-dir "$work")

# The largest input in bytes: what a target needs to come to all of its parts.
length() {
    case $1 in
        chunker) echo 65536 ;;
        tagger) echo 16384 ;;
        *) echo 4096 ;;
    esac
}

# Beginnings of the repository's own files, each in the form that the target reads.
seed() {
    local target=$1 corpus=$2 file n=0 extension bytes
    mkdir -p "$corpus"
    for file in tests/regressions/"$target"/*; do
        [ ! -f "$file" ] || cp "$file" "$corpus/"
    done
    for file in Cargo.toml profiles/*.toml .ci/run .github/workflows/ci.yml docs/cli.md tools/mount_check.py \
        src/chunk/*.rs src/tag/lexer.rs tests/fuzz/checks/*.rs docs/architecture.md build.rs src/encode/tests/mod.rs; do
        n=$((n + 1))
        case $target in
            chunker)
                # As if it were of each language in turn: 21 extensions, cut at 65 characters. Long ones are
                # taken whole, for larger texts are parsed in parts.
                bytes=$(wc -c < "$file")
                [ "$bytes" -gt 20000 ] || bytes=800
                for extension in $(seq 0 20); do
                    { printf "\\x$(printf %02x "$extension")\\x08"; head -c "$bytes" "$file"; } \
                        > "$corpus/seed-$n-$extension"
                done
                ;;
            tagger) { echo "$file"; head -c 3000 "$file"; } > "$corpus/seed-$n" ;;
            profile) head -c 3000 "$file" > "$corpus/seed-$n" ;;
            paths) { printf '%s\0' "$file"; cat .gitignore; } > "$corpus/seed-$n" ;;
            frames) head -c 200 "$file" > "$corpus/seed-$n" ;;
        esac
    done
}

# The grammars are instrumented too: a compiler that does so, in place of cc.
if command -v clang > /dev/null; then
    mkdir -p "$work"
    cat > "$work/cc" << 'SCRIPT'
#!/bin/sh
case "$CARGO_PKG_NAME" in
    tree-sitter*) exec clang -fsanitize=address,fuzzer-no-link "$@" ;;
    *) exec cc "$@" ;;
esac
SCRIPT
    chmod +x "$work/cc"
    export CC="$work/cc"
fi

cargo +nightly fuzz build "${common[@]}"
program() { echo "$work/$(rustc -vV | sed -n 's/^host: //p')/release/$1"; }

table=$(printf '%-8s %12s %8s %8s %8s  %s' target executions cov ft corpus findings)
found=0
for target in "${targets[@]}"; do
    corpus=$work/corpus/$target
    findings=$work/artifacts/$target/
    log=$work/$target.log
    mkdir -p "$findings"
    seed "$target" "$corpus"
    options=(-max_total_time="$seconds" -max_len="$(length "$target")" -timeout=25 -rss_limit_mb=4096
        -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix="$findings")
    [ ! -f "tests/fuzz/$target.dict" ] || options+=(-dict="tests/fuzz/$target.dict")
    verdict=none
    if ! "$(program "$target")" "${options[@]}" "$corpus" > "$log" 2>&1; then
        found=1
        verdict=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        verdict="${verdict:-see $log}"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    # None where the first input ended it.
    last=$(grep -E '^#[0-9]+.* cov: ' "$log" | tail -n 1 || true)
    field() { sed -n "s/.* $1: \([0-9]*\).*/\1/p" <<< "$last"; }
    table+=$'\n'$(printf '%-8s %12s %8s %8s %8s  %s' \
        "$target" "${executions:-?}" "$(field cov)" "$(field ft)" "$(field corp)" "$verdict")
done
printf '%s\n' "$table"
exit "$found"
