"""Samples of what slides, resizes and normalizes: goldens.py runs this, and writes what it adds."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from __main__ import CASES, INF, NAN, Fixed, add, distinct, rand, settle

# Convolutions of sequences and volumes, poolings along any axes, resizing.


def sides(pads):
    """ONNX's order (all that is before, all that is behind) as torch.nn.functional.pad wants it."""
    half = len(pads) // 2
    return [n for axis in reversed(range(half)) for n in (pads[axis], pads[axis + half])]


def empty_batch(function, x, *others):
    """What PyTorch refuses to do without samples."""
    if x.shape[0] > 0:
        return function(x, *others)
    y = function(torch.zeros((1, *x.shape[1:]), dtype=x.dtype), *others)
    return y[:0] + x.sum()


def more_convolutions():
    Fixed("conv1d")
    for x, w, stride, padding, dilation, groups in [
        ((1, 1, 5), (1, 1, 3), 1, [0, 0], 1, 1),
        ((2, 3, 9), (4, 3, 3), 2, [1, 1], 1, 1),
        ((2, 4, 7), (6, 2, 2), 1, [2, 0], 2, 2),
        ((1, 2, 8), (17, 2, 5), 3, [0, 4], 1, 1),
        ((0, 2, 4), (3, 2, 3), 1, [0, 0], 1, 1),
        ((2, 3, 6), (3, 1, 4), 1, [3, 0], 1, 3),
        ((1, 1, 1), (1, 1, 1), 1, [0, 0], 1, 1),
    ]:
        conv = lambda x, w: F.conv1d(F.pad(x, padding), w, None, stride, 0, dilation, groups)
        add("conv1d", [rand(*x), rand(*w)], lambda x, w: empty_batch(conv, x, w), stride=stride, padding=padding, dilation=dilation, groups=groups)
    Fixed("conv3d")
    for x, w, stride, padding, dilation, groups in [
        ((1, 1, 3, 3, 3), (1, 1, 2, 2, 2), [1, 1, 1], [0] * 6, [1, 1, 1], 1),
        ((2, 3, 4, 5, 4), (4, 3, 3, 3, 3), [1, 1, 1], [1] * 6, [1, 1, 1], 1),
        ((2, 4, 5, 4, 4), (6, 2, 3, 2, 1), [2, 1, 2], [1, 0, 1, 2, 1, 0], [1, 2, 1], 2),
        ((1, 2, 2, 3, 3), (3, 2, 2, 2, 2), [1, 2, 1], [3, 0, 0, 2, 1, 1], [2, 1, 1], 1),
        ((1, 2, 6, 2, 2), (2, 1, 1, 2, 2), [3, 1, 1], [0] * 6, [1, 1, 1], 2),
        ((0, 1, 3, 3, 3), (2, 1, 2, 2, 2), [1, 1, 1], [0] * 6, [1, 1, 1], 1),
    ]:
        conv = lambda x, w: F.conv3d(F.pad(x, sides(padding)), w, None, stride, 0, dilation, groups)
        add("conv3d", [rand(*x), rand(*w)], lambda x, w: empty_batch(conv, x, w), stride=stride, padding=padding, dilation=dilation, groups=groups)
    Fixed("conv_transpose2d")
    for x, w, stride, padding, dilation, groups, extra in [
        ((1, 1, 3, 3), (1, 1, 3, 3), [1, 1], [0, 0], [1, 1], 1, [0, 0]),
        ((2, 3, 4, 3), (3, 4, 3, 3), [2, 2], [1, 1], [1, 1], 1, [1, 1]),
        ((2, 4, 3, 4), (4, 3, 3, 2), [2, 1], [0, 1], [2, 1], 2, [1, 0]),
        ((1, 2, 3, 3), (2, 2, 2, 3), [3, 2], [0, 1, 1, 2], [1, 1], 1, [0, 1]),
        # The output is longer than a step beyond the last copy, and longer than what is cut off.
        ((1, 2, 2, 2), (2, 1, 2, 2), [2, 1], [1, 0, 1, 1], [1, 1], 1, [3, 2]),
        ((0, 2, 3, 3), (2, 3, 2, 2), [1, 1], [0, 0], [1, 1], 1, [0, 0]),
        ((2, 1, 1, 1), (1, 2, 1, 1), [1, 1], [0, 0], [1, 1], 1, [0, 0]),
    ]:
        above, left, below, right = padding if len(padding) == 4 else padding * 2

        def transposed(x, w):
            y = F.conv_transpose2d(x, w, None, stride, 0, 0, groups, dilation)
            y = F.pad(y, (0, extra[1], 0, extra[0]))
            return y[:, :, above:y.shape[2] - below, left:y.shape[3] - right]

        add("conv_transpose2d", [rand(*x), rand(*w)], lambda x, w: empty_batch(transposed, x, w),
            stride=stride, padding=padding, dilation=dilation, groups=groups, output_padding=extra)
    Fixed("conv_transpose1d")
    for x, w, stride, padding, dilation, groups, extra in [
        ((1, 1, 3), (1, 1, 3), 1, [0, 0], 1, 1, 0),
        ((2, 3, 5), (3, 4, 4), 2, [1, 1], 1, 1, 1),
        ((2, 4, 3), (4, 3, 2), 3, [0, 1], 2, 2, 0),
        ((0, 2, 3), (2, 3, 2), 1, [0, 0], 1, 1, 0),
    ]:
        def along(x, w):
            y = F.pad(F.conv_transpose1d(x, w, None, stride, 0, 0, groups, dilation), (0, extra))
            return y[:, :, padding[0]:y.shape[2] - padding[1]]

        add("conv_transpose1d", [rand(*x), rand(*w)], lambda x, w: empty_batch(along, x, w),
            stride=stride, padding=padding, dilation=dilation, groups=groups, output_padding=extra)


