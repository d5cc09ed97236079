"""Run npm in ``web/`` with the machine's Node or, where there is none, with the one in the virtual environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hatch_build import find_npm  # noqa: E402 - the build hook knows where Node is

if __name__ == "__main__":
    npm, environment = find_npm()
    sys.exit(subprocess.run([*npm, *sys.argv[1:]], cwd=ROOT / "web", env=environment, check=False).returncode)
