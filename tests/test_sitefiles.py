"""Small files of a site: written whole, and never over what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convscope.view import sitefiles


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_a_file_is_written_whole_in_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:1700]))
    data = os.urandom(size)
    assert sitefiles.create(str(tmp_path / "a"), data)
    sitefiles.overwrite(str(tmp_path / "b"), data)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == data


def test_what_is_there_stays_unless_it_is_to_be_written_over(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"longer than the new one")
    assert not sitefiles.create(str(file), b"new")
    assert file.read_bytes() == b"longer than the new one"
    sitefiles.overwrite(str(file), b"new")
    assert file.read_bytes() == b"new"


def test_a_link_is_not_followed_to_make_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert not sitefiles.create(str(tmp_path / "link"), b"data")
    assert not (tmp_path / "elsewhere").exists()
