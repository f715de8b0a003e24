#!/usr/bin/env bash
# Pre-trains a Bort by distillation on one or more ranks of this machine.
set -euo pipefail
# Paths in the flags are relative to the folder where the caller stands.
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)

usage() {
  cat <<'EOF'
usage: ./run_pretraining_distillation.sh RANKS TRAINING_DATA TESTING_DATA [TEACHER] [flags…]
       ./run_pretraining_distillation.sh RANKS TEST [flags…]

RANKS          number of processes, one for each GPU; without a GPU they use the CPU
TRAINING_DATA  folder made by scripts/create_pretraining_data.py (quote globs)
TESTING_DATA   folder of held-out data
TEACHER        .params file, or a model folder of this toolkit; default: RoBERTa-large of GluonNLP
TEST           self-test: generated English, a tiny teacher, 20 steps
flags          passed to scripts/run_pretraining_distillation.py, whose --help lists them

Ctrl-C or SIGTERM: finish the step, save, exit with status 0; --resume continues.
EOF
}

fail() { echo "error: $1 (--help shows the usage)" >&2; exit 2; }

case "${1:-}" in -h | --help) usage; exit 0 ;; "") fail "the number of ranks is missing" ;; esac
ranks=$1
[[ $ranks =~ ^[1-9][0-9]*$ ]] || fail "the number of ranks is '$ranks', allowed is at least 1"
shift

python=${BORT_PYTHON:-$root/.venv/bin/python}
command -v -- "$python" >/dev/null || "$root/scripts/setup_environment.sh"

if [ "${1:-}" = TEST ]; then
  shift
  work=runs/self-test
  rm -rf "$work"
  "$python" "$root/scripts/prepare_self_test.py" --folder "$work"
  flags=(--data "$work/shards" --data_eval "$work/shards" --teacher_model "$work/teacher"
    --ckpt_dir "$work/run" --architecture 2-2-32-64 --num_steps 20 --batch_size 8 --lr 2e-3
    --log_interval 5 --ckpt_interval 10)
else
  [ $# -ge 2 ] || fail "training and testing data are needed"
  flags=(--data "$1" --data_eval "$2")
  shift 2
  if [ $# -gt 0 ] && [[ $1 != --* ]]; then
    if [ -f "$1/model.json" ] || [ -f "$1/config.json" ]; then
      flags+=(--teacher_model "$1")
    else
      flags+=(--teacher_ckpt_dir "$1")
    fi
    shift
  fi
fi

if [ "$ranks" = 1 ]; then
  exec "$python" "$root/scripts/run_pretraining_distillation.py" "${flags[@]}" "$@"
fi
exec "$python" -m bort.launch --ranks "$ranks" \
  "$root/scripts/run_pretraining_distillation_hvd.py" "${flags[@]}" "$@"
