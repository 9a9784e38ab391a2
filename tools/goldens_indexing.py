"""Cases of sorting, of gathering and scattering at tuples of indices, of Einstein's sums, triangles, tiles, sequences turned round."""

import numpy as np
import torch

from goldens import BYTES, INF, NAN, Fixed, add, bools, distinct, ints, rand


def order(x, axis, descending):
    """Stable in both directions, with NaN as the largest."""
    return torch.sort(x, dim=axis, descending=descending, stable=True).indices


def sorting():
    Fixed("argsort")
    for descending in [False, True]:
        options = dict(descending=descending)
        for shape, axis in [((5,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), -2), ((1, 1), -1), ((0, 3), 1), ((3, 0), 1)]:
            add("argsort", [rand(*shape)], lambda x: order(x, axis, descending), wrt=[], axis=axis, **options)
            add("argsort", [ints(0, 3, *shape)], lambda x: order(x, axis, descending), axis=axis, **options)
        ends = np.array([1.0, NAN, INF, -INF, 0.0, -0.0, NAN, 1.0])
        add("argsort", [ends], lambda x: order(x, 0, descending), wrt=[], axis=0, **options)
        add("argsort", [BYTES], lambda x: order(x, 0, descending), axis=0, **options)
    Fixed("top_k")
    for largest in [False, True]:
        for shape, axis, k in [((5,), 0, 2), ((3, 5), 1, 5), ((3, 5), 0, 1), ((2, 3, 4), -2, 2), ((1, 1), -1, 1), ((0, 3), 1, 2), ((3, 4), 1, 0), ((40,), 0, 7)]:
            def first(x):
                return order(x, axis, largest).narrow(axis, 0, k)
            options = dict(axis=axis, k=k, largest=largest)
            add("top_k", [rand(*shape)], first, wrt=[], **options)
            add("top_k", [ints(0, 3, *shape)], first, **options)
        ends = np.array([1.0, NAN, INF, -INF, 0.0, -0.0, NAN, 1.0])
        add("top_k", [ends], lambda x: order(x, 0, largest)[:5], wrt=[], axis=0, k=5, largest=largest)


def joined(function, data, updates, pairs):
    """Updates joined with data, one after the other; autograd sees each of them."""
    numbers = list(data.reshape(-1))
    new = updates.reshape(-1)
    for at, to in pairs:
        numbers[to] = function(numbers[to], new[at])
    return torch.stack(numbers).reshape(data.shape) if numbers else data * 1


REDUCERS = {
    "none": lambda y, u: u,
    "add": lambda y, u: y + u,
    "mul": lambda y, u: y * u,
    "max": torch.maximum,
    "min": torch.minimum,
}


def tuples(shape, indices, batch):
    """The position of each picked element, and that in the data."""
    places = np.arange(int(np.prod(shape))).reshape(shape)
    lead = indices.shape[:-1]
    picked = []
    for at in np.ndindex(*lead):
        index = at[:batch] + tuple(int(i) for i in indices[at])
        picked.append(places[index].reshape(-1))
    slice_ = shape[batch + indices.shape[-1]:]
    return np.array(picked, np.int64).reshape(lead + tuple(slice_))


def tuple_indices(shape, batch, lead, width):
    """Indices for the axes behind the batch, some of them negative."""
    lengths = shape[batch:batch + width]
    index = np.stack([RNG.integers(-n, n, lead) for n in lengths], -1) if width else np.zeros(lead + (0,), np.int64)
    return index.astype(np.int64)


RNG = np.random.default_rng(11)


