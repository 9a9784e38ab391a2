"""Cases of elementwise functions: activations, trigonometric and hyperbolic functions, rounding, remainders, bits."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from goldens import BYTES, EDGES, INF, NAN, TURNED, Fixed, add, binary, bools, edges, ints, rand, settle, unary

SMALL = [1e-8, -1e-8, 1e-30, -1e-30]
# Numbers and their neighbours between whole ones.
WHOLE = [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, -0.49999997, 8388607.5, 8388609.0, 4194304.5, 4194305.5, 1e30, 0.0, -0.0]


def mathematics():
    unary("tan", torch.tan, low=-7, high=7)
    edges("tan", torch.tan, values=[INF, -INF, 0.0, -0.0, 1e-30, 1e6], tiny=SMALL)
    for op in ["asin", "acos"]:
        unary(op, getattr(torch, op), low=-0.99, high=0.99, special=[0.5, -0.5, 0.50390625, 0.9990234375])
        edges(op, getattr(torch, op), values=[INF, -INF, 0.0, -0.0, 1e-30, 2.0, -1.5], tiny=SMALL if op == "asin" else [0.9999999])
        add(op, [np.array([1.0, -1.0])], getattr(torch, op), kink=True)
    unary("atan", torch.atan, low=-7, high=7, special=[0.4140625, 2.4140625, -1e3])
    edges("atan", torch.atan, tiny=SMALL)
    unary("sinh", torch.sinh, special=[-30.0, 0.001, 19.0, 21.0])
    edges("sinh", torch.sinh, values=[INF, -INF, 0.0, -0.0, 1e-30], tiny=SMALL + [0.25, -89.0, 88.0])
    unary("cosh", torch.cosh, special=[-30.0, 0.001, 19.0, 21.0])
    edges("cosh", torch.cosh, values=[INF, -INF, 0.0, -0.0, 1e-30], tiny=[0.25, -89.0, 88.0])
    unary("asinh", torch.asinh, special=[-1e3, 0.001, 1e7])
    edges("asinh", torch.asinh, tiny=SMALL + [0.25, -1e-3, 3e38])
    unary("acosh", torch.acosh, low=1.25, high=9.0, special=[1e3, 1e7])
    edges("acosh", torch.acosh, values=[INF, -INF, 1e15, 0.5, -0.5, -3.0], slopes={1: NAN, 3: NAN, 4: NAN, 5: NAN}, tiny=[1.0009765625, 3e38])
    add("acosh", [np.array([1.0])], torch.acosh, kink=True)
    # PyTorch adds the root to x before the logarithm, which loses the digits of what is near 1.
    near = np.float32(1.0000001)
    add("acosh", [np.array([near])], torch.acosh, wrt=[])
    above = float(near) - 1.0
    settle("acosh", {0: math.log1p(above + math.sqrt(above * (above + 2.0)))})
    unary("atanh", torch.atanh, low=-0.99, high=0.99, special=[0.9990234375])
    edges("atanh", torch.atanh, values=[INF, -INF, 0.0, -0.0, 1e-30, 1.0, -1.0, 2.0], tiny=SMALL + [0.25, -1e-3])
    unary("ceil", torch.ceil, kinks=[0.0, -3.0, 2.0, -2.5], wrt=[])
    edges("ceil", torch.ceil, wrt=[])
    unary("round", torch.round, kinks=WHOLE, wrt=[])
    edges("round", torch.round, wrt=[])


def activations():
    unary("mish", F.mish, special=[-30.0, 30.0])
    limits = dict(output={1: -0.0}, slopes={0: 1.0, 1: 0.0, 6: 1.0, 7: 0.0})
    edges("mish", F.mish, **limits, tiny=SMALL + [-30.0, -80.0])
    for alpha in [1.0, 2.5, -0.5, 0.0]:
        unary("swish", lambda x: x * torch.sigmoid(alpha * x), special=[-30.0, 30.0], alpha=alpha)
        values = EDGES if alpha > 0 else [0.0, -0.0, 1e-30, -1e-30]
        edges("swish", lambda x: x * torch.sigmoid(alpha * x), values=values, **(limits if alpha > 0 else {}), alpha=alpha)
    add("swish", [np.array([INF, -INF])], lambda x: x * torch.sigmoid(-x), kink=True, alpha=-1.0)
    settle("swish", {0: 0.0}, {0: 0.0, 1: 1.0})
    for alpha, beta in [(0.25, 0.5), (0.5, 0.375)]:
        line = lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0)
        unary("hard_sigmoid", line, low=-4.0, high=4.0, kinks=[-2.0, 2.0], alpha=alpha, beta=beta)
        # At its bounds PyTorch's clamp passes the gradient, and its hardsigmoid does not.
        if alpha == 0.25:
            settle("hard_sigmoid", None, {0: 0.0, 1: 0.0})
        edges("hard_sigmoid", line, alpha=alpha, beta=beta)
    unary("hard_swish", F.hardswish, low=-5.0, high=5.0)
    edges("hard_swish", F.hardswish, output={1: 0.0})
    unary("softsign", F.softsign, special=[-100.0, 100.0])
    edges("softsign", F.softsign, output={0: 1.0, 1: -1.0}, slopes={0: 0.0, 1: 0.0}, tiny=SMALL)
    for alpha in [1.0 + 1 / 128, -0.5 - 1 / 128]:
        unary("thresholded_relu", lambda x: F.threshold(x, alpha, 0.0), kinks=[alpha, 0.0, 3.0], alpha=alpha)
        edges("thresholded_relu", lambda x: torch.where(x > alpha, x, 0.0), alpha=alpha)
    for lambd, bias in [(0.5 + 1 / 128, 0.0), (0.5 + 1 / 128, 0.5 + 1 / 128), (1.0 + 1 / 128, -0.25)]:
        def shrink(x):
            return torch.where(x.abs() <= lambd, 0.0, x - bias * torch.sign(x))
        unary("shrink", shrink, kinks=[lambd, -lambd, 3.0], lambd=lambd, bias=bias)
        edges("shrink", shrink, lambd=lambd, bias=bias)
    add("shrink", [rand(7)], lambda x: F.hardshrink(x, 0.5078125), lambd=0.5078125, bias=0.0)
    add("shrink", [rand(7)], lambda x: F.softshrink(x, 0.5078125), lambd=0.5078125, bias=0.5078125)
    alpha, gamma = 1.6732632423543772, 1.0507009873554805
    unary("selu", F.selu, special=[-30.0, 100.0], alpha=alpha, gamma=gamma)
    edges("selu", F.selu, tiny=SMALL + [-1e-3, -0.3], alpha=alpha, gamma=gamma)
    unary("selu", lambda x: 1.5 * F.elu(x, 0.25), alpha=0.25, gamma=1.5)
    for alpha in [1.0, 0.5, 2.0]:
        unary("celu", lambda x: F.celu(x, alpha), special=[-30.0, 100.0], alpha=alpha)
        edges("celu", lambda x: F.celu(x, alpha), tiny=SMALL + [-1e-3, -0.3], alpha=alpha)
    leak = lambda x, s: torch.where(x > 0, x, s * torch.where(x > 0, 0.0, x))
    binary("prelu", leak)
    add("prelu", [rand(3, 4), np.tile(np.array([0.25, -0.5, 1.0, 0.0]), (3, 1))], lambda x, s: leak(x, s))
    add("prelu", [np.array([0.0, -0.0, INF, -INF, 1e-30]), np.full(5, 0.25)], leak, kink=True)
    add("prelu", [np.array([NAN, -1.0, 1.0]), np.array([1.0, NAN, NAN])], leak, wrt=[])


def questions():
    Fixed("logical_xor")
    for shape in [(), (7,), (3, 5), (0,)]:
        add("logical_xor", [bools(*shape), bools(*shape)], torch.logical_xor)
    Fixed("is_nan")
    ends = np.array([1.0, NAN, INF, -INF, 0.0, -0.0, 3e38])
    add("is_nan", [ends], torch.isnan, wrt=[])
    for shape in [(), (3, 5), (0,)]:
        add("is_nan", [rand(*shape)], torch.isnan, wrt=[])
    Fixed("is_inf")
    for negative, positive in [(True, True), (True, False), (False, True), (False, False)]:
        def which(x):
            return torch.isinf(x) & torch.where(x > 0, torch.tensor(positive), torch.tensor(negative))
        options = dict(negative=negative, positive=positive)
        add("is_inf", [ends], which, wrt=[], **options)
        for shape in [(), (3, 5), (0,)]:
            add("is_inf", [rand(*shape)], which, wrt=[], **options)


def remainders():
    Fixed("modulo")
    for truncated, function in [(False, torch.remainder), (True, torch.fmod)]:
        for shape in [(), (7,), (3, 5), (0, 2)]:
            # Quotients that are nowhere near whole numbers.
            b = rand(*shape, low=0.5) * np.where(bools(*shape), 1, -1).astype(np.float32)
            q = ints(-3, 3, *shape) + 0.25 + 0.5 * np.random.default_rng(1).random(shape)
            a = np.round(b * q * 1024) / 1024
            add("modulo", [a, b], function, truncated=truncated)
        ends = np.array([INF, -INF, 0.0, -0.0, 1.5, -2.0, 1e-30])
        every = np.repeat(ends, len(ends)), np.tile(ends, len(ends))
        plain = lambda a, b: torch.tensor((np.fmod if truncated else np.mod)(a.numpy(), b.numpy()))
        with np.errstate(all="ignore"):
            add("modulo", every, plain, wrt=[], truncated=truncated)
        add("modulo", [np.array([NAN, 1.0]), np.array([1.0, NAN])], function, wrt=[], truncated=truncated)
        a, b = np.array([7, -7, 7, -7, 0, 6, -2**63, -2**63]), np.array([3, 3, -3, -3, 5, -3, -1, 7])
        safe = lambda a, b: torch.tensor([int(math.fmod(x, y)) if truncated and abs(x) < 100 else (x % y if not truncated else -(abs(x) % abs(y)))
                                          for x, y in zip(a.tolist(), b.tolist())])
        add("modulo", [a, b], safe, truncated=truncated)
        add("modulo", [BYTES, np.maximum(TURNED, 1)], function, truncated=truncated)


    Fixed("quotient")
    for truncated in [False, True]:
        mode = "trunc" if truncated else "floor"
        function = lambda a, b: torch.div(a, b, rounding_mode=mode)
        for shape in [(), (7,), (3, 5), (0, 2)]:
            add("quotient", [rand(*shape), rand(*shape, low=0.25)], function, wrt=[], truncated=truncated)
            add("quotient", [ints(-99, 99, *shape), ints(1, 9, *shape) * np.where(bools(*shape), 1, -1)], function, truncated=truncated)
        add("quotient", [np.array([INF, -INF, 1.0, -1.0, 0.0, NAN, 1.0]), np.array([2.0, 2.0, 0.0, 0.0, 0.0, 1.0, NAN])], function, wrt=[], truncated=truncated)
        add("quotient", [np.array([-(2**63), 7, -7]), np.array([-1, 2**62, 2])], lambda a, b: torch.tensor([-(2**63), 0, -3 if truncated else -4]), truncated=truncated)
        add("quotient", [BYTES, np.maximum(TURNED, 1)], function, truncated=truncated)
    for op in ["maximum", "minimum"]:
        Fixed(op + " of integers")
        add(op, [ints(-9, 9, 3, 5), ints(-9, 9, 3, 5)], getattr(torch, op))
        add(op, [BYTES, TURNED], getattr(torch, op))
        add(op, [np.array([2**63 - 1, -(2**63)]), np.array([2**63 - 2, 5])], getattr(torch, op))
    for op in ["abs", "sign"]:
        Fixed(op + " of integers")
        add(op, [ints(-9, 9, 3, 5)], getattr(torch, op))
        add(op, [np.array([0, -(2**63), 2**63 - 1])], getattr(torch, op))
        add(op, [BYTES], lambda x: x.clone() if op == "abs" else (x > 0).to(torch.uint8))


def bits():
    for op in ["bitwise_and", "bitwise_or", "bitwise_xor"]:
        Fixed(op)
        for shape in [(), (7,), (3, 5), (0,)]:
            add(op, [ints(-99, 99, *shape), ints(-99, 99, *shape)], getattr(torch, op))
        add(op, [BYTES, TURNED], getattr(torch, op))
    Fixed("bitwise_not")
    for shape in [(), (7,), (3, 5), (0,)]:
        add("bitwise_not", [ints(-99, 99, *shape)], torch.bitwise_not)
    add("bitwise_not", [BYTES], torch.bitwise_not)
    Fixed("bit_shift")
    for right in [False, True]:
        def shift(x, by):
            width = 8 if x.dtype == torch.uint8 else 64
            def one(n, b):
                if right:
                    return n >> b
                n = (n << b) % 2**width
                return n - 2**width if width == 64 and n >= 2**63 else n
            found = [one(n, b) for n, b in zip(x.reshape(-1).tolist(), by.reshape(-1).tolist())]
            return torch.tensor(found, dtype=x.dtype).reshape(x.shape)
        for shape in [(), (7,), (3, 5), (0,)]:
            add("bit_shift", [ints(-99, 99, *shape), ints(0, 9, *shape)], shift, right=right)
        add("bit_shift", [np.array([5, -5, 5, -5, 2**62, -1]), np.array([63, 63, 64, 99, 1, 0])], shift, right=right)
        add("bit_shift", [BYTES, np.array([0, 1, 2, 7, 8, 9, 255, 1, 3], np.uint8)], shift, right=right)


def main():
    mathematics()
    activations()
    questions()
    remainders()
    bits()
