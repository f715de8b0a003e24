"""Tests of fine-tuning: equal steps, the best model, resuming, early stopping, order of inputs."""

from __future__ import annotations

import dataclasses
import json

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.engines.choosing import open_network
from bort.errors import InputError, WorkError
from bort.gluon.finetuning.finetune import DevSet, FinetuningHooks, finetune
from bort.gluon.finetuning.trainer import ClassificationTrainer
from bort.gluon.network.array_network import as_arrays
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.ranks import SingleProcess
from bort.text.asking import PaddedInputs, shared_outputs
from bort.text.labelled import SoftLabelled, make_labelled_batch
from bort.text.padding import pad_rows
from bort.training.finetuning_config import FINETUNING_PRESETS, FinetuningConfig, FinetuningPaths
from bort.training.time_budget import TimeBudget, TimeBudgetConfig
from tests.gluon.network.network_samples import needs_bf16
from tests.gluon.training.gradients import relative_differences, updates_of
from tests.gluon.training.run_samples import forget_setting
from tests.text.toy_labelled import ToyLabelled

ARCHITECTURE = Architecture(2, 2, 16, 32, vocabulary_size=60, maximum_length=24)
CONFIG = FinetuningConfig(
    epochs=3,
    lr=3e-3,
    weight_decay=0.0,
    warmup_ratio=0.1,
    batch_size=8,
    ckpt_interval=4,
    dropout=0.1,
)
ALONE = SingleProcess()


def make_network(classes=2, dropout=0.1, seed=0):
    mx.random.seed(seed)
    model = BortModel(ARCHITECTURE, dropout=dropout, use_decoder=False)
    network = BortClassifier(model, classes, dropout=dropout, head="linear")
    network.initialize(mx.init.Normal(0.3))
    return network


def accuracy_of(examples):
    return lambda outputs: {"accuracy": float((outputs.argmax(axis=1) == examples.labels).mean())}


def run(tmp_path=None, config=CONFIG, train=None, dev=None, network=None, **options):
    train = train or ToyLabelled(50)
    dev = dev or ToyLabelled(21, seed=1)
    network = network or make_network(dropout=config.dropout)
    result = finetune(
        network,
        train,
        [DevSet("dev", dev, accuracy_of(dev))],
        config,
        ALONE,
        mx.cpu(),
        pad_id=1,
        batch_size=config.batch_size,
        folder=tmp_path,
        **options,
    )
    return network, result


def weights(network):
    return {n: p.data().asnumpy() for n, p in network._collect_params_with_prefix().items()}


