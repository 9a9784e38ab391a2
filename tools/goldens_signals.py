"""Cases of determinants, of the largest alone, of blocks of images, of Fourier's transform and windows."""

import numpy as np
import torch
import torch.nn.functional as F

from goldens import INF, NAN, Fixed, add, ints, rand


def laplace(x):
    """A determinant by products alone, whose slopes are right where there is no inverse."""
    n = x.shape[-1]
    if n == 0:
        return torch.ones(x.shape[:-2], dtype=x.dtype)
    minors = [x[..., 1:, [k for k in range(n) if k != j]] for j in range(n)]
    return sum((-1) ** j * x[..., 0, j] * laplace(minor) for j, minor in enumerate(minors))


def cofactors(x):
    """By determinants of what is left, also of matrices without an inverse."""
    n = x.shape[-1]
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            keep_rows = [k for k in range(n) if k != i]
            keep_columns = [k for k in range(n) if k != j]
            rest = x[..., keep_rows, :][..., keep_columns]
            row.append((-1) ** (i + j) * laplace(rest))
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2) if rows else x * 1.0


def matrices():
    Fixed("det")
    for shape in [(1, 1), (2, 2), (3, 3), (2, 3, 3), (5, 5), (2, 2, 4, 4), (0, 3, 3), (2, 0, 0)]:
        add("det", [rand(*shape)], lambda x: torch.linalg.det(x) if x.shape[-1] else torch.ones(x.shape[:-2], dtype=x.dtype) + x.sum((-2, -1)))
    # The first pivot is 0.
    add("det", [np.array([[0.0, 2.0], [3.0, 1.0]])], torch.linalg.det)

    singular = np.array([[[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], [[0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [1.0, 2.0, 3.0]]])
    add("det", [singular], laplace, kink=True)
    add("det", [np.zeros((3, 3))], laplace, kink=True)
    Fixed("cofactors")
    for shape in [(1, 1), (2, 2), (3, 3), (2, 3, 3), (4, 4), (0, 3, 3), (2, 0, 0)]:
        add("cofactors", [rand(*shape)], cofactors)
    add("cofactors", [singular], cofactors, wrt=[])
    # Of 5 rows the last is the sum of the others; of 3 all are one.
    once = ints(-3, 4, 5, 5).astype(np.float32)
    once[4] = once[:4].sum(0)
    add("cofactors", [once], cofactors, wrt=[])
    add("cofactors", [np.outer([1.0, 2.0, 4.0], [1.0, -2.0, 0.5])], cofactors, wrt=[])
    add("cofactors", [np.zeros((1, 1))], cofactors, wrt=[])


def largest():
    Fixed("hardmax")

    def one(x, axis):
        at = torch.tensor(np.expand_dims(np.argmax(x.numpy(), axis), axis)) if x.shape[axis] else None
        return torch.zeros_like(x).scatter(axis, at, 1.0) if at is not None else x * 0.0

    for shape, axis in [((5,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), -2), ((1, 1), -1), ((0, 3), 1), ((2, 0), 1)]:
        add("hardmax", [ints(0, 3, *shape).astype(np.float32)], lambda x: one(x, axis), wrt=[], axis=axis)
    add("hardmax", [np.array([1.0, NAN, INF, NAN])], lambda x: one(x, 0), wrt=[], axis=0)


def blocks():
    cases = [
        # samples, channels, image, block, dilation, stride, padding before and behind
        (1, 1, [4], [2], [], [], []),
        (2, 3, [5, 4], [3, 2], [1, 1], [2, 1], [1, 0, 1, 0]),
        (1, 2, [7, 6], [2, 3], [3, 2], [1, 2], [2, 1, 2, 1]),
        (2, 1, [4, 5], [2, 3], [1, 2], [1, 2], [0, 2, 1, 0]),
        (1, 2, [3, 4, 3], [2, 2, 2], [1, 2, 1], [1, 1, 2], [1, 0, 0, 0, 1, 0]),
        (0, 2, [3, 3], [2, 2], [], [], []),
        (1, 1, [2, 2], [1, 1], [], [], []),
    ]
    for op in ["functions/unfold", "functions/fold"]:
        Fixed(op)
        for n, c, image, block, dilation, stride, padding in cases:
            axes = len(image)
            d, s, p = dilation or [1] * axes, stride or [1] * axes, padding or [0] * (2 * axes)
            counts = [(image[a] + p[a] + p[axes + a] - d[a] * (block[a] - 1) - 1) // s[a] + 1 for a in range(axes)]

            def columns(x):
                widths = [w for a in reversed(range(axes)) for w in (p[a], p[axes + a])]
                wide = F.pad(x, widths)
                parts = []
                for b in np.ndindex(*block):
                    part = wide
                    for a in range(axes):
                        index = torch.tensor([b[a] * d[a] + i * s[a] for i in range(counts[a])])
                        part = part.index_select(2 + a, index)
                    parts.append(part.reshape(n, c, int(np.prod(counts))))
                return torch.stack(parts, 2).reshape(n, c * int(np.prod(block)), int(np.prod(counts)))

            options = dict(image=image, block=block, dilation=dilation, stride=stride, padding=padding)
            if op.endswith("unfold"):
                add(op, [rand(n, c, *image)], columns, **options)
                if axes == 2 and n and p[:2] == p[2:]:
                    x = torch.tensor(rand(n, c, *image))
                    assert torch.allclose(columns(x), F.unfold(x, block, d, p[:2], s))
            else:
                def images(y):
                    x = torch.zeros(n, c, *image, dtype=torch.float64, requires_grad=True)
                    if n == 0:
                        return y.reshape(0).sum() + x
                    return torch.autograd.grad((columns(x) * y).sum(), x, create_graph=True)[0]
                add(op, [rand(n, c * int(np.prod(block)), int(np.prod(counts)))], images, **options)


def parts_of(z):
    return torch.stack([z.real, z.imag], -1)


def transforms():
    Fixed("dft")

    def plain(x, axis, inverse):
        z = torch.complex(x[..., 0], x[..., 1])
        axis = axis % x.dim()
        return parts_of((torch.fft.ifft if inverse else torch.fft.fft)(z, dim=axis))

    for inverse in [False, True]:
        for shape, axis in [((1, 2), 0), ((2, 2), 0), ((8, 2), 0), ((3, 2), 0), ((3, 7, 2), 1), ((6, 4, 2), 0), ((2, 12, 3, 2), -3), ((0, 4, 2), 1), ((33, 2), 0)]:
            add("dft", [rand(*shape)], lambda x: plain(x, axis, inverse), axis=axis, inverse=inverse)
    op = "functions/fourier"
    Fixed(op)
    for shape, axis, length in [((2, 8, 1), 1, None), ((2, 7, 1), 1, None), ((2, 7, 1), 1, 5), ((2, 5, 1), 1, 9), ((6, 3, 1), 0, None), ((1, 1, 1), 1, None),
                                ((2, 8, 2), 1, None), ((2, 5, 2), 1, 8), ((2, 6, 2), 1, 3)]:
        for inverse in [False, True]:
            for one_sided in [False, True]:
                if one_sided and not inverse and shape[-1] == 2:
                    continue

                def transform(x):
                    z = torch.complex(x[..., 0], x[..., 1] if x.shape[-1] == 2 else torch.zeros_like(x[..., 0]))
                    n = length or x.shape[axis]
                    if one_sided and inverse:
                        return torch.fft.irfft(z, length or max(2 * (x.shape[axis] - 1), 1), dim=axis).unsqueeze(-1)
                    y = (torch.fft.ifft if inverse else torch.fft.fft)(z, n, dim=axis)
                    return parts_of(y.narrow(axis, 0, n // 2 + 1) if one_sided else y)

                if one_sided and inverse and shape[axis] == 1 and length is None:
                    continue
                options = dict(axis=axis, inverse=inverse, one_sided=one_sided)
                if length is not None:
                    options["length"] = length
                add(op, [rand(*shape)], transform, **options)
    add(op, [rand(1, 1, 2)], lambda x: torch.fft.irfft(torch.complex(x[..., 0], x[..., 1]), 1, dim=1).unsqueeze(-1), axis=1, inverse=True, one_sided=True, length=1)
    op = "functions/stft"
    Fixed(op)
    for length, frame, step, windowed, one_sided, parts in [(16, 8, 4, True, True, 1), (15, 6, 3, False, False, 1), (9, 4, 5, True, False, 2), (5, 5, 1, False, True, 1)]:
        def frames(x, window=None):
            z = torch.complex(x[..., 0], x[..., 1]) if parts == 2 else x[..., 0]
            cut = z.unfold(1, frame, step)
            cut = cut * window if window is not None else cut
            y = torch.fft.rfft(cut) if one_sided else torch.fft.fft(cut)
            return parts_of(y)
        add(op, [rand(2, length, parts)] + ([rand(frame)] if windowed else []), frames, frame=frame, step=step, one_sided=one_sided)
    op = "functions/window"
    Fixed(op)
    for size in [1, 2, 7, 8]:
        for periodic in [False, True]:
            options = dict(periodic=periodic, dtype=torch.float64)
            add(op, [], lambda: torch.hann_window(size, **options), kind="hann", size=size, periodic=periodic)
            add(op, [], lambda: torch.hamming_window(size, periodic, 25 / 46, 21 / 46, dtype=torch.float64), kind="hamming", size=size, periodic=periodic)
            add(op, [], lambda: torch.blackman_window(size, **options), kind="blackman", size=size, periodic=periodic)


def main():
    matrices()
    largest()
    blocks()
    transforms()
