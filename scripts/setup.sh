#!/bin/sh
# Make .venv with convscope (editable) and everything its checks need. Needs Python >= 3.11; nothing else.
set -eu
cd "$(dirname "$0")/.."

fail() { echo "convscope: $*" >&2; exit 1; }

find_python() {
  for name in python3 python3.11 python3.12 python3.13 python3.14 python; do
    if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

python=$(find_python) || fail "no Python >= 3.11 on PATH; install one (Debian, Ubuntu: apt install python3)"

make_venv() { "$python" -m venv .venv >/dev/null 2>&1 && [ -x .venv/bin/pip ]; }
if ! [ -x .venv/bin/pip ]; then
  echo "making .venv with $("$python" --version)"
  if ! make_venv; then
    rm -rf .venv
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
      fail "$python cannot make a virtual environment; as root: apt install python$version-venv"
    apt-get update -qq && apt-get install -y -qq "python$version-venv" >/dev/null
    make_venv || fail "$python cannot make a virtual environment, even with python$version-venv installed"
  fi
fi

echo "installing convscope and its tools into .venv (the first time takes a few minutes)"
.venv/bin/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
# building the front end, which is done where it is stale, has put its tools there already
[ web/node_modules/.package-lock.json -nt web/package-lock.json ] ||
  .venv/bin/python scripts/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
touch .venv/ready
