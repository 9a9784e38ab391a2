#!/usr/bin/env bash
# Draws the pictures of the guide anew, in both languages, from the labs that they come from:
#
#     cargo build --release && tools/guide_pictures.sh target/release/zerokara
#
# A picture LAB-N.svg is the Nth of that lab. Those that no chapter refers to any more are removed.
set -euo pipefail
program=$(realpath "$1")
guide=$(realpath "$(dirname "$0")/../docs/guide")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for language in en ja; do
    images=$guide/$language/src/images
    used=$(cat "$guide/$language"/src/*.md | grep -oE 'images/[a-z0-9-]+\.svg' | sed 's#images/##' | sort -u)
    for lab in $(sed -E 's/-[0-9]+\.svg$//' <<< "$used" | sort -u); do
        "$program" lab "$lab" --language "$language" --out "$work/labs" --pictures "$work/$language" > "$work/said" ||
            { cat "$work/said"; exit 1; }
    done
    rm -rf "$images"
    mkdir -p "$images"
    for picture in $used; do cp "$work/$language/$picture" "$images/"; done
done