def spread_windows(x, kernel, stride, pads, dilation, ceil, fill):
    """The elements of each window on a last axis, and how many of them lie in the padded input."""
    n = len(kernel)
    y, counts = x, torch.ones([1] * (n + 2), dtype=torch.float64)
    for i in range(n):
        length, axis = x.shape[i + 2] + pads[i] + pads[i + n], i + 2
        room = length - dilation[i] * (kernel[i] - 1) - 1
        windows = (-(-room // stride[i]) if ceil else room // stride[i]) + 1
        if ceil and (windows - 1) * stride[i] >= x.shape[axis] + pads[i]:
            windows -= 1
        at = torch.arange(windows)[:, None] * stride[i] + torch.arange(kernel[i])[None] * dilation[i]
        widths = [0, 0] * (y.dim() - axis - 1) + [pads[i], max(0, int(at.max()) + 1 - x.shape[axis] - pads[i])]
        y = F.pad(y, widths, value=fill).index_select(axis, at.reshape(-1))
        y = y.reshape(*y.shape[:axis], windows, kernel[i], *y.shape[axis + 1:]).movedim(axis + 1, -1)
        along = [1] * (n + 2)
        along[axis] = windows
        counts = counts * (at < length).sum(1).reshape(along)
    return y.flatten(-n), counts


def more_pools():
    cases = [
        # x, kernel, stride, padding (all before, all behind), dilation, ceil
        ((1, 1, 5), [2], [2], [], [], False),
        ((2, 3, 8), [3], [2], [1, 1], [], True),
        ((2, 2, 9), [3], [2], [2, 0], [2], False),
        ((1, 2, 6), [2], [3], [1, 1], [3], True),
        ((2, 2, 7, 6), [3, 2], [2, 2], [1, 0, 1, 1], [], True),
        ((1, 2, 6, 7), [2, 3], [1, 2], [1, 2, 0, 2], [2, 2], False),
        ((2, 1, 5, 6), [3, 2], [2, 3], [], [1, 3], True),
        ((1, 1, 2, 1), [2, 3], [1, 1], [0, 2, 0, 2], [1, 2], False),
        ((2, 2, 4, 5, 4), [2, 3, 2], [2, 2, 1], [1, 1, 0, 0, 1, 1], [], True),
        ((1, 2, 5, 4, 4), [2, 2, 2], [1, 2, 2], [], [2, 1, 1], False),
        ((0, 2, 4), [2], [1], [], [], False),
        ((1, 1, 1), [1], [1], [], [], True),
    ]
    full = lambda kernel, padding, dilation: (padding or [0] * 2 * len(kernel), dilation or [1] * len(kernel))
    for op in ["max_pool", "avg_pool", "lp_pool"]:
        Fixed(op)
        for x, kernel, stride, padding, dilation, ceil in cases:
            options = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
            pads, steps = full(kernel, padding, dilation)
            spread = lambda x, fill: spread_windows(x, kernel, stride, pads, steps, ceil, fill)
            if op == "max_pool":
                def largest(x):
                    y = spread(x, -INF)[0].max(-1).values
                    n = len(kernel)
                    if x.shape[0] and pads[:n] == pads[n:] and all(2 * p <= k for p, k in zip(pads, kernel)):
                        theirs = getattr(F, f"max_pool{n}d")(x, kernel, stride, pads[:n], steps, ceil)
                        assert torch.equal(y, theirs), options
                    return y
                add(op, [distinct(*x)], largest, **options)
            elif op == "avg_pool":
                for count in [True, False] if padding else [True]:
                    def mean(x):
                        n = len(kernel)
                        windows, counts = spread(x, 0.0)
                        counts = counts if count else spread(torch.ones_like(x), 0.0)[0].sum(-1)
                        y = windows.sum(-1) / counts
                        if x.shape[0] and pads[:n] == pads[n:] and set(steps) == {1} and all(2 * p <= k for p, k in zip(pads, kernel)):
                            theirs = getattr(F, f"avg_pool{n}d")(x, kernel, stride, pads[:n], ceil, count)
                            assert torch.allclose(y, theirs), options
                        return y
                    add(op, [rand(*x)], mean, **options, count_padding=count)
            else:
                for p in [1, 2, 3]:
                    add(op, [rand(*x)], lambda x: (spread(x, 0.0)[0].abs() ** p).sum(-1) ** (1 / p), **options, p=p)
    tie = np.array([[[1, 1, 0, 2, 2, 2]]], np.float32)
    add("max_pool", [tie], lambda x: F.max_pool1d(x, 3, 1), kink=True, kernel=[3], stride=[1], padding=[], dilation=[], ceil=False)
    add("max_pool", [tie], lambda x: F.max_pool1d(x, 2, 1, 0, 2), kink=True, kernel=[2], stride=[1], padding=[], dilation=[2], ceil=False)
    ends = np.array([[[1.0, INF, -INF, NAN, 0.0, 2.0, -INF, -INF]]])
    add("max_pool", [ends], lambda x: F.max_pool1d(x, 2), wrt=[], kernel=[2], stride=[2], padding=[], dilation=[], ceil=False)
    zeros = np.zeros((1, 1, 4), np.float32)
    for p in [2, 3]:
        add("lp_pool", [zeros], lambda x: (x.abs().reshape(1, 1, 2, 2)).sum(-1), kink=True, kernel=[2], stride=[2], padding=[], dilation=[], ceil=False, p=p)
        CASES["lp_pool"][-1]["gradients"] = [[0, 0, 0, 0]]


def resized_place(coordinates, j, scale, length, output, exact, region):
    """ONNX's formulas."""
    half = (j + 0.5) / scale - 0.5
    if coordinates == "half_pixel":
        return half
    if coordinates == "pytorch_half_pixel":
        return half if exact != 1 else -0.5
    if coordinates == "half_pixel_symmetric":
        return length / 2 * (1 - output / exact) + half
    if coordinates == "align_corners":
        return j * (length - 1) / (exact - 1) if exact != 1 else 0.0
    if coordinates == "asymmetric":
        return j / scale
    begin, end = region
    if exact == 1:
        return (begin + end) * (length - 1) / 2
    return j * (end - begin) * (length - 1) / (exact - 1) + begin * (length - 1)


def resized_weights(o, axis, scale, length, output, exact, region):
    """The matrix [output, length] of an axis, after ONNX's reference, and which rows lie outside the region."""
    matrix, outside = np.zeros((output, length)), np.zeros(output, bool)
    for j in range(output):
        x = resized_place(o["coordinate_transformation_mode"], j, scale, length, output, exact, region)
        if o["coordinate_transformation_mode"] == "tf_crop_and_resize" and not 0 <= x <= length - 1:
            outside[j] = True
            continue
        base = math.floor(x)
        ratio = x - base
        if ratio == 0:  # they prefer the elements before a place
            base, ratio = base - 1, 1.0
        if o["mode"] == "nearest":
            down = {"round_prefer_floor": ratio <= 0.5, "round_prefer_ceil": ratio < 0.5, "floor": ratio < 1, "ceil": False}[o["nearest_mode"]]
            offsets, weights = [0, 1], [float(down), float(not down)]
        else:
            s = min(scale, 1.0) if o["antialias"] else 1.0
            support = 1 if o["mode"] == "linear" else 2
            start = math.floor(-support / s) + 1
            offsets = list(range(start, 2 - start))
            def curve(d):
                a, d = o["cubic_coeff_a"], abs(d)
                if o["mode"] == "linear":
                    return max(0.0, 1 - d)
                return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
            weights = [curve((i - ratio) * s) for i in offsets]
            weights = [w / sum(weights) for w in weights]
        if o["exclude_outside"]:
            weights = [w if 0 <= base + i < length else 0.0 for i, w in zip(offsets, weights)]
            weights = [w / sum(weights) for w in weights]
        for i, w in zip(offsets, weights):
            matrix[j, min(max(base + i, 0), length - 1)] += w
    return torch.tensor(matrix), torch.tensor(outside)


def resizing():
    defaults = dict(mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor", cubic_coeff_a=-0.75,
                    exclude_outside=False, antialias=False, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", axes=[], scales=[], sizes=[], roi=[])

    def axes_of(shape, o):
        """For each axis that is named: axis, scale, output, exact output, region."""
        axes = [a % len(shape) for a in o["axes"]] or list(range(len(shape)))
        found = []
        shares = [size / shape[a] for a, size in zip(axes, o["sizes"])]
        alike = {"stretch": None, "not_larger": min, "not_smaller": max}[o["keep_aspect_ratio_policy"]]
        for i, a in enumerate(axes):
            if o["scales"]:
                scale, exact = o["scales"][i], shape[a] * o["scales"][i]
                # 10 times what single precision makes of 0.7 is 7.
                output = math.floor(exact * (1 + 1e-7))
            elif alike:
                scale = alike(shares)
                exact = scale * shape[a]
                output = math.floor(exact + 0.5)
            else:
                scale, output, exact = shares[i], o["sizes"][i], o["sizes"][i]
            region = (o["roi"][i], o["roi"][i + len(axes)]) if o["roi"] else (0.0, 1.0)
            found.append((a, scale, output, exact, region))
        return found

    def resize(x, o, shape, transposed=False):
        outside = torch.zeros([1] * len(shape), dtype=torch.bool)
        made = []
        for a, scale, output, exact, region in axes_of(shape, o):
            matrix, beyond = resized_weights(o, a, scale, shape[a], output, exact, region)
            outside = outside | beyond.reshape([-1 if i == a else 1 for i in range(len(shape))])
            made.append((a, matrix))
        if transposed:
            x = torch.where(outside, 0.0, x)
        for a, matrix in made:
            x = torch.tensordot(x, matrix.T if not transposed else matrix, ([a], [0])).movedim(-1, a)
        return x if transposed else torch.where(outside, o["extrapolation_value"], x)

    cases = []
    four = (2, 2, 4, 5)
    for coordinates in ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]:
        for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]:
            cases.append((four, dict(nearest_mode=nearest, coordinate_transformation_mode=coordinates, axes=[2, 3], scales=[1.75, 0.625])))
        for mode in ["linear", "cubic"]:
            cases.append((four, dict(mode=mode, coordinate_transformation_mode=coordinates, axes=[2, 3], scales=[1.75, 0.625])))
            cases.append((four, dict(mode=mode, coordinate_transformation_mode=coordinates, axes=[-1, -2], sizes=[8, 3])))
        cases.append(((1, 1, 4), dict(mode="linear", coordinate_transformation_mode=coordinates, scales=[1.0, 1.0, 0.25])))
    # Repetitions, slices and what stays.
    cases.append((four, dict(nearest_mode="floor", coordinate_transformation_mode="asymmetric", axes=[2, 3], scales=[2.0, 3.0])))
    cases.append((four, dict(axes=[2, 3], sizes=[8, 5])))
    cases.append((four, dict(nearest_mode="floor", coordinate_transformation_mode="asymmetric", axes=[2], scales=[0.5])))
    cases.append((four, dict(mode="linear", scales=[1.0, 1.0, 2.0, 2.0])))
    cases.append((four, dict(mode="cubic", axes=[0, 1], scales=[1.5, 2.0])))
    for mode in ["linear", "cubic"]:
        for excluded in [False, True]:
            for antialias in [False, True]:
                cases.append((four, dict(mode=mode, exclude_outside=excluded, antialias=antialias, cubic_coeff_a=-0.5, axes=[2, 3], scales=[0.625, 0.5])))
        cases.append(((1, 9), dict(mode=mode, antialias=True, axes=[1], sizes=[2])))
        cases.append(((1, 9), dict(mode=mode, antialias=True, axes=[1], sizes=[13])))
    for mode in ["nearest", "linear", "cubic"]:
        cases.append((four, dict(mode=mode, coordinate_transformation_mode="tf_crop_and_resize", axes=[2, 3], sizes=[3, 6], roi=[0.25, -0.25, 0.75, 1.5], extrapolation_value=10.0)))
    cases.append(((3, 4), dict(mode="linear", coordinate_transformation_mode="tf_crop_and_resize", sizes=[1, 4], roi=[0.5, 1.0, 1.0, 0.0])))
    for policy in ["not_larger", "not_smaller"]:
        cases.append((four, dict(mode="linear", keep_aspect_ratio_policy=policy, axes=[2, 3], sizes=[7, 8])))
    cases.append(((0, 3), dict(mode="linear", axes=[1], sizes=[5])))
    cases.append(((1, 10), dict(mode="linear", axes=[1], scales=[float(np.float32(0.7))])))
    cases.append(((1,), dict(mode="cubic", sizes=[3])))
    for op in ["resize", "resize_gradient"]:
        Fixed(op)
        for shape, given in cases:
            o = {**defaults, **given}
            y = tuple(resize(torch.zeros(shape, dtype=torch.float64), o, shape).shape)
            if op == "resize":
                add(op, [rand(*shape)], lambda x: resize(x, o, shape), **o)
                x = torch.tensor(rand(2, 2, 4, 5)).double()
                if shape == four and o["axes"] == [2, 3] and o["scales"]:
                    theirs = None
                    to = dict(scale_factor=tuple(o["scales"]))
                    mode, coordinates = o["mode"], o["coordinate_transformation_mode"]
                    if mode == "nearest" and coordinates == "asymmetric" and o["nearest_mode"] == "floor":
                        theirs = F.interpolate(x, mode="nearest", **to)
                    named = {"linear": "bilinear", "cubic": "bicubic"}.get(mode)
                    if named and coordinates == "half_pixel" and not o["antialias"] and not o["exclude_outside"] and (mode == "linear" or o["cubic_coeff_a"] == -0.75):
                        theirs = F.interpolate(x, mode=named, align_corners=False, **to)
                    if named and coordinates == "half_pixel" and o["antialias"] and o["exclude_outside"]:
                        theirs = F.interpolate(x, mode=named, align_corners=False, antialias=True, **to)
                    if theirs is not None:
                        assert torch.allclose(theirs, resize(x, o, shape), atol=1e-6), o
            else:
                add(op, [rand(*y)], lambda g: resize(g, o, shape, True), **o, input=list(shape))


def sampling():
    def fine(*shape):
        """Places that are no elements and lie between none, for images of these sizes."""
        return rand(*shape, low=-1.5, high=1.5) + np.float32(1 / 256)

    cases = []
    for mode in ["linear", "nearest", "cubic"]:
        for outside in ["zeros", "border", "reflection"]:
            for corners in [False, True]:
                cases.append(((2, 3, 4, 5), (2, 3, 2, 2), mode, outside, corners))
                if mode != "cubic":
                    cases.append(((1, 2, 3, 4, 5), (1, 2, 2, 3, 3), mode, outside, corners))
    cases += [((1, 1, 1, 1), (1, 2, 2, 2), "linear", "reflection", True), ((0, 2, 3, 3), (0, 2, 2, 2), "linear", "zeros", False),
              ((2, 17, 6, 7), (2, 4, 5, 2), "linear", "zeros", False)]
    Fixed("grid_sample")
    for x, grid, mode, outside, corners in cases:
        theirs = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)

        def sample(x, grid):
            if x.shape[0] == 0:
                return torch.zeros(0, *x.shape[1:2], *grid.shape[1:-1], dtype=x.dtype) + x.sum() + grid.sum()
            return F.grid_sample(x, grid, theirs, outside, corners)

        add("grid_sample", [rand(*x), fine(*grid)], sample, mode=mode, padding_mode=outside, align_corners=corners)
    # Halves are rounded to even numbers; what is no number reads nothing.
    halves = np.array([[[[-0.5, 0.0], [0.0, -0.5], [0.5, 0.5], [-1.0, 1.0]]]], np.float32)
    add("grid_sample", [rand(1, 1, 4, 4), halves], lambda x, g: F.grid_sample(x, g, "nearest", "zeros", False), wrt=[0],
        mode="nearest", padding_mode="zeros", align_corners=False)
    far = np.array([[[[INF, 0.0], [NAN, 0.5], [-1e30, 0.0]]]], np.float32)
    add("grid_sample", [rand(1, 2, 3, 3), far], lambda x, g: torch.zeros(1, 2, 1, 3, dtype=torch.float64), wrt=[],
        mode="linear", padding_mode="zeros", align_corners=False)
    Fixed("affine_grid")
    for theta, size in [((2, 2, 3), [3, 4]), ((1, 3, 4), [2, 3, 2]), ((3, 2, 3), [1, 1]), ((0, 2, 3), [2, 2])]:
        for corners in [False, True]:
            def grid(theta):
                if theta.shape[0] == 0:
                    return torch.zeros(0, *size, len(size), dtype=theta.dtype) + theta.sum()
                return F.affine_grid(theta, [theta.shape[0], 1, *size], corners)
            add("affine_grid", [rand(*theta)], grid, size=size, align_corners=corners)


