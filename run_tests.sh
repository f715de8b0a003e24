#!/usr/bin/env bash
# Runs everything that holds the project to its word, and says clearly how it ended.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./run_tests.sh [--quick] [--parity] [pytest arguments]

Makes or updates the environment, then runs, naming each as it starts: ruff check, ruff format,
mypy, the unit tests with the doctests, the integration tests (which run the real commands).

  --quick   leave the integration tests out
  --parity  install PyTorch, Transformers, ONNX Runtime and OpenVINO too (Python 3.10 or later), and
            demand the tests that compare exported models with them; they run whenever the packages
            are there, and otherwise one line at the end says that they did not
  --help    show this and end

All other arguments go to pytest, for example: ./run_tests.sh tests/storage/test_files.py -k atomic
A test that draws random numbers prints its seed; BORT_TEST_SEED=<number> replays it.
BORT_SHARED_DATA names the folder of official data files that some tests read when it is there.
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
    # pytest ends with 5 when a selection of the user's leaves nothing to run in this step
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
# Every worker gets its share of the cores: more threads than cores only wait for each other.
step "unit tests and doctests" env OMP_NUM_THREADS=$((cores / workers)) \
    pytest -m "not integration" -n "$workers" "${pytest_arguments[@]}"
if [ $quick = no ]; then
    # Files stay whole: what one of them prepares once, such as a trained model, serves its tests.
    step "integration tests" env OMP_NUM_THREADS=$((cores / workers)) \
        pytest -m integration -n "$workers" --dist loadfile "${pytest_arguments[@]}"
fi

echo
if [ ${#failures[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "$(printf ', %s' "${failures[@]}" | cut -c 3-)"
    exit 1
fi
if [ $quick = yes ]; then
    echo "PASSED: everything but the integration tests, which --quick left out"
else
    echo "PASSED: everything"
fi
