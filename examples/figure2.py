"""Zeiler & Fergus 2014, Figure 2, of AlexNet and your photographs: one picture for print.

Of each of the five layers some channels drawn at random (9, 16, 12, 10 and 10, as in the paper): left what in its nine
top images reached the channel, right what it saw there. The same images and seed give the same picture.

By default it looks at the demo's eight free photographs, each whole and in quarters; the paper searched the 50,000
images of a validation set: ``--images FOLDER``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from rich.console import Console

import convscope as cs
from convscope.console import Bar, bars
from convscope.demo.photographs import load_photographs
from convscope.drawing.files import WRITERS
from convscope.drawing.style import Look
from convscope.jobs import figure
from convscope.nets.data import FirstImages
from convscope.nets.images import image_set
from convscope.nets.rules import find_rule


def main(arguments: list[str] | None = None) -> None:
    """Search, project the chosen channels, draw."""
    parser = argparse.ArgumentParser(description="Draw the paper's Figure 2 of AlexNet.")
    parser.add_argument(
        "-o", "--output", default="figure2.png", help="the figure: .pdf, .svg, .png, or another that Pillow writes"
    )
    parser.add_argument("--images", metavar="FOLDER", help="photographs; the demo's eight by default")
    parser.add_argument("--limit", type=int, help="look at the first so many")
    parser.add_argument("--weights", help="a file of AlexNet's weights, or 'random'; fetched by default")
    parser.add_argument("--rule", default="deconvnet", help="how activations are projected back")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of the channels")
    parser.add_argument("--channels", type=int, nargs=5, default=figure.FIGURE2_CHANNELS, metavar="N",
                        help="how many of each layer; 9 16 12 10 10 by default")  # fmt: skip
    parser.add_argument("--layout", choices=figure.LAYOUTS, default="figure2", help="what is put where")
    parser.add_argument("--width", type=int, default=3600, help="pixels; 3600 are 12 inches at 300 dpi")
    args = parser.parse_args(arguments)
    output = Path(args.output)
    if not output.parent.is_dir() or output.suffix.lower() not in {*WRITERS, *Image.registered_extensions()}:
        parser.error(f"cannot write {output}; give a .pdf, .svg or .png in a folder that is there")
    if min(args.channels) < 1:
        parser.error(f"a figure shows at least one channel of a layer, got {min(args.channels)}")
    find_rule(args.rule)

    model = cs.Model("alexnet", weights=args.weights, name="AlexNet")
    images = image_set(args.images, model.preprocessing) if args.images else load_photographs(model.preprocessing)
    images = FirstImages(images, args.limit or len(images))
    with bars(Console()) as progress:
        tops = model.top_k(images, progress=Bar(progress, "searching"))
    panels = []
    for number, (top, count) in enumerate(zip(tops.values(), args.channels, strict=True), 1):
        channels = figure.some_channels(top.value, count, (args.seed, number))
        panels.append(figure.panel(model, top, images, channels, rule=args.rule, title=f"Layer {number}"))
    if output.suffix.lower() in {".pdf", ".svg"}:
        figure.drawing(panels, args.layout, look=Look(width=args.width / 300 * 72)).save(output)
        size = f"{args.width / 300:.3g} inches wide"
    else:
        picture = figure.draw(panels, args.layout, width=args.width)
        options = {"dpi": (300, 300)} if output.suffix.lower() == ".png" else {"quality": 85, "method": 6}
        picture.save(output, **options)
        size = f"{picture.width}×{picture.height} pixels"
    print(f"{output}: {size}. {figure.caption(panels)}")


if __name__ == "__main__":
    main()
