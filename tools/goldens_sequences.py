"""Samples of attention and recurrent networks; `goldens.py` calls `main`."""

import numpy as np
import torch
import torch.nn.functional as F

from goldens import INF, Fixed, add, bools, rand


def attended(q, k, v, mask=None, causal=False, position=0, scale=None):
    """Attention of q [N, L, H, D], k [N, S, G, D], v [N, S, G, E]."""
    heads = lambda t: t.permute(0, 2, 1, 3).repeat_interleave(q.shape[2] // t.shape[2], 1)
    allowed = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool)
    if causal:
        allowed = torch.arange(k.shape[1])[None, :] <= position + torch.arange(q.shape[1])[:, None]
    if mask is not None and mask.dtype == torch.bool:
        allowed, mask = allowed & mask, None
    added = torch.zeros(allowed.shape, dtype=q.dtype).masked_fill(~allowed, -INF)
    added = added if mask is None else added + mask
    # The one of PyTorch's ways that has second gradients.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        y = F.scaled_dot_product_attention(q.permute(0, 2, 1, 3), heads(k), heads(v), added, scale=scale)
    return y.permute(0, 2, 1, 3)


def attention():
    # [N, L, S, H, G, D, E], attributes, kind of mask
    cases = [
        ([1, 1, 1, 1, 1, 1, 1], {}, None),
        ([2, 3, 4, 2, 2, 3, 5], {}, None),
        ([1, 4, 4, 2, 1, 2, 3], {"causal": True}, None),
        ([1, 2, 5, 2, 2, 2, 2], {"causal": True, "position": 3}, "added"),
        ([1, 3, 4, 1, 1, 2, 2], {"causal": True, "position": -1}, None),
        ([2, 3, 4, 2, 1, 2, 2], {"scale": -0.75}, "added"),
        ([2, 3, 4, 4, 2, 2, 2], {}, "seen"),
        ([1, 0, 3, 2, 2, 2, 2], {}, None),
        ([0, 2, 3, 2, 2, 2, 2], {}, None),
    ]
    for op in ["attention", "attention_gradient"]:
        Fixed(op)
        for [n, l, s, h, g, d, e], options, kind in cases:
            options = {"causal": False, "position": 0, **options}
            inputs = [rand(n, l, h, d), rand(n, s, g, d), rand(n, s, g, e)]
            if kind == "added":
                # A key that nobody sees.
                mask = rand(n, h, l, s)
                mask[..., 1] = -INF
                inputs.append(mask)
            elif kind == "seen":
                # One query sees nothing.
                mask = bools(n, h, l, s) | (np.arange(s) == 2)
                mask[0, 0, 1] = False
                inputs.append(mask)
            of = lambda q, k, v, mask=None: attended(q, k, v, mask, **options)

            def gradient(*inputs):
                *inputs, g = inputs
                parts = [t if t.requires_grad else t.clone().requires_grad_() for t in inputs[:3]]
                found = torch.autograd.grad(of(*parts, *inputs[3:]), parts, g, create_graph=True)
                return torch.cat([t.reshape(-1) for t in found])

            if op == "attention":
                # A mask with -inf has no differences; with respect to the others there are.
                add(op, inputs, of, wrt=[0, 1, 2], **options)
                if kind == "added":
                    inputs[3] = rand(n, h, l, s)
                    add(op, inputs, of, **options)
            elif n * l > 0:
                add(op, [*inputs, rand(n, l, h, e)], gradient, wrt=[0, 1, 2, len(inputs)], **options)


def recurrent_step(cell, x, p, h, c=None, rectified=False):
    """A step from its sums: the state after, and the gates."""
    if cell == "rnn":
        return (torch.relu(x + p) if rectified else torch.tanh(x + p),), ()
    x, p = x.chunk(4 if cell == "lstm" else 3, -1), p.chunk(4 if cell == "lstm" else 3, -1)
    if cell == "lstm":
        i, f, g, o = [s(a + b) for s, a, b in zip([torch.sigmoid, torch.sigmoid, torch.tanh, torch.sigmoid], x, p)]
        c = f * c + i * g
        return (o * torch.tanh(c), c), (i, f, g, o)
    r, z = torch.sigmoid(x[0] + p[0]), torch.sigmoid(x[1] + p[1])
    n = torch.tanh(x[2] + r * p[2])
    return ((1 - z) * n + z * h,), (r, z, n, p[2])


