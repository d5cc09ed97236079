"""conv-net-viz's VGG-16 example (2017): every channel of conv1_1 … conv5_3.

The old tool went up to conv2_2, with the first six channels of each layer. VGG-16 has 4,224 channels: their 38,016
projections take a while without a GPU (``--device cuda``). To try it in a minute:

    python examples/conv_net_viz_vgg16.py --layers conv1_2 conv2_2 --limit 10

The weights of the convolutions are fetched once (docs/zoo.md says from where); ``--weights`` takes a file instead:
torchvision's, Keras's, Caffe's, Frossard's ``vgg16_weights.npz``, which the old tool used.
"""

from __future__ import annotations

import argparse

from rich.console import Console

import convscope as cs
from convscope.console import Bar, bars
from convscope.demo.photographs import load_photographs
from convscope.jobs.channels import record_top_k
from convscope.nets.data import FirstImages
from convscope.nets.images import image_set


def main(arguments: list[str] | None = None) -> None:
    """Search all channels, project them back, and write a run."""
    parser = argparse.ArgumentParser(description="Look into every channel of VGG-16's thirteen convolution layers.")
    parser.add_argument("--images", metavar="FOLDER", help="photographs; the demo's eight by default")
    parser.add_argument("--limit", type=int, help="look at the first so many")
    parser.add_argument("--weights", help="a file of VGG-16's weights, or 'random'; fetched by default")
    parser.add_argument("--layers", nargs="+", help="such as conv1_1 conv3_2; all thirteen convolutions by default")
    parser.add_argument("--device", default="cpu", help="where to run it, such as cuda")
    parser.add_argument("--run", default="runs/conv-net-viz/vgg16", help="folder the results are written to")
    parser.add_argument("--html", metavar="FILE", help="also write one HTML file that opens without a server")
    args = parser.parse_args(arguments)

    model = cs.Model("vgg16", weights=args.weights, device=args.device, name="VGG-16")
    images = image_set(args.images, model.preprocessing) if args.images else load_photographs(model.preprocessing)
    images = FirstImages(images, args.limit or len(images))
    with cs.SummaryWriter(args.run) as writer, bars(Console()) as progress:
        writer.add(model.architecture(), model.name)
        found = record_top_k(model, images, writer, layers=args.layers, bar=lambda label: Bar(progress, label))
    for name, top in found.items():
        print(f"{name}: {top.channels} channels, each position sees {top.receptive_field.size[0]} pixels a side")
    if args.html:
        print(cs.export(args.run, args.html, force=True).sentence())
    print(f"look at it: convscope view {args.run}")


if __name__ == "__main__":
    main()
