#!/usr/bin/env python3
"""Trains Fashion-MNIST with Automatic Gradient Descent in PyTorch, for many seeds: what Plummet's accuracies are compared with.

The network is the fcn of depth 4 and width 256, the loss `mse`, the batch 128, as `plummet train --arch fcn --depth 4 --width 256
--dataset fashion-mnist --epochs 5` has them.  A line of JSON for each seed, with the columns of metrics.csv after the first epoch
and after the last, and one with what they have in common.  Five epochs take some ten seconds.
"""

import argparse
import gzip
import json
import statistics

import torch

from pytorch_step import AGD, fcn, mse_onehot

FOLDER = "/usr/share/datasets/fashion-mnist"  # of Debian's dataset-fashion-mnist
MEAN, STD, BATCH = 0.2860, 0.3530, 128


def read(name, header):
    with gzip.open(f"{FOLDER}/{name}.gz") as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


def split(name):
    """[n, 784], normalised, and the classes [n]"""
    images = read(f"{name}-images-idx3-ubyte", 16).reshape(-1, 28 * 28)
    return (images / 255 - MEAN) / STD, read(f"{name}-labels-idx1-ubyte", 8).long()


def train(seed, epochs, training, test):
    torch.manual_seed(seed)
    net = fcn(4, 256, 28 * 28)
    agd = AGD(net.parameters())
    rows = []
    for _ in range(epochs):
        losses, etas = [], []
        for chosen in torch.randperm(len(training[0])).split(BATCH):
            loss = mse_onehot(net(training[0][chosen]), training[1][chosen])
            agd.zero_grad()
            loss.backward()
            etas.append(agd.step())
            losses.append(loss.item() * len(chosen))
        with torch.no_grad():
            right = (net(test[0]).argmax(1) == test[1]).sum().item()
        rows.append({"train_loss": sum(losses) / len(training[0]), "eta_mean": statistics.mean(etas),
                     "test_acc": right / len(test[0])})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    training, test = split("train"), split("t10k")
    last = []
    for seed in range(options.seeds):
        rows = train(seed, options.epochs, training, test)
        last.append(rows[-1]["test_acc"])
        print(json.dumps({"seed": seed, "first": rows[0], "last": rows[-1]}), flush=True)
    spread = statistics.stdev(last) if len(last) > 1 else 0.0
    print(json.dumps({"seeds": len(last), "mean": statistics.mean(last), "stdev": spread, "least": min(last)}))


if __name__ == "__main__":
    main()
