"""What the scripts of goldens share: a layer with its parameters, output and gradients."""

import torch


def flat(t):
    t = t.detach()
    return {"shape": list(t.shape), "data": [float(v) for v in t.reshape(-1)]}


def case(name, module, x, train=False, steps=1):
    module = module.double()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for key, b in module.named_buffers():
            if key.endswith("running_var"):
                b.copy_(torch.rand_like(b) + 0.5)
            elif key.endswith("running_mean"):
                b.copy_(torch.randn_like(b))
    module.train(train)
    floating = x.dtype != torch.int64
    if floating:
        x = x.double().requires_grad_()
    parameters = {k: flat(v) for k, v in module.named_parameters()}
    buffers = {k: flat(v) for k, v in module.named_buffers() if not k.endswith("num_batches_tracked")}
    y = module(x)
    cotangent = torch.randn_like(y)
    (y * cotangent).sum().backward()
    gradients = {k: flat(v.grad) for k, v in module.named_parameters()}
    after = {k: flat(v) for k, v in module.named_buffers() if not k.endswith("num_batches_tracked")}
    return {
        "name": name,
        "train": train,
        "x": flat(x),
        "integers": not floating,
        "parameters": parameters,
        "buffers": buffers,
        "output": flat(y),
        "cotangent": flat(cotangent),
        "x_gradient": flat(x.grad) if floating else None,
        "gradients": gradients,
        "buffers_after": after,
    }


def rn(*shape):
    return torch.randn(*shape)
