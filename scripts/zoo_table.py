"""Write the table of the zoo into its page of the documentation."""

from __future__ import annotations

from pathlib import Path

from convscope.nets.download import Asset, Package, Urls
from convscope.nets.preprocessing import IMAGENET, Preprocessing
from convscope.nets.zoo import ZOO, ByHand, ZooEntry

PAGE = Path(__file__).resolve().parent.parent / "docs" / "zoo.md"
BEGIN, END = "<!-- zoo -->\n", "\n<!-- end -->"


def zoo_table() -> str:
    """Return the zoo as a table in Markdown."""
    head = "| name | follows | input | pixels | weights | licence of the weights | files that load |"
    return "\n".join([head, "|---" * 7 + "|", *(_row(name, entry) for name, entry in ZOO.items())])


def _row(name: str, entry: ZooEntry) -> str:
    forms = ", ".join(form.name for form in entry.forms)
    cells = (
        f"`{name}`",
        entry.paper,
        _input(entry),
        _pixels(entry.preprocessing),
        _weights(entry),
        entry.licence,
        forms,
    )
    return f"| {' | '.join(cells)} |"


def _input(entry: ZooEntry) -> str:
    preprocessing = entry.preprocessing
    how = {"short": "short side", "long": "long side", "warp": "warped to"}[preprocessing.resize]
    return f"{'×'.join(map(str, entry.input_shape))}; {how} {preprocessing.size}"


def _pixels(preprocessing: Preprocessing) -> str:
    span = f"{preprocessing.order} 0..{round(255 * preprocessing.scale)}"
    if (preprocessing.mean, preprocessing.std) == (IMAGENET.mean, IMAGENET.std):
        return f"{span}, ImageNet's mean and deviation"
    return f"{span} − ({_numbers(preprocessing.mean)})" if any(preprocessing.mean) else span


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _weights(entry: ZooEntry) -> str:
    if entry.to_train:
        return "to be trained"
    return ", ".join([*map(_asset, entry.weights), *map(_by_hand, entry.by_hand)]) or "none published"


def _asset(asset: Asset) -> str:
    sources = [_source(source) for source in asset.sources]
    return f"`{next(iter(asset.files))}` ({' or '.join(sources)})"


def _source(source: Package | Urls) -> str:
    if isinstance(source, Package):
        return f"package `{source.project}`"
    url = next(iter(source.urls.values()))
    return f"[{url.split('/')[2]}]({url})"


def _by_hand(place: ByHand) -> str:
    return f"by hand: <{place.url}>"


def main() -> None:
    """Put the table between its two marks."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + zoo_table() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
