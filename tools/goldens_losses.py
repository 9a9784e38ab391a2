"""Cases of connectionist temporal classification, summed path by path; PyTorch's own values agree."""

import numpy as np
import torch
import torch.nn.functional as F

from goldens import INF, Fixed, add, rand


def ctc(x, labels, steps, lengths, blank, zero_infinity):
    """The losses, differentiable as they stand: with respect to logarithms that need not be those of a distribution."""
    losses = []
    for n in range(x.shape[1]):
        around = [blank]
        for label in labels[n, : lengths[n]].tolist():
            around += [label, blank]
        # What is None no path reaches.
        sums = [None] * len(around)
        for t in range(int(steps[n])):
            new = []
            for place, label in enumerate(around):
                if t == 0:
                    before = [x.new_zeros(())] if place <= 1 else []
                else:
                    before = [sums[place]] + ([sums[place - 1]] if place >= 1 else [])
                    if place >= 2 and label != blank and label != around[place - 2]:
                        before.append(sums[place - 2])
                    before = [b for b in before if b is not None]
                total = torch.logsumexp(torch.stack(before), 0) + x[t, n, label] if before else None
                new.append(None if total is not None and total == -INF else total)
            sums = new
        ends = [s for s in sums[-2:] if s is not None]
        if steps[n] == 0:
            ends = [x.new_zeros(())] if len(around) == 1 else []
        if ends:
            losses.append(-torch.logsumexp(torch.stack(ends), 0))
        else:
            losses.append(x.new_tensor(0.0 if zero_infinity else INF))
    return torch.stack(losses) if losses else x.sum((0, 2))


def temporal():
    cases = [
        # steps T, samples, classes, labels, blank, steps of each, labels of each
        (4, 1, 3, [[1, 2]], 0, [4], [2]),
        (5, 2, 3, [[1, 1], [2, 1]], 0, [5, 4], [2, 2]),
        (6, 3, 4, [[0, 2, 0], [1, 1, 1], [3, 0, 0]], 2, [6, 6, 3], [1, 3, 1]),
        (3, 2, 3, [[1, 1, 1], [1, 2, 0]], 0, [3, 2], [3, 2]),
        (3, 2, 2, [[], []], 0, [3, 0], [0, 0]),
        (3, 1, 2, [[1]], 0, [0], [1]),
        (2, 1, 1, [[0]], 0, [2], [0]),
        (4, 0, 3, np.zeros((0, 2)), 0, [], []),
        (9, 2, 5, [[1, 2, 3, 4], [4, 4, 1, 0]], 0, [9, 7], [4, 3]),
    ]
    # The blank of the third is 2: its first label list must not hold it.
    cases[2] = (6, 3, 4, [[0, 1, 0], [1, 1, 1], [3, 0, 0]], 2, [6, 6, 3], [1, 3, 1])
    for op in ["ctc_loss", "ctc_loss_gradient", "ctc_loss_curvature"]:
        Fixed(op)
        for t, n, c, labels, blank, steps, lengths in cases:
            labels = np.array(labels, np.int64).reshape(n, -1) if n else np.zeros((0, 2), np.int64)
            given = [labels, np.array(steps, np.int64), np.array(lengths, np.int64)]
            for zero_infinity in [False, True]:
                options = dict(blank=blank, zero_infinity=zero_infinity)
                loss = lambda x, a, b, d: ctc(x, a, b, d, blank, zero_infinity)
                x = rand(t, n, c)

                def gradient(x, a, b, d, g):
                    x = x if x.requires_grad else x.detach().requires_grad_(True)
                    total = (torch.where(loss(x, a, b, d).isfinite(), loss(x, a, b, d), 0.0) * g).sum()
                    if not total.requires_grad or not n:
                        return x * 0.0
                    found = torch.autograd.grad(total, x, create_graph=True, allow_unused=True)[0]
                    return x * 0.0 if found is None else found

                if op == "ctc_loss":
                    add(op, [x, *given], loss, **options)
                    if n and labels.size:
                        y = F.ctc_loss(torch.tensor(x, dtype=torch.float64).log_softmax(-1), *map(torch.tensor, given), blank, "none", zero_infinity)
                        own = ctc(torch.tensor(x, dtype=torch.float64).log_softmax(-1), *map(torch.tensor, given), blank, zero_infinity)
                        assert torch.allclose(y, own, equal_nan=True), (y, own)
                elif op == "ctc_loss_gradient":
                    add(op, [x, *given, rand(n)], gradient, kink=True, **options)
                else:
                    def curvature(x, a, b, d, g, h):
                        x = x.detach().requires_grad_(True)
                        total = (gradient(x, a, b, d, g) * h).sum()
                        found = torch.autograd.grad(total, x, allow_unused=True)[0] if total.requires_grad else None
                        return x.detach() * 0.0 if found is None else found
                    add(op, [x, *given, rand(n), rand(t, n, c)], curvature, wrt=[], **options)
    Fixed("ctc_loss masked")
    x = rand(5, 1, 3)
    x[1, 0, 0] = x[2, 0, 1] = -INF
    add("ctc_loss", [x, np.array([[1, 2]]), np.array([5]), np.array([2])], lambda x, a, b, d: ctc(x, a, b, d, 0, False), kink=True, blank=0, zero_infinity=False)


def cases():
    temporal()
