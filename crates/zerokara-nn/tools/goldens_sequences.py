"""Outputs and gradients of layers for sequences from PyTorch: writes tests/goldens/sequences.json.

Parameters have the names of our layers. Run in this folder: python goldens_sequences.py
"""

import json
import torch
import torch.nn.functional as F
from torch import nn
from goldens_common import case, flat, rn

torch.manual_seed(0)


class Direction(nn.Module):
    def __init__(self, kind, inputs, hidden):
        super().__init__()
        width = {"rnn": 1, "lstm": 4, "gru": 3}[kind] * hidden
        self.weight = nn.Parameter(rn(width, inputs) * 0.4)
        self.recurrent = nn.Parameter(rn(width, hidden) * 0.4)
        self.bias = nn.Parameter(rn(width) * 0.4)
        if kind == "gru":
            self.recurrent_bias = nn.Parameter(rn(width) * 0.4)

    def weights(self):
        other = getattr(self, "recurrent_bias", torch.zeros_like(self.bias))
        return [self.weight, self.recurrent, self.bias, other]


class Layer(Direction):
    def __init__(self, kind, inputs, hidden, both):
        super().__init__(kind, inputs, hidden)
        if both:
            self.reverse = Direction(kind, inputs, hidden)

    def all(self):
        return self.weights() + (self.reverse.weights() if hasattr(self, "reverse") else [])


class Recurrent(nn.Module):
    """PyTorch's own functions with our names; with `mask`, of packed sequences."""

    def __init__(self, kind, inputs, hidden, layers=1, both=False, last=False):
        super().__init__()
        self.kind, self.hidden, self.count, self.both, self.last = kind, hidden, layers, both, last
        sizes = [inputs] + [hidden * (1 + both)] * (layers - 1)
        self.layers = nn.ModuleList([Layer(kind, size, hidden, both) for size in sizes])

    def run(self, x, first=None, lengths=None):
        """x [N, L, C], first states [N, layers D, H] each: output, last states."""
        ways = self.count * (1 + self.both)
        states = 2 if self.kind == "lstm" else 1
        first = first or [torch.zeros(x.shape[0], ways, self.hidden, dtype=x.dtype)] * states
        first = [s.transpose(0, 1).contiguous() for s in first]
        weights = [w for layer in self.layers for w in layer.all()]
        function = {"rnn": torch._VF.rnn_tanh, "lstm": torch._VF.lstm, "gru": torch._VF.gru}[self.kind]
        first = first if states == 2 else first[0]
        options = (weights, True, self.count, 0.0, False, self.both)
        if lengths is None:
            y, *last = function(x, first, *options, True)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            y, *last = function(packed.data, packed.batch_sizes, first, *options)
            y = nn.utils.rnn.PackedSequence(y, packed.batch_sizes)
            y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
        return y, [s.transpose(0, 1) for s in last]

    def forward(self, x):
        y, last = self.run(x)
        return last[0][:, -(1 + self.both) :].reshape(x.shape[0], -1) if self.last else y


