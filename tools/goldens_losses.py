"""Cases of connectionist temporal classification, summed path by path; PyTorch's own values agree."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F

from goldens import INF, Fixed, add, ints, rand

# That `mean` is over all elements is what is wanted.
warnings.filterwarnings("ignore", message="reduction: 'mean' divides")


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


# Functions that are made of operations have their cases in a folder of their own, which tests/composed.rs reads.


def reduced(losses, reduction):
    return {"none": lambda: losses, "mean": losses.mean, "sum": losses.sum, "batch_mean": lambda: losses.sum() / losses.shape[0]}[reduction]()


def of_labels():
    for op in ["functions/nll_loss", "functions/cross_entropy_of"]:
        Fixed(op)
        for shape in [(4, 3), (2, 3, 4), (5,), (1, 1)]:
            classes = shape[-1]
            for weighted in [False, True]:
                for ignore in [None, -100, 0]:
                    for smoothing in [0.0, 0.1] if op.endswith("of") else [0.0]:
                        for reduction in ["none", "mean", "sum"]:
                            labels = np.asarray(ints(0, classes, *shape[:-1]))
                            if ignore is not None and labels.size > 1:
                                labels.flat[1] = ignore
                                labels.flat[0] = classes - 1
                            if ignore == 0 and (shape == (1, 1) or labels.size == 1):
                                continue

                            def loss(x, t, w=None):
                                options = dict(weight=w, ignore_index=-99 if ignore is None else ignore, reduction=reduction)
                                if smoothing:
                                    options["label_smoothing"] = smoothing
                                flat = x.reshape(-1, classes)
                                function = F.nll_loss if op.endswith("nll_loss") else F.cross_entropy
                                y = function(flat, t.reshape(-1), **options)
                                return y.reshape(t.shape) if reduction == "none" else y

                            options = dict(reduction=reduction, smoothing=smoothing)
                            if ignore is not None:
                                options["ignore"] = ignore
                            inputs = [rand(*shape), labels] + ([rand(classes, low=0.25)] if weighted else [])
                            add(op, inputs, loss, wrt=[0], **options)


def of_distributions():
    op = "functions/kl_divergence"
    Fixed(op)
    for reduction in ["none", "mean", "sum", "batch_mean"]:
        for log_target in [False, True]:
            kind = "batchmean" if reduction == "batch_mean" else reduction
            p = np.abs(rand(3, 4)) if not log_target else rand(3, 4)
            add(op, [rand(3, 4), p], lambda x, p: F.kl_div(x, p, reduction=kind, log_target=log_target), reduction=reduction, log_target=log_target)
        p = np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
        x = np.array([[-INF, -1.0, -2.0], [-0.5, -INF, -3.0]])
        safe = lambda x, p: reduced(torch.where(p == 0, 0.0, p * (torch.where(p == 0, 1.0, p).log() - torch.where(p == 0, 0.0, x))), reduction)
        add(op, [x, p], safe, kink=True, reduction=reduction, log_target=False)


def of_embeddings():
    op = "functions/cosine_embedding_loss"
    Fixed(op)
    for reduction in ["none", "mean", "sum"]:
        for margin in [0.0, 0.25]:
            add(op, [rand(6, 4), rand(6, 4), np.array([1, -1, 1, -1, -1, 1])],
                lambda a, b, t: F.cosine_embedding_loss(a, b, t, margin, reduction=reduction), reduction=reduction, margin=margin)
            add(op, [rand(4), rand(4), np.array(-1)],
                lambda a, b, t: F.cosine_embedding_loss(a, b, t, margin, reduction=reduction), reduction=reduction, margin=margin)
        add(op, [np.zeros((1, 3)), rand(1, 3), np.array([1])], lambda a, b, t: F.cosine_embedding_loss(a, b, t, reduction=reduction), wrt=[],
            reduction=reduction, margin=0.0)
    op = "functions/triplet_margin_loss"
    Fixed(op)
    for reduction in ["none", "mean", "sum"]:
        for p in [1.0, 2.0, 3.0]:
            for swap in [False, True]:
                add(op, [rand(5, 3), rand(5, 3), rand(5, 3)],
                    lambda a, b, c: F.triplet_margin_loss(a, b, c, 0.75, p, 1e-6, swap, reduction=reduction), reduction=reduction, margin=0.75, p=p, swap=swap)


def of_halves():
    gates = {"glu": torch.sigmoid, "swiglu": F.silu, "geglu": F.gelu, "reglu": torch.relu}
    for name, gate in gates.items():
        op = "functions/" + name
        Fixed(op)
        for shape, axis in [((4,), 0), ((3, 6), 1), ((4, 3), 0), ((2, 4, 3), -2), ((2, 0), 1)]:
            half = lambda x: x.split(x.shape[axis] // 2, axis) if x.shape[axis] else (x, x)
            add(op, [rand(*shape)], lambda x: half(x)[0] * gate(half(x)[1]), axis=axis)
    for name, function in [("l1_axes", lambda x, a, k: x.abs().sum(a, k)), ("sum_square_axes", lambda x, a, k: (x * x).sum(a, k)),
                           ("log_sum_axes", lambda x, a, k: x.sum(a, k).log()), ("norm_axes", lambda x, a, k: x.square().sum(a, k).sqrt())]:
        op = "functions/" + name
        Fixed(op)
        for shape, axes, keep in [((5,), [0], True), ((3, 5), [0], False), ((3, 5), [-1], True), ((2, 3, 4), [0, 2], False)]:
            add(op, [rand(*shape, low=0.25)], lambda x: function(x, axes, keep), axes=axes, keep=keep)


def main():
    temporal()
    of_labels()
    of_distributions()
    of_embeddings()
    of_halves()
