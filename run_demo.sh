#!/usr/bin/env bash
# Sets up the environment if needed and runs the demonstration with the given flags (see --help).
set -euo pipefail
cd "$(dirname "$0")"

python=${BORT_PYTHON:-.venv/bin/python}
if [ -z "${BORT_PYTHON:-}" ]; then
  case "${1:-}" in
    -h | --help)
      if [ ! -x "$python" ]; then
        echo "usage: ./run_demo.sh [flags…]"
        echo "Sets up .venv, then trains and compares small models offline, in about ten minutes."
        echo "scripts/setup_environment.sh sets up alone; --help then lists the flags."
        exit 0
      fi ;;
    *) scripts/setup_environment.sh ;;
  esac
fi
exec "$python" scripts/run_demo.py "$@"
