"""CNN-VIS's study (2016): what a class asks of the first layer's filters, and what it asks when the network is wrong.

Four classes: a reference, the class under inspection, a similar and a dissimilar one; of each a picture that the
network knows and one that it takes for something else. Of each picture the gradient of its class's logit by the weights
of the first layer, colours summed, is a volume whose channels are the filters. They are the frames of an animation with
one scale, symmetric about zero, and one order. The old volumes were binary by mistake: empty or full.

CNN-VIS looked at CaffeNet (``--network caffenet --weights bvlc_reference_caffenet.caffemodel``). The default has 96
first filters as well, and a classifier among the weights that can be fetched. Pictures come in one folder a class, or
with WordNet ids in their names and ``--names synset_words.txt``. Where a class has no picture that is right, or none
that is wrong, parts of its pictures are tried; where that does not help, the frame is left out, and that is said.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console

import convscope as cs
from convscope.console import Bar, bars
from convscope.inspect.ablation import Ablation
from convscope.inspect.gradients import WeightGradients
from convscope.inspect.importance import Importance
from convscope.jobs.folder import whole_input
from convscope.jobs.maps import convolutions
from convscope.jobs.volume_run import class_of
from convscope.nets.data import ImageSet
from convscope.nets.images import image_set

ROLES = {"reference": "Egyptian cat", "inspected": "Persian cat", "similar": "Siamese cat", "dissimilar": "Pembroke"}
CORNERS = ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1))
SIDES = (0.8, 0.6, 0.45, 0.3)


class Candidate(NamedTuple):
    """A picture, or a part of one, and its class."""

    picture: Image.Image
    part: int
    name: str
    label: int


def parts(picture: Image.Image, count: int) -> Iterator[Image.Image]:
    """Give the picture, and ``count`` parts of it: smaller and smaller ones, from the middle and the corners."""
    yield picture
    places = [(side, x, y) for side in SIDES for x, y in CORNERS]
    for side, x, y in places[:count]:
        width, height = round(picture.width * side), round(picture.height * side)
        left, top = round(x * (picture.width - width)), round(y * (picture.height - height))
        yield picture.crop((left, top, left + width, top + height))


def candidates(images: ImageSet, folder: Path, classes: list[int], count: int) -> list[Candidate]:
    """Return the pictures of the classes and their parts."""
    found = []
    for number, label in enumerate(images.labels if images.labels is not None else ()):
        if label in classes:
            with Image.open(folder / images.names[number] if folder.is_dir() else folder) as file:
                whole = file.convert("RGB")
            found += [
                Candidate(picture, part, images.names[number], int(label))
                for part, picture in enumerate(parts(whole, count))
            ]
    return found


def chosen(found: list[Candidate], said: np.ndarray, label: int) -> tuple[int | None, int | None]:
    """Return the picture the network is surest of and right, and that it is surest of and wrong; whole ones first."""
    best, sure = said.argmax(1), said.max(1)
    of_class = [number for number, one in enumerate(found) if one.label == label]

    def first(numbers: list[int]) -> int | None:
        return min(numbers, key=lambda number: (found[number].part > 0, -sure[number]), default=None)

    return first([n for n in of_class if best[n] == label]), first([n for n in of_class if best[n] != label])


def frames(model: cs.Model, layer: str, pictures: ImageSet, titles: list[str]) -> WeightGradients:
    """Return the gradients of each picture's own class, named after what the picture is."""
    found = model.weight_gradients(pictures, layer, "label")
    groups = tuple(replace(group, name=title) for group, title in zip(found.groups, titles, strict=True))
    return replace(found, groups=groups)


