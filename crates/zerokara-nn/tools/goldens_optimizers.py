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

class Lion(torch.optim.Optimizer):
    """By algorithm 2 of the paper (Chen et al., 2023); PyTorch has none."""

    def __init__(self, p, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(p, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                p -= group["lr"] * (torch.sign(c) + group["weight_decay"] * p)
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


class Lamb(torch.optim.Optimizer):
    """By algorithm 2 of the paper (You et al., 2020), phi(z) = z; PyTorch has none."""

    def __init__(self, p, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01):
        super().__init__(p, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "t": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["t"] += 1
            t, (beta1, beta2) = group["t"], group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                m.mul_(beta1).add_(p.grad, alpha=1 - beta1)
                v.mul_(beta2).add_(p.grad**2, alpha=1 - beta2)
                r = (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + group["eps"])
                r = r + group["weight_decay"] * p
                p -= group["lr"] * p.norm() / r.norm() * r


class Muon(torch.optim.Optimizer):
    """As torch.optim.Muon with adjust_lr_fn="match_rms_adamw", which itself rounds to bfloat16; what is no matrix by AdamW."""

    def __init__(self, p, lr, momentum=0.95, weight_decay=0.1):
        super().__init__(p, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        vectors = [q for group in self.param_groups for q in group["params"] if q.ndim < 2]
        self.adam = torch.optim.AdamW(vectors, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay) if vectors else None

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        if self.adam:
            self.adam.param_groups[0]["lr"] = group["lr"]
            self.adam.step()
        for p in (p for p in group["params"] if p.ndim >= 2):
            v = self.state[p].setdefault("v", torch.zeros_like(p))
            v.mul_(group["momentum"]).add_(p.grad)
            x = (p.grad + group["momentum"] * v).flatten(1)
            rows, columns = x.shape
            x = x.T if rows > columns else x
            x = x / (x.norm() + 1e-7)
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = x.T if rows > columns else x
            p *= 1 - group["lr"] * group["weight_decay"]
            p -= group["lr"] * 0.2 * max(rows, columns) ** 0.5 * x.view_as(p)


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
    "radam": lambda p: torch.optim.RAdam(p, lr=0.1),
    "radam_options": lambda p: torch.optim.RAdam(p, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    "lamb": lambda p: Lamb(p, lr=0.1),
    "lamb_options": lambda p: Lamb(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
    "lion": lambda p: Lion(p, lr=0.01),
    "lion_options": lambda p: Lion(p, lr=0.03, betas=(0.8, 0.95), weight_decay=0.3),
}


def run(make, clip=None, bowl=(START, TARGET, SCALE)):
    start, target, scale = bowl
    parameters = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in start]
    targets = [torch.tensor(t, dtype=torch.float64) for t in target]
    scales = [torch.tensor(s, dtype=torch.float64) for s in scale]
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
                "parameters": [[float(v) for v in p.flatten()] for p in parameters],
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


# A wide, a tall and a higher matrix, and a vector.
SHAPES = [[2, 3], [5, 2], [2, 2, 2, 1], [3]]


def matrices(factor, shift):
    count = 0
    made = []
    for shape in SHAPES:
        values = []
        for _ in range(math.prod(shape)):
            count += 1
            values.append(((count * factor) % 17) / 8 - 1 + shift)
        made.append(torch.tensor(values, dtype=torch.float64).view(shape).tolist())
    return made


MATRICES = (matrices(5, 0.0), matrices(7, 0.3), matrices(3, 1.5))

S = torch.optim.lr_scheduler
out = {
    "start": START,
    "target": TARGET,
    "scale": SCALE,
    "optimizers": {name: run(make) for name, make in OPTIMIZERS.items()},
    "matrices": {
        "shapes": SHAPES,
        "start": MATRICES[0],
        "target": MATRICES[1],
        "scale": MATRICES[2],
        "muon": run(lambda p: Muon(p, lr=0.02), bowl=MATRICES),
        "muon_options": run(lambda p: Muon(p, lr=0.05, momentum=0.8, weight_decay=0.3), bowl=MATRICES),
    },
    "clip_norm": run(OPTIMIZERS["sgd"], ("norm", 2.0)),
    "clip_value": run(OPTIMIZERS["sgd"], ("value", 0.5)),
    "schedules": {
        "step": schedule(lambda o: S.StepLR(o, 3, 0.5), 10, 1.0),
        "cosine": schedule(lambda o: S.CosineAnnealingLR(o, 10, 0.1), 11, 1.0),
        "linear": schedule(lambda o: S.LinearLR(o, 1.0, 0.2, 8), 10, 1.0),
        "one_cycle": schedule(lambda o: S.OneCycleLR(o, 1.0, total_steps=20), 19, 1.0),
    },
}
# Flat, as the other parameters are.
for name in ("start", "target", "scale"):
    out["matrices"][name] = [torch.tensor(m).flatten().tolist() for m in out["matrices"][name]]
assert all(math.isfinite(t["loss"]) for r in out["optimizers"].values() for t in r)
with open("../tests/goldens/optimizers.json", "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
