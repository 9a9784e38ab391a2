"""Outputs and gradients of layers from PyTorch: writes tests/goldens/layers.json.

Each case has the layer's parameters, an input, the output, and the gradients of sum(output * cotangent).
Run in this folder: python goldens_layers.py
"""

import json
import torch
from torch import nn
from goldens_common import case, flat, rn

torch.manual_seed(0)


cases = [
    case("linear", nn.Linear(5, 3), rn(4, 5)),
    case("linear_no_bias", nn.Linear(5, 3, bias=False), rn(4, 5)),
    case("linear_of_sequences", nn.Linear(5, 3), rn(2, 4, 5)),
    case("conv2d", nn.Conv2d(3, 4, 3), rn(2, 3, 6, 5)),
    case("conv2d_padding_stride", nn.Conv2d(3, 4, 3, stride=2, padding=1), rn(2, 3, 7, 6)),
    case(
        "conv2d_all",
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2, bias=False),
        rn(2, 4, 6, 7),
    ),
    case("max_pool2d", nn.MaxPool2d(2), rn(2, 3, 6, 7)),
    case("max_pool2d_all", nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0)), rn(2, 3, 6, 7)),
    case("avg_pool2d", nn.AvgPool2d(2), rn(2, 3, 6, 7)),
    case("avg_pool2d_all", nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 1)), rn(2, 3, 6, 7)),
    case("global_avg_pool2d", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), rn(2, 3, 4, 5)),
    case("batch_norm1d_train", nn.BatchNorm1d(4), rn(6, 4), train=True),
    case("batch_norm1d_evaluate", nn.BatchNorm1d(4), rn(6, 4)),
    case("batch_norm1d_of_sequences_train", nn.BatchNorm1d(4), rn(3, 4, 5), train=True),
    case("batch_norm2d_train", nn.BatchNorm2d(3), rn(2, 3, 4, 5), train=True),
    case("batch_norm2d_evaluate", nn.BatchNorm2d(3), rn(2, 3, 4, 5)),
    case("batch_norm2d_options_train", nn.BatchNorm2d(3, eps=1e-2, momentum=0.3), rn(2, 3, 4, 5), train=True),
    case("layer_norm", nn.LayerNorm(5), rn(4, 5)),
    case("layer_norm_of_sequences", nn.LayerNorm(5, eps=1e-3), rn(2, 4, 5)),
    case("flatten", nn.Flatten(), rn(2, 3, 4)),
    case("embedding", nn.Embedding(7, 3), torch.tensor([[0, 6, 3], [3, 3, 1]])),
    case("relu", nn.ReLU(), rn(3, 4)),
    case("leaky_relu", nn.LeakyReLU(0.01), rn(3, 4)),
    case("elu", nn.ELU(), rn(3, 4)),
    case("gelu", nn.GELU(), rn(3, 4)),
    case("silu", nn.SiLU(), rn(3, 4)),
    case("softplus", nn.Softplus(), rn(3, 4)),
    case("sigmoid", nn.Sigmoid(), rn(3, 4)),
    case("tanh", nn.Tanh(), rn(3, 4)),
    case("dropout_evaluate", nn.Dropout(0.5), rn(3, 4)),
]



def add_losses(*named):
    """Values and gradients of losses."""
    for name, loss, y, t in named:
        y = y.clone().requires_grad_()
        value = loss(y, t)
        value.backward()
        losses.append(
            {
                "name": name,
                "output": flat(y),
                "target": flat(t),
                "integers": t.dtype == torch.int64,
                "loss": float(value.detach()),
                "gradient": flat(y.grad),
            }
        )


