#!/usr/bin/env python3
"""Measures Zerokara and its peers, interleaved in one run, and writes what README.md and docs/performance.md show.

    python3 -m venv .venv && .venv/bin/pip install -r benches/compare/requirements.txt
    benches/compare/run.py --python .venv/bin/python
    benches/compare/run.py --nets deep-convnet --modes infer --peers zerokara,onnxruntime --rounds 5

A row is a network in a mode (train, infer, infer1: one image at a time). The peers of a row take turns, --rounds times; a
figure is the median of the rounds, a round that of chunks of a quarter second. Rows that were measured replace those in
results.json; tables and charts are made from that file (--report makes them again and measures nothing). Peers that
cannot run are named and left out. Needs Cargo, and a Python with the packages of requirements.txt.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import report  # noqa: E402

NETS = ["two-layer-net", "multi-layer-net", "simple-convnet", "deep-convnet", "resnet20"]
MODES = ["train", "infer", "infer1"]
PYTHON_PEERS = ["torch", "torch-channels-last", "torch-compile", "jax", "onnxruntime"]
RUST_PEERS = ["burn", "candle"]
PEERS = ["zerokara", *PYTHON_PEERS, *RUST_PEERS]

# glibc gives memory back to the system and takes it again for every large tensor unless told to keep it, which costs
# PyTorch, Burn and Candle up to half of their speed on convolutions.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def names(known):
    def parse(text):
        chosen = known if text == "all" else text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return chosen

    return parse


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=names(NETS), default=NETS, help="names with commas between, or all")
    parser.add_argument("--modes", type=names(MODES), default=MODES)
    parser.add_argument("--peers", type=names(PEERS), default=PEERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each peer in each round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, help="the Python that has the peers' packages")
    parser.add_argument("--zerokara", help="the program to measure [default: built from this tree]")
    parser.add_argument("--realtime", action="store_true", help="schedule what is measured before other processes (root)")
    parser.add_argument("--dry", action="store_true", help="print figures, write nothing")
    parser.add_argument("--scaling", action="store_true", help="measure how cost grows with batch and depth instead")
    parser.add_argument("--report", action="store_true", help="make tables and charts from results.json, measure nothing")
    return parser.parse_args()


def target(folder):
    """Where Cargo puts the programs of a workspace."""
    text = subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=folder)
    return Path(json.loads(text)["target_directory"]) / "release"


def build(args):
    """The commands of all peers by name, without those that cannot be built."""
    commands = {}
    if "zerokara" in args.peers:
        if not args.zerokara:
            subprocess.run(["cargo", "build", "--release", "-p", "zerokara-cli"], cwd=ROOT, check=True)
            args.zerokara = str(target(ROOT) / "zerokara")
        commands["zerokara"] = [args.zerokara]
    for peer in RUST_PEERS:
        if peer in args.peers:
            environment = {**os.environ, "RUSTFLAGS": "-C target-cpu=native"}
            done = subprocess.run(["cargo", "build", "--release", "--locked"], cwd=HERE / peer, env=environment)
            if done.returncode == 0:
                commands[peer] = [str(target(HERE / peer) / f"compare-{peer}")]
            else:
                print(f"{peer} is left out: it does not build", file=sys.stderr)
    for peer in PYTHON_PEERS:
        if peer in args.peers:
            module = peer.split("-")[0]
            done = subprocess.run([args.python, "-c", f"import {module}"], capture_output=True, text=True)
            if done.returncode == 0:
                commands[peer] = [args.python, str(HERE / "peers.py"), peer]
            else:
                reason = (done.stderr.strip().splitlines() or ["it does not start"])[-1]
                print(f"{peer} is left out: {reason}", file=sys.stderr)
    return commands


def batch(net, mode):
    return 1 if mode == "infer1" else 128 if net == "resnet20" else 100


def measure(command, peer, net, mode, args):
    """What one process measured: chunks, peak memory, version; None if it failed."""
    environment = {**os.environ, **KEEP_MEMORY}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        environment[name] = str(args.threads)
    common = ["--seconds", str(args.seconds)] + ([] if mode == "train" else ["--infer"])
    size = str(batch(net, mode))
    first = ["chrt", "--rr", "10"] if args.realtime and peer not in PYTHON_PEERS else []
    if peer == "zerokara":
        tail = ["bench", "--model", net, "--batch-size", size, "--threads", str(args.threads), "--json"]
    else:
        tail = [net, "--batch", size]
    if peer in PYTHON_PEERS:
        tail += ["--threads", str(args.threads)] + (["--realtime"] if args.realtime else [])
    done = subprocess.run([*first, *command, *tail, *common], env=environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"{peer} {net} {mode} is left out: {reason}", file=sys.stderr)
        return None
    return json.loads(lines[-1])


def row(commands, net, mode, args):
    """The peers of a row, in turn."""
    rounds, peaks, versions = {}, {}, {}
    for turn in range(args.rounds):
        for peer, command in commands.items():
            if (peer == "onnxruntime" and mode == "train") or (turn and peer not in rounds):
                continue
            found = measure(command, peer, net, mode, args)
            if found is None:
                rounds.pop(peer, None)
                continue
            rate = found.get("images_per_second") or statistics.median(found["chunks"])
            rounds.setdefault(peer, []).append(rate)
            peaks[peer] = max(peaks.get(peer, 0), found.get("peak_rss_bytes") or 0)
            versions[peer] = found.get("version", "")
            print(f"  {net} {mode} {peer}: {rate:,.0f}", file=sys.stderr, flush=True)
    return {
        "net": net,
        "mode": mode,
        "batch": batch(net, mode),
        "threads": args.threads,
        "peers": {
            peer: {
                "images_per_second": statistics.median(rates),
                "rounds": rates,
                "peak_rss_bytes": peaks[peer] or None,
                "version": versions[peer],
            }
            for peer, rates in rounds.items()
        },
    }


def machine(args):
    """The machine as one line: processor, cores, instruction set."""
    model, flags = platform.processor() or platform.machine(), ""
    family = ""
    try:
        with open("/proc/cpuinfo") as file:
            info = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        info = {key.strip(): value.strip() for key, value in info.items()}
        model, flags = info.get("model name", model), info.get("flags", "")
        if "cpu family" in info:
            family = f" (family {info['cpu family']}, model {info['model']})"
    except OSError:
        pass
    flags = flags.split()
    isa = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else platform.machine()
    return f"{model}{family}, {os.cpu_count()} cores, {isa}"


def main():
    args = options()
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    if not args.report:
        here = machine(args)
        if results.get("machine") != here:
            results = {"machine": here, "rows": []}
        commands = build(args)
        if args.scaling:
            text = subprocess.check_output(
                (["chrt", "--rr", "10"] if args.realtime else [])
                + [args.zerokara, "bench", "--scaling", "--threads", str(args.threads), "--json"],
                env={**os.environ, **KEEP_MEMORY},
                text=True,
            )
            results["scaling"] = [json.loads(line) for line in text.splitlines()]
        else:
            for net in args.nets:
                for mode in args.modes:
                    measured = row(commands, net, mode, args)
                    kept = [r for r in results["rows"] if (r["net"], r["mode"]) != (net, mode)]
                    results["rows"] = kept + [measured]
                    results["rows"].sort(key=lambda r: (MODES.index(r["mode"]), NETS.index(r["net"])))
                    if not args.dry:
                        file.write_text(json.dumps(results, indent=1) + "\n")
        if not args.dry:
            file.write_text(json.dumps(results, indent=1) + "\n")
    print(report.speed(results))
    if not args.dry:
        report.write(results, ROOT)


if __name__ == "__main__":
    main()
