#!/usr/bin/env python3
"""Writes crates/zerokara-core/goldens/<op>.json: expected outputs and gradients of every operation.

They are computed in double precision by PyTorch and NumPy, from inputs that are exact in single precision. Needs
torch and numpy; the seed is fixed, so that a second run writes the same files (up to the last digits of other
versions). A case holds

    attributes       as `Op::attributes` lists them
    inputs           [{dtype, shape, data}]
    output           {dtype, shape, data}
    output_gradient  data like the output, if gradients are given
    gradients        for each input its data, or null where nothing flows
    kink             true where the function has no derivative at these inputs: differences are not compared

The gradient of an input is that of sum(output * output_gradient).
"""

import importlib
import json
import math
import os
import sys
import zlib

import numpy as np
import torch
import torch.nn.functional as F

OUT = os.path.join(os.path.dirname(__file__), "..", "crates", "zerokara-core", "goldens")
CASES = {}
RNG = np.random.default_rng(0)


class Fixed:
    """Draws for one operation do not depend on the others."""

    def __init__(self, op):
        global RNG
        RNG = np.random.default_rng(zlib.crc32(op.encode()))


def rand(*shape, low=-2.0, high=2.0):
    """Multiples of 1/64, none of them 0."""
    x = np.round((RNG.random(shape) * (high - low) + low) * 64) / 64
    return np.where(x == 0, 1 / 64, x).astype(np.float32)


