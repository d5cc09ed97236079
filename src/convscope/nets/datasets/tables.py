"""Files of labels: CSV, TSV, ``path label`` lines and plain columns, as tables from files to labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from convscope.errors import FormatError
from convscope.nets.datasets.decode import SUFFIXES
from convscope.nets.datasets.synsets import read_text

FILE_COLUMNS: Final = (
    "file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path", "image_name", "image_id",
    "imageid", "img", "img_path", "name", "id", "key",
)  # fmt: skip
LABEL_COLUMNS: Final = (
    "label", "class", "labels", "target", "category", "class_name", "label_name", "category_name", "class_id",
    "label_id", "category_id", "synset", "wnid", "predictionstring", "species", "y", "cls",
)  # fmt: skip
_BOXES: Final = re.compile(r"(n\d{8})( \d+){4}.*")
"""ImageNet's ``LOC_val_solution.csv``: a WordNet id and the boxes."""
_SNIFFED: Final = 50

Table = dict[str, Any] | list[Any]


def read_labels(path: Path) -> Table:
    """Return the labels a file holds: by file, or in order where it has only one column.

    The delimiter is a tab, a comma, a semicolon, or the last blank of a line (``val/0001.JPEG 65``); cells may be
    quoted. A first line that names its columns says which are meant; without one the first column is the file and the
    second the label.

    Raises
    ------
    NotFoundError, FormatError
        If there is no such file, or it cannot be understood.
    """
    rows = [(number, row) for number, row in _rows(read_text(path), path) if any(cell.strip() for cell in row)]
    if not rows:
        raise FormatError(f"{path} holds no labels; give a line with file and label for each picture")
    first, label, body = _columns(rows, path)
    if first is None:
        return [row[label].strip() for _, row in body]
    table: dict[str, Any] = {}
    for number, row in body:
        if len(row) <= max(first, label):
            raise FormatError(f"line {number} of {path} has {len(row)} columns, expected {max(first, label) + 1}")
        file, value = row[first].strip(), row[label].strip()
        value = match[1] if (match := _BOXES.fullmatch(value)) else value
        if table.setdefault(file, value) != value:
            raise FormatError(f"line {number} of {path} gives {file!r} the label {value!r}, after {table[file]!r}")
    return table


def _rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """Return the cells of each line with the line's number."""
    lines = text.splitlines()
    delimiter = _delimiter([line for line in lines if line.strip()][:_SNIFFED])
    if delimiter == " ":
        return [(number, line.strip().rsplit(None, 1)) for number, line in enumerate(lines, 1)]
    if not delimiter:
        return [(number, [line]) for number, line in enumerate(lines, 1)]
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise FormatError(f"line {reader.line_num} of {path} is no CSV ({error})") from error


def _delimiter(lines: Sequence[str]) -> str:
    """Return what parts the columns of every line; nothing where there is only one column."""
    for candidate in "\t,;":
        try:
            rows = list(csv.reader(lines, delimiter=candidate, skipinitialspace=True))
        except csv.Error:
            continue
        named = bool(rows) and any(normal(cell) in FILE_COLUMNS + LABEL_COLUMNS for cell in rows[0])
        if rows and len(rows[0]) > 1 and (named or all(len(row) > 1 for row in rows)):
            return candidate
    parts = [line.strip().rsplit(None, 1) for line in lines]
    return " " if parts and all(len(part) == 2 and _is_file(part[0]) for part in parts[1:] or parts) else ""


def normal(cell: str) -> str:
    """Return the name of a column as it is compared."""
    return cell.strip().strip("#").strip().lower().replace(" ", "_")


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in SUFFIXES


def _columns(rows: list[tuple[int, list[str]]], path: Path) -> tuple[int | None, int, list[tuple[int, list[str]]]]:
    """Return the column of the files (``None``: there is none), that of the labels, and the rows below the header."""
    head = [normal(cell) for cell in rows[0][1]]
    files = [head.index(name) for name in FILE_COLUMNS if name in head]
    labels = [head.index(name) for name in LABEL_COLUMNS if name in head]
    if len(head) == 1:
        return None, 0, rows[1:] if labels and len(rows) > 1 else rows
    if not files and not labels:
        return 0, 1, rows
    body = rows[1:]
    file = files[0] if files else next(i for i in range(len(head)) if i != labels[0])
    if labels:
        return file, labels[0], body
    others = [i for i in range(len(head)) if i != file]
    if len(others) > 1:
        raise FormatError(f"which column of {path} is the label? It has {', '.join(head)}; call one of them 'label'")
    return file, others[0], body
