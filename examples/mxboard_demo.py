"""MXBoard's demo (2018), the part with the embedding: 2,304 pictures, 48 × 48, as a network sees them.

Its three scripts computed "convnet codes" of 2,304 photographs, logged the photographs as one picture, and the codes
with class names for TensorBoard's projector. Here: the picture, of 48 columns and 48 rows where the old one had 8 and
288; the vectors of a layer, penultimate by default (the old codes were the logits, though its text says otherwise:
name ``--layer logits``); PCA, and t-SNE while it forms; the class names; and the files for TensorBoard's projector.
Searching "dog" finds the class of that name, and says how many others only have it in their names: the old 44 had hot
dogs and dogsleds among them.

The default is CIFAR-10's test pictures through a ResNet-20 that was trained on the others. Photographs of one's own
come as a folder with a sub-folder a class, or with WordNet ids in their names and ``--names synset_words.txt``.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from rich.console import Console

import convscope as cs
from convscope.console import Bar, bars
from convscope.embed import Embedding
from convscope.jobs.embed import layer_of
from convscope.jobs.folder import whole_input
from convscope.jobs.projections import record_projection
from convscope.nets.cifar10 import load_cifar10
from convscope.nets.data import ArrayImages, ImageSet
from convscope.nets.images import image_set

COUNT = 48 * 48


def chosen(found: ImageSet, folder: Path | None, count: int, seed: int) -> ImageSet:
    """Return ``count`` of the images, drawn at random: the first ones of a folder would be of its first classes."""
    if len(found) <= count:
        return found
    numbers = np.sort(np.random.default_rng(seed).permutation(len(found))[:count])
    labels = None if found.labels is None else found.labels[numbers]
    known = {"label_names": found.label_names, "name": found.name}
    if folder is None and isinstance(found, ArrayImages):
        return ArrayImages(found.pixels[numbers], labels, preprocessing=found.preprocessing, **known)
    files = [(folder or Path()) / found.names[number] for number in numbers]
    return image_set(files, found.preprocessing, labels, check="quick", **known)


def grid(embedding: Embedding) -> np.ndarray:
    """Return the thumbnails as one picture with as many rows as columns, ``(H, W, c)``."""
    tiles = embedding.thumbnails
    side = math.ceil(math.sqrt(len(tiles)))
    height, width, colours = tiles.shape[1:]
    full = np.zeros((side * side, height, width, colours), np.uint8)
    full[: len(tiles)] = tiles
    return full.reshape(side, side, height, width, colours).swapaxes(1, 2).reshape(side * height, side * width, colours)


def main(arguments: list[str] | None = None) -> None:
    """Embed the pictures, lay the vectors out, and write a run."""
    args = options(arguments)
    model = cs.Model(args.network, weights=args.weights)
    layer = layer_of(model, args.layer)
    if args.images is None:
        images = chosen(load_cifar10(whole_input(model)), None, args.count, args.seed)
    else:
        found = image_set(args.images, whole_input(model), label_names=args.names)
        images = chosen(found, Path(args.images), args.count, args.seed)
    with cs.SummaryWriter(args.run) as writer, bars(Console()) as progress:
        embedding = model.embed(images, layer, progress=Bar(progress, "vectors", noun="images"))
        writer.add_image("pictures", grid(embedding), dataformats="HWC")
        identity = writer.add(embedding, layer)
        record_projection(embedding, identity, writer, layer, "pca")
        made = record_projection(
            embedding,
            identity,
            writer,
            layer,
            "tsne",
            seed=args.seed,
            perplexity=args.perplexity,
            iterations=args.iterations,
            progress=Bar(progress, "t-SNE", noun="iterations"),
        )
        writer.add_embedding(embedding, tag=layer)
    tell(embedding, made.quality, args)


def tell(embedding: Embedding, quality: dict[str, float], args: argparse.Namespace) -> None:
    """Print what was made, and what a search finds."""
    which = f"{args.layer}, {embedding.layer}" if args.layer != embedding.layer else embedding.layer
    numbers = embedding.vectors.shape[1]
    of = f"{embedding.dataset} by {embedding.network}, layer {which}"
    print(f"{len(embedding):,} pictures of {of}: {numbers:,} numbers each")
    print(f"t-SNE keeps {quality['neighbours_kept']:.0%} of the ten nearest")
    if "label_accuracy" in quality:
        print(f"the ten nearest on the map tell the class of {quality['label_accuracy']:.0%}")
    matches = embedding.matches(args.search)
    tiers = (("exactly", matches.exact), ("as a word", matches.word), ("as part of a word", matches.part))
    found = ", ".join(f"{len(points):,} {how}" for how, points in tiers if len(points))
    print(f'search "{args.search}": {found or "nothing"}')
    print(f"look at it: convscope view {args.run}, or tensorboard --logdir {args.run}")


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="MXBoard's demo: 2,304 pictures as a network sees them.")
    parser.add_argument("--images", metavar="FOLDER", help="photographs; CIFAR-10's test pictures by default")
    parser.add_argument("--names", metavar="FILE", help="names of the classes, as synset_words.txt")
    parser.add_argument("--network", default="resnet20_cifar10", help="resnet20_cifar10 by default")
    parser.add_argument("--weights", help="a file of its weights; fetched by default")
    parser.add_argument("--layer", default="penultimate", help="penultimate (the default), logits, or a layer's name")
    parser.add_argument("--count", type=int, default=COUNT, help="how many pictures, 2,304 by default")
    parser.add_argument("--perplexity", type=float, default=30, help="of t-SNE")
    parser.add_argument("--iterations", type=int, default=750, help="of t-SNE")
    parser.add_argument("--seed", type=int, default=0, help="of the pictures that are drawn, and of t-SNE")
    parser.add_argument("--search", default="dog", help="what is searched for")
    parser.add_argument("--run", default="runs/mxboard-demo", help="folder the results are written to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
