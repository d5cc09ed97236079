"""Files of torch.export, read without running what is in them.

``torch.export.load`` of torch 2.13 warns that it must not be given untrusted files, and for good reason: tensors that
are marked so, and objects, are unpickled without restriction; the example inputs and the files of torch 2.7 are, where
the restricted unpickler does not take them; sizes (``expr_str``) go through ``sympy.sympify``, which evaluates them as
Python; an archive may hold compiled libraries, which are loaded. A file that would lead there is refused before torch
sees it: no program that ``torch.export.save`` wrote of a network made of torch operators does.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch.export import ExportedProgram

from convscope.errors import ConvscopeError, FormatError, NotFoundError

_LARGEST_TEXT: Final = 1 << 28
"""Bytes of JSON in a file that are read at most; that of ResNet-152 is 3 MB."""

_SIZE: Final = re.compile(r"[\w\s()+\-*/%,.<>=!&|~']*")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_SYMBOL: Final = re.compile(r"[suzw]\d+|[us]\d+_\w+|(?:int_oo|oo|True|False|inf)")
_KNOWN: Final = re.compile(
    "FloorDiv|Mod|PythonMod|CleanDiv|CeilDiv|Max|Min|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|Abs|ModularIndexing|Where|Add|Mul|"
    "IntTrueDiv|FloatTrueDiv|ToFloat|TruncToInt|FloorToInt|CeilToInt|RoundToInt|PowByNatural|FloatPow|Pow|floor|"
    "ceiling|Identity|Integer|Float|Symbol|positive|integer|nonnegative|real"
)


def read_program(path: Path) -> ExportedProgram:
    """Return the program in a file, on the CPU.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it holds no program, is damaged, or would run code while it is read.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(f"no file {str(path)!r}; give a .pt2 file that torch.export.save wrote") from error
    _refuse_unsafe(path, content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own formats
            program = torch.export.load(io.BytesIO(content))
    except ConvscopeError:
        raise
    except Exception as error:  # damage shows in whatever way torch trips over it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FormatError(f"{path.name} is no program that this torch can read ({reason}); export it again") from error
    return program


def _refuse_unsafe(path: Path, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                _refuse_entry(path, archive, entry)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise FormatError(
            f"{path.name} is no archive of torch.export ({error}); give a .pt2 file that torch.export.save wrote"
        ) from error


def _refuse_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    last = name.rpartition("/")[2]
    if "/data/aotinductor/" in f"/{name}" or last.endswith((".so", ".o", ".cubin", ".pyd", ".dll")):
        raise _unsafe(path, f"holds compiled code ({name})")
    if last.startswith(("custom_obj_", "opaque_obj_")):
        raise _unsafe(path, f"holds an object that is no tensor ({name})")
    if last.endswith(".json"):
        if entry.file_size > _LARGEST_TEXT:
            raise FormatError(f"{path.name}: {name} has {entry.file_size} bytes, the most is {_LARGEST_TEXT}")
        _refuse_text(path, name, archive.read(entry))
    if last.endswith(".pt") and entry.file_size:
        _refuse_pickle(path, name, archive.read(entry))


def _refuse_text(path: Path, name: str, content: bytes) -> None:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path.name}: {name} is no JSON ({error}); export it again") from error
    for key, value in _items(parsed):
        if key == "use_pickle" and value:
            raise _unsafe(path, f"holds a pickled tensor ({name})")
        if key == "expr_str" and not (isinstance(value, str) and _is_size(value)):
            raise _unsafe(path, f"holds a size that is more than arithmetic ({str(value)[:40]!r})")


def _items(parsed: Any) -> Iterator[tuple[str, Any]]:
    """Yield all keys with their values, at any depth."""
    left = [parsed]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield from part.items()
            left += part.values()
        elif isinstance(part, list):
            left += part


def _is_size(text: str) -> bool:
    """Whether a size is made of numbers, symbols (``s77``) and known functions of them, and nothing else."""
    words = _WORD.findall(text)
    dotted = re.search(r"[A-Za-z_)]\s*\.|\.\s*[A-Za-z_(]", text)
    return (
        bool(_SIZE.fullmatch(text)) and not dotted and all(_KNOWN.fullmatch(w) or _SYMBOL.fullmatch(w) for w in words)
    )


def _refuse_pickle(path: Path, name: str, content: bytes) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="meta")
    except Exception as error:  # whatever the restricted unpickler does not take
        raise _unsafe(path, f"holds what only an unrestricted pickle can read ({name})") from error


def _unsafe(path: Path, what: str) -> FormatError:
    return FormatError(f"{path.name} {what}, which runs code when it is read; export the network again without it")