def main(arguments: list[str] | None = None) -> None:
    """Choose the pictures, compute the frames, importance and ablation, and write a run."""
    args = options(arguments)
    model = cs.Model(args.network, weights=args.weights)
    layer = args.layer or convolutions(model)[0].name
    everything = image_set(args.images, whole_input(model), label_names=args.names, check="quick")
    names = everything.label_names
    classes = {role: int(class_of(getattr(args, role), names)) for role in ROLES}
    found = candidates(everything, Path(args.images), list(classes.values()), args.parts)
    looked = image_set(
        [one.picture for one in found], whole_input(model), [one.label for one in found], names, name="study"
    )
    picked, titles = pick(model, looked, found, classes)
    pictures = image_set(
        [found[n].picture for n in picked], whole_input(model), [found[n].label for n in picked], names, name="frames"
    )

    with cs.SummaryWriter(args.run) as writer, bars(Console()) as progress:
        writer.add(model.architecture(), model.name)
        gradients = frames(model, layer, pictures, titles)
        writer.add(gradients, layer)
        volumes = [gradients.volume(row) for row in range(len(titles))]
        order = volumes[0].ordered(args.order)
        for title, volume in zip(titles, volumes, strict=True):
            series = {"series": "CNN-VIS", "name": title}
            writer.add(replace(volume.apply(order), scale="symmetric", frame=series), f"{layer}/{title}")
        importance = model.importance(looked, layer, list(classes.values()), progress=Bar(progress, "importance"))
        writer.add(importance, layer)
        ablation = model.ablation(
            looked,
            layer,
            importance=importance,
            points=args.points,
            checkpoint=Path(args.run) / ".ablation",
            progress=Bar(progress, "ablation"),
        )
        writer.add(ablation, layer)
    (Path(args.run) / ".ablation").unlink(missing_ok=True)
    tell(gradients, importance, ablation)
    print(f"look at it: convscope view {args.run}")


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="CNN-VIS's study of weight gradients as volumes.")
    parser.add_argument("--images", metavar="FOLDER", required=True, help="photographs with their classes")
    parser.add_argument("--names", metavar="FILE", help="the network's classes, as synset_words.txt")
    parser.add_argument("--network", default="squeezenet1_0", help="a network with a classifier")
    parser.add_argument("--weights", help="a file of its weights; fetched by default")
    parser.add_argument("--layer", help="the layer; the first convolution by default")
    for role, usual in ROLES.items():
        parser.add_argument(f"--{role}", default=usual, metavar="CLASS", help=f"the {role} class, {usual} by default")
    parser.add_argument("--order", default="pca", help="of the filters, found on the first frame, used for all")
    parser.add_argument("--parts", type=int, default=8, help="parts of each picture that are looked at too, 20 at most")
    parser.add_argument("--points", type=int, default=9, help="points of the ablation curves")
    parser.add_argument("--run", default="runs/cnn-vis", help="folder the results are written to")
    return parser.parse_args(arguments)


def pick(
    model: cs.Model, looked: ImageSet, found: list[Candidate], classes: dict[str, int]
) -> tuple[list[int], list[str]]:
    """Return the pictures of the frames and their titles; say what there is none of."""
    said = model.predict(looked.images(0, len(looked)))
    picked, titles = [], []
    for role, label in classes.items():
        title = looked.label_names[label].split(",")[0]
        of_class = sum(one.label == label for one in found)
        print(f"{role}: {title}, right in {int((said[[o.label == label for o in found]].argmax(1) == label).sum())} "
              f"of {of_class} pictures and parts")  # fmt: skip
        for what, number in zip(("right", "wrong"), chosen(found, said, label), strict=True):
            if number is None:
                print(f"  none of them is {what}: no such frame; more --parts or pictures may have one")
                continue
            picked.append(number)
            other = looked.label_names[int(said[number].argmax())].split(",")[0]
            titles.append(f"{title}, right" if what == "right" else f"{title}, taken for {other}")
            of_what = "whole picture" if found[number].part == 0 else f"part {found[number].part}"
            print(f"  {titles[-1]}: {found[number].name}, {of_what}, {said[number].max():.0%} sure")
    return picked, titles


def tell(gradients: WeightGradients, importance: Importance, ablation: Ablation) -> None:
    """Print what the run shows."""
    scale = float(np.abs(gradients.sum).max())
    filters = gradients.gradient.shape[1]
    print(f"{len(gradients.groups)} frames of {filters} filters, one scale for all: {-scale:.3g} to {scale:.3g}")
    for group in importance.groups[1:]:
        most = importance.order("gradient_norm", group.name, first="most")[:5].tolist()
        print(f"filters that matter most to {group.class_name.split(',')[0]}: {', '.join(map(str, most))}")
    for curve, accuracy in zip(ablation.curves, ablation.accuracy, strict=True):
        way = " ".join(f"{share:.0%}" for share in accuracy)
        print(f"right while filters are zeroed, {curve.name}: {way}")


if __name__ == "__main__":
    main()
