"""Cases of reductions of integers, products, running sums and products, and logarithms of sums of exponentials."""

import numpy as np
import torch

from goldens import BYTES, INF, MASKED, NAN, Fixed, add, ints, rand

SHAPES = [((), [], False), ((5,), [], False), ((5,), [0], True), ((3, 5), [0], False), ((3, 5), [-1], True), ((2, 3, 4), [0, 2], False),
          ((2, 3, 4, 2), [0, 2, 3], True), ((2, 3, 4), [1], False), ((1, 1), [], True)]


def wrapped(numbers, dtype):
    """Whole numbers of any size as this type has them."""
    bits = 8 if dtype == np.uint8 else 64
    low = 0 if dtype == np.uint8 else -(2**63)
    return np.array([(int(n) - low) % 2**bits + low for n in np.asarray(numbers, object).reshape(-1)], dtype).reshape(np.shape(numbers))


def over(x, axes):
    return tuple(axes) if axes else tuple(range(x.ndim))


def truncated(total, count):
    return abs(int(total)) // count * (1 if total >= 0 else -1)


def of_integers():
    functions = {
        "sum": lambda x, a, k: wrapped(np.sum(x.astype(object), axis=a, keepdims=k), x.dtype),
        "prod": lambda x, a, k: wrapped(np.prod(x.astype(object), axis=a, keepdims=k), x.dtype),
        "max": lambda x, a, k: np.max(x, axis=a, keepdims=k),
        "min": lambda x, a, k: np.min(x, axis=a, keepdims=k),
    }

    def mean(x, a, k):
        totals = np.sum(x.astype(object), axis=a, keepdims=k)
        count = x.size // max(np.size(totals), 1)
        return np.array([truncated(n, count) for n in np.asarray(totals, object).reshape(-1)], x.dtype).reshape(np.shape(totals))

    functions["mean"] = mean
    for op, function in functions.items():
        Fixed(op + " of integers")
        for shape, axes, keep in SHAPES:
            plain = lambda x: torch.tensor(np.asarray(function(x.numpy(), over(x.numpy(), axes), keep)))
            if shape:
                add(op, [ints(-9, 9, *shape)], plain, axes=axes, keep=keep)
                add(op, [ints(0, 256, *shape).astype(np.uint8)], plain, axes=axes, keep=keep)
        large = np.array([[2**62, 2**62, 2**62], [-(2**63), -1, 5], [3, -4, 0]])
        add(op, [large], lambda x: torch.tensor(function(x.numpy(), (1,), False)), axes=[1], keep=False)
        add(op, [BYTES], lambda x: torch.tensor(function(x.numpy(), (0,), False)), axes=[0], keep=False)
        if op != "mean":
            ends = {"sum": 0, "prod": 1, "max": -(2**63), "min": 2**63 - 1}
            add(op, [np.zeros((2, 0), np.int64)], lambda x: torch.full([2], ends[op]), axes=[1], keep=False)