def recurrent_states(cell, x, weight, *rest, rectified=False):
    """All states; where there is no mask, PyTorch's own layer gives them."""
    rest = list(rest)
    mask = rest.pop() if rest[-1].dtype == torch.bool else None
    bias = rest.pop(0) if cell == "gru" else torch.zeros(weight.shape[0], dtype=x.dtype)
    state = tuple(rest)
    if mask is None and x.shape[0] > 0 and x.shape[1] > 0:
        # The input's weight is the identity.
        hidden, width = weight.shape[1], weight.shape[0]
        first = tuple(s[None] for s in state)
        if cell == "rnn":
            y = torch._VF.rnn_relu if rectified else torch._VF.rnn_tanh
            y = y(x, first[0], [torch.eye(width, dtype=x.dtype), weight, torch.zeros(width, dtype=x.dtype), bias], True, 1, 0.0, False, False, False)[0]
            return torch.cat([first[0], y])
        if cell == "gru":
            y = torch._VF.gru(x, first[0], [torch.eye(width, dtype=x.dtype), weight, torch.zeros(width, dtype=x.dtype), bias], True, 1, 0.0, False, False, False)[0]
            return torch.cat([first[0], y])
    rows = [torch.cat(state, -1)]
    for t in range(x.shape[0]):
        after, _ = recurrent_step(cell, x[t], state[0] @ weight.T + bias, *state, rectified=rectified)
        if mask is not None:
            after = tuple(torch.where(mask[t][:, None], a, b) for a, b in zip(after, state))
        state = after
        rows.append(torch.cat(state, -1))
    if cell == "lstm" and mask is None and x.shape[0] > 0 and x.shape[1] > 0:
        eye = torch.eye(weight.shape[0], dtype=x.dtype)
        y, _, c = torch._VF.lstm(x, tuple(s[None] for s in rest), [eye, weight, bias, bias], True, 1, 0.0, False, False, False)
        assert torch.allclose(y, torch.stack(rows)[1:, :, : weight.shape[1]]) and torch.allclose(c[0], state[1])
    return torch.stack(rows)


def recurrent():
    sizes = [(1, 1, 1), (3, 2, 3), (4, 1, 2), (0, 2, 3), (2, 0, 2)]
    for cell, products, states in [("rnn", 1, 1), ("lstm", 4, 2), ("gru", 3, 1)]:
        for part in ["", "_gates", "_gradient"]:
            if cell + part == "rnn_gates":
                continue
            Fixed(cell + part)
            for rectified in [False, True] if cell == "rnn" else [None]:
                options = {} if rectified is None else {"rectified": rectified}
                for t, n, h in sizes:
                    for masked in [False, True]:
                        if masked and (t != 3 or part == "_gates"):
                            continue
                        x, weight = rand(t, n, products * h), rand(products * h, h, low=-1, high=1)
                        bias = [rand(products * h)] if cell == "gru" else []
                        first = [rand(n, h) for _ in range(states)]
                        mask = [np.array([[True, True], [True, False], [False, True]])] if masked else []
                        if part == "":
                            add(cell, [x, weight, *bias, *first, *mask], lambda *i: recurrent_states(cell, *i, **options), **options)
                            continue
                        kept = rand(t + 1, n, states * h)

                        def gates(x, weight, *rest):
                            before = rest[-1][:-1]
                            p = before[..., :h] @ weight.T + (rest[0] if len(rest) > 1 else 0)
                            return torch.cat(recurrent_step(cell, x, p, *before.split(h, -1))[1], -1)

                        if part == "_gates":
                            add(cell + part, [x, weight, *bias, kept], gates)
                            continue

                        def gradient(*inputs):
                            """Backwards through what a step does, from its own sums."""
                            weight, kept, *rest = inputs
                            mask = rest.pop() if rest[-1].dtype == torch.bool else None
                            given, of_gates = rest[-1], (rest[0] if len(rest) > 1 else None)
                            carry = given[-1].split(h, -1)
                            rows = []
                            for t in reversed(range(kept.shape[0] - 1)):
                                before, after = kept[t].split(h, -1), kept[t + 1].split(h, -1)
                                if cell == "rnn":
                                    passed = [torch.zeros_like(carry[0])]
                                    sums = [carry[0] * ((after[0] > 0).double() if rectified else 1 - after[0] ** 2)]
                                elif cell == "lstm":
                                    i, f, g, o = of_gates[t].split(h, -1)
                                    squashed = torch.tanh(after[1])
                                    dc = carry[1] + carry[0] * o * (1 - squashed**2)
                                    sums = [dc * g * i * (1 - i), dc * before[1] * f * (1 - f), dc * i * (1 - g**2), carry[0] * squashed * o * (1 - o)]
                                    passed = [torch.zeros_like(dc), dc * f]
                                else:
                                    r, z, new, p = of_gates[t].split(h, -1)
                                    dn = carry[0] * (1 - z) * (1 - new**2)
                                    sums = [dn * r, dn * p * r * (1 - r), carry[0] * (before[0] - new) * z * (1 - z), dn]
                                    passed = [carry[0] * z]
                                if mask is not None:
                                    on = mask[t][:, None]
                                    sums = [torch.where(on, s, 0 * s) for s in sums]
                                    passed = [torch.where(on, p, c) for p, c in zip(passed, carry)]
                                passed[0] = passed[0] + torch.cat(sums[:products], -1) @ weight
                                carry = [p + g for p, g in zip(passed, given[t].split(h, -1))]
                                rows.insert(0, torch.cat(sums, -1))
                            every = 1 if cell == "rnn" else 4
                            first = [*carry, *[torch.zeros_like(carry[0])] * (every - len(carry))]
                            return torch.stack([torch.cat(first, -1), *rows])

                        of_gates = [rand(t, n, 4 * h)] if cell != "rnn" else []
                        kink = bool(rectified)
                        add(cell + part, [weight, kept, *of_gates, rand(t + 1, n, states * h), *mask], gradient, kink=kink, **options)


def main():
    attention()
    recurrent()
