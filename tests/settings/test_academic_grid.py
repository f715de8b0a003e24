"""Tests of grids with the parameters of arXiv 2104.07705's release, in this project's settings."""

from __future__ import annotations

import argparse
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.settings.academic_grid import (
    _COMBINED,
    _DEFAULTS,
    _NEAREST,
    _ONLY,
    _SAME,
    _WITHOUT_EFFECT,
    FINETUNING,
    PRETRAINING,
    as_ours,
    check_names,
    is_academic,
)
from bort.settings.config import setting_names
from bort.settings.grid import flags_of
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths

OURS = {
    PRETRAINING: frozenset(setting_names(PretrainingPaths) + setting_names(PretrainingConfig)),
    FINETUNING: frozenset(setting_names(FinetuningPaths) + setting_names(FinetuningConfig)),
}
PUBLISHED: Dict[str, Any] = {
    "model_type": "bert-mlm",
    "tokenizer_name": "bert-large-uncased",
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "encoder_ln_mode": "pre-ln",
    "lr": 1e-3,
    "train_batch_size": 4096,
    "train_micro_batch_size_per_gpu": 32,
    "lr_schedule": "time",
    "curve": "linear",
    "warmup_proportion": 0.06,
    "gradient_clipping": 0.0,
    "optimizer_type": "adamw",
    "weight_decay": 0.01,
    "adam_beta1": 0.9,
    "adam_beta2": 0.98,
    "adam_eps": 1e-6,
    "total_training_time": 24.0,
    "early_exit_time_marker": 24.0,
    "dataset_path": "shards",
    "output_dir": "/tmp/training-out",
    "print_steps": 100,
    "num_epochs_between_checkpoints": 10000,
    "job_name": "pretraining_experiment",
    "project_name": "budget",
    "validation_epochs": 3,
    "validation_epochs_begin": 1,
    "validation_epochs_end": 1,
    "validation_begin_proportion": 0.05,
    "validation_end_proportion": 0.01,
    "validation_micro_batch": 16,
    "deepspeed": True,
    "data_loader_type": "dist",
    "do_validation": True,
    "use_early_stopping": True,
    "early_stop_time": 180,
    "early_stop_eval_loss": 6,
    "seed": 42,
    "fp16": True,
}
"""The parameters of the release's README."""


def pretraining(**changed: Any) -> Dict[str, Any]:
    return as_ours({**PUBLISHED, **changed}, PRETRAINING, OURS[PRETRAINING])


def test_the_published_command_is_parsed_by_ours_to_the_same_values() -> None:
    parser = argparse.ArgumentParser()
    PretrainingPaths.add_flags(parser)
    PretrainingConfig.add_flags(parser)
    parsed = parser.parse_args(flags_of(pretraining()))
    paths = PretrainingPaths.from_arguments(parsed)
    config = PretrainingConfig.from_arguments(parsed)
    assert paths.architecture == "24-16-1024-4096-pre"
    assert (paths.data, paths.data_eval) == ("shards", "shards")
    assert paths.teacher.teacher_model == "none"
    assert (config.batch_size, config.accumulate) == (32, 128)
    assert config.budget.seconds == 24 * 3600
    assert config.budget.early_exit_time_marker is None
    assert (config.lr, config.warmup_ratio, config.schedule) == (1e-3, 0.06, "linear")
    assert (config.optimizer, config.adam_beta2, config.adam_epsilon) == ("adamw", 0.98, 1e-6)
    assert (config.clip, config.dropout, config.seed, config.dtype) == (0.0, 0.1, 42, "float16")
    assert config.masks.max_predictions == 20, "the release's default"
    assert (config.divergence.divergence_loss, config.divergence.divergence_time) == (6.0, "180m")
    assert config.validation.validation_epochs == 3
    assert config.log_interval == 100


def test_every_translated_name_and_default_is_a_setting_of_ours() -> None:
    for kind, ours in OURS.items():
        assert set(_SAME[kind].values()) <= ours
        assert set(_DEFAULTS[kind]) <= ours
    assert set(_NEAREST.values()) <= OURS[PRETRAINING] | OURS[FINETUNING]


def test_each_name_of_the_release_has_one_meaning() -> None:
    for kind in (PRETRAINING, FINETUNING):
        groups = (_SAME[kind], _ONLY[kind], _WITHOUT_EFFECT[kind], _COMBINED[kind])
        names = [name for group in groups for name in group]
        assert len(set(names)) == len(names)