class Attention(nn.Module):
    def __init__(self, width, heads, groups=None, causal=False, bias=True, rotary=None):
        super().__init__()
        self.heads, self.groups, self.causal, self.rotary = heads, groups or heads, causal, rotary
        rows = (heads + 2 * self.groups) * (width // heads)
        self.weight = nn.Parameter(rn(rows, width) * 0.4)
        if bias:
            self.bias = nn.Parameter(rn(rows) * 0.4)
        self.output = nn.Linear(width, width, bias=bias)

    def turned(self, x):
        half = x.shape[-1] // 2
        speeds = torch.tensor([self.rotary ** (-i / half) for i in range(half)], dtype=torch.float32)
        angles = (torch.arange(x.shape[2], dtype=torch.float32)[:, None] * speeds).double()
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)

    def attend(self, x, memory, mask=None):
        each = x.shape[-1] // self.heads
        counts = [n * each for n in (self.heads, self.groups, self.groups)]
        weights = self.weight.split(counts)
        biases = self.bias.split(counts) if hasattr(self, "bias") else [None] * 3
        q, k, v = [
            F.linear(t, w, b).unflatten(-1, (-1, each)).transpose(1, 2)
            for t, w, b in zip([x, memory, memory], weights, biases)
        ]
        if self.rotary:
            q, k = self.turned(q), self.turned(k)
        k, v = [t.repeat_interleave(self.heads // self.groups, 1) for t in (k, v)]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.output(y.transpose(1, 2).flatten(2))

    def forward(self, x):
        return self.attend(x, x)


class Block(nn.Module):
    def __init__(self, width, heads, bias=True):
        super().__init__()
        self.norm1, self.norm2 = [nn.LayerNorm(width, bias=bias) for _ in range(2)]
        self.attention = Attention(width, heads, causal=True, bias=bias)
        self.up, self.down = nn.Linear(width, 4 * width, bias), nn.Linear(4 * width, width, bias)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Positions(nn.Module):
    def __init__(self, most, width):
        super().__init__()
        self.weight = nn.Parameter(rn(most, width))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]


cases = [
    case("rnn", Recurrent("rnn", 3, 4), rn(2, 5, 3)),
    case("rnn_both_last", Recurrent("rnn", 3, 4, both=True, last=True), rn(2, 5, 3)),
    case("lstm", Recurrent("lstm", 3, 4), rn(2, 5, 3)),
    case("lstm_all", Recurrent("lstm", 3, 4, layers=2, both=True), rn(3, 4, 3)),
    case("lstm_one", Recurrent("lstm", 1, 1), rn(1, 1, 1)),
    case("gru", Recurrent("gru", 3, 4), rn(2, 5, 3)),
    case("gru_all", Recurrent("gru", 3, 4, layers=2, both=True), rn(3, 4, 3)),
    case("gru_last", Recurrent("gru", 3, 4, layers=3, last=True), rn(2, 5, 3)),
    case("attention", Attention(6, 2), rn(2, 5, 6)),
    case("attention_causal", Attention(6, 3, causal=True, bias=False), rn(2, 5, 6)),
    case("attention_groups", Attention(8, 4, groups=2), rn(2, 3, 8)),
    case("attention_rotary", Attention(8, 2, causal=True, rotary=100.0), rn(2, 4, 8)),
    case("transformer_block", Block(6, 2), rn(2, 4, 6)),
    case("learned_positions", Positions(7, 3), rn(2, 5, 3)),
]

# Sequences of unlike lengths, with first states; attention to another sequence, with a mask.
runs = []
for kind, layers, both in [("rnn", 1, False), ("lstm", 2, True), ("gru", 2, True)]:
    module = Recurrent(kind, 3, 4, layers, both).double()
    x = rn(3, 5, 3).double().requires_grad_()
    first = [rn(3, layers * (1 + both), 4).double().requires_grad_() for _ in range(2 if kind == "lstm" else 1)]
    y, last = module.run(x, first, torch.tensor([5, 3, 1]))
    cotangents = [torch.randn_like(t) for t in [y, *last]]
    sum((t * c).sum() for t, c in zip([y, *last], cotangents)).backward()
    runs.append(
        {
            "name": kind,
            "layers": layers,
            "both": both,
            "lengths": [5, 3, 1],
            "parameters": {k: flat(v) for k, v in module.named_parameters()},
            "x": flat(x),
            "first": [flat(s) for s in first],
            "outputs": [flat(t) for t in [y, *last]],
            "cotangents": [flat(c) for c in cotangents],
            "gradients": {k: flat(v.grad) for k, v in module.named_parameters()},
            "input_gradients": [flat(t.grad) for t in [x, *first]],
        }
    )
module = Attention(6, 2).double()
x, memory = rn(2, 3, 6).double(), rn(2, 5, 6).double()
mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
y = module.attend(x, memory, mask[:, None, None])
attend = {
    "parameters": {k: flat(v) for k, v in module.named_parameters()},
    "x": flat(x),
    "memory": flat(memory),
    "lengths": [5, 2],
    "output": flat(y),
}

cases.append(case("transformer_block_no_bias", Block(6, 3, bias=False), rn(2, 3, 6)))

with open("../tests/goldens/sequences.json", "w") as f:
    json.dump({"layers": cases, "runs": runs, "attend": attend}, f, indent=None, separators=(",", ":"))
    f.write("\n")