def at_tuples():
    cases = [
        # data, batch_dims, leading axes of the indices, width of a tuple
        ((4,), 0, (3,), 1), ((3, 4), 0, (5,), 2), ((3, 4), 0, (2, 2), 1), ((2, 3, 4), 0, (3,), 2), ((2, 3, 4), 1, (2, 3), 1), ((2, 3, 4), 1, (2,), 2),
        ((2, 3, 4, 2), 2, (2, 3, 2), 1), ((2, 2, 3), 0, (), 3), ((3, 2), 0, (0,), 1), ((3, 0), 0, (2,), 1),
    ]
    Fixed("gather_nd")
    for shape, batch, lead, width in cases:
        index = tuple_indices(shape, batch, lead, width)
        at = tuples(shape, index, batch)
        pick = lambda x, i: x.reshape(-1)[torch.tensor(at.reshape(-1))].reshape(at.shape)
        add("gather_nd", [rand(*shape), index], pick, batch_dims=batch)
    add("gather_nd", [ints(0, 9, 3, 2), np.array([[1, 0], [-1, -1]])], lambda x, i: x[[1, 2], [0, 1]], batch_dims=0)
    add("gather_nd", [BYTES, np.array([[8], [0]])], lambda x, i: x[[8, 0]], batch_dims=0)
    add("gather_nd", [bools(4), np.array([[3], [0]])], lambda x, i: x[[3, 0]], batch_dims=0)
    Fixed("scatter_nd")
    for reduction, function in REDUCERS.items():
        for shape, batch, lead, width in cases:
            index = tuple_indices(shape, batch, lead, width)
            at = tuples(shape, index, batch)
            pairs = list(enumerate(at.reshape(-1).tolist()))
            scatter = lambda x, i, u: joined(function, x, u, pairs)
            numbers = distinct(int(np.prod(shape)) + at.size)
            x, u = numbers[: int(np.prod(shape))].reshape(shape), numbers[int(np.prod(shape)):].reshape(at.shape)
            options = dict(batch_dims=batch, reduction=reduction)
            add("scatter_nd", [x, index, u], scatter, **options)
            if batch == 0 and x.size:
                add("scatter_nd", [ints(-3, 3, *shape), index, ints(-3, 3, *at.shape)], scatter, **options)
        zeros = [np.array([2.0, 3.0, 0.0]), np.array([[0], [0], [1], [1], [2]]), np.array([0.0, 5.0, 0.0, 0.0, 4.0])]
        scatter = lambda x, i, u: joined(function, x, u, list(enumerate([0, 0, 1, 1, 2])))
        add("scatter_nd", zeros, scatter, kink=True, wrt=None if reduction in ("none", "add", "mul") else [], batch_dims=0, reduction=reduction)
        ends = [np.array([1.0, INF, NAN, -INF]), np.array([[0], [1], [2], [3]]), np.array([NAN, 0.0, 1.0, INF])]
        add("scatter_nd", ends, lambda x, i, u: joined(function, x, u, list(enumerate(range(4)))), wrt=[], batch_dims=0, reduction=reduction)


def at_elements():
    Fixed("scatter_elements")
    for reduction, function in REDUCERS.items():
        for shape, axis, count in [((5,), 0, (3,)), ((4, 3), 1, (4, 5)), ((4, 3), 0, (2, 3)), ((2, 5, 3), 1, (2, 4, 2)), ((3, 2), -1, (1, 3)),
                                   ((3, 2), 0, (0, 2)), ((1, 1), 1, (1, 1))]:
            index = RNG.integers(-shape[axis], shape[axis], count).astype(np.int64)
            places = np.arange(int(np.prod(shape))).reshape(shape)
            pairs = []
            for at, where in enumerate(np.ndindex(*count)):
                to = list(where)
                to[axis % len(shape)] = int(index[where])
                pairs.append((at, int(places[tuple(to)])))
            scatter = lambda x, i, u: joined(function, x, u, pairs)
            numbers = distinct(int(np.prod(shape)) + index.size)
            x, u = numbers[: int(np.prod(shape))].reshape(shape), numbers[int(np.prod(shape)):].reshape(count)
            options = dict(axis=axis, reduction=reduction)
            add("scatter_elements", [x, index, u], scatter, **options)
            add("scatter_elements", [ints(-3, 3, *shape), index, ints(-3, 3, *count)], scatter, **options)
            add("scatter_elements", [ints(0, 256, *shape).astype(np.uint8), index, ints(0, 256, *count).astype(np.uint8)], scatter, **options)
    add("scatter_elements", [bools(5), np.array([3, 0]), bools(2)], lambda x, i, u: joined(REDUCERS["none"], x, u, [(0, 3), (1, 0)]), axis=0, reduction="none")


