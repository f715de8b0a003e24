#!/usr/bin/env bash
# Runs all checks and tests of the project and prints a summary.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./run_tests.sh [--quick] [--parity] [--repeat_failed] [pytest arguments]

Makes or updates the environment, then runs ruff check, ruff format, mypy, the unit tests with the
doctests, and the integration tests, which run the real commands.

  --quick   skip the integration tests
  --parity  install PyTorch, Transformers, ONNX Runtime and OpenVINO too (Python 3.10 or later), and
            require the tests that compare exported models with them; without the flag these tests
            run if the packages are installed, and a line at the end says if they did not
  --repeat_failed
            repeat failed tests once, without other tests beside them, if at most three failed; those
            that pass then are named at the end as unsteady, and do not fail the run
  --help    show this help

Other arguments are passed to pytest, for example: ./run_tests.sh tests/storage/test_files.py -k atomic
A test that draws random numbers prints its seed; BORT_TEST_SEED=<number> repeats it.
BORT_SHARED_DATA names a folder of official data files, which some tests read if it exists.
Exit status: 0 everything passed, 1 something failed, 2 bad usage or no environment.
USAGE
}

quick=no
parity=no
repeat_failed=no
pytest_arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=yes ;;
        --parity) parity=yes ;;
        --repeat_failed) repeat_failed=yes ;;
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
unsteady=()
# Tests of signals, clocks and several processes may fail where the machine stops for seconds. A test
# that fails by itself too is a failure; one that does not is named in the last lines.
most_repeated=3
cache=.pytest_cache/v/cache/lastfailed
repeat() { # marker expression; passes if the failed tests pass without others beside them
    local marker=$1 names
    names=$(python -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' $cache) || return 1
    if [ -z "$names" ] || [ "$(wc -l <<<"$names")" -gt $most_repeated ]; then return 1; fi
    printf '\n== failed tests, repeated without others beside them\n'
    env OMP_NUM_THREADS=$((cores / workers)) pytest -m "$marker" --last-failed \
        --last-failed-no-failures none "${pytest_arguments[@]}" || return 1
    mapfile -t -O ${#unsteady[@]} unsteady <<<"$names"
}
run_pytest() { # marker expression, pytest arguments...
    local marker=$1 status=0 fresh=()
    shift
    if [ $repeat_failed = yes ]; then fresh=(--cache-clear); fi
    env OMP_NUM_THREADS=$((cores / workers)) pytest -m "$marker" -n "$workers" "${fresh[@]}" \
        "$@" "${pytest_arguments[@]}" || status=$?
    if [ $status -eq 1 ] && [ $repeat_failed = yes ] && repeat "$marker"; then status=0; fi
    return $status
}
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
step "unit tests and doctests" run_pytest "not integration"
if [ $quick = no ]; then
    # The tests of a file share fixtures such as trained models, so a file runs on one worker.
    step "integration tests" run_pytest integration --dist loadfile --no-loadscope-reorder
fi

echo
if [ ${#unsteady[@]} -gt 0 ]; then
    printf 'UNSTEADY: %s failed beside others and passed without them\n' "${unsteady[@]}"
fi
if [ ${#failures[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "$(printf ', %s' "${failures[@]}" | cut -c 3-)"
    exit 1
fi
if [ $quick = yes ]; then
    echo "PASSED: everything except the integration tests, which --quick skips"
else
    echo "PASSED: everything"
fi
