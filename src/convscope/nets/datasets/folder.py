"""The images of a folder: its sub-folders are the classes, and what cannot be read is skipped and named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from convscope.errors import FormatError, InputError, NotFoundError, StorageError
from convscope.nets.datasets.decode import SUFFIXES
from convscope.nets.datasets.labels import Given, Labels, Own, labelled
from convscope.nets.datasets.pictures import Pictures, content_of, printable, readable, reasons
from convscope.nets.datasets.synsets import WORDNET_ID, Names
from convscope.nets.preprocessing import Preprocessing

LABEL_FILES: Final = ("labels.csv", "labels.tsv")
SUB_FOLDERS: Final = "sub-folders"
WORDNET: Final = "WordNet ids in the names of the files"


class FolderImages(Pictures):
    """The images below a folder, in the order of their paths.

    Files that are no images although they are named so, truncated files, image bombs, broken links and linked folders
    are skipped; :attr:`skipped` names each with its reason. Links to files are followed. Files with other suffixes are
    not looked at.

    The classes are, in this order: what ``labels`` says; the sub-folders; the one file ``labels.csv`` or
    ``labels.tsv`` in the folder (where it makes no sense, it is among the skipped); the WordNet ids that all file names
    begin with (``n01440764_10026.JPEG``). :attr:`labels_from` says which.

    Parameters
    ----------
    path
        The folder.
    preprocessing
        How the images become the network's input; resized to 256, cropped to 224 and normalised for ImageNet unless
        given.
    name
        What the set is called; the folder's name unless given.
    labels
        A file of labels, ``{file: label}``, or one label for each image in the order of their paths.
    label_names
        The names of the classes, or a file of them; one of synsets numbers sub-folders called by WordNet ids.
    check
        ``full`` decodes every image once before it is counted in; ``quick`` looks at headers and ends of files, which
        misses damage in the middle.

    Attributes
    ----------
    names, files
        Paths relative to the folder; image number i is ``names[i]``.
    labels, label_names
        The class of each image, and what the classes are called; ``None`` without classes.
    skipped
        Path → why it is not among the images.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    InputError
        If it is not a folder or holds no readable image, or the labels do not fit.
    """

    def __init__(
        self,
        path: str | Path,
        preprocessing: Preprocessing | None = None,
        *,
        name: str | None = None,
        labels: Given = None,
        label_names: Names = None,
        check: str = "full",
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise NotFoundError(f"no folder {printable(str(path))!r}; give the path of a folder of images")
        if not self.path.is_dir():
            raise InputError(f"{str(path)!r} is a file; give the folder it is in")
        found, others, linked = _walk(self.path)
        names = [printable(file) for file in found]
        why = reasons(lambda number: self.path / found[number], len(found), check)
        kept, skipped = readable(names, why, repr(printable(str(path))), f", {_other_files(others)}")
        resolved, ignored = _classes(self.path, names, kept, labels, label_names)
        self._paths = [found[number] for number in kept]
        super().__init__(
            name or printable(self.path.resolve().name),
            [names[number] for number in kept],
            preprocessing,
            resolved,
            linked | ignored | skipped,
            check,
        )

    def _source(self, index: int) -> Path:
        return self.path / self._paths[index]

    def _content(self) -> Iterator[bytes]:
        for file in self._paths:
            yield os.fsencode(file)
            yield content_of(self.path / file)


def _walk(root: Path) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the relative paths of what is named like an image, sorted, the other files, and what is not entered."""
    closed: dict[str, str] = {}

    def refuse(error: OSError) -> None:
        if Path(error.filename) == root:
            raise StorageError(f"cannot read the folder {error.filename!r}: {error.strerror}") from error
        closed[printable(Path(error.filename).relative_to(root).as_posix())] = f"cannot be opened ({error.strerror})"

    found: list[str] = []
    others: list[str] = []
    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=False):
        here = Path(folder).relative_to(root)
        for link in (f for f in folders if (Path(folder) / f).is_symlink()):
            closed[printable((here / link).as_posix())] = "a linked folder is not followed"
        for file in files:
            (found if Path(file).suffix.lower() in SUFFIXES else others).append((here / file).as_posix())
    return sorted(found), others, closed


def _other_files(others: list[str]) -> str:
    """Say how many other files there are, and what to do with shards."""
    shards = next((suffix for suffix in (".parquet", ".tar") if any(file.endswith(suffix) for file in others)), "")
    return f"{len(others):,} other files" + (f" (for those, give the pattern '*{shards}')" if shards else "")


def _classes(
    root: Path, names: list[str], kept: list[int], labels: Given, label_names: Names
) -> tuple[Labels, dict[str, str]]:
    """Return the labels, and a file of labels that was found but makes no sense, with the reason."""
    beside = [file for file in LABEL_FILES if (root / file).is_file()]
    own = _own(names, by_id=label_names is not None)
    if labels is None and own.source != SUB_FOLDERS and len(beside) == 1:
        try:
            return labelled(root / beside[0], label_names, names, kept), {}
        except (InputError, FormatError) as error:
            return labelled(None, label_names, names, kept, own), {beside[0]: str(error)}
    return labelled(labels, label_names, names, kept, own), {}


def _own(names: list[str], *, by_id: bool) -> Own:
    """Return what the paths say of classes: sub-folders, or WordNet ids that they all have."""
    folders = [Path(name).parent.as_posix() for name in names]
    inside = bool(set(folders) - {"."})
    found = [WORDNET_ID.findall(text) for text in (folders if inside else names)]
    ids = [each[-1] if each else None for each in found]
    if inside and not (by_id and all(ids)):
        return Own([None if folder == "." else folder for folder in folders], source=SUB_FOLDERS, text=True)
    return Own(ids, source=SUB_FOLDERS if inside else WORDNET, text=True) if all(ids) else Own()
