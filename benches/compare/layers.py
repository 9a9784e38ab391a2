#!/usr/bin/env python3
"""Measures recurrent networks, attention, a small GPT, depthwise and transposed convolutions, Zerokara and PyTorch in turn, and prints how many times as
fast.

    python3 -m venv .venv && .venv/bin/pip install -r benches/compare/requirements.txt
    .venv/bin/python benches/compare/layers.py
    .venv/bin/python benches/compare/layers.py --only "lstm 1 512" --rounds 5

A figure is the median of the rounds, a round the median of the runs within --seconds. Of convolutions each has images as planes and with
channels innermost, and the faster counts. Of the GPT, PyTorch also runs compiled
(`--compile`), which takes a minute to begin with.
"""

import argparse
import math
import os
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def cases():
    for kind in ["lstm", "gru"]:
        for layers in [1, 2]:
            for width in [128, 512]:
                for length in [32, 256]:
                    for batch in [1, 32]:
                        for mode in ["infer", "train"]:
                            yield f"{kind} {layers} {width} {length} {batch} {mode}"
    for heads, width in [(4, 128), (8, 512)]:
        for length in [64, 256, 512, 2048]:
            for sees in ["full", "causal"]:
                for mode in ["infer", "train"]:
                    yield f"attention {heads} {width} {length} {sees} {mode}"
    yield "gpt train"
    for sizes in ["32 112 3 1", "64 112 3 2", "128 56 3 1", "256 28 3 1", "512 14 3 1", "512 14 3 2", "1024 7 3 1", "240 14 5 1"]:
        for batch in [1, 8]:
            for mode in ["infer", "train"]:
                yield f"depthwise {sizes} {batch} {mode}"
    for sizes in ["64 32 28 2 2", "256 128 14 2 2", "128 64 16 4 2", "512 256 4 4 2", "64 64 28 3 2", "16 3 64 4 2"]:
        for batch in [1, 8]:
            for mode in ["infer", "train"]:
                yield f"transposed {sizes} {batch} {mode}"


def recurrent(kind, layers, width, length, batch, mode):
    import torch

    layer = (torch.nn.LSTM if kind == "lstm" else torch.nn.GRU)(width, width, layers)
    x = torch.randn(length, batch, width)

    def infer():
        with torch.inference_mode():
            layer(x)

    def train():
        layer.zero_grad(set_to_none=True)
        layer(x)[0].sum().backward()

    layer.train(mode == "train")
    return train if mode == "train" else infer


def attention(heads, width, length, sees, mode):
    import torch
    import torch.nn.functional as F

    shape = (max(2048 // length, 1), length, heads, width // heads)
    q, k, v = [torch.randn(shape).requires_grad_() for _ in range(3)]

    def run():
        heads_first = [t.transpose(1, 2) for t in (q, k, v)]
        return F.scaled_dot_product_attention(*heads_first, is_causal=sees == "causal")

    def infer():
        with torch.inference_mode():
            run()

    def train():
        q.grad = k.grad = v.grad = None
        run().square().sum().backward()

    return train if mode == "train" else infer


def convolution(layer, shape, mode, channels_last):
    import torch

    form = torch.channels_last if channels_last else torch.contiguous_format
    layer = layer.to(memory_format=form)
    x = torch.randn(shape).to(memory_format=form).requires_grad_(mode == "train")

    def infer():
        with torch.inference_mode():
            layer(x)

    def train():
        x.grad = None
        layer.zero_grad(set_to_none=True)
        layer(x).square().sum().backward()

    return train if mode == "train" else infer


def depthwise(channels, size, kernel, stride, batch, mode, channels_last):
    import torch

    layer = torch.nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels)
    return convolution(layer, (batch, channels, size, size), mode, channels_last)


def transposed(inputs, outputs, size, kernel, stride, batch, mode, channels_last):
    import torch

    layer = torch.nn.ConvTranspose2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, kernel % 2)
    return convolution(layer, (batch, inputs, size, size), mode, channels_last)


