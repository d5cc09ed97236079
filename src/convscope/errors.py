"""The exceptions convscope raises, and the one way their sentences are made.

::

    ConvscopeError              anything convscope itself has to say; the command line prints it and exits with 2
    ├── InputError              what was asked for makes no sense; HTTP 400           (also a ValueError)
    │   └── NotFoundError       no such run, tag, layer, model, file; HTTP 404        (also a LookupError)
    ├── FormatError             bytes that are not what they claim to be              (also a ValueError)
    ├── StorageError            a directory that cannot be written, read or created   (also an OSError)
    ├── DownloadError           a file that could not be had, from any of its sources (also an OSError)
    └── MissingExtraError       an optional dependency is not installed               (also an ImportError)

Every message is one sentence: the fact, the value, the way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvscopeError(Exception):
    """Base of everything convscope raises on purpose."""


class InputError(ConvscopeError, ValueError):
    """What was asked for makes no sense: a wrong shape, an empty folder, a bad option."""


class NotFoundError(InputError, LookupError):
    """A name nothing goes by."""


class FormatError(ConvscopeError, ValueError):
    """Bytes that are not what they claim to be."""


class StorageError(ConvscopeError, OSError):
    """A place that cannot be written, read or created."""


class DownloadError(ConvscopeError, OSError):
    """A file that none of its sources could give."""


class MissingExtraError(ConvscopeError, ImportError):
    """An optional dependency that is not installed."""


def not_found(noun: str, name: str, known: Iterable[str], where: str = "") -> NotFoundError:
    """Make the error for an unknown name, with the nearest known one.

    >>> str(not_found("layer", "conv33", ["conv1", "conv3"], "SqueezeNet"))
    "no layer 'conv33' in SqueezeNet; did you mean 'conv3'?"
    """
    names = list(known)
    place = f" in {where}" if where else ""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]!r}?"
    elif names:
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        hint = "there are: " + ", ".join(names[:12]) + more
    else:
        hint = "there are none"
    return NotFoundError(f"no {noun} {name!r}{place}; {hint}")


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Make the error for an optional dependency that is not installed.

    >>> str(missing_extra("torch", "torch", "looking inside a network"))
    "looking inside a network needs torch; install it with: pip install 'convscope[torch]'"
    """
    return MissingExtraError(f"{purpose} needs {package}; install it with: pip install 'convscope[{extra}]'")
