"""Images per second of one Python peer with one network, as a line of JSON.

    peers.py PEER NET [--batch N] [--seconds S] [--threads N] [--infer]

PEER: torch, torch-channels-last, torch-compile, jax, onnxruntime (inference alone; the model is PyTorch's, exported).
NET: two-layer-net, multi-layer-net, simple-convnet, deep-convnet, resnet20.

A step takes a mini-batch, gathered by chance from 6,000 random images, through forward pass, loss, backward pass and
update (SGD for the first two networks, Adam for the others), or with --infer through the forward pass alone. Chunks of a
quarter second are timed after a warm-up. run.py sets the environment in which peers are at their best.
"""

import argparse
import json
import os
import time
import warnings

IMAGES, CLASSES, CHUNK = 6000, 10, 0.25
PEERS = ("torch", "torch-channels-last", "torch-compile", "jax", "onnxruntime")
# Three stages of two convolutions 3x3: filters, padding of the second.
DEEP = ((16, 1), (32, 2), (64, 1))
# Nine residual blocks: filters, stride.
BLOCKS = ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("net")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--infer", action="store_true")
    parser.add_argument("--realtime", action="store_true", help="take precedence over other processes while measuring")
    return parser.parse_args()


class Feed:
    """Mini-batches of random images."""

    def __init__(self, net, batch):
        import numpy as np

        shape = (3, 32, 32) if net == "resnet20" else (1, 28, 28)
        self.random, self.batch = np.random.default_rng(1), batch
        self.images = self.random.random((IMAGES, *shape), dtype=np.float32)
        self.labels = self.random.integers(0, CLASSES, IMAGES)

    def next(self):
        chosen = self.random.integers(0, IMAGES, self.batch)
        return self.images[chosen], self.labels[chosen]


