#!/usr/bin/env python3
"""One training step in PyTorch, timed: what `plummet bench` is compared with.

The networks, the loss and the algorithm are Plummet's (no biases, batch norm without affine parameters); everything else is
PyTorch as people write it.  Prints one line of JSON; times are medians in milliseconds.
"""

import argparse
import json
import math
import re
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CLASSES, IMAGE = 10, (3, 32, 32)  # CIFAR-10


# --- networks ---------------------------------------------------------------------------------------------------------------


class ScaledReLU(nn.Module):
    """y = sqrt(2) max(x, 0)"""

    def forward(self, x):
        return F.relu(x) * math.sqrt(2)


def fcn(depth, width, inputs=math.prod(IMAGE)):
    sizes = [inputs] + [width] * (depth - 1)
    layers = [nn.Flatten()]
    for d_in, d_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(d_in, d_out, bias=False), ScaledReLU()]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES, bias=False))


def norm(channels):
    return nn.BatchNorm2d(channels, affine=False)


def conv(d_in, d_out, kernel, stride=1):
    return nn.Conv2d(d_in, d_out, kernel, stride, padding=kernel // 2, bias=False)


def vgg16():
    layers, channels = [], IMAGE[0]
    for convs, width in (2, 64), (2, 128), (3, 256), (3, 512), (3, 512):
        for _ in range(convs):
            layers += [conv(channels, width, 3), norm(width), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, CLASSES, bias=False))


class PreActBlock(nn.Module):
    """He et al. 2016b, figure 1 (b): nothing but additions on the way from block to block."""

    def __init__(self, d_in, d_out, stride):
        super().__init__()
        self.bn1, self.conv1 = norm(d_in), conv(d_in, d_out, 3, stride)
        self.bn2, self.conv2 = norm(d_out), conv(d_out, d_out, 3)
        self.shortcut = conv(d_in, d_out, 1, stride) if stride != 1 or d_in != d_out else None

    def forward(self, x):
        a = F.relu(self.bn1(x), inplace=True)
        side = self.shortcut(a) if self.shortcut else x
        return self.conv2(F.relu(self.bn2(self.conv1(a)), inplace=True)) + side


def resnet18():
    layers, channels = [conv(IMAGE[0], 64, 3)], 64
    for width, stride in (64, 1), (128, 2), (256, 2), (512, 2):
        layers += [PreActBlock(channels, width, stride), PreActBlock(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(channels, CLASSES, bias=False))


def mse_onehot(logits, labels):
    """mean over batch and classes of (f - sqrt(C) onehot)^2"""
    target = F.one_hot(labels, CLASSES) * math.sqrt(CLASSES)
    return (logits.float() - target).square().mean()


# --- Automatic Gradient Descent ---------------------------------------------------------------------------------------------


class AGD:
    """Bernstein et al. 2023, arXiv 2304.05187: the algorithm box.  W_k is [d_k, d_{k-1}] or, of a convolution, one such
    matrix for each tap."""

    def __init__(self, parameters):
        self.weights = list(parameters)
        self.initialise()

    @staticmethod
    def scale(w):  # s_k = sqrt(d_k / (d_{k-1} T))
        return math.sqrt(w.shape[0] / w.shape[1] / math.prod(w.shape[2:]))

    @torch.no_grad()
    def initialise(self):
        for w in self.weights:
            for tap in w.reshape(*w.shape[:2], -1).unbind(2):
                tap.copy_(nn.init.orthogonal_(torch.empty(tap.shape)))
            w *= self.scale(w)

    @torch.no_grad()
    def step(self):
        L = len(self.weights)
        norms = [w.grad.norm(dim=(0, 1), keepdim=True) for w in self.weights]
        G = sum(self.scale(w) * norm.sum() for w, norm in zip(self.weights, norms)).item() / L
        eta = math.log((1 + math.sqrt(1 + 4 * G)) / 2)
        for w, norm in zip(self.weights, norms):
            # A tap whose norm is zero has a gradient of zeros, and 0 / 1 leaves it alone.
            w -= eta / L * self.scale(w) / norm.where(norm > 0, torch.ones_like(norm)) * w.grad
        return eta

    def zero_grad(self):
        for w in self.weights:
            w.grad = None


# --- measuring --------------------------------------------------------------------------------------------------------------

# Random labels at a default rate make some networks diverge; the time does not depend on the rate.
RATE = 1e-9
NETWORKS = {
    "fcn": lambda o: fcn(o.depth, o.width),
    "vgg16": lambda o: vgg16(),
    "resnet18": lambda o: resnet18(),
}
OPTIMIZERS = {
    "agd": AGD,
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=RATE),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=RATE),
}


def options():
    p = argparse.ArgumentParser(description="times a training step in PyTorch on random images of CIFAR-10's shape")
    p.add_argument("--arch", choices=NETWORKS, default="fcn")
    p.add_argument("--depth", type=int, default=10, help="of an fcn")
    p.add_argument("--width", type=int, default=256, help="of an fcn")
    p.add_argument("--optim", choices=OPTIMIZERS, default="agd")
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--threads", type=int, default=0, help="0: as many as PyTorch likes")
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--warmup", type=int, default=5)
    p.add_argument("--layout", choices=("eager", "channels_last"), default="eager", help="eager: PyTorch's own, row-major")
    p.add_argument("--dtype", choices=("f32", "bf16"), default="f32", help="bf16: autocast, weights stay f32")
    o = p.parse_args()
    if min(o.width, o.batch_size, o.steps) < 1 or min(o.threads, o.warmup) < 0 or o.depth < 2:
        p.error("--depth is at least 2, --width, --batch-size and --steps at least 1, --threads and --warmup at least 0")
    return o


def run(o):
    """Seconds of each step's (forward, backward, optimizer), and the number of parameters."""
    torch.manual_seed(0)
    memory_format = torch.channels_last if o.layout == "channels_last" else torch.contiguous_format
    net = NETWORKS[o.arch](o)
    opt = OPTIMIZERS[o.optim](net.parameters())
    net = net.to(memory_format=memory_format)
    x = torch.randn(o.batch_size, *IMAGE).contiguous(memory_format=memory_format)
    y = torch.randint(CLASSES, (o.batch_size,))

    def step():
        start = time.perf_counter()
        opt.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=o.dtype == "bf16"):
            loss = mse_onehot(net(x), y)
        there = time.perf_counter()
        loss.backward()
        back = time.perf_counter()
        opt.step()
        return there - start, back - there, time.perf_counter() - back

    for _ in range(o.warmup):
        step()
    return [step() for _ in range(o.steps)], sum(w.numel() for w in net.parameters())


def main():
    o = options()
    if o.threads:
        torch.set_num_threads(o.threads)
    times, parameters = run(o)
    forward, backward, optimizer = (1e3 * statistics.median(column) for column in zip(*times))
    step = 1e3 * statistics.median(map(sum, times))
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    json.dump(
        {
            "arch": o.arch,
            "optim": o.optim,
            "layout": o.layout,
            "dtype": o.dtype,
            "batch": o.batch_size,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "mkldnn": onednn.group(1) if onednn else "none",
            "parameters": parameters,
            "step_ms": round(step, 4),
            "forward_ms": round(forward, 4),
            "backward_ms": round(backward, 4),
            "optimizer_ms": round(optimizer, 4),
            "images_per_s": round(1e3 * o.batch_size / step, 4),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 4),
        },
        sys.stdout,
    )
    print()


if __name__ == "__main__":
    main()