def distinct(*shape, step=0.125):
    """Numbers that are all different, at least `step` apart, none of them 0."""
    n = int(np.prod(shape))
    return ((RNG.permutation(n) - n // 2 + 0.5) * step).astype(np.float32).reshape(shape)


def ints(low, high, *shape):
    return RNG.integers(low, high, shape, dtype=np.int64)


BYTES = np.array([0, 1, 2, 100, 127, 128, 200, 255, 255], np.uint8)
TURNED = BYTES[::-1].copy()


def bools(*shape):
    return RNG.random(shape) < 0.5


DTYPES = {np.dtype("float32"): "f32", np.dtype("float64"): "f64", np.dtype("int64"): "i64", np.dtype("uint8"): "u8", np.dtype("bool"): "bool"}


def number(v):
    if isinstance(v, (bool, np.bool_)):
        return int(v)
    v = v.item() if hasattr(v, "item") else v
    if isinstance(v, int):
        return v
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    return int(v) if v == int(v) and abs(v) < 1e15 and not (v == 0 and math.copysign(1, v) < 0) else v


def data(array):
    return [number(v) for v in np.asarray(array).reshape(-1)]


def packed(array, dtype=None):
    array = np.asarray(array)
    return {"dtype": dtype or DTYPES[array.dtype], "shape": list(array.shape), "data": data(array)}


def add(op, inputs, function, kink=False, wrt=None, **attributes):
    """One case. `wrt`: positions of the inputs that gradients flow to; all floats by default."""
    inputs = [np.asarray(x) for x in inputs]
    inputs = [x.astype(np.float32) if x.dtype == np.float64 else x for x in inputs]
    tensors = [torch.tensor(x.astype(np.float64) if x.dtype == np.float32 else x) for x in inputs]
    if wrt is None:
        wrt = [i for i, x in enumerate(inputs) if x.dtype == np.float32]
    for i in wrt:
        tensors[i].requires_grad_(True)
    output = function(*tensors)
    case = {"attributes": attributes, "inputs": [packed(x) for x in inputs]}
    value = output.detach().numpy()
    case["output"] = packed(value, "f32" if value.dtype == np.float64 else None)
    if wrt and output.is_floating_point():
        g = torch.tensor(rand(*output.shape).astype(np.float64)).reshape(output.shape)
        found = [None] * len(wrt)
        if output.requires_grad:
            found = torch.autograd.grad(output, [tensors[i] for i in wrt], g, allow_unused=True)
        gradients = [None] * len(inputs)
        for i, gradient in zip(wrt, found):
            gradient = torch.zeros_like(tensors[i]) if gradient is None else gradient
            gradients[i] = data(gradient.detach().numpy())
        case["output_gradient"] = data(g.numpy())
        case["gradients"] = gradients
    if kink:
        case["kink"] = True
    CASES.setdefault(op, []).append(case)


def settle(op, output=None, gradients=None):
    """Replaces numbers of the last case, `{position: number}`: those that PyTorch gives up (0 times an infinity) or rounds.
    A slope, of an elementwise function, is multiplied by the output's gradient."""
    case = CASES[op][-1]
    for at, value in (output or {}).items():
        case["output"]["data"][at] = number(value)
    for at, slope in (gradients or {}).items():
        g = float(case["output_gradient"][at])
        case["gradients"][0][at] = number(slope * g if slope else 0.0)


INF, NAN = math.inf, math.nan
# Everywhere but at NaN, where few agree on derivatives.
EDGES = [INF, -INF, 0.0, -0.0, 1e-30, -1e-30, 1e15, -1e15]


def edges(op, function, values=EDGES, tiny=(), slopes=None, output=None, wrt=None, **attributes):
    """Infinities, zeros, tiny and huge numbers; NaN by itself; and, one by one, numbers whose results are tiny, so that these
    are compared by their own size."""
    add(op, [np.array(values, np.float32)], function, kink=True, wrt=wrt, **attributes)
    settle(op, output, slopes)
    add(op, [np.array([NAN, 1.0], np.float32)], function, wrt=[], **attributes)
    for x in tiny:
        add(op, [np.array([x], np.float32)], function, kink=True, wrt=wrt, **attributes)


# Elementwise functions of one tensor.


def unary(op, function, low=-2.0, high=2.0, special=None, kinks=None, wrt=None, **attributes):
    Fixed(op)
    for shape in [(), (1,), (7,), (3, 5), (2, 0, 3), (2, 3, 1, 5)]:
        add(op, [rand(*shape, low=low, high=high)], function, wrt=wrt, **attributes)
    if special is not None:
        add(op, [np.array(special, np.float32)], function, wrt=wrt, **attributes)
    if kinks is not None:
        add(op, [np.array(kinks, np.float32)], function, kink=True, wrt=wrt, **attributes)


def elementwise():
    unary("abs", torch.abs, special=[1e4, -100.0], kinks=[0.0, -1.0])
    unary("sign", torch.sign, kinks=[0.0, -3.0, 2.0], wrt=[])
    unary("step", lambda x: (x > 0).double(), kinks=[0.0, -3.0, 2.0], wrt=[])
    unary("floor", torch.floor, kinks=[0.0, -3.0, 2.0, -2.5], wrt=[])
    unary("square", torch.square)
    unary("reciprocal", torch.reciprocal, low=0.25, special=[-0.5, 64.0])
    unary("rsqrt", torch.rsqrt, low=0.25, special=[64.0, 1e-4])
    unary("sqrt", torch.sqrt, low=0.25, special=[64.0, 1e-4])
    unary("exp", torch.exp, special=[-80.0, -20.0, 10.0])
    unary("log", torch.log, low=0.25, special=[1e-4, 1e6])
    unary("sin", torch.sin, low=-7, high=7)
    unary("cos", torch.cos, low=-7, high=7)
    unary("tanh", torch.tanh, special=[-30.0, 0.001, 30.0])
    unary("sigmoid", torch.sigmoid, special=[-80.0, -20.0, 20.0, 80.0])
    unary("erf", torch.erf, special=[-5.0, 0.001, 5.0])
    unary("relu", torch.relu, kinks=[0.0, -0.0, 1.0])
    unary("negate", torch.neg)
    unary("softplus", lambda x: torch.logaddexp(x, torch.zeros_like(x)), special=[-80.0, -20.0, 20.0, 80.0])
    unary("gelu", F.gelu, special=[-9.0, -4.0, 9.0])
    unary("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), special=[-9.0, -4.0, 9.0])
    unary("silu", F.silu, special=[-30.0, 30.0])
    for slope in [0.01, 0.25, 0.0]:
        unary("leaky_relu", lambda x: F.leaky_relu(x, slope), kinks=[0.0, 1.0, -1.0], slope=float(slope))
    for alpha in [1.0, 0.5]:
        unary("elu", lambda x: F.elu(x, alpha), special=[-30.0, 100.0], alpha=float(alpha))
    # Exact in f32, and between the numbers drawn.
    for bounds in [(-1 - 1 / 128, 1 + 1 / 128), (1 / 128, 6.0)]:
        unary("clamp", lambda x: torch.clamp(x, *bounds), low=-3.0, high=3.0, kinks=[-1 - 1 / 128, 6.0, 1 + 1 / 128, 0.5],
              low_=bounds[0], high_=bounds[1])
    for exponent in [2.0, 3.0, 0.5, -1.5, 0.0, 1.0]:
        unary("powf", lambda x: torch.pow(x, exponent), low=0.25, special=[9.0, 0.01], exponent=exponent,
              wrt=[] if exponent == 0.0 else None)
    for exponent in [2.0, 3.0]:
        add("powf", [rand(3, 4)], lambda x: torch.pow(x, exponent), exponent=exponent)
    unary("stop_gradient", lambda x: x.detach(), wrt=[])
    unary("erfc", torch.special.erfc, special=[-5.0, 0.001, 5.0])
    small = [1e-8, -1e-8, 1e-30, -1e-30]
    edges("abs", torch.abs)
    for op, function in [("sign", np.sign), ("floor", np.floor)]:
        edges(op, lambda x: torch.tensor(function(x.numpy())), wrt=[])
    edges("step", lambda x: (x > 0).double(), wrt=[])
    edges("square", torch.square)
    edges("reciprocal", torch.reciprocal, values=[INF, -INF, 0.0, -0.0, 1e15, 1e38])
    edges("rsqrt", torch.rsqrt, values=[INF, -INF, 0.0, 1e15, -1.0])
    edges("sqrt", torch.sqrt, values=[INF, -INF, 0.0, 1e38, -1.0])
    edges("exp", torch.exp, values=[INF, -INF, 0.0, -0.0, 1e-30, -1e15], tiny=[-50.0, -87.0])
    edges("log", torch.log, values=[INF, -INF, 0.0, -0.0, 1e38, -1.0], tiny=[1.0000001, 0.9999999])
    for op, function in [("sin", torch.sin), ("cos", torch.cos)]:
        edges(op, function, values=[INF, -INF, 0.0, -0.0, 1e-30, 1e6], tiny=small if op == "sin" else ())
    edges("tanh", torch.tanh, tiny=small)
    edges("sigmoid", torch.sigmoid, tiny=[-50.0, -87.0])
    edges("erf", torch.erf, tiny=small)
    edges("erfc", torch.special.erfc, tiny=[2.0, 4.0, 6.0, 9.0])
    edges("relu", torch.relu)
    edges("negate", torch.neg)
    edges("softplus", lambda x: x.clamp(min=0) + torch.log1p(torch.exp(-x.abs())), slopes={2: 0.5, 3: 0.5}, tiny=[-10.0, -30.0, -87.0])
    # Limits: 0 and 1 are the gates, and what an infinity is multiplied by.
    limits = dict(output={1: -0.0}, slopes={0: 1.0, 1: 0.0, 6: 1.0, 7: 0.0})
    # Not farther out: there the rounding of the argument of an exponential is all that one sees.
    edges("gelu", F.gelu, **limits, tiny=small)
    for x in [-3.0, -5.5]:
        add("gelu", [np.array([x], np.float32)], lambda x: x / 2 * torch.special.erfc(-x / math.sqrt(2)), kink=True)
    gate = lambda x: x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    edges("gelu_tanh", gate, **limits, tiny=small + [-3.0])
    edges("silu", lambda x: x * torch.sigmoid(x), **limits, tiny=small + [-30.0, -80.0])
    for slope in [0.01, 0.0]:
        edges("leaky_relu", lambda x: F.leaky_relu(x, slope), output={1: -INF if slope else 0.0}, slope=float(slope))
    edges("elu", lambda x: F.elu(x, 0.5), tiny=small + [-1e-3, -0.3], alpha=0.5)
    edges("clamp", lambda x: torch.clamp(x, -1.5, 2.5), low_=-1.5, high_=2.5)
    for exponent, values in [(2.0, EDGES), (3.0, [INF, -INF, 0.0, -0.0, -2.0, 1e10]), (1.0, [0.0, -0.0, -2.0, 1e38]), (0.5, [INF, 0.0, 1e38]),
                             (-1.0, [INF, -INF, 0.0, -2.0]), (0.0, [INF, 0.0, -2.0])]:
        edges("powf", lambda x: torch.pow(x, exponent), values=values, exponent=exponent, wrt=[] if exponent == 0.0 else None)


def binary(op, function, shapes=((), (1,), (7,), (3, 5), (0, 3), (2, 3, 1, 5)), draw=None, wrt=None):
    Fixed(op)
    for shape in shapes:
        a, b = (draw or (lambda s: (rand(*s), rand(*s))))(shape)
        add(op, [a, b], function, wrt=wrt)


def far(shape):
    """Two tensors that differ everywhere by at least 1/4."""
    b = rand(*shape)
    return b + np.where(bools(*shape), 0.25, -0.25).astype(np.float32) * (1 + ints(0, 4, *shape)).astype(np.float32), b


def pairs():
    binary("add", torch.add)
    binary("subtract", torch.subtract)
    binary("multiply", torch.multiply)
    binary("divide", torch.divide, draw=lambda s: (rand(*s), rand(*s, low=0.25)))
    binary("pow", torch.pow, draw=lambda s: (rand(*s, low=0.25), rand(*s)))
    add("pow", [np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0, 3.5])], torch.pow, kink=True)
    add("pow", [np.array([-2.0, -1.0, -0.5]), np.array([2.0, 3.0, 1.0])], torch.pow, wrt=[])
    add("pow", [np.array([0.0, 0.0, -0.0, 2.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0, 0.0])], torch.pow, kink=True)
    add("pow", [np.array([0.0, 0.0]), np.array([-1.0, 0.5])], torch.pow, kink=True)
    add("pow", [np.array([-2.0, -1.0, 0.0, INF]), np.array([2.0, 3.0, 0.0, 2.0])], torch.pow, kink=True, wrt=[0])
    add("pow", [np.array([INF, INF, -INF, 0.5, 2.0, 1.0, NAN, -1.0, NAN]), np.array([-1.0, 0.0, 3.0, INF, -INF, NAN, 0.0, INF, 1.0])],
        torch.pow, wrt=[])
    binary("maximum", torch.maximum, draw=far)
    binary("minimum", torch.minimum, draw=far)
    ends = np.array([INF, -INF, 0.0, -0.0, 1.0, -2.0, 1e-30])
    every = np.repeat(ends, len(ends)), np.tile(ends, len(ends))
    for op in ["add", "subtract", "multiply", "divide"]:
        add(op, every, getattr(torch, op), kink=True)
        add(op, [np.array([NAN, 1.0, INF]), np.array([1.0, NAN, NAN])], getattr(torch, op), wrt=[])
    for op in ["maximum", "minimum"]:
        add(op, every, getattr(torch, op), kink=True)
        add(op, [np.array([NAN, 1.0, NAN, INF]), np.array([1.0, NAN, -INF, NAN])], getattr(torch, op), wrt=[])
    tie = [np.array([1.0, 2.0, -3.0]), np.array([1.0, 0.5, -3.0])]
    add("maximum", tie, torch.maximum, kink=True)
    add("minimum", tie, torch.minimum, kink=True)
    for op in ["add", "subtract", "multiply"]:
        add(op, [ints(-9, 9, 2, 3), ints(-9, 9, 2, 3)], getattr(torch, op), wrt=[])
        add(op, [BYTES, TURNED], getattr(torch, op), wrt=[])
    nan = [np.array([1.0, math.nan, math.inf, 2.0, 0.0]), np.array([1.0, 1.0, math.inf, 3.0, -0.0])]
    for op, function in [("equal", torch.eq), ("not_equal", torch.ne), ("less", torch.lt), ("less_equal", torch.le),
                         ("greater", torch.gt), ("greater_equal", torch.ge)]:
        binary(op, function, wrt=[])
        add(op, nan, function, wrt=[])
        add(op, [ints(0, 3, 3, 5), ints(0, 3, 3, 5)], function, wrt=[])
        add(op, [BYTES, TURNED], function, wrt=[])
    for op in ["logical_and", "logical_or"]:
        Fixed(op)
        for shape in [(), (7,), (3, 5), (0,)]:
            add(op, [bools(*shape), bools(*shape)], getattr(torch, op))
    Fixed("logical_not")
    for shape in [(), (7,), (3, 5), (0,)]:
        add("logical_not", [bools(*shape)], torch.logical_not)
    Fixed("is_finite")
    add("is_finite", [np.array([1.0, math.nan, math.inf, -math.inf, 0.0, 3e38])], torch.isfinite, wrt=[])
    for shape in [(), (3, 5), (0,)]:
        add("is_finite", [rand(*shape)], torch.isfinite, wrt=[])
    Fixed("where")
    for shape in [(), (7,), (3, 5), (0, 2)]:
        add("where", [bools(*shape), rand(*shape), rand(*shape)], torch.where)
    add("where", [bools(4), ints(0, 9, 4), ints(0, 9, 4)], torch.where)
    add("where", [np.array([True, False] * 3), np.array([1.0, NAN, INF, 2.0, -INF, INF]), np.array([NAN, 1.0, -INF, NAN, 0.0, 1e38])], torch.where)
    add("where", [BYTES > 100, BYTES, TURNED], torch.where)
    Fixed("cast")
    x = np.array([-2.75, -0.5, 0.0, 0.5, 3.25], np.float32)
    add("cast", [x], lambda x: x.to(torch.int64), wrt=[], dtype="i64")
    add("cast", [x], lambda x: x != 0, wrt=[], dtype="bool")
    add("cast", [rand(2, 3)], lambda x: x * 1.0, dtype="f64")
    CASES["cast"][-1]["output"]["dtype"] = "f64"
    add("cast", [ints(-5, 5, 2, 3)], lambda x: x.double(), dtype="f32")
    add("cast", [ints(-1, 2, 7)], lambda x: x != 0, dtype="bool")
    add("cast", [bools(7)], lambda x: x.double(), dtype="f32")
    add("cast", [bools(7)], lambda x: x.to(torch.int64), dtype="i64")
    add("cast", [BYTES], lambda x: x.double(), dtype="f32")
    add("cast", [BYTES], lambda x: x.to(torch.int64), dtype="i64")
    add("cast", [BYTES], lambda x: x != 0, dtype="bool")
    add("cast", [np.array([-1, 0, 255, 256, 300, -257])], lambda x: x.to(torch.uint8), dtype="u8")
    add("cast", [np.array([0.0, 0.9, 254.5, 255.0])], lambda x: x.to(torch.uint8), wrt=[], dtype="u8")


# Shapes and views.


def take(x, starts, lengths, steps):
    for axis, (start, length, step) in enumerate(zip(starts, lengths, steps)):
        if length < 0:
            length = len(range(start, x.shape[axis], step)) if step > 0 else len(range(start, -1, step))
        x = x.index_select(axis, torch.tensor([start + j * step for j in range(length)], dtype=torch.int64))
    return x


def views():
    Fixed("broadcast")
    for shape, to in [((), [2, 3]), ((3,), [2, 3]), ((2, 1), [2, 3]), ((1, 3, 1), [2, 4, 3, 2]), ((1,), [0]), ((2, 3), [2, 3])]:
        add("broadcast", [rand(*shape)], lambda x: x.broadcast_to(to), shape=to)
        add("broadcast", [rand(*shape), rand(*to)], lambda x, like: x.broadcast_to(like.shape), wrt=[0])
    add("broadcast", [ints(0, 9, 3)], lambda x: x.broadcast_to(2, 3), shape=[2, 3])
    add("broadcast", [bools(3, 1)], lambda x: x.broadcast_to(3, 2), shape=[3, 2])
    Fixed("reshape")
    for shape, lengths, exact, to in [
        ((2, 3, 4), [0, -1], False, (2, 12)), ((6,), [2, 3], False, (2, 3)), ((), [1, 1], False, (1, 1)),
        ((1, 1), [], True, ()), ((2, 0, 3), [0, 5], True, (0, 5)), ((4, 3, 2), [-1], False, (24,)),
        ((3, 1, 5), [0, 0, 5, 1], False, (3, 1, 5, 1)),
    ]:
        add("reshape", [rand(*shape)], lambda x: x.reshape(to), lengths=lengths, exact=exact)
    add("reshape", [ints(0, 9, 6)], lambda x: x.reshape(3, 2), lengths=[3, 2], exact=False)
    Fixed("permute")
    for shape, axes in [((), []), ((5,), [0]), ((3, 5), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((2, 3, 4, 5), [0, -2, -1, 1]), ((2, 0, 3), [2, 1, 0])]:
        add("permute", [rand(*shape)], lambda x: x.permute(axes), axes=axes)
    add("permute", [bools(2, 3)], lambda x: x.permute(1, 0), axes=[1, 0])
    Fixed("slice")
    for shape, starts, lengths, steps in [
        ((7,), [2], [3], [1]), ((7,), [1], [-1], [2]), ((7,), [0], [3], [3]), ((7,), [6], [-1], [-1]), ((8,), [5], [2], [-3]),
        ((7,), [3], [0], [1]), ((3, 5), [1, 4], [-1, 3], [1, -2]), ((2, 3, 4), [0, 2, 1], [-1, -1, 2], [1, -1, 1]),
        ((), [], [], []), ((0, 3), [0, 1], [-1, 1], [1, 1]), ((2, 6, 5), [1, 0, 0], [1, 3, -1], [1, 2, 4]), ((1, 4), [0, 0], [1, 1], [1, 9]),
    ]:
        add("slice", [rand(*shape)], lambda x: take(x, starts, lengths, steps), starts=starts, lengths=lengths, steps=steps)
    add("slice", [ints(0, 9, 5)], lambda x: take(x, [4], [2], [-2]), starts=[4], lengths=[2], steps=[-2])
    add("slice", [BYTES], lambda x: take(x, [7], [3], [-2]), starts=[7], lengths=[3], steps=[-2])
    Fixed("pad")
    for shape, before, after, value in [
        ((3,), [1], [2], 0.0), ((2, 3), [0, 1], [1, 0], -1.5), ((1, 2, 3, 3), [0, 0, 1, 2], [0, 0, 2, 1], 0.0), ((), [], [], 0.0),
        ((0, 2), [1, 0], [1, 1], 2.0), ((5,), [0], [0], 1.0),
    ]:
        widths = [n for pair in zip(reversed(before), reversed(after)) for n in pair]
        add("pad", [rand(*shape)], lambda x: F.pad(x, widths, value=value) if widths else x * 1.0, before=before, after=after, value=value)
    add("pad", [ints(0, 9, 3)], lambda x: F.pad(x, [1, 1], value=7), before=[1], after=[1], value=7.0)
    add("pad", [BYTES], lambda x: F.pad(x, [1, 1], value=7), before=[1], after=[1], value=7.0)
    Fixed("concat")
    for shapes, axis in [
        ([(2,), (3,)], 0), ([(2, 3), (2, 1), (2, 4)], 1), ([(1, 2, 3), (2, 2, 3)], 0), ([(2, 3, 2, 2), (2, 1, 2, 2)], 1), ([(2, 0), (2, 3)], 1),
        ([(4,)], 0), ([(2, 3, 1), (2, 3, 2)], 2),
    ]:
        add("concat", [rand(*s) for s in shapes], lambda *x: torch.cat(x, axis), axis=axis, rank=len(shapes[0]), lengths=[s[axis] for s in shapes])
    add("concat", [ints(0, 9, 2), ints(0, 9, 3)], lambda *x: torch.cat(x), axis=0, rank=1, lengths=[2, 3])
    add("concat", [BYTES[:4], BYTES], lambda *x: torch.cat(x), axis=0, rank=1, lengths=[4, 9])
    Fixed("fill")
    add("fill", [], lambda: torch.full([2, 3], 1.5, dtype=torch.float64), value=1.5, shape=[2, 3], dtype="f32")
    add("fill", [], lambda: torch.full([], -2, dtype=torch.int64), value=-2.0, shape=[], dtype="i64")
    add("fill", [], lambda: torch.full([3], True), value=1.0, shape=[3], dtype="bool")
    add("fill", [rand(2, 3)], lambda x: torch.full_like(x, 0.25), wrt=[], value=0.25)
    add("fill", [ints(0, 9, 2)], lambda x: torch.full_like(x, 3), wrt=[], value=3.0)
    add("fill", [BYTES], lambda x: torch.full_like(x, 255), wrt=[], value=255.0)


# Reductions.

# Rows with masked classes, and with numbers that are far apart or equal.
MASKED = [[0.0, -INF, 1.0], [-INF, -INF, 3.0], [1.0, 1.0, 1.0], [3e38, -3e38, 3e38], [-3e38, -INF, -3e38], [1e-30, -1e-30, 0.0]]
# Rows of which softmax is NaN.
NO_DISTRIBUTION = [[-INF, -INF, -INF], [INF, 0.0, 1.0], [INF, INF, 1.0], [NAN, 0.0, 1.0], [-INF, NAN, 1.0], [INF, -INF, 0.0]]


def reductions():
    axes_lists = [((), [], False), ((5,), [], False), ((5,), [0], True), ((3, 5), [0], False), ((3, 5), [-1], True), ((2, 3, 4), [0, 2], False),
                  ((2, 3, 4, 2), [0, 2, 3], True), ((2, 3, 4), [1], False), ((1, 1), [], True)]

    def over(x, axes):
        return axes if axes else list(range(x.dim()))

    def amount(x, function, axes, keep):
        return function(x, over(x, axes), keep) if x.dim() else x * 1.0

    for op, function in [("sum", lambda x, a, k: x.sum(a, k)), ("mean", lambda x, a, k: x.mean(a, k)),
                         ("max", lambda x, a, k: x.amax(a, k)), ("min", lambda x, a, k: x.amin(a, k))]:
        Fixed(op)
        for shape, axes, keep in axes_lists:
            add(op, [distinct(*shape)], lambda x: amount(x, function, axes, keep), axes=axes, keep=keep)
        if op in ("max", "min"):
            limit = -math.inf if op == "max" else math.inf
            add(op, [np.zeros((2, 0), np.float32)], lambda x: torch.full([2], limit, dtype=torch.float64) + x.sum(1), axes=[1], keep=False)
            add(op, [np.array([[1, 2, 2], [3, 3, 3], [0, -1, -1]], np.float32)], lambda x: function(x, [1], False), kink=True, axes=[1], keep=False)
            add(op, [np.array([1, math.nan, 2], np.float32)], lambda x: function(x, [0], False), wrt=[], axes=[0], keep=False)
        else:
            add(op, [np.zeros((2, 0), np.float32)], lambda x: x.sum(1) if op == "sum" else x.mean(1), axes=[1], keep=False)
            add(op, [np.zeros((0, 3), np.float32)], lambda x: x.sum(1) if op == "sum" else x.mean(1), axes=[1], keep=False)
            add(op, [rand(1, 300)], lambda x: function(x, [1], False), axes=[1], keep=False)
            add(op, [np.full((2, 28), 100.0)], lambda x: function(x, [1], False), axes=[1], keep=False)
        ends = [[INF, 1, 2], [INF, -INF, 0], [-INF, -INF, 1], [0, -0.0, 1e-30], [1e15, -1e15, 1], [-2, -2, -2]]
        for axes in [[1], [0]]:
            x = np.array(ends if axes == [1] else np.transpose(ends), np.float32)
            add(op, [x], lambda x: function(x, axes, False), kink=True, axes=axes, keep=False)
            add(op, [np.where(x == 1, NAN, x)], lambda x: function(x, axes, False), wrt=[], axes=axes, keep=False)
        add(op, [np.array([1e-30, 2e-30, -4e-30])], lambda x: function(x, [0], False), kink=True, axes=[0], keep=False)
    Fixed("var")
    for shape, axes, keep in axes_lists:
        for correction in [0, 1]:
            count = int(np.prod([shape[a] for a in (axes or range(len(shape)))]))
            if count > correction and shape:
                add("var", [rand(*shape)], lambda x: x.var(over(x, axes), correction=correction, keepdim=keep), axes=axes, keep=keep, correction=correction)
    # Far from zero, where the difference of mean squares would lose all digits.
    add("var", [rand(4, 6) + 512.0], lambda x: x.var([1], correction=0), axes=[1], keep=False, correction=0)
    # Where there is nothing to vary, and where little varies in much.
    for number, count in [(100.0, 28), (0.1, 7), (-1e30, 3), (1e-30, 5), (3e38, 2)]:
        equal = [np.full((2, count), number)]
        add("var", equal, lambda x: x.var([1], correction=0), kink=True, axes=[1], keep=False, correction=0)
        settle("var", {0: 0.0, 1: 0.0}, None)
        CASES["var"][-1]["gradients"] = [[0] * (2 * count)]
        add("mean", equal, lambda x: x.mean(1), kink=True, axes=[1], keep=False)
        settle("mean", {at: np.float32(number).item() for at in (0, 1)})
    # The gradient is that of deviations from a mean that single precision rounds.
    add("var", [1e6 + ints(0, 2, 3, 50).astype(np.float32)], lambda x: x.var([1], correction=0), wrt=[], axes=[1], keep=False, correction=0)
    add("var", [np.array([[1.0, INF, 2.0], [NAN, 1.0, 1.0], [1.0, 2.0, 4.0]])], lambda x: x.var([1], correction=0), wrt=[], axes=[1], keep=False, correction=0)
    add("var", [np.array([2e-15, 1e-15, 4e-15])], lambda x: x.var([0], correction=0), kink=True, axes=[0], keep=False, correction=0)
    first = dict(keep=False, last=False)
    for op, function in [("argmax", np.argmax), ("argmin", np.argmin)]:
        Fixed(op)
        for shape, axis in [((5,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), -2), ((1, 1), -1), ((0, 3), 1)]:
            add(op, [distinct(*shape)], lambda x: torch.tensor(function(x.numpy(), axis)), wrt=[], axis=axis, **first)
        add(op, [np.array([[1, 3, 3, 1], [2, 2, 2, 2]], np.float32)], lambda x: torch.tensor(function(x.numpy(), 1)), wrt=[], axis=1, **first)
        add(op, [np.array([1, math.nan, 3, math.nan], np.float32)], lambda x: torch.tensor(function(x.numpy(), 0)), wrt=[], axis=0, **first)
    for op, function in [("softmax", torch.softmax), ("log_softmax", torch.log_softmax)]:
        Fixed(op)
        for shape in [(1,), (7,), (3, 5), (2, 3, 4), (0, 3), (2, 1), (3, 33)]:
            add(op, [rand(*shape)], lambda x: function(x, -1))
        add(op, [np.array([[80.0, 0.0, -80.0], [1000.0, 1000.0, 999.0], [-1000.0, -1001.0, -1000.0]], np.float32)], lambda x: function(x, -1))
        add(op, [np.array(MASKED, np.float32)], lambda x: function(x, -1), kink=True)
        add(op, [np.array(NO_DISTRIBUTION, np.float32)], lambda x: function(x, -1), kink=True)
    Fixed("cumsum")
    inclusive = dict(exclusive=False, reverse=False)
    for shape, axis in [((5,), 0), ((3, 5), 0), ((3, 5), -1), ((2, 3, 4), 1), ((0, 3), 1), ((1,), 0)]:
        add("cumsum", [rand(*shape)], lambda x: x.cumsum(axis), axis=axis, **inclusive)
    add("cumsum", [np.array([1.0, INF, 2.0, -INF, NAN])], lambda x: x.cumsum(0), kink=True, axis=0, **inclusive)
    add("cumsum", [np.array([1e15, 1.0, -1e15, 1e-30])], lambda x: x.cumsum(0), kink=True, axis=0, **inclusive)


# Indices.


def indexing():
    Fixed("one_hot")
    for shape, classes in [((), 3), ((4,), 5), ((2, 3), 4), ((0,), 2), ((3,), 1)]:
        add("one_hot", [ints(0, classes, *shape)], lambda x: F.one_hot(x, classes).double(), classes=classes, dtype="f32")
    Fixed("index_select")
    cases = [((5,), 0, (3,)), ((4, 3), 0, (6,)), ((4, 3), 1, (2, 2)), ((2, 5, 3), 1, (4,)), ((3, 2), 0, ()), ((3, 2), 0, (0,)), ((2, 3, 2), 2, (3, 1))]
    for shape, axis, count in cases:
        def select(x, i):
            return x.index_select(axis, i.reshape(-1)).reshape(shape[:axis] + tuple(i.shape) + shape[axis + 1:])
        add("index_select", [rand(*shape), ints(0, shape[axis], *count)], select, axis=axis)
    add("index_select", [ints(0, 9, 5), ints(0, 5, 2)], lambda x, i: x[i], axis=0)
    Fixed("index_add")
    for shape, axis, count in cases:
        def accumulate(x, i):
            flat = x.reshape(shape[:axis] + (i.numel(),) + shape[axis + 1:])
            return torch.zeros(shape, dtype=torch.float64).index_add(axis, i.reshape(-1), flat)
        x = rand(*(shape[:axis] + count + shape[axis + 1:]))
        add("index_add", [x, ints(0, shape[axis], *count)], accumulate, axis=axis, length=shape[axis])
    ends = np.array([1.0, INF, NAN, -INF, 1e-30, 2.0])
    add("index_select", [ends, np.array([1, 0, 2, 1])], lambda x, i: x[i], kink=True, axis=0)
    add("index_add", [ends, np.array([3, 1, 2, 1, 0, 3])], lambda x, i: torch.zeros(4, dtype=torch.float64).index_add(0, i, x), kink=True, axis=0, length=4)
    add("gather", [ends, np.array([1, 0, 2, 1])], lambda x, i: x[i], kink=True, axis=0)
    add("scatter_add", [ends, np.array([3, 1, 2, 1, 0, 3])], lambda x, i: torch.zeros(4, dtype=torch.float64).scatter_add(0, i, x), kink=True, axis=0, length=4)
    cases = [((5,), 0, (3,)), ((4, 3), 1, (4, 5)), ((4, 3), 0, (2, 3)), ((2, 5, 3), 1, (2, 4, 3)), ((3, 2), 0, (0, 2)), ((1, 1), 1, (1, 1))]
    Fixed("gather")
    for shape, axis, count in cases:
        add("gather", [rand(*shape), ints(0, shape[axis], *count)], lambda x, i: torch.gather(x, axis, i), axis=axis)
    add("gather", [ints(0, 9, 5), ints(0, 5, 2)], lambda x, i: x[i], axis=0)
    add("gather", [BYTES, np.array([8, 0, 3])], lambda x, i: x[i], axis=0)
    Fixed("scatter_add")
    for shape, axis, count in cases:
        add("scatter_add", [rand(*count), ints(0, shape[axis], *count)],
            lambda x, i: torch.zeros(shape, dtype=torch.float64).scatter_add(axis, i, x), axis=axis, length=shape[axis])


# Matrices, convolutions and windows.


def padded(x, padding, value=0.0):
    """The images with two numbers of padding, or four: above, left, below, right."""
    above, left, below, right = padding if len(padding) == 4 else padding * 2
    return F.pad(x, (left, right, above, below), value=value)


def cropped(wide, shape, padding):
    """Images of this shape, of which `wide` is padded."""
    above, left = padding[:2]
    return wide[:, :, above:above + shape[2], left:left + shape[3]]


def contractions():
    Fixed("matmul")
    for a, b in [((2, 3), (3, 4)), ((1, 1), (1, 1)), ((5, 1), (1, 3)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 2), (2, 1, 2, 3)), ((3, 0), (0, 2)),
                 ((0, 3), (3, 2)), ((7, 13), (13, 9)), ((1, 33), (33, 17)), ((0, 2, 3), (0, 3, 2))]:
        add("matmul", [rand(*a), rand(*b)], torch.matmul)
    a, b = rand(5, 9), rand(9, 11)
    a[1, 2], a[3, 0], a[4, 8], b[4, 4], b[2, 7] = INF, NAN, -INF, -INF, 0.0
    add("matmul", [a, b], torch.matmul, kink=True)
    add("matmul", [rand(3, 5) * 1e-20, rand(5, 2) * 1e-10], torch.matmul, kink=True)
    convolutions = [
        # x, w, stride, padding, dilation, groups
        ((1, 1, 4, 4), (1, 1, 3, 3), [1, 1], [0, 0], [1, 1], 1),
        ((2, 3, 5, 7), (4, 3, 3, 3), [1, 1], [1, 1], [1, 1], 1),
        ((2, 2, 7, 6), (3, 2, 3, 2), [2, 1], [1, 0], [1, 1], 1),
        ((1, 2, 8, 7), (2, 2, 3, 2), [1, 2], [2, 1], [2, 3], 1),
        ((2, 4, 5, 5), (6, 2, 3, 3), [1, 1], [1, 1], [1, 1], 2),
        ((2, 3, 4, 4), (3, 1, 2, 2), [2, 2], [0, 0], [1, 1], 3),
        ((2, 3, 3, 3), (2, 3, 1, 1), [1, 1], [0, 0], [1, 1], 1),
        ((1, 2, 6, 6), (2, 2, 3, 3), [3, 3], [1, 1], [1, 1], 1),
        ((1, 1, 3, 3), (1, 1, 3, 3), [1, 1], [0, 0], [1, 1], 1),
        ((0, 2, 4, 4), (3, 2, 3, 3), [1, 1], [0, 0], [1, 1], 1),
        ((1, 2, 4, 3), (17, 2, 5, 5), [1, 1], [2, 2], [1, 1], 1),
        # Four numbers: above, left, below, right.
        ((2, 2, 5, 4), (3, 2, 2, 2), [1, 1], [0, 0, 1, 1], [1, 1], 1),
        ((1, 2, 6, 7), (17, 2, 3, 3), [1, 1], [2, 0, 0, 1], [1, 1], 1),
        ((2, 4, 5, 6), (2, 2, 3, 2), [2, 3], [1, 0, 0, 2], [1, 2], 2),
        ((1, 1, 3, 3), (2, 1, 3, 5), [1, 1], [0, 4, 3, 1], [1, 1], 1),
    ]
    for op in ["conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"]:
        Fixed(op)
        for x, w, stride, padding, dilation, groups in convolutions:
            options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)

            def conv(x, w):
                rest = dict(options, padding=[0, 0])
                if x.shape[0] == 0:
                    y = F.conv2d(padded(torch.zeros((1, *x.shape[1:]), dtype=x.dtype), padding), w, None, **rest)
                    return (y[:0] + x.sum() + 0 * w.sum())
                return F.conv2d(padded(x, padding), w, None, **rest)

            y = tuple(conv(torch.zeros(x, dtype=torch.float64), torch.zeros(w, dtype=torch.float64)).shape)

            def by(which, function):
                """The gradient of sum(conv * g), differentiable in its two inputs."""
                def gradient(a, b):
                    other = torch.zeros(x if which == 0 else w, dtype=torch.float64, requires_grad=True)
                    value = function(a, b, other)
                    return torch.autograd.grad(value, other, create_graph=True)[0]
                return gradient

            if op == "conv2d":
                add(op, [rand(*x), rand(*w)], conv, **options)
            elif op == "conv2d_input_gradient":
                add(op, [rand(*y), rand(*w)], by(0, lambda g, w, x: (conv(x, w) * g).sum()), **options, input=list(x[2:]))
            else:
                add(op, [rand(*x), rand(*y)], by(1, lambda x, g, w: (conv(x, w) * g).sum()), **options, kernel=list(w[2:]))
    pools = [
        # x, kernel, stride, padding (two numbers, or four: above, left, below, right)
        ((1, 1, 4, 4), [2, 2], [2, 2], [0, 0]),
        ((2, 3, 5, 7), [3, 2], [1, 2], [0, 0]),
        ((2, 2, 6, 5), [3, 3], [2, 2], [1, 1]),
        ((1, 2, 5, 5), [2, 4], [3, 1], [1, 2]),
        ((2, 1, 3, 3), [3, 3], [1, 1], [0, 0]),
        ((1, 1, 1, 1), [1, 1], [1, 1], [0, 0]),
        ((2, 17, 4, 4), [2, 2], [2, 2], [0, 0]),
        ((2, 2, 5, 5), [2, 2], [2, 2], [0, 0, 1, 1]),
        ((1, 17, 4, 5), [3, 2], [1, 2], [2, 1, 0, 0]),
    ]

    def max_pool(x, kernel, stride, padding):
        return F.max_pool2d(padded(x, padding, -INF), kernel, stride)

    def places(x, kernel, stride, padding):
        """For each window the place of its largest element, in the padded image."""
        return F.max_pool2d(padded(x, padding, -INF), kernel, stride, return_indices=True)[1]

    def select(x, v, kernel, stride, padding):
        at = places(x, kernel, stride, padding)
        return padded(v, padding).flatten(2).gather(2, at.flatten(2)).reshape(at.shape)

    for op in ["max_pool2d", "max_pool2d_gradient", "max_pool2d_select"]:
        Fixed(op)
        for x, kernel, stride, padding in pools:
            options = dict(kernel=kernel, stride=stride, padding=padding)
            y = tuple(max_pool(torch.zeros(x), kernel, stride, padding).shape)
            if op == "max_pool2d":
                add(op, [distinct(*x)], lambda x: max_pool(x, kernel, stride, padding), **options)
            elif op == "max_pool2d_select":
                add(op, [distinct(*x), rand(*x)], lambda x, v: select(x, v, kernel, stride, padding), wrt=[1], **options)
            else:
                def scatter(x, g):
                    at = places(x, kernel, stride, padding)
                    wide = padded(torch.zeros_like(x), padding)
                    wide = wide.flatten(2).scatter_add(2, at.flatten(2), g.flatten(2)).reshape(wide.shape)
                    return cropped(wide, x.shape, padding)
                add(op, [distinct(*x), rand(*y)], scatter, wrt=[1], **options)
        if op == "max_pool2d":
            options = dict(kernel=[2, 2], stride=[1, 1], padding=[0, 0])
            tie = np.array([[[[1, 1, 0], [1, 1, 2], [0, 2, 2]]]], np.float32)
            add(op, [tie], lambda x: F.max_pool2d(x, [2, 2], [1, 1]), kink=True, **options)
            ends = np.array([[[[-INF, -INF, 0, NAN], [-INF, -INF, INF, 1], [1e-30, 0, -INF, 2], [-0.0, 0, INF, INF]]]], np.float32)
            options = dict(kernel=[2, 2], stride=[2, 2], padding=[0, 0])
            add(op, [ends], lambda x: F.max_pool2d(x, [2, 2], [2, 2]), kink=True, **options)
    for op in ["avg_pool2d", "avg_pool2d_gradient"]:
        Fixed(op)
        for x, kernel, stride, padding in pools:
            for count in [True, False] if padding != [0, 0] else [True]:
                options = dict(kernel=kernel, stride=stride, padding=padding, count_padding=count)

                def pool(x):
                    if len(padding) == 2:
                        return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=count)
                    mean = F.avg_pool2d(padded(x, padding), kernel, stride)
                    inside = F.avg_pool2d(padded(torch.ones_like(x), padding), kernel, stride)
                    return mean if count else mean / inside

                y = tuple(pool(torch.zeros(x)).shape)
                if op == "avg_pool2d":
                    add(op, [rand(*x)], pool, **options)
                    add(op, [np.full(x, 0.1)], pool, kink=True, **options)
                    ends = rand(*x)
                    ends.flat[:: 5], ends.flat[1:: 7] = INF, NAN
                    add(op, [ends], pool, kink=True, **options)
                else:
                    def gradient(g):
                        z = torch.zeros(x, dtype=torch.float64, requires_grad=True)
                        return torch.autograd.grad((pool(z) * g).sum(), z, create_graph=True)[0]
                    add(op, [rand(*y)], gradient, **options, input=list(x[2:]))
    unfoldings = [
        ((1, 1, 3, 3), [2, 2], [1, 1], [0, 0], [1, 1]),
        ((2, 3, 5, 4), [3, 2], [2, 1], [1, 0], [1, 1]),
        ((1, 2, 7, 6), [2, 3], [1, 2], [2, 1], [3, 2]),
        ((2, 1, 1, 1), [1, 1], [1, 1], [0, 0], [1, 1]),
        ((0, 2, 4, 4), [3, 3], [1, 1], [1, 1], [1, 1]),
        ((2, 2, 4, 5), [2, 3], [1, 2], [0, 2, 1, 0], [1, 2]),
    ]
    for op in ["im2col", "col2im"]:
        Fixed(op)
        for x, kernel, stride, padding, dilation in unfoldings:
            options = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation)

            def columns(x):
                # [N, C KH KW, Y X] -> [N Y X, C KH KW]
                col = F.unfold(padded(x, padding), kernel, dilation, 0, stride)
                return col.transpose(1, 2).reshape(-1, x.shape[1] * kernel[0] * kernel[1])

            def images(col):
                cells = col.reshape(x[0], -1, x[1] * kernel[0] * kernel[1]).transpose(1, 2)
                wide = padded(torch.zeros(1, 1, *x[2:]), padding).shape[2:]
                return cropped(F.fold(cells, wide, kernel, dilation, 0, stride), x, padding)

            if x[0] == 0:
                one = columns(torch.zeros((1, *x[1:]), dtype=torch.float64))
                empty = np.zeros((0, one.shape[1]), np.float32)
                if op == "im2col":
                    add(op, [rand(*x)], lambda x: x.reshape(0, one.shape[1]), **options)
                else:
                    add(op, [empty], lambda col: col.reshape(x), **options, images=list(x))
            elif op == "im2col":
                add(op, [rand(*x)], columns, **options)
            else:
                rows = columns(torch.zeros(x, dtype=torch.float64)).shape
                add(op, [rand(*rows)], images, **options, images=list(x))