def gpt(compiled):
    import torch
    import torch.nn.functional as F
    from torch import nn

    vocabulary, length, width, heads, batch = 65, 64, 128, 4, 12

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).split(width, 2)
            q, k, v = [t.view(batch, length, heads, -1).transpose(1, 2) for t in (q, k, v)]
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(y.transpose(1, 2).reshape(batch, length, width))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
            self.head.weight = self.tokens.weight
            for name, p in self.named_parameters():
                nn.init.normal_(p, std=0.02) if p.dim() == 2 else None

        def forward(self, x, t):
            y = self.blocks(self.tokens(x) + self.positions.weight)
            return F.cross_entropy(self.head(self.norm(y)).flatten(0, 1), t.flatten())

    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    loss = torch.compile(model) if compiled else model
    numbers = torch.arange(batch * length)
    x, t = [((numbers + i) * 31 % vocabulary).view(batch, length) for i in (0, 1)]

    def train():
        optimizer.zero_grad(set_to_none=True)
        value = loss(x, t)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        value.item()

    return train


def torch_runs(case, compiles):
    """What PyTorch has for a case; the fastest counts."""
    kind, *rest = case.split()
    if kind == "gpt":
        return [gpt(False)] + ([gpt(True)] if compiles else [])
    if kind == "attention":
        heads, width, length, sees, mode = rest
        return [attention(int(heads), int(width), int(length), sees, mode)]
    *sizes, mode = rest
    sizes = [int(size) for size in sizes]
    if kind in ("depthwise", "transposed"):
        layer = depthwise if kind == "depthwise" else transposed
        return [layer(*sizes, mode, channels_last) for channels_last in (False, True)]
    return [recurrent(kind, *sizes, mode)]


def own_cases(case):
    """The same for Zerokara: images come and go as planes, or with channels innermost."""
    kind, *rest = case.split()
    if kind not in ("depthwise", "transposed"):
        return [case]
    return [" ".join([kind, *rest[:-1], lies, rest[-1]]) for lies in ("planes", "channels")]


def measured(run, seconds):
    run()
    start, times = time.perf_counter(), []
    while len(times) < 3 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        times.append((time.perf_counter() - before) * 1e3)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="let PyTorch compile the GPT as well, and count the faster")
    parser.add_argument("--program", help="the example `layers`, built already [default: built from this tree]")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    if not args.program:
        build = ["cargo", "build", "--release", "-p", "zerokara-nn", "--example", "layers"]
        subprocess.run(build, cwd=ROOT, check=True)
        args.program = str(ROOT / "target/release/examples/layers")
    own = subprocess.Popen(
        [args.program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ZEROKARA_THREADS": str(args.threads)},
    )
    groups = {}
    print(f"{'case':36} {'Zerokara':>10} {'PyTorch':>10}  ms a run; times as fast")
    for case in filter(lambda case: args.only in case, cases()):
        ways = torch_runs(case, args.compile)
        ours, theirs = [], []
        for _ in range(args.rounds):
            times = []
            for own_case in own_cases(case):
                own.stdin.write(f"{own_case} {args.seconds}\n")
                own.stdin.flush()
                times.append(float(own.stdout.readline()))
            ours.append(times)
            theirs.append([measured(way, args.seconds) for way in ways])
        ours = min(statistics.median(way) for way in zip(*ours))
        theirs = min(statistics.median(way) for way in zip(*theirs))
        print(f"{case:36} {ours:10.3f} {theirs:10.3f}  {theirs / ours:.2f}", flush=True)
        words = case.split()
        groups.setdefault(f"{words[0]} {words[-1]}", []).append(theirs / ours)
    own.stdin.close()
    for name, ratios in groups.items():
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{name}: {mean:.2f} times as fast, the geometric mean of {len(ratios)}")


if __name__ == "__main__":
    main()
