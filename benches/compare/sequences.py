#!/usr/bin/env python3
"""Measures recurrent networks, attention and a small GPT, Zerokara and PyTorch in turn, and prints how many times as fast.

    python3 -m venv .venv && .venv/bin/pip install -r benches/compare/requirements.txt
    .venv/bin/python benches/compare/sequences.py
    .venv/bin/python benches/compare/sequences.py --only "lstm 1 512" --rounds 5

A figure is the median of the rounds, a round the median of the runs within --seconds. Of the GPT, PyTorch also runs compiled
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


def torch_run(case, compiled=False):
    kind, *rest = case.split()
    if kind == "gpt":
        return gpt(compiled)
    if kind == "attention":
        heads, width, length, sees, mode = rest
        return attention(int(heads), int(width), int(length), sees, mode)
    *sizes, mode = rest
    return recurrent(kind, *map(int, sizes), mode)


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
    parser.add_argument("--program", help="the example `sequences`, built already [default: built from this tree]")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    if not args.program:
        build = ["cargo", "build", "--release", "-p", "zerokara-nn", "--example", "sequences"]
        subprocess.run(build, cwd=ROOT, check=True)
        args.program = str(ROOT / "target/release/examples/sequences")
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
        ways = [torch_run(case)]
        if case.startswith("gpt") and args.compile:
            ways.append(torch_run(case, True))
        ours, theirs = [], []
        for _ in range(args.rounds):
            own.stdin.write(f"{case} {args.seconds}\n")
            own.stdin.flush()
            ours.append(float(own.stdout.readline()))
            theirs.append([measured(way, args.seconds) for way in ways])
        ours = statistics.median(ours)
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
