"""Parameters after each of several steps of torch.optim: writes tests/goldens/optimizers.json.

The loss is sum((p - target)^2 * scale) / 2 for two parameters, so the gradient is (p - target) * scale.
Run in this folder: python goldens_optimizers.py
"""

import json
import math
import torch

STEPS = 6
START = [[0.5, -1.0, 2.0], [0.1, -0.2]]
TARGET = [[0.0, 1.0, 1.5], [-3.0, 0.25]]
SCALE = [[1.0, 0.5, 20.0], [0.01, 3.0]]

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "momentum_decay": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "adagrad_decay": lambda p: torch.optim.Adagrad(p, lr=0.1, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "rmsprop_options": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-4, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adam_options": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "adamw_options": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.95), weight_decay=0.3),
}


def run(make, clip=None):
    parameters = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in START]
    targets = [torch.tensor(t, dtype=torch.float64) for t in TARGET]
    scales = [torch.tensor(s, dtype=torch.float64) for s in SCALE]
    optimizer = make(parameters)
    rates = [g["lr"] for g in optimizer.param_groups]
    trace = []
    for step in range(STEPS):
        # A learning rate that changes, as schedules do.
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = rate * (1.0 if step < 3 else 0.5)
        optimizer.zero_grad()
        loss = sum(((p - t) ** 2 * s).sum() / 2 for p, t, s in zip(parameters, targets, scales))
        loss.backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
        if clip and clip[0] == "norm":
            torch.nn.utils.clip_grad_norm_(parameters, clip[1])
        if clip and clip[0] == "value":
            torch.nn.utils.clip_grad_value_(parameters, clip[1])
        optimizer.step()
        trace.append(
            {
                "loss": float(loss),
                "norm": float(norm),
                "parameters": [[float(v) for v in p] for p in parameters],
            }
        )
    return trace


def schedule(make, steps, base):
    p = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=base)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"] / base)
        optimizer.step()
        scheduler.step()
    return rates


S = torch.optim.lr_scheduler
out = {
    "start": START,
    "target": TARGET,
    "scale": SCALE,
    "optimizers": {name: run(make) for name, make in OPTIMIZERS.items()},
    "clip_norm": run(OPTIMIZERS["sgd"], ("norm", 2.0)),
    "clip_value": run(OPTIMIZERS["sgd"], ("value", 0.5)),
    "schedules": {
        "step": schedule(lambda o: S.StepLR(o, 3, 0.5), 10, 1.0),
        "cosine": schedule(lambda o: S.CosineAnnealingLR(o, 10, 0.1), 11, 1.0),
        "linear": schedule(lambda o: S.LinearLR(o, 1.0, 0.2, 8), 10, 1.0),
        "one_cycle": schedule(lambda o: S.OneCycleLR(o, 1.0, total_steps=20), 19, 1.0),
    },
}
assert all(math.isfinite(t["loss"]) for r in out["optimizers"].values() for t in r)
with open("../tests/goldens/optimizers.json", "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
