#!/usr/bin/env bash
# Sets up the environment if needed and runs the demonstration with the given flags (see --help).
set -euo pipefail
# Paths in the flags are relative to the folder where the caller stands.
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)

python=${BORT_PYTHON:-$root/.venv/bin/python}
if [ -z "${BORT_PYTHON:-}" ]; then
  case "${1:-}" in
    -h | --help)
      if [ ! -x "$python" ]; then
        echo "usage: ./run_demo.sh [flags…]"
        echo "Sets up .venv, then trains and compares small models offline, in about eight minutes."
        echo "scripts/setup_environment.sh sets up alone; --help then lists the flags."
        exit 0
      fi ;;
    *) "$root/scripts/setup_environment.sh" ;;
  esac
fi
exec "$python" "$root/scripts/run_demo.py" "$@"
