#!/usr/bin/env bash
# Sets up what is missing, then runs the demonstration; flags are passed on (--help lists them).
set -euo pipefail
cd "$(dirname "$0")"
scripts/setup_environment.sh
exec .venv/bin/python scripts/run_demo.py "$@"