def test_a_simple_rule_is_learnt_and_the_best_epoch_is_kept(tmp_path):
    train, dev = ToyLabelled(600), ToyLabelled(200, seed=1)
    # A checkpoint every 4 steps, as in the other tests, would take most of the time.
    config = dataclasses.replace(CONFIG, epochs=12, dropout=0.0, lr=5e-3, ckpt_interval=1000)
    _, result = run(tmp_path, config, train, dev)
    assert result.best.mean > 0.85
    assert result.best.mean == max(score.mean for score in result.history)
    assert (result.epochs, result.steps) == (12, 12 * (result.steps // 12))
    best, description = load_model_folder(tmp_path / "model")
    assert description.notes["epoch"] == result.best.epoch
    assert description.metrics == {"accuracy": result.best.mean}
    outputs = shared_outputs(
        lambda batch: best(mx.nd.array(batch.input_ids), mx.nd.array(batch.lengths)).asnumpy(),
        dev,
        **{"rows": 16, "pad_id": 1, "width": 2, "ranks": ALONE},
    )
    assert accuracy_of(dev)(outputs)["accuracy"] == result.best.mean


def test_shuffled_labels_leave_the_dev_score_at_chance():
    train, dev = ToyLabelled(300), ToyLabelled(400, seed=1)
    train.labels = np.random.default_rng(0).permutation(train.labels)
    _, result = run(None, dataclasses.replace(CONFIG, epochs=4, dropout=0.0), train, dev)
    assert abs(result.history[-1].mean - 0.5) < 0.1


def test_micro_batches_make_the_step_of_one_large_batch():
    train, config = ToyLabelled(40), dataclasses.replace(CONFIG, epochs=1, dropout=0.0)
    whole, _ = run(None, dataclasses.replace(config, batch_size=10), train)
    parts, _ = run(None, dataclasses.replace(config, batch_size=5, accumulate=2), train)
    for name, value in weights(whole).items():
        np.testing.assert_allclose(weights(parts)[name], value, atol=1e-5, err_msg=name)


def first_update(examples, parts, classes, lost=0, math="exact"):
    """Return the mean gradient and the count of a step over 12 inputs in `parts` micro-batches."""
    config = dataclasses.replace(CONFIG, dropout=0.0, math=math)
    trainer = ClassificationTrainer(make_network(classes, 0.0), config, ALONE, mx.cpu())
    updates = updates_of(trainer)
    numbers = [np.arange(12)[part::parts] for part in range(parts - lost)]
    trainer.step(1, [make_labelled_batch(examples, ids, 24, 1) for ids in numbers], 1e-3)
    return (*updates[0], trainer.flat)


@pytest.mark.parametrize("accumulate", [2, 3, 12])
@pytest.mark.parametrize("kind", ["classes", "regression", "soft"])
def test_accumulated_gradients_are_those_of_one_large_batch(kind, accumulate):
    """The first update has all its micro-batches, too."""
    examples, classes = ToyLabelled(12), 1 if kind == "regression" else 2
    if kind == "soft":
        examples = SoftLabelled(examples, [(0.7, 0.3), None, (0.1, 0.9)] * 4, 2, 2.0)
    expected, count, flat = first_update(examples, 1, classes)
    found, same, _ = first_update(examples, accumulate, classes)
    assert count == same == 12
    differences = relative_differences(flat, found, expected)
    assert max(differences.values()) <= 1e-6, differences
    fewer, _, _ = first_update(examples, accumulate, classes, lost=1)
    assert max(relative_differences(flat, fewer, expected).values()) > 1e-3


@pytest.mark.parametrize(
    ("stop_after", "math"),
    [(1, "exact"), (4, "exact"), (7, "exact"), (9, "exact"), (20, "exact")]
    + [pytest.param(7, "fast", marks=needs_bf16)],
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, stop_after, math):
    config = dataclasses.replace(CONFIG, math=math)
    whole, expected = run(tmp_path / "whole", config)
    seen = []
    hooks = FinetuningHooks(
        stop_requested=lambda: len(seen) + 1 >= stop_after,
        on_step=lambda step, report: seen.append(step),
        show_progress=False,
    )
    _, first = run(tmp_path / "halves", config, hooks=hooks)
    assert first.stopped
    assert first.steps == stop_after
    resumed, result = run(tmp_path / "halves", config, resume=True, network=make_network(seed=5))
    assert result.history == expected.history
    for name, value in weights(whole).items():
        assert np.array_equal(weights(resumed)[name], value), name
    best = [load_model_folder(tmp_path / part / "model") for part in ("whole", "halves")]
    assert best[0][1] == best[1][1]
    again, same = run(tmp_path / "halves", config, resume=True)
    assert same.history == expected.history
    assert all(np.array_equal(weights(again)[n], v) for n, v in weights(whole).items())


def test_a_run_resumed_without_time_has_a_score_and_a_model(tmp_path):
    seen = []
    hooks = FinetuningHooks(
        stop_requested=lambda: len(seen) >= 1,
        on_step=lambda step, report: seen.append(step),
        show_progress=False,
    )
    _, first = run(tmp_path, hooks=hooks)
    assert first.stopped
    assert first.best is None
    over = TimeBudget(TimeBudgetConfig(hours="10s"), ALONE, used=20.0)
    hooks = FinetuningHooks(budget=over, show_progress=False)
    _, result = run(tmp_path, resume=True, hooks=hooks)
    assert (result.steps, result.stopped) == (first.steps, False)
    assert result.best is not None
    assert result.best.step == first.steps
    assert load_model_folder(tmp_path / "model")


@needs_bf16
@pytest.mark.parametrize("accumulate", [1, 3])
def test_fast_rounds_the_gradient_of_every_parameter(accumulate):
    examples = ToyLabelled(12)
    expected, _, flat = first_update(examples, 1, 2)
    found, _, _ = first_update(examples, accumulate, 2, math="fast")
    differences = relative_differences(flat, found, expected)
    assert 1e-4 < max(differences.values()) < 0.05, differences


@needs_bf16
def test_fast_is_another_run_with_weights_in_float32(tmp_path, caplog):
    caplog.set_level("INFO")
    exact, expected = run(tmp_path / "exact")
    assert "bf16" not in caplog.text
    fast, found = run(tmp_path / "fast", dataclasses.replace(CONFIG, math="fast"))
    assert "products of the encoder's dense layers are in bf16" in caplog.text
    assert any((weights(fast)[name] != value).any() for name, value in weights(exact).items())
    assert {value.dtype for value in weights(fast).values()} == {np.dtype(np.float32)}
    saved, _ = load_model_folder(tmp_path / "fast" / "model")
    assert {value.dtype for value in weights(saved).values()} == {np.dtype(np.float32)}
    assert len(found.history) == len(expected.history)
    with pytest.raises(InputError, match="math is 'exact', the run to resume started with 'fast'"):
        run(tmp_path / "fast", resume=True)


def test_a_run_from_before_fast_is_resumed_as_exact(tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1)
    run(tmp_path, config)
    forget_setting(tmp_path, "math")
    run(tmp_path, config, resume=True)


def test_another_run_is_not_resumed(tmp_path):
    run(tmp_path, dataclasses.replace(CONFIG, epochs=1))
    assert checkpoint_steps(tmp_path)
    with pytest.raises(InputError, match=r"lr is 0\.001, the run .* started with 0\.003"):
        run(tmp_path, dataclasses.replace(CONFIG, epochs=1, lr=1e-3), resume=True)
    with pytest.raises(InputError, match="data differs from that of the run"):
        run(tmp_path, dataclasses.replace(CONFIG, epochs=1), ToyLabelled(51), resume=True)


def test_a_run_older_than_a_setting_is_resumed_with_its_default(tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1)
    run(tmp_path, config)
    forget_setting(tmp_path, "clip")
    run(tmp_path, config, resume=True)
    with pytest.raises(InputError, match=r"clip is 2\.0, the run to resume started with 1\.0"):
        run(tmp_path, dataclasses.replace(config, clip=2.0), resume=True)


def test_training_ends_when_patience_does(tmp_path):
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.1, 0.9])
    dev = ToyLabelled(5, seed=1)
    config = dataclasses.replace(CONFIG, epochs=6, early_stop=2)
    result = finetune(
        make_network(),
        ToyLabelled(20),
        [DevSet("dev", dev, lambda outputs: {"score": next(scores)})],
        config,
        ALONE,
        mx.cpu(),
        pad_id=1,
        batch_size=8,
        folder=tmp_path,
    )
    assert [score.mean for score in result.history] == [0.5, 0.7, 0.6, 0.7]
    assert result.best.epoch == 2, "the first one of ties"
    assert not result.stopped


