"""Names of the parameters in grids of arXiv 2104.07705's release, in the names of this project.

Its pre-training command and its fine-tuning command (that of Transformers) have other names and
units than ours: a batch is given with its micro-batch, the architecture in four sizes, times in
hours and minutes. A combination of its parameters becomes one of ours.
"""

from __future__ import annotations

import difflib
import math
from typing import AbstractSet, Any, Dict, List, Mapping, Optional, Tuple

from bort.errors import InputError

PRETRAINING, FINETUNING = "pretraining", "finetuning"

_SAME: Mapping[str, Mapping[str, str]] = {
    PRETRAINING: {
        "adam_eps": "adam_epsilon",
        "dataset_path": "data",
        "gradient_accumulation_steps": "accumulate",
        "gradient_clipping": "clip",
        "hidden_dropout_prob": "dropout",
        "max_predictions_per_seq": "max_predictions",
        "max_steps": "num_steps",
        "optimizer_type": "optimizer",
        "print_steps": "log_interval",
        "train_micro_batch_size_per_gpu": "batch_size",
        "validation_micro_batch": "batch_size_eval",
        "warmup_proportion": "warmup_ratio",
    },
    FINETUNING: {
        "early_stopping_patience": "early_stop",
        "gradient_accumulation_steps": "accumulate",
        "learning_rate": "lr",
        "logging_steps": "log_interval",
        "max_grad_norm": "clip",
        "max_seq_length": "max_len",
        "metric_for_best_model": "best_metric",
        "model_name_or_path": "pretrained_parameters",
        "num_train_epochs": "epochs",
        "per_device_eval_batch_size": "batch_size_eval",
        "per_device_train_batch_size": "batch_size",
        "save_steps": "ckpt_interval",
        "save_total_limit": "keep_checkpoints",
    },
}
"""Parameters that only have another name."""

_ONLY: Mapping[str, Mapping[str, Tuple[Any, ...]]] = {
    PRETRAINING: {
        "adam_beta1": (0.9,),
        "add_nsp": (False,),
        "curve": ("linear",),
        "hidden_act": ("gelu",),
        "layernorm_embedding": (False,),
        "lr_schedule": ("time",),
        "model_type": ("bert-mlm",),
        "validation_epochs_begin": (1,),
        "validation_epochs_end": (1,),
    },
    FINETUNING: {
        "adam_beta1": (0.9,),
        "do_eval": (True,),
        "do_train": (True,),
        "lr_scheduler_type": ("linear", "polynomial"),
    },
}
"""Parameters whose value must be that of this project's commands."""

_WITHOUT_EFFECT: Mapping[str, AbstractSet[str]] = {
    PRETRAINING: frozenset(
        "async_worker current_run_id data_loader_type deepspeed finetune_checkpoint_at_end "
        "fp16_backend fp16_opt job_name local_rank log_throughput_every "
        "num_epochs_between_checkpoints num_warmup_steps num_workers output_dir project_name "
        "scale_cnt_limit tokenizer_name".split()
    ),
    FINETUNING: frozenset(
        "current_run_id do_predict eval_steps evaluation_strategy job_name output_dir "
        "overwrite_cache overwrite_output_dir report_to save_strategy".split()
    ),
}
"""Parameters that change no result here: the vocabulary is stored with the shards, fine-tuning is
evaluated after each epoch, and the grid chooses the folders."""

_COMBINED: Mapping[str, AbstractSet[str]] = {
    PRETRAINING: frozenset(
        "attention_probs_dropout_prob do_validation early_exit_time_marker early_stop_eval_loss "
        "early_stop_time encoder_ln_mode fp16 hidden_size intermediate_size num_attention_heads "
        "num_hidden_layers total_training_time train_batch_size use_early_stopping".split()
    ),
    FINETUNING: frozenset(("fp16",)),
}
_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")
_NEAREST: Mapping[str, str] = {
    "decay_step": "decay_share",
    "load_checkpoint_id": "start_step",
    "load_training_checkpoint": "resume",
    "max_steps_per_epoch": "num_steps",
    "num_epochs": "num_steps",
    "resume_from_checkpoint": "resume",
    "validation_epochs_begin": "validation_begin_proportion",
    "validation_epochs_end": "validation_end_proportion",
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    PRETRAINING: {
        "hours": "24.0",
        "lr": 0.011,
        "optimizer": "adamw",
        "warmup_ratio": 0.06,
        "max_predictions": 20,
        "batch_size": 32,
        "seed": 42,
        "teacher_model": "none",
    },
    FINETUNING: {
        "lr": 5e-5,
        "weight_decay": 0.0,
        "epochs": 3,
        "batch_size": 8,
        "max_len": 128,
        "warmup_ratio": 0.0,
        "seed": 42,
    },
}
"""Defaults of the release's commands that differ from ours, in our settings."""

_LOSS, _MINUTES = 2.1, 720
_WHOLE, _MICRO = 65_536, 32
_UNSPECIFIC = frozenset(("output_dir", "num_workers"))
"""Names that users of this project may write as well."""


def is_academic(names: AbstractSet[str], ours: AbstractSet[str], kind: Optional[str]) -> bool:
    """Return whether a grid has names of the release's command that are not ours.

    Args:
        names: the parameters of the grid.
        ours: the settings of this project's command.
        kind: `PRETRAINING` or `FINETUNING`; None for a command without a counterpart.
    """
    return kind is not None and bool(names & (_known(kind) - ours - _UNSPECIFIC))


def check_names(names: AbstractSet[str], ours: AbstractSet[str], kind: Optional[str]) -> None:
    """Raise `InputError` for a parameter that neither this project nor the release has.

    The message names the nearest setting of this project.

    Args:
        names, ours, kind: see `is_academic`.
    """
    known = _known(kind) if kind is not None and is_academic(names, ours, kind) else frozenset()
    for name in sorted(names - ours - known):
        raise InputError(f"{name} is no setting of this command{_suggestion(name, ours)}")


