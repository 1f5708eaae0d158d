#!/usr/bin/env python3
"""Model files both ways between PyTorch and Plummet: the same outputs there and here, within 1e-5 of the largest.

pytorch_safetensors.py PROGRAM: PROGRAM is the built tests/nn/pytorch_net.c.  Exits with 77 where PyTorch is missing.
"""

import math
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file, save_file
    from torch import nn
except ImportError as missing:
    print(f"pytorch_safetensors: not run, {missing} (apt-get install python3-torch python3-safetensors)")
    sys.exit(77)

CLASSES, SAMPLES, CLOSE = 10, 3, 1e-5


# --- the networks of include/plummet/nn.h, under the same names ------------------------------------------------------------


class FCN(nn.Module):
    shape = (3, 8, 8)

    def __init__(self, depth=4, width=50):
        super().__init__()
        self.initial = nn.Linear(math.prod(self.shape), width, bias=False)
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth - 2))
        self.final = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x):
        x = self.initial(x.flatten(1)).relu() * math.sqrt(2)
        for layer in self.layers:
            x = layer(x).relu() * math.sqrt(2)
        return self.final(x)


class VGG11(nn.Module):
    shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for convs, width in (1, 64), (1, 128), (2, 256), (2, 512), (2, 512):
            for _ in range(convs):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Block(nn.Module):
    def __init__(self, d_in, d_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(d_in, d_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(d_out)
        self.conv2 = nn.Conv2d(d_out, d_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(d_out)
        self.downsample = None
        if stride != 1 or d_in != d_out:
            self.downsample = nn.Sequential(nn.Conv2d(d_in, d_out, 1, stride, bias=False), nn.BatchNorm2d(d_out))

    def forward(self, x):
        side = self.downsample(x) if self.downsample else x
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + side).relu()


class ResNet18(nn.Module):
    """torchvision's resnet18."""

    shape = (3, 64, 64)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        for i, width in enumerate((64, 128, 256, 512), start=1):
            layer = nn.Sequential(Block(channels, width, 1 if i == 1 else 2), Block(width, width, 1))
            setattr(self, f"layer{i}", layer)
            channels = width
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


NETWORKS = {"fcn": FCN, "vgg11": VGG11, "resnet18": ResNet18}


# --- the comparison ---------------------------------------------------------------------------------------------------------


def is_counter(name):
    return name.endswith(".num_batches_tracked")


def drawn(arch):
    """A network whose every parameter and statistic has been drawn."""
    net = NETWORKS[arch]().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            module.num_batches_tracked.fill_(1234)
    return net


def filled(arch, tensors):
    """A network with these tensors, in f32; batch counters may be missing, nothing else."""
    net = NETWORKS[arch]().eval()
    wide = {name: t if is_counter(name) else t.float() for name, t in tensors.items()}
    missing, unexpected = net.load_state_dict(wide, strict=False)
    assert not unexpected and all(map(is_counter, missing)), (missing, unexpected)
    return net


def distance(a, b):
    assert a.shape == b.shape and bool(torch.isfinite(a).all() and torch.isfinite(b).all())
    return ((a - b).abs().max() / b.abs().max()).item()


def run(program, folder, arch, weights, x):
    """Plummet's outputs, and the file that it saves."""
    samples, outputs, saved = folder / "x.f32", folder / "y.f32", folder / "saved.safetensors"
    samples.write_bytes(x.numpy().tobytes())
    subprocess.run([program, arch, weights, samples, outputs, saved], check=True)
    return torch.frombuffer(bytearray(outputs.read_bytes()), dtype=torch.float32).reshape(-1, CLASSES), load_file(saved)


def there_and_back(program, folder, arch, dtype, x):
    """PyTorch's file, in this precision, read here; what is saved here has the same numbers there."""
    tensors = {name: t if is_counter(name) else t.to(dtype) for name, t in drawn(arch).state_dict().items()}
    save_file(tensors, folder / "net.safetensors")
    y, saved = run(program, folder, arch, folder / "net.safetensors", x)
    for name, t in tensors.items():
        assert is_counter(name) or torch.equal(saved[name], t.float()), name
    return distance(y, filled(arch, tensors)(x))


def from_here(program, folder, arch, x):
    """Weights drawn here, read there."""
    y, saved = run(program, folder, arch, "-", x)
    return distance(filled(arch, saved)(x), y)


@torch.no_grad()
def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        for arch in NETWORKS:
            torch.manual_seed(1)
            x = torch.randn(SAMPLES, *NETWORKS[arch].shape)
            for dtype in torch.float32, torch.bfloat16, torch.float16:
                apart = there_and_back(sys.argv[1], Path(name), arch, dtype, x)
                print(f"{arch:9s} PyTorch to Plummet, {str(dtype)[6:]:9s} outputs differ by {apart:.1e} of the largest")
                worst = max(worst, apart)
            apart = from_here(sys.argv[1], Path(name), arch, x)
            print(f"{arch:9s} Plummet to PyTorch, float32   outputs differ by {apart:.1e} of the largest")
            worst = max(worst, apart)
    print(f"pytorch_safetensors: PyTorch {torch.__version__}: 12 files, worst {worst:.1e}, allowed {CLOSE:.0e}")
    sys.exit(worst > CLOSE)


main()
