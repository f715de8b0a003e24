#!/usr/bin/env bash
# Fine-tunes a Bort on one task of GLUE, SuperGLUE or RACE.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'EOF'
usage: ./run_finetune.sh TASK [--ranks N] [flags…]
       ./run_finetune.sh TASK --agora --socrates FOLDER [--ranks N] [flags…]
       ./run_finetune.sh TEST1|TEST2

TASK     CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI AX, BoolQ CB COPA MultiRC ReCoRD
         SuperGLUE-RTE WiC WSC AX-b AX-g, RACE-H RACE-M
--ranks  Horovod processes: one for each GPU; without a GPU they run on the CPU (default: 1)
--agora  train on data that a fine-tuned large model, Socrates, labels; the flags are then those of
         scripts/run_agora.py; the ranks share trainings, not batches
flags    passed on; python scripts/finetune.py --help lists them. Above all:
         --pretrained_parameters FOLDER_OR_PARAMS   where to start (default: model/bort.params)
         --data_dir FOLDER                          the data in the official layout
         --sample                                   the small example that comes along instead
TEST1    a self-test: one process, a task of single sentences, the small example
TEST2    a self-test: two ranks, a task of sentence pairs, the small example

Ctrl-C or SIGTERM: finish the step (--agora: the training), save, end with status 0; --resume
continues.
EOF
}

fail() { echo "error: $1 (--help shows the usage)" >&2; exit 2; }

case "${1:-}" in -h | --help) usage; exit 0 ;; "" | --*) fail "the task is missing" ;; esac
task=$1
shift

python=${BORT_PYTHON:-.venv/bin/python}
[ -x "$python" ] || scripts/setup_environment.sh

ranks=1
agora=
flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --ranks) [ $# -ge 2 ] || fail "--ranks needs a number"; ranks=$2; shift 2 ;;
    --ranks=*) ranks=${1#--ranks=}; shift ;;
    --agora) agora=1; shift ;;
    *) flags+=("$1"); shift ;;
  esac
done
[[ $ranks =~ ^[1-9][0-9]*$ ]] || fail "the number of ranks is '$ranks', allowed is at least 1"

case $task in
  TEST1 | TEST2)
    [ -z "$agora" ] || fail "--agora needs a task, not a self-test"
    work=runs/self-test-$task
    rm -rf "$work"
    [ "$task" = TEST1 ] && task=SST-2 || { task=RTE; ranks=2; }
    flags=(--sample --output_dir "$work" --epochs 4 --max_len 128 "${flags[@]+"${flags[@]}"}") ;;
esac

script=scripts/finetune.py
[ -z "$agora" ] || script=scripts/run_agora.py
command=("$script" --task_name "$task" "${flags[@]+"${flags[@]}"}")
if [ "$ranks" = 1 ]; then
  exec "$python" "${command[@]}"
fi
exec "$python" -m bort.launch --ranks "$ranks" "${command[@]}"