def sums():
    Fixed("einsum")
    for equation, shapes in [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ij,ij->", [(2, 3), (2, 3)]), ("i,j->ij", [(3,), (4,)]), ("i,j->ji", [(3,), (4,)]),
        ("ii->i", [(4, 4)]), ("ii", [(4, 4)]), ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("ij->j", [(2, 3)]), ("ba", [(2, 3)]),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]), ("bij,bjk->kbi", [(2, 3, 4), (2, 4, 5)]), ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)]),
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]), ("...i->...", [(2, 3, 4)]), ("i...->...i", [(2, 3, 4)]), ("...", [(2, 3)]), ("...ii->...i", [(2, 3, 3)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]), ("ij,jk,ki->", [(2, 3), (3, 4), (4, 2)]), ("a,b,c->abc", [(2,), (3,), (2,)]),
        ("bqhd,bkhd->bhqk", [(2, 3, 2, 4), (2, 5, 2, 4)]), ("bhqk,bkhd->bqhd", [(2, 2, 3, 5), (2, 5, 2, 4)]), ("iji->j", [(3, 2, 3)]), ("ijii->ij", [(3, 2, 3, 3)]),
        ("ij,j->i", [(2, 3), (3,)]), ("i,i->", [(5,), (5,)]), ("i,i->i", [(5,), (5,)]), (",ij->ij", [(), (2, 3)]), ("->", [()]), ("ij,kl->ik", [(2, 3), (4, 2)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]), ("ij,jk->ik", [(0, 2), (2, 3)]), (" i j , j k -> i k ", [(2, 3), (3, 4)]), ("aB,Bc->ac", [(2, 3), (3, 4)]),
        ("ii,ij->j", [(3, 3), (3, 2)]), ("abc,cd,def->abef", [(2, 2, 3), (3, 4), (4, 2, 3)]), ("...a,...b->...ab", [(3, 2), (3, 4)]), ("...,...->...", [(2, 3), (3,)]),
    ]:
        def plain(*x):
            # Where nothing stands for the dots of a term, NumPy and PyTorch agree as well.
            return torch.einsum(equation.replace(" ", ""), *x)
        add("einsum", [rand(*s) for s in shapes], plain, equation=equation)
    # An axis of length 1 is repeated.
    add("einsum", [rand(2, 1), rand(3, 4)], lambda a, b: torch.einsum("ij,jk->ik", a.expand(2, 3), b), equation="ij,jk->ik")
    add("einsum", [rand(2, 1), rand(2, 3)], lambda a, b: a * b, equation="ij,ij->ij")
    add("einsum", [ints(-4, 4, 2, 3), ints(-4, 4, 3, 4)], torch.matmul, equation="ij,jk->ik")
    add("einsum", [ints(-4, 4, 3, 3)], torch.trace, equation="ii")


def pieces():
    Fixed("trilu")
    for upper, function in [(True, torch.triu), (False, torch.tril)]:
        for shape, k in [((3, 3), 0), ((3, 5), 1), ((5, 3), -2), ((2, 3, 4), 1), ((2, 2, 3, 3), 0), ((3, 3), 9), ((3, 3), -9), ((0, 3), 0), ((2, 0), 1), ((1, 1), 0)]:
            add("trilu", [rand(*shape)], lambda x: function(x, k), upper=upper, k=k)
        add("trilu", [ints(1, 9, 3, 4)], lambda x: function(x, 1), upper=upper, k=1)
        add("trilu", [bools(3, 4)], lambda x: function(x, 0), upper=upper, k=0)
        add("trilu", [np.array([[INF, NAN], [NAN, -INF]])], lambda x: function(x, 0), wrt=[], upper=upper, k=0)
    Fixed("tile")
    for shape, repeats in [((), []), ((3,), [2]), ((2, 3), [2, 1]), ((2, 3), [1, 3]), ((2, 1, 3), [2, 2, 2]), ((3,), [0]), ((0, 2), [2, 2]), ((3,), [1])]:
        add("tile", [rand(*shape)], lambda x: x.repeat(repeats) if repeats else x * 1.0, repeats=repeats)
    add("tile", [ints(0, 9, 2)], lambda x: x.repeat(3), repeats=[3])
    add("tile", [BYTES], lambda x: x.repeat(2), repeats=[2])
    add("tile", [bools(2)], lambda x: x.repeat(2), repeats=[2])
    Fixed("reverse_sequence")

    def turned(x, lengths, batch, time):
        x = x.movedim((batch, time), (0, 1))
        rows = [torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(x, lengths.tolist())]
        return (torch.stack(rows) if rows else x * 1).movedim((0, 1), (batch, time))

    for shape, batch, time, lengths in [((4, 3), 1, 0, [4, 2, 1]), ((3, 4), 0, 1, [0, 3, 4]), ((2, 5, 3), 0, 1, [5, 2]), ((2, 5, 3), -1, 1, [1, 2, 5]),
                                        ((2, 3, 4), 1, 2, [4, 1, 3]), ((0, 3), 0, 1, [])]:
        add("reverse_sequence", [rand(*shape), np.array(lengths, np.int64)], lambda x, n: turned(x, n, batch, time), batch_axis=batch, time_axis=time)
    add("reverse_sequence", [ints(0, 9, 4, 2), np.array([3, 4])], lambda x, n: turned(x, n, 1, 0), batch_axis=1, time_axis=0)


def main():
    sorting()
    at_tuples()
    at_elements()
    sums()
    pieces()
