"""conv-net-viz's AlexNet example (2017): every channel of all five layers, on photographs, with the real weights.

The old tool searched one layer a pass and showed the first six channels of the fifth; the other layers were commented
out. It took the receptive fields for 44, 92, 186, 188 and 190 pixels; a position of conv1 … conv5 sees 11, 51, 99, 131
and 163, and that is what is cut out here. It fed the network raw pixels; here they are scaled as in its training.

By default it looks at the demo's eight free photographs, each whole and in quarters. A folder of your own, of some
thousand photographs, is more telling: ``--images FOLDER``.
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
    parser = argparse.ArgumentParser(description="Look into every channel of AlexNet's five convolution layers.")
    parser.add_argument("--images", metavar="FOLDER", help="photographs; the demo's eight by default")
    parser.add_argument("--limit", type=int, help="look at the first so many")
    parser.add_argument("--weights", help="a file of AlexNet's weights, or 'random'; fetched by default")
    parser.add_argument("--layers", nargs="+", help="names of layers; all five convolutions by default")
    parser.add_argument("--rules", nargs="+", default=["deconvnet"], help="such as deconvnet guided_backprop")
    parser.add_argument("--top", type=int, default=9, help="photographs for each channel")
    parser.add_argument("--run", default="runs/conv-net-viz/alexnet", help="folder the results are written to")
    parser.add_argument("--html", metavar="FILE", help="also write one HTML file that opens without a server")
    args = parser.parse_args(arguments)

    model = cs.Model("alexnet", weights=args.weights, name="AlexNet")
    images = image_set(args.images, model.preprocessing) if args.images else load_photographs(model.preprocessing)
    images = FirstImages(images, args.limit or len(images))
    with cs.SummaryWriter(args.run) as writer, bars(Console()) as progress:
        writer.add(model.architecture(), model.name)
        found = record_top_k(
            model,
            images,
            writer,
            layers=args.layers,
            k=args.top,
            rules=args.rules,
            bar=lambda label: Bar(progress, label),
        )
    for name, top in found.items():
        print(f"{name}: {top.channels} channels, each position sees {top.receptive_field.size[0]} pixels a side")
    if args.html:
        print(cs.export(args.run, args.html, force=True).sentence())
    print(f"look at it: convscope view {args.run}")


if __name__ == "__main__":
    main()
