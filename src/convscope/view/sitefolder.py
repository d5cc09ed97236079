"""The folder of a site: which files in it are ours, and how it is written so that it can be killed at any time.

``convscope-site.json``, the ledger, says what the site holds. It is written before anything else, with the pages that
are to come, and again when all is there; ``index.html`` is written last but that, so that visitors see the former site
until the new one is whole. What a site no longer needs is removed at the end, and nothing that is not ours ever.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from convscope.errors import FormatError, InputError, StorageError
from convscope.view.siteblocks import is_data_name
from convscope.view.sitefiles import create
from convscope.view.sitenames import is_safe

FORMAT: Final = 1
LEDGER: Final = "convscope-site.json"
INDEX: Final = "index.html"
SITEMAP: Final = "sitemap.txt"
_PROGRESS: Final = ".convscope-progress"
_LOCK: Final = ".convscope-lock"
_TEMPORARY: Final = re.compile(r"\.convscope-[0-9a-f]{8}\.tmp")
_OF_PROGRAM: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,120}")


class SiteFolder:
    """A folder that holds a site, or is to hold one.

    Parameters
    ----------
    path
        The folder.
    force
        Whether a folder with other files may become a site; none of them is replaced or removed.

    Raises
    ------
    InputError
        If it is a file, or holds what is not ours.
    FormatError
        If its ledger cannot be read.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.path = path
        self._folders: set[str] = set()
        self._noting = threading.Lock()
        self.ledger = self._read(force=force)

    def _read(self, *, force: bool) -> dict[str, Any]:
        empty: dict[str, Any] = {"format": FORMAT, "networks": [], "program": [], "writing": {}}
        try:
            if not self.path.exists():
                if not self.path.parent.is_dir():
                    raise StorageError(f"there is no folder {self.path.parent}; make it first")
                return empty
            if not self.path.is_dir():
                raise InputError(f"{self.path} is a file; name a folder for the site, or a file that ends with .html")
            text = (self.path / LEDGER).read_text(encoding="utf-8")
        except FileNotFoundError:
            if not force and any(not _is_passing(name.name) for name in self.path.iterdir()):
                raise InputError(
                    f"{self.path} holds files that are of no site of convscope; choose an empty folder, or say force "
                    "(--force) to write beside them: none of them is replaced or removed"
                ) from None
            return empty
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"cannot look at {str(self.path)!r:.300} ({error}); choose another folder") from error
        return _checked(text, self.path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other exports out of the folder; where the system cannot lock files, only hope for it.

        Raises
        ------
        InputError
            If another export writes to it, or has since its ledger was read.
        """
        try:
            self.path.mkdir(exist_ok=True)
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except OSError as error:
            raise StorageError(f"cannot write to {self.path} ({error.strerror or error}); choose another") from error
        try:
            _lock(handle, self.path)
            try:
                if self._read(force=True) != self.ledger:
                    raise InputError(f"another export has written to {self.path} meanwhile; export again")
                yield
            finally:
                with contextlib.suppress(OSError):
                    (self.path / _LOCK).unlink()
        finally:
            os.close(handle)

    def check_free(self, names: Iterable[str]) -> None:
        """Raise an error where files that are not ours have the names of what is to be written."""
        ours = {*self.folders(), *([INDEX, SITEMAP, "data", "program"] if (self.path / LEDGER).exists() else [])}
        for name in names:
            place = self.path / name
            if place.is_symlink() or (name not in ours and place.exists()):
                raise InputError(f"{place} is there and is not of this site; move it away, or choose another folder")

    def folders(self) -> list[str]:
        """Return the folders of the pages that are there, or of which some may be."""
        return [*dict.fromkeys([*(name for one in self.ledger["networks"] for name in one["pages"]), *self._writing()])]

    def _writing(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ledger["writing"]
        return found

    def target(self, place: str) -> str:
        """Return where a file goes; the folder it is in is made."""
        folder = place.rpartition("/")[0]
        if folder and folder not in self._folders:
            at = self.path
            for part in folder.split("/"):
                at /= part
                if at.is_symlink():
                    raise StorageError(f"{at} is a link to elsewhere; remove it")
                at.mkdir(exist_ok=True)
            self._folders.add(folder)
        return f"{self.path}/{place}"

    def size(self, place: str) -> int:
        """Return how many bytes a file has that is there."""
        return os.stat(f"{self.path}/{place}").st_size  # noqa: PTH116 - thousands of times

    def write(self, place: str, data: bytes) -> None:
        """Write a file, unless it is there; what is replaced is whole at any time.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        try:
            target = self.target(place)
            if not create(target, data) and (
                os.lstat(target).st_size != len(data) or Path(target).read_bytes() != data
            ):
                self._replace(target, data)
        except OSError as error:
            raise StorageError(f"cannot write {self.path / place} ({error.strerror or error})") from error

    def write_named(self, place: str, data: bytes) -> None:
        """Write a file whose name says what is in it: one of that size is it."""
        try:
            target = self.target(place)
            if not create(target, data) and os.lstat(target).st_size != len(data):
                self._replace(target, data)
        except OSError as error:
            raise StorageError(f"cannot write {self.path / place} ({error.strerror or error})") from error

    def _replace(self, target: str, data: bytes) -> None:
        temporary = self.path / f".convscope-{secrets.token_hex(4)}.tmp"
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def save(self) -> None:
        """Write the ledger."""
        data = (json.dumps(self.ledger, separators=(",", ":"), allow_nan=False) + "\n").encode()
        try:
            self._replace(self.target(LEDGER), data)
        except OSError as error:
            raise StorageError(f"cannot write to {self.path} ({error.strerror or error})") from error

    def progress(self) -> dict[str, str]:
        """Return what an export that was killed had done: of each thing, with what it was done last."""
        try:
            lines = (self.path / _PROGRESS).read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            return {}
        return dict(line[:-1].partition(" ")[::2] for line in lines if line.endswith("\n"))

    def note(self, what: str, key: str) -> None:
        """Put down that something is done, for the case that this export is killed."""
        with self._noting, (self.path / _PROGRESS).open("a", encoding="utf-8") as file:
            file.write(f"{what} {key}\n")

    def sweep(self, before: Iterable[str], needed: Iterable[str]) -> None:
        """Remove what is no longer needed, and the notes of this export.

        Parameters
        ----------
        before
            Paths of pages and programs that were ours.
        needed
            Paths of the files of the site.
        """
        keep = set(needed)
        gone = [place for place in before if place not in keep]
        gone += [f"data/{path.parent.name}/{path.name}" for path in self._data() if not _is_kept(path, keep)]
        folders = {place.rpartition("/")[0] for place in gone}
        for place in gone:
            self._remove(place)
        for folder in sorted(folders | {folder.rpartition("/")[0] for folder in folders}, key=len, reverse=True):
            if folder and not (self.path / folder).is_symlink():
                with contextlib.suppress(OSError):
                    (self.path / folder).rmdir()
        for path in self.path.iterdir():
            if _TEMPORARY.fullmatch(path.name) or path.name == _PROGRESS:
                path.unlink(missing_ok=True)

    def _data(self) -> Iterator[Path]:
        if (self.path / "data").is_symlink():
            return
        for path in self.path.glob("data/[0-9a-f][0-9a-f]/*.js"):
            if is_data_name(path.stem) and not path.parent.is_symlink():
                yield path

    def _remove(self, place: str) -> None:
        at = self.path
        for part in place.split("/")[:-1]:
            at /= part
            if at.is_symlink():
                return
        with contextlib.suppress(OSError):
            (self.path / place).unlink()


def _is_kept(path: Path, keep: set[str]) -> bool:
    return f"data/{path.parent.name}/{path.name}" in keep


def _is_passing(name: str) -> bool:
    """Tell whether a file is of ours and is there only while something is written."""
    return name in (_PROGRESS, _LOCK) or bool(_TEMPORARY.fullmatch(name))


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(handle), os.lstat(path / _LOCK))  # who had it before has removed it
    except FileNotFoundError:
        is_there = False
    except OSError as error:
        is_there = error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN)
    if not is_there:
        raise InputError(f"another export writes to {path} now; wait until it is done")


