"""The operations of an edge: DARTS (arXiv:1806.09055), NASNet (arXiv:1707.07012)."""
import torch
from torch import nn
from torch.nn import functional


def conv(inputs, outputs, kernel, **geometry):
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **geometry)


def depthwise(c, kernel, stride, dilation=1):
    return conv(c, c, kernel, stride=stride, padding=dilation * (kernel // 2), dilation=dilation, groups=c)


def norm(c, affine=True):
    return nn.BatchNorm2d(c, affine=affine)


class Row(nn.Module):
    """Layers one after the other, named op.0, op.1 and so on."""

    def __init__(self, *layers):
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.zeros_like(x[:, :, ::self.stride, ::self.stride])


class FactorizedReduce(nn.Module):
    """Halves height and width by two 1x1 convolutions side by side, the second one pixel down and to the right."""

    def __init__(self, inputs, outputs, affine=True):
        super().__init__()
        half = outputs // 2
        self.conv_1 = conv(inputs, half, 1, stride=2)
        self.conv_2 = conv(inputs, outputs - half, 1, stride=2)
        self.bn = norm(outputs, affine)

    def forward(self, x):
        x = x.relu()
        return self.bn(torch.cat((self.conv_1(x), self.conv_2(x[..., 1:, 1:])), 1))


def pointwise(inputs, outputs, affine=True):
    """How cells and stages read a state."""
    return Row(nn.ReLU(), conv(inputs, outputs, 1), norm(outputs, affine))


def separable(c, kernel, stride, affine):
    layers = []
    for s in (stride, 1):
        layers += [nn.ReLU(), depthwise(c, kernel, s), conv(c, c, 1), norm(c, affine)]
    return Row(*layers)


def dilated(c, kernel, stride, affine):
    return Row(nn.ReLU(), depthwise(c, kernel, stride, dilation=2), conv(c, c, 1), norm(c, affine))


def operation(name, c, stride, affine, pool_norm):
    """The module of an edge from (N,c,H,W) to (N,c,H/stride,W/stride); with pool_norm, batch norm follows a pooling."""
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c, affine)
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        if name == "max_pool_3x3":
            pool = nn.MaxPool2d(3, stride, padding=1)
        else:
            pool = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        return nn.Sequential(pool, norm(c, affine)) if pool_norm else pool
    if name == "conv_7x1_1x7":
        return nn.Sequential(nn.ReLU(), conv(c, c, (1, 7), stride=(1, stride), padding=(0, 3)),
                             conv(c, c, (7, 1), stride=(stride, 1), padding=(3, 0)), norm(c, affine))
    kinds = {"sep_conv": separable, "dil_conv": dilated}
    kind, size = name.rsplit("_", 1)
    return kinds[kind](c, int(size[0]), stride, affine)


class Mixture(nn.Module):
    """The sum of all candidates, each times its weight; its batch norms have no scale and shift."""

    def __init__(self, candidates, c, stride):
        super().__init__()
        self._ops = nn.ModuleList(operation(name, c, stride, False, True) for name in candidates)

    def forward(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self._ops))


class Partial(Mixture):
    """PC-DARTS (arXiv:1907.05737): the first of `share` parts of the channels is mixed, the others go past, at a stride through a
    max pooling. Then the channels are taken from each part in turn, so that the next mixture gets others."""

    def __init__(self, candidates, c, stride, share):
        super().__init__(candidates, c // share, stride)
        self.share, self.stride = share, stride

    def forward(self, x, weights):
        mixed = x.shape[1] // self.share
        past = x[:, mixed:]
        if self.stride == 2:
            past = functional.max_pool2d(past, 2)
        y = torch.cat([super().forward(x[:, :mixed], weights), past], 1)
        return y.unflatten(1, (self.share, -1)).transpose(1, 2).flatten(1, 2)
