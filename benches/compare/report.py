"""Tables and charts of results.json: what README.md and docs/performance.md show between their markers."""

import math
import re
from html import escape
from pathlib import Path

# Name in tables and charts; processes whose better figure stands for it; colour of the palette of all figures.
FRAMEWORKS = [
    ("Zerokara", ["zerokara"], "c1"),
    ("PyTorch", ["torch", "torch-channels-last"], "c0"),
    ("PyTorch, compiled", ["torch-compile"], "c4"),
    ("JAX", ["jax"], "c2"),
    ("Burn", ["burn"], "c3"),
    ("Candle", ["candle"], "c5"),
    ("ONNX Runtime", ["onnxruntime"], "soft"),
]
PALETTE = Path(__file__).resolve().parents[2] / "crates" / "zerokara-figures" / "src" / "style"
TITLES = {
    "two-layer-net": "TwoLayerNet",
    "multi-layer-net": "MultiLayerNet",
    "simple-convnet": "SimpleConvNet",
    "deep-convnet": "DeepConvNet",
    "resnet20": "ResNet-20",
    "lenet5": "LeNet-5",
}


def best(row, processes):
    """The fastest of these processes in the row, or None."""
    found = [row["peers"][p] for p in processes if p in row["peers"]]
    return max(found, key=lambda peer: peer["images_per_second"], default=None)


def rate(value):
    """Three significant digits with thousands marked."""
    digits = 3 - len(str(int(value)))
    return f"{round(value, max(digits, 0)) if digits > 0 else round(value, digits):,.{max(digits, 0)}f}"


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def label(row):
    size = "" if row["mode"] == "infer1" or row["batch"] == 100 else f", batch {row['batch']}"
    return TITLES[row["net"]] + size


def table(results, modes, suffix):
    """Images per second of the rows in these modes, and our ratio to the fastest peer."""
    chosen = [row for row in results["rows"] if row["mode"] in modes and "zerokara" in row["peers"]]
    shown = [f for f in FRAMEWORKS if any(best(row, f[1]) for row in chosen)]
    lines = []
    for row in chosen:
        found = [best(row, f[1]) for f in shown]
        rates = [f["images_per_second"] if f else None for f in found]
        others = [r for r in rates[1:] if r]
        cells = ["" if r is None else f"**{rate(r)}**" if r == max(filter(None, rates)) else rate(r) for r in rates]
        ratio = f"{rates[0] / max(others):.1f}" if others else ""
        lines.append([label(row), *cells, ratio])
    return markdown([suffix, *[f[0] for f in shown], "ratio"], lines)


def described(results):
    """What was measured, where and with which versions, in two sentences."""
    versions = {}
    for row in results["rows"]:
        for peer, found in row["peers"].items():
            versions[peer] = found["version"].split("+")[0]
    named = [("PyTorch", "torch"), ("JAX", "jax"), ("Burn", "burn"), ("Candle", "candle"), ("ONNX Runtime", "onnxruntime")]
    listed = ", ".join(f"{name} {versions[key]}" for name, key in named if key in versions)
    threads = sorted({row["threads"] for row in results["rows"]})
    rounds = [len(found["rounds"]) for row in results["rows"] for found in row["peers"].values()]
    # Too few rounds cannot tell a change from what else the machine did: the table says so itself.
    least, most = min(rounds, default=0), max(rounds, default=0)
    counted = str(least) if least == most else f"{least} to {most}"
    few = (
        f" Rounds on a shared machine: {counted}; another can move a row by a third, and its ratio with it."
        if least < 3
        else ""
    )
    return (
        f"Images per second on {results['machine']}, with {' or '.join(map(str, threads))} threads, in f32, medians; "
        f"`ratio` is Zerokara to the fastest of the others.{few} {listed}."
    )


def speed(results):
    """The tables of the README."""
    parts = []
    for modes, title in [
        (["train"], "training, batch 100"),
        (["infer"], "inference, batch 100"),
        (["infer1"], "inference, one image"),
    ]:
        if any(row["mode"] in modes for row in results["rows"]):
            parts.append(table(results, modes, title))
    return "\n\n".join([*parts, described(results)])


