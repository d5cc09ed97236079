"""Bytes from elsewhere: an https address, a file of the Python package registry, a package of npm.

What comes by https goes on where it was interrupted (RFC 9110 §13.1.5 and §14): the bytes are kept in the cache's
``.parts`` together with what the server said to know them by, its ETag or the time of their last change. The rest is
asked for on the condition that the file is still the same; a server that does not know such requests sends all. Where a
server said neither, the file's length has to be the same, and whoever asked for the file knows its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from convscope.nets.cache import PARTS, alone, cache_folder

Progress = Callable[[int, int | None], None]

_TIMEOUT: Final = 20.0
_CHUNK: Final = 1 << 18
_ATTEMPTS: Final = 4
_LARGEST: Final = 16 << 30
_NPM_NAME: Final = re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*")
_NPM_VERSION: Final = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*")


class Client(Protocol):
    """Fetches what a source names; the tests put something else in its place."""

    def package(self, project: str, filename: str, target: Path, progress: Progress) -> None:
        """Write a package file of the Python package registry to ``target``."""
        ...

    def url(self, url: str, target: Path, progress: Progress) -> None:
        """Write what is at an address to ``target``."""
        ...


class NpmClient(Protocol):
    """A client that can also fetch packages of npm."""

    def npm(self, name: str, version: str, target: Path, progress: Progress) -> None:
        """Write a package of npm, a ``.tgz``, to ``target``."""
        ...


class Network:
    """The client that really goes out.

    Parameters
    ----------
    schemes
        Of the addresses that are gone to; the tests have a server without encryption.
    pause
        Seconds before a second attempt; they double with every further one.
    """

    def __init__(self, schemes: tuple[str, ...] = ("https",), pause: float = 1.0) -> None:
        self._schemes, self._pause = schemes, pause

    def package(self, project: str, filename: str, target: Path, progress: Progress) -> None:
        """Write a package file of the Python package registry to ``target``.

        The client library finds the file and checks nothing more; the bytes come as those of any address and so go on
        where they were interrupted. The library fetches them itself, from the start, where the registry has no https.
        """
        try:
            from pypi_simple import PyPISimple
        except ModuleNotFoundError as error:
            raise OSError("pypi-simple is not installed; install it with: pip install 'convscope[torch]'") from error
        with PyPISimple() as registry:
            page = registry.get_project_page(project, timeout=_TIMEOUT)
            found = next((package for package in page.packages if package.filename == filename), None)
            if found is None:
                raise OSError(f"the registry no longer has {filename}")
            if urlsplit(found.url).scheme in self._schemes:
                self.url(found.url, target, progress)
                return
            registry.download_package(found, target, progress=lambda total: _Tracker(progress, total), timeout=_TIMEOUT)

    def npm(self, name: str, version: str, target: Path, progress: Progress) -> None:
        """Write a package of npm to ``target``, through the ``npm`` on the path; it begins anew each time.

        ``npm`` says nothing while it fetches, so there is no progress but the file's size at the end.
        """
        if not (_NPM_NAME.fullmatch(name) and _NPM_VERSION.fullmatch(version)):
            raise OSError(f"{name}@{version} is no package of npm with its version")
        npm = shutil.which("npm")
        if npm is None:
            raise OSError("npm is not on the path; install Node.js")
        folder = target.with_name(f"{target.name}.npm")
        folder.mkdir()
        progress(0, None)
        command = [npm, "pack", f"{name}@{version}", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - checked
        made = list(folder.glob("*.tgz"))
        if done.returncode or len(made) != 1:
            said = " ".join(done.stderr.split()) or f"npm pack ended with {done.returncode}"
            raise OSError(said)
        made[0].replace(target)
        progress(target.stat().st_size, target.stat().st_size)

    def url(self, url: str, target: Path, progress: Progress) -> None:
        """Write what is at an address to ``target``; where it was interrupted before, it goes on from there.

        A connection that breaks is taken up again a few times before it is an error.
        """
        if urlsplit(url).scheme not in self._schemes:
            raise OSError(f"not an https address: {url}")
        part = _Part(url)
        with alone(part.path.stem, lambda: None):
            self._complete(url, part, progress)
            part.move_to(target)

    def _complete(self, url: str, part: _Part, progress: Progress) -> None:
        for attempt in range(_ATTEMPTS):
            before = part.size
            try:
                self._go_on(url, part, progress)
                return
            except (OSError, HTTPException) as error:
                if attempt == _ATTEMPTS - 1 or not _passes(error, moved=part.size > before):
                    raise
                time.sleep(self._pause * 2**attempt)

    def _go_on(self, url: str, part: _Part, progress: Progress) -> None:
        """Ask for what is missing of a part, and write it."""
        headers = {"User-Agent": "convscope", "Accept-Encoding": "identity", **part.condition()}
        try:
            answer = urllib.request.urlopen(  # noqa: S310 - its scheme is checked
                urllib.request.Request(url, headers=headers),  # noqa: S310
                timeout=_TIMEOUT,
            )
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416:
                raise
            part.forget()  # it is as long as the file, or longer: it cannot be gone on with
            raise ConnectionError("the server does not go on from where it was interrupted") from error
        with answer:
            if urlsplit(answer.geturl()).scheme not in self._schemes:
                raise OSError(f"{url} leads to an address that is not https: {answer.geturl()}")
            _write(answer, part, progress)


@dataclass(frozen=True)
class _Note:
    """What a server says about a file: by what it knows it, and how long it is."""

    version: str = ""
    total: int | None = None

    @classmethod
    def of(cls, answer: HTTPResponse) -> _Note:
        """Return what an answer says: a strong ETag or the time of the last change know a file exactly."""
        said = answer.headers
        tag = str(said.get("ETag", ""))
        version = tag if tag.startswith('"') else str(said.get("Last-Modified", ""))
        length = str(said.get("Content-Length", ""))
        if answer.status == 206:
            length = str(said.get("Content-Range", "")).rpartition("/")[2]
        return cls(version, int(length) if length.isdigit() else None)

    def may_be(self, other: _Note) -> bool:
        """Whether a part of a file may belong to the file this was said about."""
        same_version = not other.version or other.version == self.version
        return same_version and (other.total is None or other.total == self.total)


class _Part:
    """The bytes that are there of a file at an address, and by what the server knows the file they belong to."""

    def __init__(self, url: str) -> None:
        folder = cache_folder() / PARTS
        folder.mkdir(parents=True, exist_ok=True)
        self.url = url
        self.path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.part"
        self.note = self.path.with_suffix(".json")

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def condition(self) -> dict[str, str]:
        """Return the headers that ask for the rest, if the file is still the same."""
        note = self.known()
        if not self.size or not (note.version or note.total):
            return {}
        return {"Range": f"bytes={self.size}-", **({"If-Range": note.version} if note.version else {})}

    def known(self) -> _Note:
        """Return what the server said about the file when its first bytes came."""
        try:
            found: Any = json.loads(self.note.read_text())
            return _Note(**found["said"]) if found["url"] == self.url else _Note()
        except (OSError, ValueError, KeyError, TypeError):
            return _Note()

    def begin(self, said: _Note) -> None:
        """Start anew, with a file of which the server said this."""
        self.forget()
        self.note.write_text(json.dumps({"url": self.url, "said": asdict(said)}))

    def forget(self) -> None:
        """Throw away what there is."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def move_to(self, target: Path) -> None:
        """Give the finished file away."""
        self.path.replace(target)
        self.note.unlink(missing_ok=True)


def _write(answer: HTTPResponse, part: _Part, progress: Progress) -> None:
    """Write what a server sends: the rest of a file, or all of it."""
    said, start = _Note.of(answer), 0
    if answer.status == 206:
        start = _start(answer)
        if start != part.size or not part.known().may_be(said):
            part.forget()
            raise ConnectionError("the file has changed since it was interrupted")
    else:
        part.begin(said)
    done = start
    progress(done, said.total)
    with part.path.open("ab") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, said.total)
            if done > _LARGEST:
                raise OSError(f"it sends more than {_LARGEST >> 30} GB")
    if said.total is not None and done != said.total:
        raise ConnectionError(f"the connection broke after {done:,} of {said.total:,} bytes")


def _start(answer: HTTPResponse) -> int:
    """Return the first byte of a part of a file, or −1."""
    found = re.match(r"bytes (\d+)-", str(answer.headers.get("Content-Range", "")))
    return int(found[1]) if found else -1


def _passes(error: OSError | HTTPException, *, moved: bool) -> bool:
    """Whether to try again: the server is busy, or the connection broke after something had come."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in {429, 500, 502, 503, 504}
    return moved or isinstance(error, ConnectionError)


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