def test_false_is_false_and_what_it_guards_is_left_out() -> None:
    found = pretraining(fp16=False, do_validation=False, use_early_stopping=False)
    assert not {"dtype", "data_eval", "divergence_loss", "divergence_time"} & set(found)


def test_hours_become_a_share() -> None:
    assert pretraining(early_exit_time_marker=6.0)["early_exit_time_marker"] == 0.25
    assert "early_exit_time_marker" not in pretraining(early_exit_time_marker=48.0)


def test_the_releases_defaults_hold_where_nothing_is_given() -> None:
    found = as_ours({"dataset_path": "d"}, PRETRAINING, OURS[PRETRAINING])
    assert (found["lr"], found["hours"], found["accumulate"]) == (0.011, "24.0", 2048)
    found = as_ours({"learning_rate": 3e-5}, FINETUNING, OURS[FINETUNING])
    assert (found["lr"], found["epochs"], found["weight_decay"]) == (3e-5, 3, 0.0)


def test_the_releases_fine_tuning() -> None:
    cell = {
        "model_name_or_path": "model",
        "task_name": "MRPC",
        "max_seq_length": 128,
        "overwrite_output_dir": True,
        "do_train": True,
        "evaluation_strategy": "steps",
        "per_device_train_batch_size": 32,
        "learning_rate": 5e-5,
        "max_grad_norm": 1.0,
        "num_train_epochs": 5,
        "lr_scheduler_type": "polynomial",
        "warmup_steps": 50,
        "early_stopping_patience": 3,
    }
    found = as_ours(cell, FINETUNING, OURS[FINETUNING])
    assert found == {
        "pretrained_parameters": "model",
        "task_name": "MRPC",
        "max_len": 128,
        "batch_size": 32,
        "lr": 5e-5,
        "clip": 1.0,
        "epochs": 5,
        "warmup_steps": 50,
        "early_stop": 3,
        "weight_decay": 0.0,
        "warmup_ratio": 0.0,
        "seed": 42,
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_batch_size": 100}, "train_batch_size is 100 and train_micro"),
        ({"encoder_ln_mode": "rms"}, "encoder_ln_mode is 'rms', allowed are pre-ln and post-ln"),
        ({"adam_beta1": 0.8}, "adam_beta1 is 0.8, allowed is 0.9; the nearest is adam_beta2"),
        ({"curve": "exp"}, "curve is 'exp', allowed is 'linear'"),
        ({"add_nsp": True}, "add_nsp is True, allowed is False"),
        ({"attention_probs_dropout_prob": 0.2}, "hidden_dropout_prob is 0.1, allowed is one"),
        ({"gradient_accumulation_steps": 7}, "other parameters make accumulate"),
        ({"total_training_time": 0}, "allowed are hours above 0"),
    ],
)
def test_values_without_a_counterpart(changed: Dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        pretraining(**changed)
    assert message in str(caught.value)


def test_sizes_come_together() -> None:
    with pytest.raises(InputError, match="num_attention_heads is missing, needed with num_hidden"):
        as_ours({"num_hidden_layers": 2}, PRETRAINING, OURS[PRETRAINING])


def test_the_layouts_are_told_apart_by_their_names() -> None:
    ours = OURS[PRETRAINING]
    assert is_academic(frozenset(PUBLISHED), ours, PRETRAINING)
    assert not is_academic(frozenset(PUBLISHED), ours, None)
    for names in ({"lr", "seed", "early_exit_time_marker"}, {"lr", "output_dir"}, {"unknown"}):
        assert not is_academic(frozenset(names), ours, PRETRAINING)


def test_a_name_of_neither_is_refused_with_the_nearest_of_ours() -> None:
    check_names(frozenset(PUBLISHED), OURS[PRETRAINING], PRETRAINING)
    for kind, name, nearest in (
        (PRETRAINING, "decay_step", "; the nearest is decay_share"),
        (PRETRAINING, "load_training_checkpoint", "; the nearest is resume"),
        (PRETRAINING, "weight_decai", "; the nearest is weight_decay"),
        (FINETUNING, "batchsize", "; the nearest is batch_size"),
        (FINETUNING, "zzzzzz", " of this command"),
    ):
        with pytest.raises(InputError) as caught:
            check_names(frozenset((name, "lr")), OURS[kind], kind)
        assert str(caught.value).startswith(f"{name} is no setting of this command")
        assert str(caught.value).endswith(nearest)
