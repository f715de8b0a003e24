"""Flags of the commands on the small inputs, which several trials share."""

from __future__ import annotations

SMALL = "--architecture 1-2-16-32 --batch_size 4 --cpu_only".split()
DATA = ["--data", "shards", *SMALL]
PRETRAIN = [*DATA, "--teacher_model", "teacher", "--num_steps", "6", "--ckpt_interval", "2"]
FINETUNE = "--sample --max_len 32 --lr 1e-3 --gpu false".split()
FINETUNE_RUN = ["--task_name", "COPA", *FINETUNE, "--epochs", "3", "--ckpt_interval", "2"]
DISTIL = [
    *("scripts/finetune.py", "--task_name", "CoLA", *FINETUNE, "--teacher", "cola"),
    *("--unlabelled in.txt --initialise_from teacher --architecture 1-2-16-16".split()),
    *("--relation_weight 1 --kept_features_gb 1 --epochs 2".split()),
    *("--ckpt_interval 1 --log_interval 1".split()),
]
SEARCH = [
    *("--data shards --teacher_model teacher --heads 2 --hiddens 16 --cpu_only".split()),
    *("--depths 1 2 --intermediates 16 32 --epsilon 1 --seeds 2 --latency multiply_adds".split()),
    *("--train_steps 2 --held_out_batches 1 --batch_size 4 --threads 1".split()),
]
SLICED = [*SEARCH, *"--initialise_from teacher --depths 1 --even_depth false".split()]
AGORA = [
    *("--task WSC --sample --allow_weak_socrates --cpu_only --max_len 64 --epochs 1".split()),
    *("--seeds 0 --lrs 2e-3 1e-3 --weight_decays 0 --warmup_ratios 0.1 --sources dev".split()),
    *("--points_per_source 2 --balance none --threads 1".split()),
]
SUPER = [
    *("--data shards --data_eval shards --start teacher --teacher_model teacher".split()),
    *("--hiddens 8 16 --intermediates 16 32 --qkvs 8 16 --hidden_weight 1 --cpu_only".split()),
    *("--num_steps 6 --ckpt_interval 2 --log_interval 1 --eval_interval 3".split()),
    *("--batch_size 4 --importance_batches 1".split()),
]
SCORING = [
    *("--super_network super --data shards --held_out_batches 1 --batch_size 4".split()),
    *("--architectures largest smallest 1-1-16-16".split()),
]
LATENCY = [
    *("--space latency_space.json --architecture 2-2-16-32 --engine mxnet --length 8".split()),
    *("--repeats 1 --count 6 --held_out 0".split()),
]
SMALL_MODEL = [
    *("scripts/make_small_model.py --teacher deep_teacher --data reviews.csv".split()),
    *("--parameters 9500 --hours 20s --least_steps 0 --baseline false".split()),
    *("--agora never --max_len 32 --engine mxnet --gpu false --output_dir small_model".split()),
]
CACHE = [
    *("--data shards --teacher_model teacher --cpu_only --batch_size 8".split()),
    *("--rows_per_part 100 --top_k 8".split()),
]
PREDICT = ["scripts/predict.py", "--engine", "mxnet", "--model"]
CREATE = [
    *("scripts/create_pretraining_data.py --num_workers 1 --max_seq_length 32".split()),
    *("--output_dir out".split()),
]
TRAIN = ["scripts/run_pretraining_distillation.py"]
ONE_STEP = [*TRAIN, *DATA, "--num_steps", "1", "--ckpt_dir", "out"]
