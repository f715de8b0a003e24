"""The settings of "train large, then compress": refusals, published sizes, one schedule."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.errors import InputError
from bort.storage.yaml_text import read_json_or_yaml
from bort.tasks.records import get_task
from experiments.large_then_compressed.plan import LargeConfig, matching_epochs, read_settings
from tests.experiments.large_then_compressed.samples import TINY, tiny

SETTINGS = Path(__file__).resolve().parents[3] / "experiments" / "settings"


@pytest.mark.parametrize(("batch", "epochs"), [(128, 800), (64, 1600), (256, 400)])
def test_the_epochs_that_match_the_tokens_of_bert(batch: int, epochs: int) -> None:
    assert matching_epochs(batch, 128, 10_000) == epochs


def test_an_epoch_that_is_not_whole_does_not_count() -> None:
    assert matching_epochs(128, 128, 10_001) == 799


def settings(name: str) -> LargeConfig:
    path = SETTINGS / name
    return read_settings(path, read_json_or_yaml(path))


def test_the_setting_of_the_paper_has_its_sizes_and_epochs() -> None:
    paper = settings("train_large_paper.yaml")
    sizes = [paper.architecture(name, 30_522) for name in paper.architectures]
    assert [(s.depth, s.heads, s.hidden, s.intermediate) for s in sizes] == [
        (3, 4, 256, 1024),
        (6, 4, 256, 1024),
    ]
    for model, batch in zip(paper.architectures, (128, 64)):
        first = paper.pretraining(model, 0, 1)
        assert (first.batch_size, first.lr, first.warmup_steps) == (batch, 2e-5, 10_000)
        assert first.stop_at_step is not None
        assert first.stop_at_step % 10_000 == 0
        assert first.num_steps // 10_000 == matching_epochs(batch, 128, 10_000)
    tuned = paper.finetuning(0)
    assert (paper.task, tuned.lr, tuned.batch_size, tuned.epochs) == ("MNLI", 2e-5, 32, 3)


def test_the_small_setting_runs_offline() -> None:
    small = settings("train_large_small.yaml")
    assert small.is_generated
    assert small.seeds >= 3
    assert small.data_dir is None
    assert len({small.architecture(name, 300).depth for name in small.architectures}) >= 2


def test_all_parts_of_a_pretraining_have_one_schedule() -> None:
    config = tiny(chunks=5)
    parts = [config.pretraining("2-2-32-64", 1, chunk) for chunk in range(1, 6)]
    assert [part.stop_at_step for part in parts] == [5, 10, 15, 20, 25]
    assert len({str(part.results_settings()) for part in parts}) == 1
    rates = parts[0].learning_rates()
    found = [rates.at(step) for step in range(1, 26)]
    falling = [1e-3 * (26 - step) / (26 - 2) for step in range(2, 26)]
    assert found == pytest.approx([5e-4, *falling]), "up once, down once: no saw"


def test_runs_of_one_seed_share_their_data() -> None:
    config = tiny()
    small, large = (config.pretraining(name, 1, 1) for name in config.architectures)
    assert small.order_seed == large.order_seed == 1
    assert config.pretraining("1-2-32-64", 0, 1).order_seed == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["1-2-32-64"]}, "allowed are 2 or more different ones"),
        ({"architectures": ["1-2-32-64", "1-2-32-64"]}, "allowed are 2 or more different ones"),
        ({"architectures": ["1-2-64-64", "9-2-32-64"]}, "1-2-64-64"),
        ({"batch_sizes": [1, 2, 3]}, "batch_sizes has 3 values, allowed are 1 or 2"),
        ({"chunk_steps": []}, "chunk_steps"),
        ({"data_dir": "x"}, "data_dir is 'x', allowed with task 'acceptability' is none"),
        ({"task": "MNLI"}, "data_dir is None, allowed with task 'MNLI' is the folder"),
        ({"task": "none", "data_dir": "x"}, "none"),
        ({"seeds": 0}, "seeds is 0"),
        ({"dept": 1}, "unknown setting 'dept'"),
    ],
)
def test_a_bad_setting_is_named(changes: dict, message: str) -> None:
    path = Path("some.yaml")
    with pytest.raises(InputError) as error:
        read_settings(path, {**TINY, **changes})
    assert message in str(error.value)
    assert str(error.value).startswith("some.yaml: ")


def test_settings_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(InputError, match=r"some\.yaml: holds no settings"):
        read_settings(Path("some.yaml"), ["a"])  # type: ignore[arg-type]


def test_the_metrics_of_the_tasks_are_the_official_ones() -> None:
    """StagedML scores CoLA by accuracy and lacks STS-B."""
    assert get_task("CoLA").metrics == ("matthews",)
    assert set(get_task("STS-B").metrics) == {"pearson", "spearman"}
