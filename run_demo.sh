#!/usr/bin/env bash
# Sets up the environment if needed and runs the demonstration with the given flags (see --help).
set -euo pipefail
cd "$(dirname "$0")"
scripts/setup_environment.sh
exec .venv/bin/python scripts/run_demo.py "$@"
