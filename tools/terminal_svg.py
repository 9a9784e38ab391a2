#!/usr/bin/env python3
"""Draws a captured terminal screen as an SVG picture.

    tmux capture-pane -e -p > screen.txt
    tools/terminal_svg.py screen.txt picture.svg --columns 104 --title "zerokara train"

`tools/pictures.sh` does this for the README. Knows the escape codes for colours (16, 256 and true colours), bold,
faint, italics, underlining and reverse. Lines of the progress bar are drawn as shapes, so that the bar has no gaps in
whichever font the reader has.
"""

import argparse
import html
import re

CELL, LINE, SIZE, MARGIN, BAR = 8.4, 20, 14, 20, 34
BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
COLOURS = ["#2b2f37", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf"]
BRIGHT = ["#5c6370", "#ff7b86", "#b5e890", "#ffd68a", "#7cc4ff", "#dd8ff0", "#6fd3df", "#ffffff"]
# Heavy horizontal lines, by the halves of the column that they cover.
RULES = {"━": (0, 1), "╸": (0, 0.5), "╺": (0.5, 1)}


def palette(n):
    if n < 16:
        return (COLOURS + BRIGHT)[n]
    if n >= 232:
        return "#" + f"{8 + 10 * (n - 232):02x}" * 3
    levels = [0, 95, 135, 175, 215, 255]
    n -= 16
    return "#%02x%02x%02x" % tuple(levels[n // k % 6] for k in (36, 6, 1))


def restyle(style, codes):
    """The style after the codes of one `ESC [ .. m`."""
    codes = [int(code or 0) for code in re.split("[;:]", codes)]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (38, 48) and codes:
            colour = palette(codes[1]) if codes[0] == 5 else "#%02x%02x%02x" % tuple(codes[1:4])
            style = style | {"fill" if code == 38 else "back": colour}
            codes = codes[2 if codes[0] == 5 else 4 :]
        elif code in (1, 2, 3, 4, 7):
            style = style | {code: True}
        elif code in (22, 23, 24, 27):
            style = {key: value for key, value in style.items() if key not in ((1, 2) if code == 22 else (code - 20,))}
        elif code in (39, 49):
            style = {key: value for key, value in style.items() if key != ("fill" if code == 39 else "back")}
        else:
            for first, key, colours in ((30, "fill", COLOURS), (40, "back", COLOURS), (90, "fill", BRIGHT), (100, "back", BRIGHT)):
                if first <= code < first + 8:
                    style = style | {key: colours[code - first]}
    return style


def runs(line, style):
    """Pieces of one style, and the style in which the next line begins."""
    found = []
    for at, piece in enumerate(re.split(r"\x1b\[([0-9;:]*)m", line)):
        if at % 2:
            style = restyle(style, piece)
        else:
            piece = re.sub(r"\x1b(\[[0-9;?]*[A-Za-ln-z]|[()][A-Z0-9]|[=>])|[\x00-\x1f]", "", piece)
            if piece:
                found.append((piece, style))
    return found, style


def draw(text, style, x, y, out):
    fill, back = style.get("fill", FOREGROUND), style.get("back")
    if style.get(7):
        fill, back = back or BACKGROUND, fill
    if back:
        out.append(f'<rect x="{x:g}" y="{y:g}" width="{len(text) * CELL:g}" height="{LINE}" fill="{back}"/>')
    look = f' fill="{fill}"' if fill != FOREGROUND else ""
    look += ' font-weight="bold"' if style.get(1) else ""
    look += ' opacity="0.6"' if style.get(2) else ""
    look += ' font-style="italic"' if style.get(3) else ""
    look += ' text-decoration="underline"' if style.get(4) else ""
    # Words are placed one by one, so that columns stay columns in fonts of another width.
    for match in re.finditer(r"[━╸╺]+|[^\s━╸╺]+(?: [^\s━╸╺]+)*", text):
        word, left = match.group(), x + match.start() * CELL
        if word[0] in RULES:
            start, end = RULES[word[0]][0], len(word) - 1 + RULES[word[-1]][1]
            out.append(
                f'<rect x="{left + start * CELL:g}" y="{y + LINE / 2 - 2:g}" width="{(end - start) * CELL:g}" height="4" rx="1" fill="{fill}"/>'
            )
        else:
            width = f' textLength="{len(word) * CELL:g}" lengthAdjust="spacingAndGlyphs"'
            out.append(f'<text x="{left:g}" y="{y + LINE * 0.72:g}"{width}{look}>{html.escape(word)}</text>')


def picture(screen, columns, title):
    lines = screen.rstrip().split("\n")
    width, height = 2 * MARGIN + columns * CELL, BAR + len(lines) * LINE + MARGIN
    name = html.escape(title)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{name}">',
        f'<rect width="{width:g}" height="{height:g}" rx="9" fill="{BACKGROUND}"/>',
    ]
    out += [f'<circle cx="{MARGIN + 18 * i:g}" cy="19" r="5.5" fill="{c}"/>' for i, c in enumerate(["#ff5f57", "#febc2e", "#28c840"])]
    out.append(f"<g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace\" font-size=\"{SIZE}\" fill=\"{FOREGROUND}\">")
    if title:
        out.append(f'<text x="{width / 2:g}" y="23.5" text-anchor="middle" font-size="12" opacity="0.55">{name}</text>')
    style = {}
    for row, line in enumerate(lines):
        x = MARGIN
        found, style = runs(line, style)
        for text, look in found:
            draw(text, look, x, BAR + row * LINE, out)
            x += len(text) * CELL
    return "\n".join(out + ["</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("screen", help="the capture, with escape codes")
    parser.add_argument("picture", help="the SVG file to write")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--title", default="")
    options = parser.parse_args()
    with open(options.screen, encoding="utf-8") as file:
        svg = picture(file.read(), options.columns, options.title)
    with open(options.picture, "w", encoding="utf-8") as file:
        file.write(svg)


if __name__ == "__main__":
    main()