def test_patience_and_the_best_epoch_follow_a_named_metric(tmp_path):
    """The mean of the metrics has its best in the first epoch, and `f1` in the third."""
    scores = iter([(0.2, 0.9), (0.3, 0.1), (0.4, 0.2), (0.4, 0.9), (0.3, 0.0), (0.9, 0.9)])

    def judge(outputs):
        f1, accuracy = next(scores)
        return {"f1": f1, "accuracy": accuracy}

    config = dataclasses.replace(CONFIG, epochs=6, early_stop=2, best_metric="f1")
    result = finetune(
        make_network(),
        ToyLabelled(20),
        [DevSet("dev", ToyLabelled(5, seed=1), judge)],
        config,
        ALONE,
        mx.cpu(),
        pad_id=1,
        batch_size=8,
        folder=tmp_path,
    )
    assert (result.best.epoch, len(result.history)) == (3, 5)
    saved = json.loads((tmp_path / "model/model.json").read_text())
    assert saved["extra"]["metrics"]["f1"] == 0.4


def test_the_mean_over_all_metrics_of_all_dev_sets_decides():
    dev = ToyLabelled(5, seed=1)
    sets = [
        DevSet("matched", dev, lambda outputs: {"f1": 0.2, "accuracy": 0.4}),
        DevSet("mismatched", dev, lambda outputs: {"f1": 0.6, "accuracy": 0.8}),
    ]
    config = dataclasses.replace(CONFIG, epochs=1)
    options = {"pad_id": 1, "batch_size": 8}
    result = finetune(make_network(), ToyLabelled(20), sets, config, ALONE, mx.cpu(), **options)
    assert result.best.mean == pytest.approx(0.5)
    assert result.best.metrics["accuracy/mismatched"] == 0.8
    bad = [DevSet("dev", dev, lambda outputs: {"f1": float("nan")})]
    with pytest.raises(WorkError, match="f1 on dev is nan"):
        finetune(make_network(), ToyLabelled(20), bad, config, ALONE, mx.cpu(), **options)