def _checked(text: str, path: Path) -> dict[str, Any]:
    """Return the ledger if its names can be trusted: files are removed by them."""
    wrong = f"{path / LEDGER} is damaged; export to a new folder"
    try:
        ledger = json.loads(text)
    except ValueError as error:
        raise FormatError(wrong) from error
    if not isinstance(ledger, dict) or not isinstance(ledger.get("networks"), list):
        raise FormatError(wrong)
    if ledger.get("format") != FORMAT:
        raise FormatError(
            f"the site in {path} is of the format {ledger.get('format')!r:.40}, this version writes {FORMAT}; "
            "export to a new folder"
        )
    try:
        places = [*page_files(ledger["writing"]), *(f"program/{name}" for name in ledger["program"])]
        for one in ledger["networks"]:
            places += page_files(one["pages"])
            sound = all(is_data_name(name) for name in [*one["data"], one["table"]])
            kinds = {"name": str, "index": list, "runs": dict, "cards": list, "folders": dict, "previews": dict}
            if not sound or not all(isinstance(one[key], kind) for key, kind in kinds.items()):
                raise FormatError(wrong)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(wrong) from error
    if not all(_is_ours(place) for place in places):
        raise FormatError(wrong)
    return ledger


def _is_ours(place: str) -> bool:
    folder, _, name = place.rpartition("/")
    if folder == "program":
        return bool(_OF_PROGRAM.fullmatch(name))
    return all(is_safe(part) for part in place.split("/"))


def page_files(pages: Mapping[str, Any]) -> list[str]:
    """Return the files of pages: ``{folder: {"preview": …, "layers": {folder: {"channels": [first, last, …]}}}}``.

    >>> page_files({"net": {"preview": True, "layers": {"conv1": {"preview": True, "channels": [[2, 3]]}}}})[2:]
    ['net/conv1/index.html', 'net/conv1/preview.jpg', 'net/conv1/2.html', 'net/conv1/2.jpg']
    """
    files = []
    for folder, network in pages.items():
        places = [(folder, network), *((f"{folder}/{name}", one) for name, one in network["layers"].items())]
        for place, one in places:
            files += [f"{place}/index.html", *([f"{place}/preview.jpg"] if one["preview"] else [])]
            kinds = ("html", "jpg") if one["preview"] else ("html",)
            for first, end in one.get("channels", ()):
                files += [f"{place}/{channel}.{kind}" for channel in range(first, end) for kind in kinds]
    return files
