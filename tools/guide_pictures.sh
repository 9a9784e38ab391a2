#!/usr/bin/env bash
# Draws the pictures of the guide anew, in both languages, from the labs and lessons that they come from:
#
#     cargo build --release && tools/guide_pictures.sh target/release/zerokara
#
# A picture LAB-N.svg is the Nth of that lab, lesson-NAME.svg that of the example NAME of the crate `zerokara`. Those that no
# chapter refers to any more are removed.
set -euo pipefail
program=$(realpath "$1")
project=$(realpath "$(dirname "$0")/..")
guide=$project/docs/guide
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" > "$work/said" || { cat "$work/said"; exit 1; }; }
mkdir "$work/lessons"
for language in en ja; do
    images=$guide/$language/src/images
    used=$(cat "$guide/$language"/src/*.md | grep -oE 'images/[a-z0-9-]+\.svg' | sed 's#images/##' | sort -u)
    for lab in $(grep -v '^lesson-' <<< "$used" | sed -E 's/-[0-9]+\.svg$//' | sort -u); do
        quietly "$program" lab "$lab" --language "$language" --out "$work/labs" --pictures "$work/$language"
    done
    for lesson in $(grep '^lesson-' <<< "$used" | sed -E 's/^lesson-(.*)\.svg$/\1/'); do
        # An example draws in both languages at once.
        if [ ! -e "$work/lessons/$lesson.$language.svg" ]; then
            quietly cargo run --quiet --release --manifest-path "$project/Cargo.toml" -p zerokara --features figures \
                --example "${lesson//-/_}" -- "$work/lessons"
        fi
        cp "$work/lessons/$lesson.$language.svg" "$work/$language/lesson-$lesson.svg"
    done
    rm -rf "$images"
    mkdir -p "$images"
    for picture in $used; do cp "$work/$language/$picture" "$images/"; done
done
