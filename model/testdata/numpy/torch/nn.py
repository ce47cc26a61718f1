import itertools

import numpy as np

from . import Tensor, relu


class Module:
    training = True

    def modules(self, prefix=""):
        """Yields the modules with the prefixes of their names, this one first."""
        yield prefix, self
        for name, child in vars(self).items():
            if isinstance(child, Module):
                yield from child.modules(prefix + name + ".")

    def load_state_dict(self, state, strict=True):
        missing = []
        for prefix, m in self.modules():
            for name, value in list(vars(m).items()):
                if isinstance(value, np.ndarray):
                    if prefix + name not in state or state[prefix + name].shape != value.shape:
                        missing.append(prefix + name)
                    else:
                        setattr(m, name, state[prefix + name].astype(np.float64))
        own = {prefix + name for prefix, m in self.modules() for name, value in vars(m).items() if isinstance(value, np.ndarray)}
        if missing or set(state) - own:
            raise RuntimeError("missing or of another shape: %s; unexpected: %s" % (missing, sorted(set(state) - own)))

    def double(self):
        return self

    def eval(self):
        for _, m in self.modules():
            m.training = False
        return self

    def __call__(self, *inputs):
        return self.forward(*inputs)


class ModuleList(Module):
    def __init__(self, modules=()):
        self.count = 0
        for m in modules:
            self.append(m)

    def append(self, module):
        setattr(self, str(self.count), module)
        self.count += 1

    def __iter__(self):
        return (getattr(self, str(i)) for i in range(self.count))


class Sequential(ModuleList):
    def __init__(self, *modules):
        super().__init__(modules)

    def forward(self, x):
        for m in self:
            x = m(x)
        return x


class Identity(Module):
    def forward(self, x):
        return x


class ReLU(Module):
    def forward(self, x):
        return relu(x)


def _pair(v):
    return v if isinstance(v, tuple) else (v, v)


def _windows(x, kernel, stride, padding, dilation, fill):
    """Returns the elements (N, C, H, W, taps) of the windows around each output pixel."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(_pair, (kernel, stride, padding, dilation))
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    h, w = ((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in ((x.shape[2], kh, sh, dh), (x.shape[3], kw, sw, dw)))
    taps = [x[:, :, i * dh:i * dh + (h - 1) * sh + 1:sh, j * dw:j * dw + (w - 1) * sw + 1:sw] for i, j in itertools.product(range(kh), range(kw))]
    return np.stack(taps, -1)


class Conv2d(Module):
    def __init__(self, c_in, c, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True):
        assert not bias
        self.weight = np.zeros((c, c_in // groups) + _pair(kernel))
        self.geometry = kernel, stride, padding, dilation, 0.0
        self.groups = groups

    def forward(self, x):
        w = _windows(x.data, *self.geometry)
        n, c, height, width, taps = w.shape
        w = w.reshape(n, self.groups, c // self.groups, height, width, taps)
        weight = self.weight.reshape(self.groups, -1, c // self.groups, taps)
        return Tensor(np.einsum("ngchwt,gkct->ngkhw", w, weight, optimize=True).reshape(n, -1, height, width))


class BatchNorm2d(Module):
    def __init__(self, c):
        self.weight, self.bias, self.running_mean, self.running_var = np.ones(c), np.zeros(c), np.zeros(c), np.ones(c)
        self.num_batches_tracked = np.zeros(())

    def forward(self, x):
        assert not self.training
        scale = self.weight / np.sqrt(self.running_var + 1e-5)
        return Tensor(x.data * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None])


class MaxPool2d(Module):
    def __init__(self, kernel, stride, padding=0):
        self.geometry = kernel, stride, padding, 1, -np.inf

    def forward(self, x):
        return Tensor(_windows(x.data, *self.geometry).max(-1))


class AvgPool2d(Module):
    def __init__(self, kernel, stride, padding=0, count_include_pad=True):
        assert not padding or not count_include_pad
        self.geometry = kernel, stride, padding, 1, np.nan

    def forward(self, x):
        return Tensor(np.nanmean(_windows(x.data, *self.geometry), -1))


class Linear(Module):
    def __init__(self, c_in, c):
        self.weight, self.bias = np.zeros((c, c_in)), np.zeros(c)

    def forward(self, x):
        return Tensor(x.data @ self.weight.T + self.bias)