def memory(results):
    """Peak resident memory of whole processes while training."""
    chosen = [row for row in results["rows"] if row["mode"] == "train"]
    lines = []
    for row in chosen:
        cells = []
        for _, processes, _ in FRAMEWORKS[:-1]:
            found = [row["peers"][p]["peak_rss_bytes"] for p in processes if p in row["peers"]]
            found = [bytes for bytes in found if bytes]
            cells.append(f"{min(found) / 1e6:,.0f}" if found else "")
        lines.append([label(row), *cells])
    return markdown(["training, peak memory in MB", *[f[0] for f in FRAMEWORKS[:-1]]], lines)


def growth(results):
    """How cost grows with batch and depth."""
    found = results.get("scaling", [])
    batches = [r for r in found if r["axis"] == "batch"]
    depths = [r for r in found if r["axis"] == "depth"]
    parts = []
    for records, axis in [(batches, "batch"), (depths, "depth")]:
        if not records:
            continue
        models = list(dict.fromkeys(r["model"] for r in records))
        values = sorted({r[axis] for r in records})
        at = {(r["model"], r[axis]): r for r in records}
        lines = []
        for value in values:
            cells = [rate(at[m, value]["images_per_second"]) if (m, value) in at else "" for m in models]
            lines.append([str(value), *cells])
        parts.append(markdown([f"{axis}, images/s", *[TITLES.get(m, m) for m in models]], lines))
    return "\n\n".join(parts)


STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--ink); }
  .small { font-size: 11.5px; fill: var(--soft); }
  .title { font-size: 15px; font-weight: 600; }
  .ground { fill: var(--paper); }
  .grid { stroke: var(--rule); stroke-width: 1; }
  .axis { stroke: var(--faint); stroke-width: 1; }
  .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
"""


class Picture:
    """An SVG that is written front to back."""

    def __init__(self, width, height, label):
        light, dark = ((PALETTE / f"{theme}.css").read_text() for theme in ("light", "dark"))
        style = f":root {{\n{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{\n{dark}}} }}{STYLE}"
        for i, (_, _, color) in enumerate(FRAMEWORKS):
            style += f"  .f{i} {{ fill: var(--{color}); }} .s{i} {{ stroke: var(--{color}); }}\n"
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' role="img" aria-label="{escape(label)}">',
            f"<style>{style}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="6"/>',
        ]

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def rect(self, x, y, width, height, kind):
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" class="{kind}" rx="1.5"/>'
        )

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def path(self, points, kind):
        self.parts.append(
            f'<path class="line {kind}" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'
        )

    def done(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def bars(results):
    """Each framework's speed as a share of the fastest in its row: training on the left, inference on the right."""
    panels = [("Training", "train"), ("Inference", "infer")]
    shown = {
        mode: [f for f in FRAMEWORKS if any(best(r, f[1]) for r in results["rows"] if r["mode"] == mode)]
        for _, mode in panels
    }
    nets = [n for n in TITLES if any(r["net"] == n for r in results["rows"])]
    bar, gap, top, left, width, between = 13, 16, 92, 118, 330, 84
    count = max(len(frameworks) for frameworks in shown.values())
    block = count * bar + gap
    height = top + len(nets) * block + 46
    total = left + 2 * width + between + 84
    picture = Picture(total, height, "Speed of Zerokara and other frameworks, training and inference")
    picture.text(16, 28, "Speed, as a share of the fastest in each group", "title")
    x = 16
    for i, (name, _, _) in enumerate(FRAMEWORKS):
        picture.rect(x, 42, 11, 11, f"f{i}")
        picture.text(x + 16, 52, name)
        x += 16 + 8.2 * len(name) + 16
    for p, (title, mode) in enumerate(panels):
        x0 = left + p * (width + between)
        bottom = top + len(nets) * block
        picture.text(x0, top - 12, f"{title}, images/s")
        for share in (0, 0.25, 0.5, 0.75, 1):
            picture.line(x0 + share * width, top, x0 + share * width, bottom, "axis" if share == 0 else "grid")
            picture.text(x0 + share * width, bottom + 18, f"{share * 100:.0f} %", "small", "middle")
        for n, net in enumerate(nets):
            y = top + n * block + gap / 2
            if p == 0:
                picture.text(left - 10, y + count * bar / 2 + 4, TITLES[net], "", "end")
            row = next((r for r in results["rows"] if r["net"] == net and r["mode"] == mode), None)
            if row is None:
                continue
            rates = [(FRAMEWORKS.index(f), best(row, f[1])) for f in shown[mode]]
            rates = [(i, found["images_per_second"]) for i, found in rates if found]
            fastest = max(r for _, r in rates)
            for k, (i, value) in enumerate(rates):
                length = max(value / fastest * width, 1)
                picture.rect(x0, y + k * bar, length, bar - 2, f"f{i}")
                picture.text(x0 + length + 5, y + k * bar + bar - 3.5, rate(value), "small")
    picture.text(16, height - 10, results["machine"] + ", two threads, batches of 100 (ResNet-20: 128), f32", "small")
    return picture.done()