def test_outputs_do_not_depend_on_batches_or_their_order():
    network, examples = make_network(), ToyLabelled(23)
    trainer = ClassificationTrainer(network, CONFIG, ALONE, mx.cpu())
    how = {"pad_id": 1, "width": 2, "ranks": ALONE}
    small, large = (shared_outputs(trainer.predict, examples, rows=size, **how) for size in (1, 16))
    np.testing.assert_allclose(small, large, atol=1e-5)
    one_by_one = [
        trainer.predict(PaddedInputs(np.array([n]), *pad_rows([examples[n]], 24, 1)))[0]
        for n in range(23)
    ]
    np.testing.assert_allclose(one_by_one, large, atol=1e-5)


def test_a_regression_learns_scores():
    train, dev = ToyLabelled(300, classes=5), ToyLabelled(60, seed=1, classes=5)
    network = make_network(classes=1, dropout=0.0)
    config = dataclasses.replace(CONFIG, epochs=8, dropout=0.0, lr=5e-3)

    def judge(outputs):
        return {"pearson": float(np.corrcoef(outputs[:, 0], dev.labels)[0, 1])}

    result = finetune(
        network,
        train,
        [DevSet("dev", dev, judge)],
        config,
        ALONE,
        mx.cpu(),
        pad_id=1,
        batch_size=8,
    )
    assert result.best.mean > 0.5


def test_the_rate_is_planned_for_the_ramp_up_epochs_and_then_stays_at_the_floor():
    rates = []
    hooks = FinetuningHooks(on_step=lambda step, report: rates.append(report.learning_rate))
    config = dataclasses.replace(
        CONFIG, epochs=4, ramp_up_epochs=2, lr_floor=1e-5, warmup_ratio=0.5, num_buckets=1
    )
    run(None, config, ToyLabelled(40), hooks=hooks)
    assert len(rates) == 20
    assert rates[:5] == pytest.approx([3e-3 * n / 5 for n in range(1, 6)])
    assert rates[4] == max(rates)
    assert rates[10:] == [1e-5] * 10
    assert min(rates[:10]) > 1e-5


def test_a_warm_up_in_steps_holds_unless_it_is_longer_than_the_planned_steps(caplog):
    rates = []
    hooks = FinetuningHooks(on_step=lambda step, report: rates.append(report.learning_rate))
    config = dataclasses.replace(CONFIG, epochs=2, warmup_ratio=0.2, num_buckets=1)
    for steps in (4, 10_000):
        run(None, dataclasses.replace(config, warmup_steps=steps), ToyLabelled(40), hooks=hooks)
    assert rates[:4] == pytest.approx([3e-3 * n / 4 for n in range(1, 5)])
    assert rates[10:12] == pytest.approx([3e-3 / 2, 3e-3])
    assert rates.index(max(rates[:10])) == 3
    assert rates[10:].index(max(rates[10:])) == 1
    warnings = [message for message in caplog.messages if "warmup_steps" in message]
    assert len(warnings) == 1
    assert "warmup_steps is 10000, but the learning rate is planned for 10 steps" in warnings[0]