losses = []
logits, labels = rn(5, 4).double(), torch.tensor([0, 3, 1, 1, 2])
soft = torch.softmax(rn(5, 4).double(), 1)
outputs, targets = rn(3, 2).double(), rn(3, 2).double()
add_losses(
    ("cross_entropy", nn.CrossEntropyLoss(), logits, labels),
    ("cross_entropy_soft", nn.CrossEntropyLoss(), logits, soft),
    ("cross_entropy_smoothed", nn.CrossEntropyLoss(label_smoothing=0.1), logits, labels),
    ("mean_squared_error", nn.MSELoss(), outputs, targets),
    ("mean_absolute_error", nn.L1Loss(), outputs, targets),
    ("huber", nn.HuberLoss(), outputs, targets),
    ("huber_delta", nn.HuberLoss(delta=0.4), outputs, targets),
)

# Drawn behind the others, which stay as they are.


class Gated(nn.Module):
    """Halves along the second axis, of which the last are the gates."""

    def forward(self, x):
        a, b = x.chunk(2, 1)
        return a * nn.functional.gelu(b)


class HardSigmoid(nn.Module):
    """PyTorch's own has a slope of 1/6 in single precision."""

    def forward(self, x):
        return torch.clamp(x / 6 + 0.5, 0, 1)


