#!/usr/bin/env bash
# Makes the pictures of the README, docs/images/train.svg and report.png, from a training run on a quiet machine:
#
#     cargo build --release && tools/pictures.sh target/release/zerokara
#
# Needs tmux, Python and Chromium.
set -euo pipefail
program=$(realpath "$1")
tools=$(realpath "$(dirname "$0")")
images=$tools/../docs/images
columns=97 # the first line breaks between words
work=$(mktemp -d)
trap 'tmux -L "zk-$$" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
ln -s "$program" zerokara

tmux -L "zk-$$" -f /dev/null new-session -d -x $columns -y 30 "PS1='$ ' PATH=$work:\$PATH bash --norc --noprofile"
sleep 1
tmux -L "zk-$$" send-keys "zerokara train" Enter
until grep -q "test accuracy" screen.txt 2>/dev/null; do
    sleep 0.5
    tmux -L "zk-$$" capture-pane -e -p > screen.txt
    # The picture shows the last epoch, about two thirds through.
    if grep -qE "epoch ([0-9]+)/\1 .* (3[5-9]|4)[0-9]+/600 " screen.txt; then cp screen.txt shown.txt; fi
done
python3 "$tools/terminal_svg.py" shown.txt "$images/train.svg" --columns $columns --title zerokara
grep "test accuracy" screen.txt

chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync \
    --hide-scrollbars --user-data-dir="$work/chromium" --window-size=1200,1600 \
    --screenshot="$images/report.png" "file://$(realpath runs/latest/report.html)" 2>/dev/null