# Losses, normalisation, random numbers.


def losses():
    Fixed("cross_entropy")
    for smoothing in [0.0, 0.1]:
        for shape in [(1, 3), (4, 10), (5, 1), (0, 3), (2, 3, 4), (7,)]:
            classes = shape[-1]

            def loss(x, t):
                flat = x.reshape(-1, classes)
                target = t.reshape(-1) if t.dtype == torch.int64 else t.reshape(-1, classes)
                return F.cross_entropy(flat, target, reduction="none", label_smoothing=smoothing).reshape(shape[:-1])

            add("cross_entropy", [rand(*shape), ints(0, classes, *shape[:-1])], loss, smoothing=smoothing)
            q = rand(*shape, low=0.25)
            add("cross_entropy", [rand(*shape), q], loss, smoothing=smoothing)
        extreme = np.array([[80.0, 0.0, -80.0], [1000.0, 999.0, 998.0]], np.float32)
        add("cross_entropy", [extreme, np.array([2, 0])], lambda x, t: F.cross_entropy(x, t, reduction="none", label_smoothing=smoothing), smoothing=smoothing)
        rows, labels = np.array(MASKED, np.float32), np.array([0, 2, 1, 0, 2, 1])
        plain = lambda x, t: F.cross_entropy(x, t, reduction="none", label_smoothing=smoothing)
        # A smoothed target of numbers so far apart is infinite in single precision only.
        far = rows[[0, 1, 2, 0, 4, 5]] if smoothing else rows
        add("cross_entropy", [far, labels], plain, kink=True, smoothing=smoothing)
        add("cross_entropy", [np.array(NO_DISTRIBUTION, np.float32), labels], plain, kink=True, smoothing=smoothing)
        if smoothing == 0.0:
            add("cross_entropy", [rows[:2], np.array([1, 0])], plain, kink=True, smoothing=smoothing)
            # A class of probability 0 adds nothing.
            q = np.array([[0.25, 0.0, 0.75], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
            soft = lambda x, t: -torch.where(t == 0, 0.0, t * torch.log_softmax(x, -1)).sum(-1)
            add("cross_entropy", [rows, q], soft, kink=True, wrt=[0], smoothing=smoothing)
    Fixed("batch_norm")
    for shape in [(4, 3), (2, 3, 4, 5), (3, 2, 5), (1, 1), (0, 2)]:
        c = shape[1]
        for epsilon in [1e-5, 0.1]:
            def norm(x, m, v, s, b):
                to = [1, c] + [1] * (len(shape) - 2)
                m, v, s, b = (t.reshape(to) for t in (m, v, s, b))
                return (x - m) / torch.sqrt(v + epsilon) * s + b
            add("batch_norm", [rand(*shape), rand(c), rand(c, low=0.25), rand(c), rand(c)], norm, epsilon=epsilon)
    Fixed("layer_norm")
    for shape, axes in [((4, 5), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((6,), 1), ((0, 3), 1), ((3, 33), 1)]:
        last = shape[len(shape) - axes:]
        for epsilon in [1e-5, 0.1]:
            add("layer_norm", [rand(*shape)], lambda x: F.layer_norm(x, last, None, None, epsilon), axes=axes, epsilon=epsilon)
            add("layer_norm", [rand(*shape), rand(*last), rand(*last)], lambda x, s, b: F.layer_norm(x, last, s, b, epsilon), axes=axes, epsilon=epsilon)


    for number in [100.0, 0.1, 1000.0]:
        add("layer_norm", [np.full((2, 28), number)], lambda x: F.layer_norm(x, [28], None, None, 1e-5), kink=True, axes=1, epsilon=1e-5)
        settle("layer_norm", {at: 0.0 for at in range(56)})
    x = rand(3, 5)
    x[0, 1], x[1, 2] = INF, NAN
    add("layer_norm", [x], lambda x: F.layer_norm(x, [5], None, None, 1e-5), kink=True, axes=1, epsilon=1e-5)


def philox(counter, key):
    """Philox4x32-10 of Random123: four counter words and two key words, four words out."""
    c, k = list(counter), list(key)
    mask = 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def randoms():
    # Known answers of the Random123 distribution.
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]

    def uniform(key, step, shape):
        words = []
        for block in range((int(np.prod(shape)) + 3) // 4):
            words += philox([block & 0xFFFFFFFF, block >> 32, step & 0xFFFFFFFF, step >> 32], [key & 0xFFFFFFFF, key >> 32])
        values = [(w >> 8) / 2**24 for w in words[: int(np.prod(shape))]]
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    for key, step, shape in [(0, 0, (5,)), (0x123456789ABCDEF, 7, (3, 5)), (1, 2**33 + 1, ()), (9, 3, (0,)), (2, 1, (2, 3, 4))]:
        add("uniform", [np.array(step, np.int64)], lambda s: uniform(key, step, shape), key=key, shape=list(shape))
        add("uniform", [np.array(step, np.int64), rand(*shape)], lambda s, like: uniform(key, step, shape), wrt=[], key=key)


def main():
    elementwise()
    pairs()
    views()
    reductions()
    indexing()
    contractions()
    losses()
    randoms()
    # What does not fit into this file uses its functions.
    for module in ["sequences", "windows", "functions", "reductions", "indexing", "losses", "signals"]:
        importlib.import_module(f"goldens_{module}").main()
    os.makedirs(os.path.join(OUT, "functions"), exist_ok=True)
    only = set(sys.argv[1:])
    for op, cases in CASES.items():
        for case in cases:
            # Names that are also parameters of the functions above.
            case["attributes"] = {name.rstrip("_"): value for name, value in case["attributes"].items()}
        if only and op not in only:
            continue
        with open(os.path.join(OUT, f"{op}.json"), "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


if __name__ == "__main__":
    # The files beside this one add their cases to the module of this name.
    import goldens

    goldens.main()