def test_an_input_that_is_too_long_is_refused_before_anything_is_trained():
    train = ToyLabelled(20)
    train._rows[3] = np.arange(25, dtype=np.int32)
    train.lengths[3] = 25
    with pytest.raises(InputError, match="an input has 25 tokens, the model takes at most 24"):
        run(None, train=train)


def test_a_loss_that_is_not_finite_names_step_and_inputs():
    network = make_network()
    for parameter in network.collect_params().values():
        parameter.set_data(parameter.data() * np.nan)
    with pytest.raises(WorkError, match=r"step 1.*the loss is not finite .inputs "):
        run(None, network=network)


def test_presets_are_the_defaults_and_the_releases_values():
    assert FinetuningConfig.from_dict(FINETUNING_PRESETS["paper"], "paper") == FinetuningConfig()
    release = FinetuningConfig.from_dict({**FINETUNING_PRESETS["release"], "epochs": 7}, "release")
    assert (release.lr, release.weight_decay, release.warmup_ratio) == (5e-5, 110.0, 0.45)
    assert (release.seed, release.early_stop, release.epochs) == (2, 200, 7)
    with pytest.raises(InputError, match="preset is 'other', allowed are paper, release"):
        FinetuningPaths(task_name="CoLA", preset="other")


def test_an_own_task_has_a_preset_of_its_own():
    def values(name, **settings):
        return FinetuningPaths(task_name=name, **settings).preset_values

    own = FINETUNING_PRESETS["own"]
    for name in ("r.csv", "r.jsonl.gz", "r.TSV", "task.json", "task.yaml"):
        assert values(name) is own
        assert values(name, preset="paper") == {}
    assert values("CoLA") is FINETUNING_PRESETS["paper"]
    assert values("CoLA", preset="own") is own
    config = FinetuningConfig.from_dict({**own, "epochs": 3}, "own")
    assert (config.weight_decay, config.warmup_ratio, config.head) == (0.01, 0.1, "release")
    assert (config.batch_size, config.max_len, config.epochs) == (16, 128, 3)
    assert (config.optimizer, config.lr) == ("adamw", 5e-5)


@pytest.mark.parity("onnx", "openvino")
def test_dev_scores_come_from_the_chosen_engine_with_the_weights_of_the_epoch(
    tmp_path, monkeypatch
):
    opened = []

    def watched(network, engine, precision, threads):
        opened.append((engine, precision, network))
        return open_network(network, engine, precision, threads)

    dev = ToyLabelled(21, seed=1)
    kept = []

    score = accuracy_of(dev)

    def judge(outputs):
        kept.append(outputs)
        return score(outputs)

    monkeypatch.setattr("bort.gluon.finetuning.finetune.open_network", watched)
    monkeypatch.setattr("tests.gluon.finetuning.test_finetuning.accuracy_of", lambda _: judge)
    _, expected = run(tmp_path / "mxnet", dev=dev)
    by_mxnet = kept[:]
    assert not opened
    kept.clear()
    there = CONFIG.replace(eval_engine="openvino")
    network, found = run(tmp_path / "openvino", there, dev=dev)
    assert [(engine, precision) for engine, precision, _ in opened] == [("openvino", "fp32")] * 3
    last = as_arrays(network).arrays
    assert all((array == last[name]).all() for name, array in opened[-1][2].arrays.items())
    assert len(kept) == len(by_mxnet) == 3
    for one, other in zip(kept, by_mxnet):
        assert (one != other).any()
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert found.best == expected.best
    names = ("openvino", "mxnet")
    first, second = ((tmp_path / n / "model" / "model.safetensors").read_bytes() for n in names)
    assert first == second
    with pytest.raises(InputError, match="eval_engine is 'mxnet', the run to resume"):
        run(tmp_path / "openvino", CONFIG, dev=dev, resume=True)


def test_the_precision_of_dev_scores_needs_an_engine():
    with pytest.raises(InputError, match="eval_precision is 'bf16', eval_engine mxnet allows"):
        CONFIG.replace(eval_precision="bf16")
    with pytest.raises(InputError, match="eval_engine is 'torch', allowed are mxnet, auto"):
        CONFIG.replace(eval_engine="torch")