def normalizations():
    Fixed("rms_norm")
    for shape, axes in [((4, 5), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((6,), 1), ((0, 3), 1), ((3, 33), 1)]:
        last = shape[len(shape) - axes:]
        for epsilon in [1e-5, 0.1]:
            add("rms_norm", [rand(*shape)], lambda x: F.rms_norm(x, last, None, epsilon), axes=axes, epsilon=epsilon)
            add("rms_norm", [rand(*shape), rand(*last)], lambda x, s: F.rms_norm(x, last, s, epsilon), axes=axes, epsilon=epsilon)
    x = rand(3, 5)
    x[0, 1], x[1, 2] = INF, NAN
    add("rms_norm", [x], lambda x: x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5), wrt=[], axes=1, epsilon=1e-5)
    add("rms_norm", [np.zeros((2, 4))], lambda x: F.rms_norm(x, [4], None, 1e-5), kink=True, axes=1, epsilon=1e-5)
    for op in ["group_norm", "instance_norm"]:
        Fixed(op)
        shapes = [((2, 4, 3, 5), 2), ((3, 6, 4), 3), ((1, 4, 2, 2), 4), ((2, 3, 5), 1), ((0, 2, 3), 1), ((1, 2, 2, 3, 2), 1)]
        for shape, groups in shapes + ([((4, 6), 2)] if op == "group_norm" else []):
            for epsilon in [1e-5, 0.1]:
                if op == "group_norm":
                    norm, options = lambda x, s=None, b=None: F.group_norm(x, groups, s, b, epsilon), dict(groups=groups)
                else:
                    norm, options = lambda x, s=None, b=None: F.instance_norm(x, None, None, s, b, eps=epsilon), {}
                if shape[0] == 0:
                    norm = lambda x, s=None, b=None: x * 1.0
                add(op, [rand(*shape)], norm, **options, epsilon=epsilon)
                if shape[0] > 0:
                    add(op, [rand(*shape), rand(shape[1]), rand(shape[1])], norm, **options, epsilon=epsilon)
    # Equal numbers have no deviation.
    add("group_norm", [np.full((2, 4, 7), 0.1)], lambda x: F.group_norm(x, 2, None, None, 1e-5), kink=True, groups=2, epsilon=1e-5)
    settle("group_norm", {at: 0.0 for at in range(56)})
    Fixed("local_response_norm")
    for shape, size, alpha, beta, bias in [((2, 5, 3, 2), 3, 0.5, 0.75, 1.0), ((1, 4, 3), 2, 1.5, 0.5, 2.0), ((2, 3), 9, 1.0, 1.0, 1.0),
                                           ((2, 7, 2, 2), 5, 0.01, 0.75, 1.0), ((1, 1, 2), 1, 0.25, 2.0, 0.5), ((0, 3, 2), 3, 1.0, 0.75, 1.0)]:
        def respond(x):
            before, behind = (size - 1) // 2, size - 1 - (size - 1) // 2
            squares = F.pad((x * x).movedim(1, -1), (before, behind)).unfold(-1, size, 1).sum(-1).movedim(-1, 1)
            y = x / (bias + alpha / size * squares) ** beta
            if size % 2 and x.dim() > 2 and x.shape[0]:
                assert torch.allclose(y, F.local_response_norm(x, size, alpha, beta, bias))
            return y
        add("local_response_norm", [rand(*shape)], respond, size=size, alpha=float(alpha), beta=float(beta), bias=float(bias))
    Fixed("lp_normalization")
    for shape, axis in [((4, 5), -1), ((2, 3, 4), 1), ((6,), 0), ((2, 0), 1), ((3, 1), 1)]:
        for p in [1, 2]:
            add("lp_normalization", [rand(*shape)], lambda x: x / x.norm(p, axis, True), kink=shape[axis] == 1, axis=axis, p=p)
            if shape[axis] == 1:
                # Nothing but the sign is left.
                CASES["lp_normalization"][-1]["gradients"] = [[0, 0, 0]]
    for p in [1, 2]:
        add("lp_normalization", [np.array([[0.0, 0.0], [3.0, -4.0]])], lambda x: x / x.norm(p, 1, True).clamp(min=1e-30), wrt=[], axis=1, p=p)
    Fixed("mean_variance_normalization")
    for shape, axes in [((2, 3, 4, 2), [0, 2, 3]), ((4, 5), [-1]), ((2, 3, 4), []), ((3, 33), [1])]:
        over = axes or list(range(len(shape)))
        add("mean_variance_normalization", [rand(*shape)],
            lambda x: (x - x.mean(over, True)) / (x.var(over, correction=0, keepdim=True).sqrt() + 1e-9), axes=axes)
    add("mean_variance_normalization", [np.full((2, 3), 5.0)], lambda x: x * 0.0, wrt=[], axes=[1])


