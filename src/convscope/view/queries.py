"""What a request asks for in its address."""

from __future__ import annotations

from starlette.requests import Request

from convscope.errors import InputError


def ask(request: Request, name: str) -> str:
    """Return a query parameter that has to be there."""
    value = request.query_params.get(name)
    if not value:
        raise InputError(f"the parameter {name!r} is missing; see docs/viewer.md for the addresses of the server")
    return value


def number(request: Request, name: str, default: int | None = None) -> int:
    """Return a query parameter that is a whole number; one without a default has to be there."""
    value = ask(request, name) if default is None else request.query_params.get(name, str(default))
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise InputError(f"the parameter {name!r} is a whole number from 0 on, got {value[:40]!r}")
    return int(value)


def row_range(request: Request) -> slice | None:
    """Return the rows that ``rows=24:48`` asks for; all where the parameter is absent."""
    value = request.query_params.get("rows")
    if value is None:
        return None
    parts = value.split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 15 for part in parts):
        raise InputError(f"the parameter 'rows' is two whole numbers, as in rows=24:48, got {value[:40]!r}")
    start, stop = map(int, parts)
    if start >= stop:
        raise InputError(f"the parameter 'rows' is from a row to a later one, got {value[:40]!r}")
    return slice(start, stop)