class SwiGlu(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.gate = nn.Parameter(rn(hidden, features))
        self.value = nn.Parameter(rn(hidden, features))
        self.out = nn.Parameter(rn(features, hidden))

    def forward(self, x):
        return (nn.functional.silu(x @ self.gate.T) * (x @ self.value.T)) @ self.out.T


cases += [
    case("prelu", nn.PReLU(), rn(3, 4)),
    case("prelu_per_channel", nn.PReLU(3), rn(2, 3, 4, 2)),
    case("prelu_of_rows", nn.PReLU(3), rn(4, 3)),
    case("glu", nn.GLU(), rn(3, 6)),
    case("glu_of_channels", Gated(), rn(2, 4, 3, 2)),
    case("swiglu", SwiGlu(3, 5), rn(4, 3)),
    case("swiglu_of_sequences", SwiGlu(3, 5), rn(2, 4, 3)),
    case("gelu_tanh", nn.GELU("tanh"), rn(3, 4)),
    case("mish", nn.Mish(), rn(3, 4)),
    case("hard_swish", nn.Hardswish(), 3 * rn(3, 4)),
    case("selu", nn.SELU(), rn(3, 4)),
    case("celu", nn.CELU(), rn(3, 4)),
    case("relu6", nn.ReLU6(), 5 * rn(3, 4)),
    case("hard_sigmoid", HardSigmoid(), 3 * rn(3, 4)),
    case("softsign", nn.Softsign(), rn(3, 4)),
    case("hardshrink", nn.Hardshrink(), rn(3, 4)),
    case("softshrink", nn.Softshrink(), rn(3, 4)),
]

weights = torch.tensor([0.5, 1.0, 2.0, 3.0]).double()
logarithms = torch.log_softmax(rn(5, 4).double(), 1)


def temporal(blank, padding):
    """Of scores [N, T, C] and padded labels, as the loss takes them."""

    def loss(x, t):
        lengths = (t != padding).sum(1)
        steps = torch.full_like(lengths, x.shape[1])
        return nn.functional.ctc_loss(x.log_softmax(-1).transpose(0, 1), t.clamp(0, x.shape[2] - 1), steps, lengths, blank)

    return loss


add_losses(
    ("cross_entropy_ignored", nn.CrossEntropyLoss(ignore_index=1), logits, labels),
    ("cross_entropy_all", nn.CrossEntropyLoss(weights, ignore_index=1, label_smoothing=0.1), logits, labels),
    ("nll", nn.NLLLoss(), logarithms, labels),
    ("nll_all", nn.NLLLoss(weights, ignore_index=1), logarithms, labels),
    ("kullback_leibler", nn.KLDivLoss(reduction="batchmean"), logarithms, soft),
    ("ctc", temporal(0, -1), rn(2, 6, 4).double(), torch.tensor([[1, 2, 2], [3, -1, -1]])),
    ("ctc_blank", temporal(3, 9), rn(2, 6, 4).double(), torch.tensor([[1, 0, 0], [2, 2, 9]])),
)

# With a seed of their own, so that what stands above stays as it is.
torch.manual_seed(1)


class Causal(nn.Conv1d):
    def forward(self, x):
        return super().forward(nn.functional.pad(x, (self.dilation[0] * (self.kernel_size[0] - 1), 0)))


cases += [
    case("conv1d", nn.Conv1d(3, 4, 3), rn(2, 3, 9)),
    case("conv1d_all", nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), rn(2, 4, 9)),
    case("conv1d_causal", Causal(3, 4, 3, dilation=2), rn(2, 3, 7)),
    case("conv3d", nn.Conv3d(2, 3, 2), rn(2, 2, 3, 4, 3)),
    case("conv3d_all", nn.Conv3d(4, 2, (3, 2, 1), stride=(1, 2, 1), padding=(1, 0, 1), dilation=(1, 2, 1), groups=2), rn(1, 4, 4, 5, 3)),
    case("conv_transpose1d", nn.ConvTranspose1d(3, 4, 3), rn(2, 3, 5)),
    case("conv_transpose1d_all", nn.ConvTranspose1d(4, 2, 3, stride=3, padding=1, output_padding=2, groups=2, dilation=2, bias=False), rn(2, 4, 5)),
    case("conv_transpose2d", nn.ConvTranspose2d(3, 4, 2, stride=2), rn(2, 3, 4, 3)),
    case(
        "conv_transpose2d_all",
        nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), output_padding=(1, 0), groups=2, dilation=(1, 2)),
        rn(2, 4, 3, 4),
    ),
    case("max_pool2d_ceil", nn.MaxPool2d(2, dilation=2, stride=2, ceil_mode=True), rn(2, 3, 6, 7)),
    case("avg_pool2d_ceil", nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True), rn(2, 3, 6, 7)),
    case("max_pool1d", nn.MaxPool1d(2), rn(2, 3, 7)),
    case("max_pool1d_all", nn.MaxPool1d(3, stride=2, padding=1, dilation=2, ceil_mode=True), rn(2, 3, 9)),
    case("avg_pool1d", nn.AvgPool1d(2), rn(2, 3, 7)),
    case("avg_pool1d_all", nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True), rn(2, 3, 8)),
    case("global_avg_pool1d", nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten()), rn(2, 3, 5)),
    case("upsample_nearest", nn.Upsample(scale_factor=2), rn(2, 3, 3, 4)),
    case("upsample_nearest_fraction", nn.Upsample(scale_factor=1.5), rn(2, 3, 5)),
    case("upsample_linear", nn.Upsample(scale_factor=2, mode="bilinear"), rn(2, 3, 3, 4)),
    case("upsample_linear_corners", nn.Upsample(scale_factor=3, mode="trilinear", align_corners=True), rn(1, 2, 2, 3, 2)),
    case("upsample_cubic", nn.Upsample(scale_factor=2, mode="bicubic"), rn(1, 2, 4, 5)),
    case("group_norm", nn.GroupNorm(2, 6), rn(3, 6, 4, 2)),
    case("group_norm_plain", nn.GroupNorm(3, 6, eps=1e-2, affine=False), rn(3, 6, 4)),
    case("instance_norm1d", nn.InstanceNorm1d(3), rn(2, 3, 5)),
    case("instance_norm2d_affine", nn.InstanceNorm2d(3, affine=True, eps=1e-3), rn(2, 3, 4, 3)),
    case("rms_norm", nn.RMSNorm(5, eps=1e-5), rn(4, 5)),
    case("rms_norm_of_sequences", nn.RMSNorm(5, eps=1e-2), rn(2, 3, 5)),
    case("local_response_norm", nn.LocalResponseNorm(3, alpha=0.5), rn(2, 5, 3)),
]

cases.append(case("layer_norm_no_bias", nn.LayerNorm(5, bias=False), rn(2, 4, 5)))

with open("../tests/goldens/layers.json", "w") as f:
    json.dump({"layers": cases, "losses": losses}, f, indent=None, separators=(",", ":"))
    f.write("\n")
