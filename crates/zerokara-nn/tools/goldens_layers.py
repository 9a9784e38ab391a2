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

losses = []
logits, labels = rn(5, 4).double(), torch.tensor([0, 3, 1, 1, 2])
soft = torch.softmax(rn(5, 4).double(), 1)
outputs, targets = rn(3, 2).double(), rn(3, 2).double()
for name, loss, y, t in [
    ("cross_entropy", nn.CrossEntropyLoss(), logits, labels),
    ("cross_entropy_soft", nn.CrossEntropyLoss(), logits, soft),
    ("cross_entropy_smoothed", nn.CrossEntropyLoss(label_smoothing=0.1), logits, labels),
    ("mean_squared_error", nn.MSELoss(), outputs, targets),
    ("mean_absolute_error", nn.L1Loss(), outputs, targets),
    ("huber", nn.HuberLoss(), outputs, targets),
    ("huber_delta", nn.HuberLoss(delta=0.4), outputs, targets),
]:
    y = y.clone().requires_grad_()
    value = loss(y, t)
    value.backward()
    losses.append(
        {
            "name": name,
            "output": flat(y),
            "target": flat(t),
            "integers": t.dtype == torch.int64,
            "loss": float(value),
            "gradient": flat(y.grad),
        }
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

with open("../tests/goldens/layers.json", "w") as f:
    json.dump({"layers": cases, "losses": losses}, f, indent=None, separators=(",", ":"))
    f.write("\n")
