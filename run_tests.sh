#!/usr/bin/env bash
# Runs all checks and tests of the project and prints a summary.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./run_tests.sh [--quick] [--parity] [pytest arguments]

Makes or updates the environment, then runs ruff check, ruff format, mypy, the unit tests with the
doctests, and the integration tests, which run the real commands.

  --quick   skip the integration tests
  --parity  install PyTorch, Transformers, ONNX Runtime and OpenVINO too (Python 3.10 or later), and
            require the tests that compare exported models with them; without the flag these tests
            run if the packages are installed, and a line at the end says if they did not
  --help    show this help

Other arguments are passed to pytest, for example: ./run_tests.sh tests/storage/test_files.py -k atomic
A test that draws random numbers prints its seed; BORT_TEST_SEED=<number> repeats it.
BORT_SHARED_DATA names a folder of official data files, which some tests read if it exists.
Exit status: 0 everything passed, 1 something failed, 2 bad usage or no environment.
USAGE
}

quick=no
parity=no
pytest_arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=yes ;;
        --parity) parity=yes ;;
        --help | -h) usage; exit 0 ;;
        --) shift; pytest_arguments+=("$@"); break ;;
        *) pytest_arguments+=("$1") ;;
    esac
    shift
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$root"
extras=test
if [ $parity = yes ]; then
    extras=test,parity
    export BORT_REQUIRE_PARITY=1
fi
scripts/setup_environment.sh --extras "$extras"
export PATH=$root/.venv/bin:$PATH
unset PYTHONPATH PYTHONHOME
if [ $parity = yes ] && ! python -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "error: --parity needs Python 3.10 or later, .venv has $(python -V) (set \$PYTHON)" >&2
    exit 2
fi

cores=$(nproc)
workers=$((cores < 8 ? cores : 8))
failures=()
step() { # name, command...
    local name=$1 start=$SECONDS status=0
    shift
    printf '\n== %s\n' "$name"
    "$@" || status=$?
    # pytest exits with 5 if the user's selection has no test in this step.
    if [ $status -eq 5 ] && [ ${#pytest_arguments[@]} -gt 0 ]; then status=0; fi
    if [ $status -eq 0 ]; then
        printf '== %s: passed (%s s)\n' "$name" $((SECONDS - start))
    else
        failures+=("$name")
        printf '== %s: FAILED with status %s (%s s)\n' "$name" $status $((SECONDS - start))
    fi
}

step "ruff check" ruff check .
step "ruff format" ruff format --check .
step "mypy" mypy
# Each worker gets its share of the cores, since more threads than cores slow each other down.
step "unit tests and doctests" env OMP_NUM_THREADS=$((cores / workers)) \
    pytest -m "not integration" -n "$workers" "${pytest_arguments[@]}"
if [ $quick = no ]; then
    # The tests of a file share fixtures such as trained models, so a file runs on one worker.
    step "integration tests" env OMP_NUM_THREADS=$((cores / workers)) \
        pytest -m integration -n "$workers" --dist loadfile --no-loadscope-reorder \
        "${pytest_arguments[@]}"
fi

echo
if [ ${#failures[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "$(printf ', %s' "${failures[@]}" | cut -c 3-)"
    exit 1
fi
if [ $quick = yes ]; then
    echo "PASSED: everything except the integration tests, which --quick skips"
else
    echo "PASSED: everything"
fi
