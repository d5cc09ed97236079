"""The formats of volumes, by the ends of their names; a format more is a row more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from convscope.formats import npy, nrrd, vox, vti, zarr
from convscope.formats.grid import Files, Grid, Hints


@dataclass(frozen=True)
class VolumeFormat:
    """How volumes are stored.

    Attributes
    ----------
    title
        What the format is called.
    decode
        Turns files into a grid.
    encode
        Turns a grid into files, by their names.
    types
        The numbers it can hold, as numpy calls them.
    inputs
        Whether it can hold four axes ``(C, I, H, W)``.
    folder
        Whether it is a folder rather than a file.
    """

    title: str
    decode: Callable[[Files, str, Hints], Grid]
    encode: Callable[[Grid, str], dict[str, bytes]]
    types: Iterable[str]
    inputs: bool = True
    folder: bool = False


VOLUME_FORMATS: Final[Mapping[str, VolumeFormat]] = {
    ".vox": VolumeFormat("VOX", vox.decode, vox.encode, vox.TYPES, inputs=False),
    ".nrrd": VolumeFormat("NRRD", nrrd.decode, nrrd.encode, nrrd.TYPES),
    ".nhdr": VolumeFormat("NRRD", nrrd.decode, nrrd.encode, nrrd.TYPES),
    ".vti": VolumeFormat("VTI", vti.decode, vti.encode, vti.TYPES),
    ".npy": VolumeFormat("NPY", npy.decode, npy.encode, npy.TYPES),
    ".npz": VolumeFormat("NPZ", npy.decode, npy.encode, npy.TYPES),
    ".zarr": VolumeFormat("Zarr", zarr.decode, zarr.encode, zarr.TYPES, folder=True),
}
