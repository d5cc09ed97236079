"""The command line in the process of the tests: one of its own takes a second to start, and several with torch."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from convscope.cli import main


def hear_ctrl_c() -> None:
    """Undo in a new process what a background job inherits: there Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def convscope(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command; return its exit code, output and errors."""
    command = ["convscope", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "300", "NO_COLOR": "1", **environment}),
        mock.patch.object(sys, "argv", command),
        mock.patch.object(sys, "path", [*sys.path]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    said, complaint = (stream.buffer.getvalue().decode("utf-8") for stream in (out, err))
    return subprocess.CompletedProcess(command, code, said, complaint)
