"""What the commands share: options that several of them have, and texts of options taken apart."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from convscope.errors import InputError

Port = Annotated[int, typer.Option(help="Port of the viewer; if it is in use, the next free one is taken.")]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")]
Weights = Annotated[str | None, typer.Option(help="A file of weights (.safetensors, .npz, .pth), or: random.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")]
InputShape = Annotated[str, typer.Option(help="Channels, height and width: 3,224,224; found by trial.")]


def names_in(text: str) -> list[str]:
    """Return the names in a text that separates them by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def chosen_in(text: str) -> list[str] | None:
    """Return the names in a text, ``None`` for an empty one: all there are.

    Raises
    ------
    InputError
        If it is of commas and blanks only: whoever writes that does not mean all.
    """
    names = names_in(text)
    if text and not names:
        raise InputError(f"no name in {text!r}; separate names by commas, or leave the option out")
    return names or None


def shape_of(text: str, what: str = "an input shape", example: str = "3,224,224") -> tuple[int, int, int] | None:
    """Return the shape in ``3,224,224``; nothing for an empty text."""
    if not text:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise InputError(f"{what} is three whole numbers, as in {example}; got {text!r}")
    channels, height, width = (int(part) for part in parts)
    return channels, height, width


def share_the_cores() -> None:
    """Let torch's threads sleep while they wait; has to come before torch is imported.

    Spinning threads are a few percent faster on an idle machine, and five times slower on one whose cores are shared:
    with the viewer and its browser beside the training, they are.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