def as_ours(cell: Mapping[str, Any], kind: str, ours: AbstractSet[str]) -> Dict[str, Any]:
    """Return a combination of the release's parameters in this project's settings.

    Args:
        cell: its parameters by name; those that only this project has are kept.
        kind: `PRETRAINING` or `FINETUNING`.
        ours: the settings of this project's command.

    Returns:
        Our settings, with the defaults of the release's command where they differ from ours.

    Raises:
        InputError: a value has no counterpart, or parameters contradict each other.

    >>> cell = {"train_batch_size": 4096, "train_micro_batch_size_per_gpu": 32, "adam_eps": 1e-6}
    >>> as_ours(cell, PRETRAINING, frozenset(("batch_size", "accumulate", "adam_epsilon")))
    {'batch_size': 32, 'adam_epsilon': 1e-06, 'accumulate': 128}
    """
    found: Dict[str, Any] = {}
    for name, value in cell.items():
        if name in _ONLY[kind] and value in _ONLY[kind][name]:
            continue
        if name in _ONLY[kind] and name not in ours:
            allowed = ", ".join(map(repr, _ONLY[kind][name]))
            raise InputError(f"{name} is {value!r}, allowed is {allowed}{_suggestion(name, ours)}")
        if name in _WITHOUT_EFFECT[kind] or name in _COMBINED[kind]:
            continue
        _put(found, _SAME[kind].get(name, name), value, name)
    if kind == PRETRAINING:
        for name, value in _pretraining(cell).items():
            _put(found, name, value, name)
    if cell.get("fp16"):
        _put(found, "dtype", "float16", "fp16")
    defaults = {name: value for name, value in _DEFAULTS[kind].items() if name in ours}
    return {**defaults, **found}


def _pretraining(cell: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the settings that follow from several parameters or from another unit."""
    found: Dict[str, Any] = {}
    if "gradient_accumulation_steps" not in cell or "train_batch_size" in cell:
        found["accumulate"] = _accumulation(cell)
    given = [name for name in _SIZES if name in cell]
    if given:
        missing = next((name for name in _SIZES if name not in cell), None)
        if missing is not None:
            raise InputError(f"{missing} is missing, needed with {given[0]}")
        found["architecture"] = "-".join(str(cell[name]) for name in _SIZES)
    mode = cell.get("encoder_ln_mode", "post-ln")
    if mode not in ("pre-ln", "post-ln") or (mode == "pre-ln" and not given):
        raise InputError(
            f"encoder_ln_mode is {mode!r}, allowed are pre-ln and post-ln, with {_SIZES[0]}"
        )
    if mode == "pre-ln":
        found["architecture"] += "-pre"
    if "total_training_time" in cell:
        found["hours"] = str(cell["total_training_time"])
    if "early_exit_time_marker" in cell:
        share = _share_of_time(cell)
        if share < 1:
            found["early_exit_time_marker"] = share
    if cell.get("do_validation") and "dataset_path" in cell:
        found["data_eval"] = cell["dataset_path"]
    if cell.get("use_early_stopping"):
        found["divergence_time"] = f"{cell.get('early_stop_time', _MINUTES)}m"
        found["divergence_loss"] = cell.get("early_stop_eval_loss", _LOSS)
    dropout = cell.get("attention_probs_dropout_prob")
    if dropout is not None and dropout != cell.get("hidden_dropout_prob", dropout):
        raise InputError(
            f"attention_probs_dropout_prob is {dropout!r} and hidden_dropout_prob is "
            f"{cell['hidden_dropout_prob']!r}, allowed is one number: dropout is one setting here"
        )
    if dropout is not None and "hidden_dropout_prob" not in cell:
        found["dropout"] = dropout
    return found


def _accumulation(cell: Mapping[str, Any]) -> int:
    whole = cell.get("train_batch_size", _WHOLE)
    micro = cell.get("train_micro_batch_size_per_gpu", _MICRO)
    numbers = all(isinstance(number, int) and number > 0 for number in (whole, micro))
    if not numbers or whole % micro:
        raise InputError(
            f"train_batch_size is {whole!r} and train_micro_batch_size_per_gpu is {micro!r}, "
            "allowed are whole numbers, the first a multiple of the second"
        )
    return int(whole // micro)


def _share_of_time(cell: Mapping[str, Any]) -> float:
    """Return the share of the time after which a run ends, at most 1; it is given in hours."""
    end, whole = cell["early_exit_time_marker"], cell.get("total_training_time", 24.0)
    numbers = all(isinstance(one, (int, float)) and math.isfinite(one) for one in (end, whole))
    if not numbers or end <= 0 or whole <= 0:
        raise InputError(
            f"early_exit_time_marker is {end!r} and total_training_time is {whole!r}, allowed are "
            "hours above 0"
        )
    return min(1.0, float(end) / float(whole))


def _put(found: Dict[str, Any], name: str, value: Any, source: str) -> None:
    if name in found and found[name] != value:
        raise InputError(f"{source} is {value!r}, but other parameters make {name} {found[name]!r}")
    found[name] = value


def _known(kind: str) -> AbstractSet[str]:
    return {*_SAME[kind], *_ONLY[kind], *_WITHOUT_EFFECT[kind], *_COMBINED[kind]}


def _suggestion(name: str, ours: AbstractSet[str]) -> str:
    nearest: List[str] = difflib.get_close_matches(name, sorted(ours), n=1, cutoff=0.5)
    if _NEAREST.get(name) in ours:
        nearest = [_NEAREST[name]]
    return f"; the nearest is {nearest[0]}" if nearest else ""
