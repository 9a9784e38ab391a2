#!/usr/bin/env bash
# Builds the whole site into a folder that any static host can serve, and checks its links:
#
#     tools/site.sh [OUT] [--quick] [--program PATH]
#
# OUT is target/site unless given. --quick runs the labs on reduced work. --program is a built `zerokara`; without it the release
# build is made. The program mdbook is installed into target/tools if it is not there, which takes some minutes once.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/site
program=
quick=()
while (($#)); do
    case $1 in
    --quick) quick=(--quick) ;;
    --program) program=$2; shift ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) out=$1 ;;
    esac
    shift
done
mdbook=target/tools/bin/mdbook
version=0.4.52
if [[ "$("$mdbook" --version 2>/dev/null || true)" != "mdbook v$version" ]]; then
    # The books are small: a quick build of the program saves more than a quick program.
    cargo install mdbook --version $version --locked --debug --no-default-features --features search --root target/tools
fi
if [[ -z $program ]]; then
    cargo build --release --locked -p zerokara-cli
    program=target/release/zerokara
fi
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
cp docs/site/* "$out/"
for language in en ja; do
    "$mdbook" build "docs/guide/$language" --dest-dir "$out/$language"
    rm -f "$out/$language/404.html" # its links hold only at the root of a host
done
"$program" lab --all "${quick[@]}" --out "$out/labs" > "$out/labs.txt" 2>&1 || { tail -n 20 "$out/labs.txt"; exit 1; }
rm -rf "$out/labs.txt" "$out/labs/networks"
# Of the whole workspace, so that what the tests have built is used as it is.
cargo build --quiet --locked --workspace --example site
"${CARGO_TARGET_DIR:-target}/debug/examples/site" "$out"