def curves(results):
    """Images per second over the batch, and time of an image over the depth, both axes logarithmic."""
    found = results.get("scaling", [])
    panels = [
        ("Training, images/s over the size of the batch", "batch", lambda r: r["images_per_second"]),
        ("Training, microseconds per image over the number of layers", "depth", lambda r: 1e6 / r["images_per_second"]),
    ]
    left, top, width, height, between = 74, 64, 430, 320, 160
    picture = Picture(left + 2 * width + between + 110, top + height + 48, "How cost grows with batch and depth")
    picture.text(16, 26, "How cost grows: straight lines have no cliffs", "title")
    for p, (title, axis, of) in enumerate(panels):
        records = [r for r in found if r["axis"] == axis]
        if not records:
            continue
        models = list(dict.fromkeys(r["model"] for r in records))
        x0, y0 = left + p * (width + between + 10), top
        xs, ys = [r[axis] for r in records], [of(r) for r in records]
        spans = [(math.log10(min(v)), math.log10(max(v))) for v in (xs, ys)]
        spans[1] = (spans[1][0] - 0.1, spans[1][1] + 0.1)

        def place(x, y):
            share = [(math.log10(v) - a) / ((b - a) or 1) for v, (a, b) in zip((x, y), spans)]
            return x0 + share[0] * width, y0 + height - share[1] * height

        picture.text(x0, y0 - 14, title)
        for value in sorted(set(xs)):
            x, _ = place(value, ys[0])
            picture.line(x, y0, x, y0 + height, "grid")
            picture.text(x, y0 + height + 18, str(value), "small", "middle")
        for exponent in range(math.ceil(spans[1][0]), math.floor(spans[1][1]) + 1):
            _, y = place(xs[0], 10**exponent)
            picture.line(x0, y, x0 + width, y, "grid")
            picture.text(x0 - 8, y + 4, f"{10**exponent:,g}", "small", "end")
        picture.line(x0, y0 + height, x0 + width, y0 + height, "axis")
        picture.line(x0, y0, x0, y0 + height, "axis")
        ends = []
        for i, model in enumerate(models):
            points = [place(r[axis], of(r)) for r in records if r["model"] == model]
            picture.path(points, f"s{i}")
            for x, y in points:
                picture.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" class="f{i}"/>')
            ends.append([points[-1][1], i, model])
        # Names at the ends of the lines, pushed apart.
        ends.sort()
        for before, after in zip(ends, ends[1:]):
            after[0] = max(after[0], before[0] + 16)
        for y, i, model in ends:
            picture.text(x0 + width + 10, y + 4, TITLES.get(model, model))
    return picture.done()


def between(text, name, content):
    """The text with what stands between the markers of this name replaced."""
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.S)
    return pattern.sub(lambda m: m[1] + content + "\n" + m[2], text)


def write(results, root):
    """Writes the tables and charts where they are shown."""
    tables = {"speed": speed(results), "memory": memory(results), "growth": growth(results)}
    for name in ("README.md", "README.ja.md", "docs/performance.md"):
        file = root / name
        text = old = file.read_text()
        for marker, content in tables.items():
            text = between(text, marker, content)
        if text != old:
            file.write_text(text)
    images = root / "docs" / "images"
    if results["rows"]:
        (images / "speed.svg").write_text(bars(results))
    if results.get("scaling"):
        (images / "scaling.svg").write_text(curves(results))
