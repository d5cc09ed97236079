"""conv-net-viz's MNIST example (2017), in one pass and for every channel.

Its network, conv 7×7×32 - pool - conv 5×5×64 - pool - 1024 - 10, learns real digits with Adam; then every channel of
conv1, pool1, conv2 and pool2 gets the nine test digits that excite it most, each projected back to its pixels.

What differs from the old tool, and why:

* One pass over the digits serves all layers; it made one pass a layer.
* All 10,000 test digits are searched; it dropped the last, incomplete batch and saw 9,984.
* A position of conv2 sees 16×16 pixels, which is what is cut out, around its true centre; the old tool cut out 18×18
  around the corner of the position's share of the image, and left the last row and column of each cut black.
* One activation is projected, as Zeiler & Fergus (2014) do, after the ReLU; it projected the channel's whole map, its
  negative values too. ``--mode map`` projects the whole map.
* Zero is mid-grey in every tile, and the scale is stored; it shifted each tile by its own minimum, so that grey meant
  something else in each, and a tile of zeros became NaN.
* Each projection comes with its proof figures, and the recomputed activation must equal the one found in the search.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict

import torch
from rich.console import Console
from torch import nn

import convscope as cs
from convscope.console import Bar, bars
from convscope.jobs.channels import record_top_k
from convscope.nets.data import FirstImages
from convscope.nets.mnist import load_mnist

LAYERS = ("conv1", "pool1", "conv2", "pool2")


def network() -> nn.Sequential:
    """Return the network of conv-net-viz's simple.py; padding 'SAME'."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 32, 7, padding=3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(32, 64, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(64 * 7 * 7, 1024),
            relu3=nn.ReLU(),
            dropout=nn.Dropout(0.5),
            fc2=nn.Linear(1024, 10),
        )
    )


def train(net: nn.Module, digits, steps: int, batch: int = 50) -> None:
    """Show the network so many batches of digits."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    order = torch.randperm(len(digits)).repeat(1 + steps * batch // len(digits))
    for step in range(steps):
        chosen = order[step * batch : (step + 1) * batch].numpy()
        images = torch.from_numpy(digits.preprocessing.normalise(digits.pixels[chosen]))
        loss = nn.functional.cross_entropy(net(images), torch.from_numpy(digits.labels[chosen]).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(arguments: list[str] | None = None) -> None:
    """Train, search, project, and write a run."""
    parser = argparse.ArgumentParser(
        description="Train conv-net-viz's MNIST network and look into every channel of conv1, pool1, conv2 and pool2."
    )
    parser.add_argument(
        "--steps", type=int, default=200, help="batches of 50 digits to learn from; the old tool: 10000"
    )
    parser.add_argument("--digits", type=int, default=10_000, help="test digits to search; all 10000 by default")
    parser.add_argument("--mode", choices=("single", "map"), default="single",
                        help="project one activation, as the paper, or the whole map, as the old tool")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the order of the digits")
    parser.add_argument("--run", default="runs/conv-net-viz/mnist", help="folder the results are written to")
    parser.add_argument("--html", metavar="FILE", help="also write one HTML file that opens without a server")
    args = parser.parse_args(arguments)

    torch.manual_seed(args.seed)
    digits, net = load_mnist(), network()
    train(net, digits.train, args.steps)
    model = cs.Model(net, input_shape=(1, 28, 28), name="conv-net-viz MNIST")
    test = FirstImages(digits.test, args.digits)
    right = (model.predict(test.images(0, len(test))).argmax(1) == test.labels).mean()
    print(f"{right:.1%} of {len(test):,} test digits are named rightly after {args.steps} steps")

    with cs.SummaryWriter(args.run) as writer, bars(Console()) as progress:
        writer.add(model.architecture(), model.name)
        found = record_top_k(model, test, writer, layers=LAYERS, mode=args.mode, bar=lambda label: Bar(progress, label))
    for name, top in found.items():
        height, width = top.receptive_field.size
        print(f"{name}: {top.channels} channels, each position sees {height}×{width} pixels; "
              f"{int((top.value[:, 0] <= 0).sum())} excited by no digit")  # fmt: skip
    if args.html:
        print(cs.export(args.run, args.html, force=True).sentence())
    print(f"look at it: convscope view {args.run}")


if __name__ == "__main__":
    main()
