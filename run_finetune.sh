#!/usr/bin/env bash
# Fine-tunes a Bort on one task of GLUE, SuperGLUE, RACE or SQuAD.
set -euo pipefail
# Paths in the flags are relative to the folder where the caller stands.
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)

usage() {
  cat <<'EOF'
usage: ./run_finetune.sh TASK [--ranks N] [flags…]
       ./run_finetune.sh TASK --agora --socrates FOLDER [--ranks N] [flags…]
       ./run_finetune.sh TEST1|TEST2

TASK     CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI AX, BoolQ CB COPA MultiRC ReCoRD
         SuperGLUE-RTE WiC WSC AX-b AX-g, RACE-H RACE-M, SQuAD1.1 SQuAD2.0
--ranks  number of Horovod processes, one for each GPU; without a GPU they use the CPU (default: 1)
--agora  train on data labelled by a fine-tuned large model, Socrates; the flags are those of
         scripts/run_agora.py; the ranks share trainings, not batches
flags    passed to scripts/finetune.py, whose --help lists them. The most important ones:
         --pretrained_parameters FOLDER_OR_PARAMS   initial weights (default: model/bort.params)
         --data_dir FOLDER                          data in the official layout
         --sample                                   use the small sample of this project instead
TEST1    self-test with the sample: one process, a task of single sentences
TEST2    self-test with the sample: two ranks, a task of sentence pairs

Ctrl-C or SIGTERM: finish the step (with --agora the training), save, exit with status 0; --resume
continues.
EOF
}

fail() { echo "error: $1 (--help shows the usage)" >&2; exit 2; }

case "${1:-}" in -h | --help) usage; exit 0 ;; "" | --*) fail "the task is missing" ;; esac
task=$1
shift

python=${BORT_PYTHON:-$root/.venv/bin/python}
command -v -- "$python" >/dev/null || "$root/scripts/setup_environment.sh"

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

weights=$root/model/bort.params
case " ${flags[*]-} " in
  *" --pretrained_parameters"* | *" --timaeus"* | *" --sample"* | *" --initialise_from"*) ;;
  *" --teacher "* | *" --teacher="*) ;;
  *) [ -e model/bort.params ] || [ ! -e "$weights" ] || flags+=(--pretrained_parameters "$weights") ;;
esac

script=$root/scripts/finetune.py
[ -z "$agora" ] || script=$root/scripts/run_agora.py
command=("$script" --task_name "$task" "${flags[@]+"${flags[@]}"}")
if [ "$ranks" = 1 ]; then
  exec "$python" "${command[@]}"
fi
exec "$python" -m bort.launch --ranks "$ranks" "${command[@]}"
