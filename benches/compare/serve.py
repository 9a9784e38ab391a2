#!/usr/bin/env python3
"""Requests a second of `zerokara serve` beside PyTorch behind FastAPI and uvicorn: the same network with the same weights, the same pictures.

    python benches/compare/serve.py [--program target/release/zerokara] [--seconds 20] [--rounds 3] [--clients 64]

Trains the book's SimpleConvNet for a moment, then sends pictures of 28 x 28 as PNG files, one in a request, over connections that stay open
(`wrk`), to both servers in turn. While ours answers, its model's file is replaced again and again. Needs wrk, PyTorch, FastAPI, uvicorn
and Pillow. Answers of both are compared first.
"""

import argparse
import io
import json
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

PEER = '''
import io, json, struct
import numpy as np
import torch
from fastapi import FastAPI, Request
from PIL import Image

torch.set_num_threads(1)

def weights(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8 : 8 + size])
    inputs = json.loads(head["__metadata__"]["zerokara.info"])["preprocessing"]
    how = next(iter(inputs.values()))
    found = {"mean": torch.tensor(how["mean"]), "std": torch.tensor(how["std"])}
    for name, entry in head.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, last = entry["data_offsets"]
            array = np.frombuffer(data[8 + size + first : 8 + size + last], dtype=np.float32)
            found[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return found

class SimpleConvNet(torch.nn.Module):
    def __init__(self, path):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 30, 5)
        self.hidden = torch.nn.Linear(4320, 100)
        self.last = torch.nn.Linear(100, 10)
        given = weights(path)
        self.mean, self.std = given["mean"], given["std"]
        with torch.no_grad():
            for layer, name in ((self.conv, "conv1"), (self.hidden, "linear1"), (self.last, "linear2")):
                layer.weight.copy_(given[name + ".weight"])
                layer.bias.copy_(given[name + ".bias"])

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv(x)), 2)
        return self.last(torch.relu(self.hidden(x.flatten(1))))

model = SimpleConvNet(MODEL).eval()
app = FastAPI()

@app.post("/predict")
async def predict(request: Request):
    picture = Image.open(io.BytesIO(await request.body())).convert("L")
    x = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)[None, None]
    with torch.inference_mode():
        shares = torch.softmax(model(x), 1)[0].tolist()
    best = max(range(10), key=shares.__getitem__)
    return {"class": best, "probability": shares[best], "probabilities": shares}
'''

LUA = """
local bodies = {}
for at = 0, %d do
  local file = io.open(string.format("%%s/%%d.png", "%s", at), "rb")
  bodies[#bodies + 1] = file:read("*a")
  file:close()
end
local at = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "image/png"
request = function()
  at = at %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format("RESULT %%d %%d %%d %%f %%f", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answer(at, picture):
    request = urllib.request.Request(f"http://127.0.0.1:{at}/predict", picture, {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def wait(at, picture):
    for _ in range(300):
        try:
            return answer(at, picture)
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not answer")


def load(at, script, clients, seconds):
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), f"http://127.0.0.1:{at}/predict"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests, duration, errors, p50, p99 = map(float, re.search(r"RESULT (.*)", out)[1].split())
    return {"rate": requests / duration * 1e6, "errors": int(errors), "p50": p50 / 1e3, "p99": p99 / 1e3}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", default="target/release/zerokara")
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--clients", type=int, default=64)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pictures = []
        # Strokes of many forms, drawn as pictures of 28 x 28.
        random = np.random.default_rng(1)
        for at in range(100):
            canvas = np.zeros((28, 28), np.uint8)
            x, y = random.uniform(8, 20, 2)
            for _ in range(60):
                x, y = np.clip(x + random.normal(), 2, 25), np.clip(y + random.normal(), 2, 25)
                canvas[int(y) : int(y) + 2, int(x) : int(x) + 2] = 255
            kept = io.BytesIO()
            Image.fromarray(canvas).save(kept, "PNG")
            pictures.append(kept.getvalue())
            (folder / f"{at}.png").write_bytes(pictures[-1])
            # Ten classes, so that the last layer is the book's.
            own = folder / "strokes" / str(at % 10)
            own.mkdir(parents=True, exist_ok=True)
            (own / f"{at}.png").write_bytes(pictures[-1])
        train = [asked.program, "train", str(folder / "strokes"), "--model", "simple-convnet", "--epochs", "2", "--quiet"]
        subprocess.run([*train, "--output", str(folder / "run")], check=True, stdout=subprocess.DEVNULL)
        model = folder / "model.safetensors"
        shutil.copy(folder / "run" / "model.safetensors", model)
        script = folder / "load.lua"
        script.write_text(LUA % (len(pictures) - 1, folder))
        (folder / "peer.py").write_text(PEER.replace("MODEL", repr(str(folder / "run" / "model.safetensors"))))
        ports = {"zerokara": port(), "fastapi": port()}
        # As many processes as cores, which is the fastest way to serve with uvicorn here; each computes on one thread.
        servers = [
            subprocess.Popen([asked.program, "serve", str(model), "--port", str(ports["zerokara"])], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL),
            subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "peer:app", "--port", str(ports["fastapi"]), "--log-level", "error", "--workers", "2"],
                cwd=folder,
            ),
        ]
        try:
            for at in ports.values():
                wait(at, pictures[0])
            same = 0
            for picture in pictures:
                both = [answer(at, picture) for at in ports.values()]
                same += both[0]["class"] == both[1]["class"] and abs(both[0]["probability"] - both[1]["probability"]) < 1e-4
            if same < len(pictures):
                print("for example:", *both)
            print(f"{same} of {len(pictures)} answers are the same")
            found = {name: [] for name in ports}
            stop = threading.Event()

            def swap():
                while not stop.is_set():
                    beside = folder / "next"
                    shutil.copy(folder / "run" / "model.safetensors", beside)
                    beside.replace(model)
                    stop.wait(1.0)

            for _ in range(asked.rounds):
                for name, at in ports.items():
                    stop.clear()
                    swapping = threading.Thread(target=swap)
                    if name == "zerokara":
                        swapping.start()
                    found[name].append(load(at, script, asked.clients, asked.seconds))
                    stop.set()
                    if name == "zerokara":
                        swapping.join()
                    print(name, found[name][-1], flush=True)
        finally:
            for server in servers:
                server.terminate()
    rates = {name: statistics.median(run["rate"] for run in runs) for name, runs in found.items()}
    print(f"requests a second, {asked.clients} clients, median of {asked.rounds}:", {name: round(rate) for name, rate in rates.items()})
    print(f"ratio {rates['zerokara'] / rates['fastapi']:.1f}")


if __name__ == "__main__":
    main()