def take_precedence():
    """Schedules the threads that are here now, and those that they start, before other processes."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(10))


def measure(step, feed, seconds, realtime):
    """Images per second of each chunk."""
    for _ in range(10):
        step(*feed.next())
    if realtime:
        # What is compiled is compiled by now.
        take_precedence()
        step(*feed.next())
    start = time.perf_counter()
    step(*feed.next())
    steps = max(1, int(CHUNK / (time.perf_counter() - start)))
    begin, chunks = time.perf_counter(), []
    while not chunks or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(steps):
            step(*feed.next())
        chunks.append(steps * feed.batch / (time.perf_counter() - start))
    return chunks


def torch_model(net):
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self, channels, filters, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(filters)
            self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(filters)
            self.shortcut = nn.Identity()
            if stride != 1:
                conv = nn.Conv2d(channels, filters, 1, stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(filters))

        def forward(self, x):
            y = F.relu(self.norm1(self.conv1(x)))
            return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))

    if net == "two-layer-net":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 50), nn.Sigmoid(), nn.Linear(50, CLASSES))
    if net == "multi-layer-net":
        layers = [nn.Flatten()]
        for i in range(5):
            layers += [nn.Linear(100 if i else 784, 100), nn.BatchNorm1d(100), nn.ReLU(), nn.Dropout(0.5)]
        return nn.Sequential(*layers, nn.Linear(100, CLASSES))
    if net == "simple-convnet":
        layers = [nn.Conv2d(1, 30, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(4320, 100), nn.ReLU(), nn.Linear(100, CLASSES))
    if net == "deep-convnet":
        layers, channels = [], 1
        for filters, padding in DEEP:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(filters, filters, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
            channels = filters
        layers += [nn.Flatten(), nn.Linear(1024, 50), nn.ReLU(), nn.Dropout(0.5)]
        return nn.Sequential(*layers, nn.Linear(50, CLASSES), nn.Dropout(0.5))
    layers, channels = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for filters, stride in BLOCKS:
        layers.append(Block(channels, filters, stride))
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


def torch_step(args):
    import torch

    torch.set_num_threads(args.threads)
    model = torch_model(args.net)
    last = args.peer == "torch-channels-last"
    if last:
        model = model.to(memory_format=torch.channels_last)
    compiled = torch.compile(model) if args.peer == "torch-compile" else model

    def given(x):
        x = torch.from_numpy(x)
        return x.contiguous(memory_format=torch.channels_last) if last else x

    if args.infer:
        model.eval()

        def step(x, t):
            with torch.inference_mode():
                return compiled(given(x))

        return step, torch.__version__
    entropy = torch.nn.CrossEntropyLoss()

    def value(x, t):
        return entropy(model(x), t)

    if args.peer == "torch-compile":
        value = torch.compile(value)
    if args.net in ("two-layer-net", "multi-layer-net"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    update = optimizer.step

    def step(x, t):
        optimizer.zero_grad(set_to_none=True)
        value(given(x), torch.from_numpy(t)).backward()
        update()

    return step, torch.__version__


def onnx_step(args):
    import io

    import onnxruntime
    import torch

    model = torch_model(args.net).eval()
    shape = (1, 3, 32, 32) if args.net == "resnet20" else (1, 1, 28, 28)
    file = io.BytesIO()
    warnings.filterwarnings("ignore")
    torch.onnx.export(
        model, torch.zeros(shape), file, input_names=["x"], dynamic_axes={"x": {0: "batch"}}, dynamo=False
    )
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(file.getvalue(), session_options, providers=["CPUExecutionProvider"])
    return lambda x, t: session.run(None, {"x": x}), onnxruntime.__version__


def jax_step(args):
    import jax
    import jax.numpy as jnp
    import numpy as np

    random = np.random.default_rng(2)

    def normal(shape, inputs):
        return jnp.asarray(random.normal(0, (2 / inputs) ** 0.5, shape), jnp.float32)

    def linear(inputs, outputs):
        return {"w": normal((inputs, outputs), inputs), "b": jnp.zeros(outputs)}

    def conv(channels, filters, size, bias=True):
        layer = {"w": normal((size, size, channels, filters), channels * size * size)}
        return {**layer, "b": jnp.zeros(filters)} if bias else layer

    def norm(channels):
        return {"gamma": jnp.ones(channels), "beta": jnp.zeros(channels)}

    def affine(p, x):
        return x @ p["w"] + p["b"]

    def convolved(p, x, padding, stride=1):
        y = jax.lax.conv_general_dilated(
            x, p["w"], (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y + p["b"] if "b" in p else y

    def pooled(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    # Batch normalization in training moves running statistics, which evaluation then takes; both in `stats`.
    def normalized(p, x, stats):
        axes = tuple(range(x.ndim - 1))
        if args.infer:
            mean, variance = stats.pop(0)
        else:
            mean, variance = x.mean(axes), x.var(axes)
            old = stats.pop(0)
            stats.append((0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * variance))
        return (x - mean) * (jax.lax.rsqrt(variance + 1e-5) * p["gamma"]) + p["beta"]

    def dropped(x, key):
        return x if args.infer else x * jax.random.bernoulli(key, 0.5, x.shape) * 2

    relu, norms = jax.nn.relu, []
    if args.net == "two-layer-net":
        params = [linear(784, 50), linear(50, CLASSES)]

        def forward(params, x, stats, keys):
            return affine(params[1], jax.nn.sigmoid(affine(params[0], x.reshape(len(x), -1))))

    elif args.net == "multi-layer-net":
        params = [(linear(100 if i else 784, 100), norm(100)) for i in range(5)] + [linear(100, CLASSES)]
        norms = [100] * 5

        def forward(params, x, stats, keys):
            x = x.reshape(len(x), -1)
            for (layer, scale), key in zip(params[:5], keys):
                x = dropped(relu(normalized(scale, affine(layer, x), stats)), key)
            return affine(params[5], x)

    elif args.net == "simple-convnet":
        params = [conv(1, 30, 5), linear(4320, 100), linear(100, CLASSES)]

        def forward(params, x, stats, keys):
            x = pooled(relu(convolved(params[0], x, 0))).reshape(len(x), -1)
            return affine(params[2], relu(affine(params[1], x)))

    elif args.net == "deep-convnet":
        params, channels = [], 1
        for filters, _ in DEEP:
            params += [conv(channels, filters, 3), conv(filters, filters, 3)]
            channels = filters
        params += [linear(1024, 50), linear(50, CLASSES)]

        def forward(params, x, stats, keys):
            for i, (_, padding) in enumerate(DEEP):
                x = relu(convolved(params[2 * i], x, 1))
                x = pooled(relu(convolved(params[2 * i + 1], x, padding)))
            x = dropped(relu(affine(params[6], x.reshape(len(x), -1))), keys[0])
            return dropped(affine(params[7], x), keys[1])

    else:
        params, channels, norms = [(conv(3, 16, 3, False), norm(16))], 16, [16]
        for filters, stride in BLOCKS:
            block = {"1": (conv(channels, filters, 3, False), norm(filters))}
            block["2"] = (conv(filters, filters, 3, False), norm(filters))
            if stride != 1:
                block["shortcut"] = (conv(channels, filters, 1, False), norm(filters))
            params.append(block)
            norms += [filters] * len(block)
            channels = filters
        params.append(linear(64, CLASSES))

        def forward(params, x, stats, keys):
            def layer(p, x, padding, stride=1):
                return normalized(p[1], convolved(p[0], x, padding, stride), stats)

            x = relu(layer(params[0], x, 1))
            for block, (_, stride) in zip(params[1:], BLOCKS):
                y = layer(block["2"], relu(layer(block["1"], x, 1, stride)), 1)
                x = relu(y + (layer(block["shortcut"], x, 0, stride) if stride != 1 else x))
            return affine(params[-1], x.mean((1, 2)))

    adam = args.net not in ("two-layer-net", "multi-layer-net")
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = {
        "params": params,
        "moments": (zeros, jax.tree.map(jnp.copy, zeros)) if adam else (),
        "stats": [(jnp.zeros(n), jnp.ones(n)) for n in norms],
        "key": jax.random.key(0),
        "step": jnp.zeros((), jnp.int32),
    }

    def loss(params, x, t, stats, keys):
        stats = list(stats)
        scores = jax.nn.log_softmax(forward(params, x, stats, keys))
        return -jnp.take_along_axis(scores, t[:, None], 1).mean(), stats

    def updated(state, x, t):
        key, *keys = jax.random.split(state["key"], 6)
        gradients, stats = jax.grad(loss, has_aux=True)(state["params"], x, t, state["stats"], keys)
        step, moments, params = state["step"] + 1, state["moments"], state["params"]
        if adam:
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients)
            rate = 1e-3 * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, first, second)
            moments = (first, second)
        else:
            params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)
        return {"params": params, "moments": moments, "stats": stats, "key": key, "step": step}

    def images(x):
        return x.reshape(len(x), 28, 28, 1) if args.net != "resnet20" else x.transpose(0, 2, 3, 1)

    if args.infer:
        run = jax.jit(lambda x: forward(state["params"], images(x), list(state["stats"]), [None] * 5))
        return lambda x, t: run(x).block_until_ready(), jax.__version__
    run = jax.jit(lambda state, x, t: updated(state, images(x), t), donate_argnums=0)
    cell = [state]

    def step(x, t):
        cell[0] = jax.block_until_ready(run(cell[0], x, t))

    return step, jax.__version__


def peak_memory():
    """The largest memory that this process has held, where the system tells."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


def main():
    args = options()
    make = {"jax": jax_step, "onnxruntime": onnx_step}.get(args.peer, torch_step)
    feed = Feed(args.net, args.batch)
    step, version = make(args)
    chunks = measure(step, feed, args.seconds, args.realtime)
    print(json.dumps({"peer": args.peer, "version": version, "chunks": chunks, "peak_rss_bytes": peak_memory()}))


if __name__ == "__main__":
    main()