def products():
    Fixed("prod")

    def product(x, axes, keep):
        if not x.dim():
            return x * 1.0
        for axis in sorted((a % x.dim() for a in (axes or range(x.dim()))), reverse=True):
            x = x.prod(axis, keepdim=keep)
        return x

    for shape, axes, keep in SHAPES:
        add("prod", [rand(*shape)], lambda x: product(x, axes, keep), axes=axes, keep=keep)
    add("prod", [np.zeros((2, 0), np.float32)], lambda x: product(x, [1], False), axes=[1], keep=False)
    zeros = np.array([[1.5, 0.0, 2.0, -3.0], [0.0, 2.0, 0.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    for axes in [[1], [0], []]:
        add("prod", [zeros], lambda x: product(x, axes, False), axes=axes, keep=False)
    add("prod", [np.array([[INF, 2.0], [NAN, 1.0], [INF, 0.0], [-INF, -1.0]])], lambda x: product(x, [1], False), wrt=[], axes=[1], keep=False)
    for op, function in [("cumsum", np.cumsum), ("cumprod", np.cumprod)]:
        Fixed(op + " from the other end")
        for exclusive, reverse in [(False, False), (False, True), (True, False), (True, True)]:
            start = 0 if op == "cumsum" else 1

            def running(x, axis):
                if reverse:
                    x = x.flip(axis)
                y = torch.cumsum(x, axis) if op == "cumsum" else torch.cumprod(x, axis)
                if exclusive and x.shape[axis]:
                    first = torch.full_like(y.narrow(axis, 0, 1), start)
                    y = torch.cat([first, y.narrow(axis, 0, x.shape[axis] - 1)], axis)
                return y.flip(axis) if reverse else y

            options = dict(exclusive=exclusive, reverse=reverse)
            for shape, axis in [((5,), 0), ((3, 5), 0), ((3, 5), -1), ((2, 3, 4), 1), ((0, 3), 1), ((3, 0), 1), ((1,), 0)]:
                if op == "cumsum" and not exclusive and not reverse:
                    continue
                add(op, [rand(*shape)], lambda x: running(x, axis), axis=axis, **options)
            if op == "cumprod":
                add(op, [zeros], lambda x: running(x, 1), axis=1, **options)
                add(op, [zeros], lambda x: running(x, 0), axis=0, **options)
            add(op, [ints(-5, 5, 3, 4)], lambda x: running(x, 1), axis=1, **options)
            add(op, [np.array([2**62, 3, -7, 2**61, 5])], lambda x: running(x, 0), axis=0, **options)
            bytes_ = lambda x: torch.tensor(wrapped(running(x.to(torch.int64), 0).numpy(), np.uint8))
            add(op, [BYTES], bytes_, axis=0, **options)
    Fixed("linear_recurrence")

    def recurrence(a, b, axis):
        states = []
        for t in range(b.shape[axis]):
            one = b.select(axis, t)
            states.append(one + a.select(axis, t) * states[-1] if t else one)
        return torch.stack(states, axis) if states else a * b

    for shape, axis in [((5,), 0), ((3, 5), 0), ((3, 5), -1), ((2, 3, 4), 1), ((0, 3), 1), ((3, 0), 1), ((1,), 0)]:
        add("linear_recurrence", [rand(*shape), rand(*shape)], lambda a, b: recurrence(a, b, axis), axis=axis)
    add("linear_recurrence", [zeros, zeros[::-1].copy()], lambda a, b: recurrence(a, b, 1), axis=1)


def places():
    for op, function in [("argmax", np.argmax), ("argmin", np.argmin)]:
        Fixed(op + " of integers")
        for keep, last in [(False, False), (True, False), (False, True), (True, True)]:
            def place(x, axis):
                x = x.numpy()
                axis %= x.ndim
                at = function(np.flip(x, axis) if last else x, axis)
                at = x.shape[axis] - 1 - at if last else at
                return torch.tensor(np.expand_dims(at, axis) if keep else at)

            options = dict(keep=keep, last=last)
            for shape, axis in [((5,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), -2), ((1, 1), -1), ((0, 3), 1)]:
                add(op, [ints(0, 3, *shape)], lambda x: place(x, axis), axis=axis, **options)
                add(op, [ints(0, 3, *shape).astype(np.uint8)], lambda x: place(x, axis), axis=axis, **options)
                if keep or last:
                    add(op, [ints(0, 3, *shape).astype(np.float32)], lambda x: place(x, axis), wrt=[], axis=axis, **options)
            add(op, [np.array([1, NAN, 3, NAN], np.float32)], lambda x: place(x, 0), wrt=[], axis=0, **options)


def logarithms():
    Fixed("log_sum_exp")

    def function(x, axes, keep):
        return torch.logsumexp(x, axes if axes else list(range(x.dim())), keep) if x.dim() else x * 1.0

    for shape, axes, keep in SHAPES:
        add("log_sum_exp", [rand(*shape)], lambda x: function(x, axes, keep), axes=axes, keep=keep)
    add("log_sum_exp", [np.array([[80.0, 0.0, -80.0], [1000.0, 1000.0, 999.0], [-1000.0, -1001.0, -1000.0]])], lambda x: function(x, [1], False),
        axes=[1], keep=False)
    add("log_sum_exp", [np.zeros((2, 0), np.float32)], lambda x: torch.full([2], -INF, dtype=torch.float64) + x.sum(1), axes=[1], keep=False)
    add("log_sum_exp", [np.array(MASKED, np.float32)], lambda x: function(x, [-1], False), kink=True, axes=[-1], keep=False)
    ends = np.array([[-INF, -INF], [INF, 0.0], [INF, INF], [-INF, INF]])
    add("log_sum_exp", [ends], lambda x: function(x, [1], False), kink=True, axes=[1], keep=False)
    from goldens import CASES
    case = CASES["log_sum_exp"][-1]
    _, one, two, three = case["output_gradient"]
    # The limits, where PyTorch has the difference of infinities.
    case["gradients"][0] = [0, 0, one, 0, two / 2, two / 2, 0, three]
    add("log_sum_exp", [np.array([[NAN, 1.0]])], lambda x: function(x, [1], False), wrt=[], axes=[1], keep=False)


def main():
    of_integers()
    products()
    places()
    logarithms()