def rearrangements():
    def to_space(x, b, mode):
        n, c, h, w = x.shape
        if mode == "DCR":
            return x.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)
        y = x.reshape(n, c // (b * b), b, b, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // (b * b), h * b, w * b)
        assert n == 0 or torch.equal(y, F.pixel_shuffle(x, b))
        return y

    Fixed("depth_to_space")
    for shape, b in [((2, 8, 2, 3), 2), ((1, 9, 1, 2), 3), ((2, 3, 2, 2), 1), ((0, 4, 2, 2), 2)]:
        for mode in ["DCR", "CRD"]:
            add("depth_to_space", [rand(*shape)], lambda x: to_space(x, b, mode), block=b, mode=mode)
    add("depth_to_space", [np.arange(16).reshape(1, 4, 2, 2)], lambda x: to_space(x, 2, "DCR"), block=2, mode="DCR")
    Fixed("space_to_depth")
    for shape, b in [((2, 2, 4, 6), 2), ((1, 1, 3, 3), 3), ((2, 3, 2, 2), 1), ((0, 4, 2, 2), 2)]:
        def to_depth(x):
            n, c, h, w = x.shape
            return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)
        add("space_to_depth", [rand(*shape)], to_depth, block=b)
    Fixed("center_crop_pad")
    for shape, lengths, axes in [((5, 4), [3, 6], []), ((2, 7, 3), [4, 4], [1, -1]), ((4,), [7], [0]), ((3, 2), [2, 0], []), ((), [], []), ((2, 3), [3], [1])]:
        def cropped(x):
            for axis, length in zip(axes or range(len(shape)), lengths):
                more = length - x.shape[axis]
                if more < 0:
                    x = x.narrow(axis, -more // 2, length)
                else:
                    widths = [0] * 2 * (x.dim() - 1 - axis % x.dim()) + [more // 2, more - more // 2]
                    x = F.pad(x, widths) if more else x * 1.0
            return x
        add("center_crop_pad", [rand(*shape)], cropped, lengths=lengths, axes=axes)
    add("center_crop_pad", [np.arange(5)], lambda x: x[1:4], lengths=[3], axes=[])


def places_of_windows():
    cases = [((2, 2, 7), [3], [2], [1, 0], [1], False), ((1, 2, 5, 6), [2, 2], [2, 1], [], [], True), ((2, 1, 4, 3), [2, 2], [1, 1], [1, 1, 0, 0], [2, 1], False),
             ((1, 2, 3, 4, 3), [2, 2, 2], [1, 2, 1], [], [], False), ((0, 1, 4), [2], [2], [], [], False)]
    Fixed("max_pool_indices")
    for shape, kernel, stride, padding, dilation, ceil in cases:
        for column_major in [False, True]:
            def places(x):
                n = len(kernel)
                numbers = torch.arange(x[0, 0].numel() if len(x) else 0, dtype=torch.float64)
                numbers = numbers.reshape(tuple(x.shape[2:][::-1]) if column_major else x.shape[2:]) if len(x) else x[0:0]
                if column_major and len(x):
                    numbers = numbers.permute(*reversed(range(n)))
                spread = lambda x, fill: spread_windows(x, kernel, stride, padding or [0] * 2 * n, dilation or [1] * n, ceil, fill)[0]
                best = spread(x, -INF).max(-1).indices
                planes = torch.arange(x.shape[0] * x.shape[1]).reshape(x.shape[0], x.shape[1], *[1] * n)
                if not len(x):
                    return best
                at = spread(numbers.expand(x.shape).clone(), 0.0).gather(-1, best[..., None])[..., 0]
                return at.long() + planes * x[0, 0].numel()
            add("max_pool_indices", [distinct(*shape)], places, wrt=[], kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil, column_major=column_major)
    tie = np.array([[[1, 1, 0, 2, 2, NAN]]], np.float32)
    add("max_pool_indices", [tie], lambda x: torch.tensor([[[0, 3, 5]]]), wrt=[], kernel=[2], stride=[2], padding=[], dilation=[], ceil=False, column_major=False)
    Fixed("max_unpool")
    for shape, size in [((2, 2, 3), [7]), ((1, 2, 2, 3), [4, 6]), ((1, 1, 2, 1, 2), [4, 2, 3]), ((0, 2, 2), [4])]:
        total = int(np.prod(shape[:2])) * int(np.prod(size))
        at = np.random.default_rng(len(shape)).permutation(total)[: int(np.prod(shape))].reshape(shape).astype(np.int64)

        def put(x, i):
            return torch.zeros(total, dtype=torch.float64).index_put((i.reshape(-1),), x.reshape(-1)).reshape(*shape[:2], *size)
        add("max_unpool", [rand(*shape), at], put, size=size)


def deformed():
    Fixed("deform_conv")
    for x, w, stride, padding, dilation, groups, offset_groups, masked in [
        ((1, 1, 4, 4), (1, 1, 2, 2), [1, 1], [0, 0], [1, 1], 1, 1, False),
        ((2, 4, 5, 4), (6, 2, 3, 2), [2, 1], [1, 1], [1, 2], 2, 2, True),
        ((1, 2, 4, 5), (3, 2, 2, 2), [1, 2], [1, 0, 0, 2], [2, 1], 1, 1, True),
        ((1, 2, 3, 3), (2, 1, 1, 1), [1, 1], [0, 0], [1, 1], 2, 2, False),
        ((0, 1, 3, 3), (2, 1, 2, 2), [1, 1], [0, 0], [1, 1], 1, 1, False),
    ]:
        above, left, below, right = padding if len(padding) == 4 else padding * 2
        kh, kw = w[2:]
        rows = (x[2] + above + below - dilation[0] * (kh - 1) - 1) // stride[0] + 1
        columns = (x[3] + left + right - dilation[1] * (kw - 1) - 1) // stride[1] + 1

        def convolve(x, w, offset, mask=None):
            n, c, height, width = x.shape
            if n == 0:
                return torch.zeros(0, w.shape[0], rows, columns, dtype=x.dtype) + x.sum() + 0 * w.sum() + offset.sum()
            each, per_group = c // offset_groups, w.shape[1]
            offset = offset.reshape(n, offset_groups, kh, kw, 2, rows, columns)
            y = torch.arange(rows)[:, None] * stride[0] - above
            across = torch.arange(columns)[None] * stride[1] - left
            taken = []
            for k in range(kh):
                for l in range(kw):
                    parts = []
                    for g in range(offset_groups):
                        down = y + k * dilation[0] + offset[:, g, k, l, 0]
                        side = across + l * dilation[1] + offset[:, g, k, l, 1]
                        grid = torch.stack([2 * side / (width - 1) - 1, 2 * down / (height - 1) - 1], -1)
                        part = F.grid_sample(x[:, g * each:(g + 1) * each], grid, "bilinear", "zeros", True)
                        if mask is not None:
                            part = part * mask.reshape(n, offset_groups, kh, kw, rows, columns)[:, g, k, l][:, None]
                        parts.append(part)
                    taken.append(torch.cat(parts, 1))
            taken = torch.stack(taken, 2)  # [N, C, KH KW, Y, X]
            out = w.shape[0] // groups
            sums = [torch.einsum("nckyx,ock->noyx", taken[:, i * per_group:(i + 1) * per_group], w[i * out:(i + 1) * out].flatten(2)) for i in range(groups)]
            return torch.cat(sums, 1)

        inputs = [rand(*x), rand(*w), rand(x[0], offset_groups * kh * kw * 2, rows, columns) + np.float32(1 / 256)]
        if masked:
            inputs.append(rand(x[0], offset_groups * kh * kw, rows, columns))
        add("deform_conv", inputs, convolve, stride=stride, padding=padding, dilation=dilation, groups=groups, offset_groups=offset_groups)


def regions():
    """RoiAlign, after ONNX's reference."""
    def terms(corners, o, height, width):
        half = o["coordinate_transformation_mode"] == "half_pixel"
        left, top, right, bottom = (float(c) * o["spatial_scale"] - (0.5 if half else 0.0) for c in corners)
        wide, high = right - left, bottom - top
        if not half:
            wide, high = max(wide, 1.0), max(high, 1.0)
        bin_h, bin_w = high / o["output_height"], wide / o["output_width"]
        grid_h = o["sampling_ratio"] or math.ceil(bin_h)
        grid_w = o["sampling_ratio"] or math.ceil(bin_w)
        for row in range(o["output_height"]):
            for column in range(o["output_width"]):
                points = []
                for i in range(grid_h):
                    for j in range(grid_w):
                        y, x = top + row * bin_h + (i + 0.5) * bin_h / grid_h, left + column * bin_w + (j + 0.5) * bin_w / grid_w
                        if y < -1 or y > height or x < -1 or x > width:
                            points.append([])
                            continue
                        y, x = max(y, 0.0), max(x, 0.0)
                        y0, x0 = int(y), int(x)
                        y1, x1 = y0 + 1, x0 + 1
                        if y0 >= height - 1:
                            y0 = y1 = height - 1
                            y = float(y0)
                        if x0 >= width - 1:
                            x0 = x1 = width - 1
                            x = float(x0)
                        ly, lx = y - y0, x - x0
                        points.append([(y0, x0, (1 - ly) * (1 - lx)), (y0, x1, (1 - ly) * lx), (y1, x0, ly * (1 - lx)), (y1, x1, ly * lx)])
                yield row, column, points

    def align(x, rois, images, o, v=None):
        v = x if v is None else v
        cells = []
        for r in range(rois.shape[0]):
            n = int(images[r])
            for c in range(x.shape[1]):
                for _, _, points in terms(rois[r], o, *x.shape[2:]):
                    zero = v.sum() * 0
                    if o["mode"] == "avg":
                        cells.append(sum((v[n, c, i, j] * w for p in points for i, j, w in p), zero) / max(len(points), 1))
                        continue
                    found = [(0.0, zero)] if any(not p for p in points) else []
                    found += [(float(x.detach()[n, c, i, j]) * float(w), v[n, c, i, j] * w) for p in points for i, j, w in p]
                    cells.append(max(found, key=lambda f: f[0])[1] if found else zero)
        shape = (rois.shape[0], x.shape[1], o["output_height"], o["output_width"])
        return torch.stack(cells).reshape(shape) if cells else torch.zeros(shape, dtype=torch.float64) + v.sum() * 0

    boxes = np.array([[0.5, 0.25, 4.25, 3.5], [-1.5, 1.0, 2.0, 6.75], [2.0, 2.0, 2.25, 2.5], [3.0, 3.0, 1.0, 1.5]], np.float32)
    cases = []
    for coordinates in ["half_pixel", "output_half_pixel"]:
        for mode in ["avg", "max"]:
            for bins, ratio, scale in [([2, 3], 2, 1.0), ([2, 2], 0, 0.75)]:
                cases.append(dict(coordinate_transformation_mode=coordinates, mode=mode, output_height=bins[0], output_width=bins[1], sampling_ratio=ratio, spatial_scale=scale))
    for op in ["roi_align", "roi_align_gradient", "roi_align_select"]:
        Fixed(op)
        for o in cases:
            x, images = distinct(2, 2, 4, 5), np.array([1, 0, 0, 1])
            # The largest weighted element must not be another one nearby.
            if op == "roi_align":
                add(op, [x, boxes, images], lambda x, r, i: align(x, r, i, o), wrt=[0], **o)
            elif op == "roi_align_select":
                add(op, [x, boxes, images, rand(2, 2, 4, 5)], lambda x, r, i, v: align(x, r, i, o, v), wrt=[3], **o)
            else:
                def gradient(x, r, i, g):
                    v = torch.zeros(x.shape, dtype=torch.float64, requires_grad=True)
                    return torch.autograd.grad((align(x, r, i, o, v) * g).sum(), v, create_graph=True)[0]
                g = rand(4, 2, o["output_height"], o["output_width"])
                add(op, [x, boxes, images, g], gradient, wrt=[3], **o)
    o = cases[0]
    add("roi_align", [rand(1, 1, 2, 2), np.zeros((0, 4), np.float32), np.zeros(0, np.int64)], lambda x, r, i: align(x, r, i, o), wrt=[0], **o)


def main():
    more_convolutions()
    more_pools()
    resizing()
    sampling()
    normalizations()
    rearrangements()
    places_of_windows()
    deformed()
    regions()
