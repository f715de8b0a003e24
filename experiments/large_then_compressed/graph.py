"""The stages of the experiment "train large, then compress"."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from bort.stages.stage import Stage, StageWork
from bort.storage.files import write_json
from experiments.demo.plan import GENERATED
from experiments.large_then_compressed.plan import LargeConfig

EXPERIMENT = "train-large-then-compress"
TEXT_STAGE, TASK_STAGE, LATENCY_STAGE, FINDINGS_STAGE = "text", "task", "latency", "findings"
TRAINED, SLICED, TAUGHT = "trained", "sliced", "taught"
"""Ways to a fine-tuned model: pre-trained in its size, cut out of the large model, or cut out after
the large model was trained as a super-network."""

_TEXT_SETTINGS = (
    "documents",
    "vocabulary_size",
    "max_seq_length",
    "held_out_share",
    "scored_examples",
    "seed",
)
_TASK_SETTINGS = ("task", "max_seq_length", "seed")
_GENERATED_TASK = ("train_size", "dev_size", "report_size")


class Variant(NamedTuple):
    """A model at the end of the experiment.

    Attributes:
        way: `TRAINED`, `SLICED` or `TAUGHT`.
        model: its architecture.
    """

    way: str
    model: str

    @property
    def label(self) -> str:
        """Name in stages and files, such as `sliced-3-4-256-1024`."""
        return f"{self.way}-{self.model}"


def variants(config: LargeConfig) -> Tuple[Variant, ...]:
    """Return the models whose files are compared: trained ones, then those cut out of the large."""
    trained = [Variant(TRAINED, name) for name in config.architectures]
    return tuple(trained + [Variant(w, m) for m in config.smaller for w in (SLICED, TAUGHT)])


def chunk_name(model: str, seed: int, chunk: int) -> str:
    """Return the name of a part of a pre-training; parts are counted from 1."""
    return f"pretrain-{model}-seed{seed}-part{chunk}"


def score_name(model: str, seed: int, chunk: int) -> str:
    """Return the name of the fine-tuning after a part of a pre-training."""
    return f"finetune-{model}-seed{seed}-part{chunk}"


def slices_name(seed: int) -> str:
    """Return the name of the training of the large model as a super-network."""
    return f"teach-slices-seed{seed}"


def final_name(config: LargeConfig, variant: Variant, seed: int) -> str:
    """Return the name of the fine-tuning of a model at the end."""
    if variant.way == TRAINED:
        return score_name(variant.model, seed, config.chunks)
    return f"finetune-{variant.label}-seed{seed}"


def export_name(variant: Variant, seed: int) -> str:
    """Return the name of the stage with the files of a model."""
    return f"export-{variant.label}-seed{seed}"


def make_stages(config: LargeConfig) -> List[Stage]:
    """Return all stages of the experiment, each behind its inputs.

    The models of a seed are neighbours, so that two processes train different sizes at the same
    time and disturb each other equally.
    """
    graph = _Graph(config)
    for chunk in range(1, config.chunks + 1):
        for seed in range(config.seeds):
            for model in config.architectures:
                graph.pretrain(model, seed, chunk)
        for seed in range(config.seeds):
            for model in config.architectures:
                graph.finetune(model, seed, chunk)
    for seed in range(config.seeds):
        graph.teach_slices(seed)
    for seed in range(config.seeds):
        for variant in variants(config):
            if variant.way != TRAINED:
                graph.finetune_slice(variant, seed)
            graph.export(variant, seed)
    graph.measure()
    graph.find()
    return list(graph.stages.values())


class _Graph:
    """The stages so far, by name."""

    def __init__(self, config: LargeConfig) -> None:
        self._config = config
        self.stages: Dict[str, Stage] = {}
        is_generated = config.corpus == GENERATED
        self._add(
            Stage(
                TEXT_STAGE,
                self._prepare_text,
                settings={
                    "corpus": GENERATED if is_generated else "files",
                    **config.as_settings(*_TEXT_SETTINGS),
                },
                sources={} if is_generated else _sources(config.corpus),
            )
        )
        names = _GENERATED_TASK if config.is_generated else ("choice_share",)
        self._add(
            Stage(
                TASK_STAGE,
                self._prepare_task,
                settings=config.as_settings(*_TASK_SETTINGS, *names),
                sources={} if config.data_dir is None else {"data": Path(config.data_dir)},
            )
        )

    def pretrain(self, model: str, seed: int, chunk: int) -> None:
        """Add a part of a pre-training."""
        config = self._config
        settings = config.pretraining(model, seed, chunk)
        before = self.stages.get(chunk_name(model, seed, chunk - 1))

        def run(work: StageWork) -> None:
            from experiments.large_then_compressed.pretraining import train_part

            train_part(
                config,
                work.inputs[TEXT_STAGE],
                settings,
                model,
                work.folder,
                work.inputs.get("before"),
                work.stop_requested,
            )

        self._add(
            Stage(
                chunk_name(model, seed, chunk),
                run,
                kind="pretrain",
                settings={
                    "architecture": model,
                    "stop_at_step": settings.stop_at_step,
                    **settings.results_settings(),
                },
                inputs={
                    TEXT_STAGE: self.stages[TEXT_STAGE],
                    **({"before": before} if before else {}),
                },
            )
        )

    def finetune(self, model: str, seed: int, chunk: int) -> None:
        """Add the fine-tuning after a part."""
        source = self.stages[chunk_name(model, seed, chunk)]
        name = score_name(model, seed, chunk)
        self._finetune(name, source, "run/model", seed, None, chunk == self._config.chunks)

    def teach_slices(self, seed: int) -> None:
        """Add the training of the large model as a super-network."""
        config = self._config
        large = self.stages[chunk_name(config.large, seed, config.chunks)]

        def run(work: StageWork) -> None:
            from experiments.large_then_compressed.pretraining import train_to_slice

            model = work.inputs["large"] / "run" / "model"
            train_to_slice(
                config, work.inputs[TEXT_STAGE], seed, model, work.folder, work.stop_requested
            )

        self._add(
            Stage(
                slices_name(seed),
                run,
                kind="teach-slices",
                settings={
                    "architectures": list(config.architectures),
                    **config.slicing(seed).results_settings(),
                },
                inputs={TEXT_STAGE: self.stages[TEXT_STAGE], "large": large},
            )
        )

    def finetune_slice(self, variant: Variant, seed: int) -> None:
        """Add the fine-tuning of a slice."""
        config = self._config
        name = final_name(config, variant, seed)
        if variant.way == SLICED:
            large = self.stages[chunk_name(config.large, seed, config.chunks)]
            self._finetune(name, large, "run/model", seed, variant.model, True)
        else:
            place = f"models/{variant.model}"
            self._finetune(name, self.stages[slices_name(seed)], place, seed, None, True)

    def export(self, variant: Variant, seed: int) -> None:
        """Add the exports of a model and their scores."""
        config = self._config

        def run(work: StageWork) -> None:
            from experiments.large_then_compressed.serving import export_and_score

            export_and_score(config, work.inputs["model"], work.inputs[TASK_STAGE], work.folder)

        self._add(
            Stage(
                export_name(variant, seed),
                run,
                kind="export",
                settings=config.as_settings("engine"),
                inputs={
                    "model": self.stages[final_name(config, variant, seed)],
                    TASK_STAGE: self.stages[TASK_STAGE],
                },
            )
        )

    def measure(self) -> None:
        """Add the latencies of all files; they wait for all other work on the machine."""
        config = self._config
        exports = {
            f"{one.label}-seed{seed}": self.stages[export_name(one, seed)]
            for seed in range(config.seeds)
            for one in variants(config)
        }
        reference = f"{Variant(TRAINED, config.large).label}-seed0"

        def run(work: StageWork) -> None:
            from experiments.large_then_compressed.serving import measure_exports

            measure_exports(config, work.inputs, reference, work.folder)

        self._add(
            Stage(
                LATENCY_STAGE,
                run,
                settings={
                    "reference": reference,
                    **config.as_settings(
                        "engine", "max_seq_length", "latency_batch", "latency_repeats"
                    ),
                },
                inputs=exports,
            )
        )

    def find(self) -> None:
        """Add the summary of all numbers."""
        config = self._config
        inputs = {
            name: stage
            for name, stage in self.stages.items()
            if stage.kind in ("pretrain", "finetune", "teach-slices", "export", LATENCY_STAGE)
        }

        def run(work: StageWork) -> None:
            from experiments.large_then_compressed.findings import find

            write_json(work.folder / "findings.json", find(config, work.inputs))

        self._add(
            Stage(
                FINDINGS_STAGE,
                run,
                settings=config.as_settings("architectures", "chunks", "seeds"),
                inputs=inputs,
            )
        )

    def _finetune(
        self,
        name: str,
        source: Stage,
        place: str,
        seed: int,
        slice_to: Optional[str],
        keeps_model: bool,
    ) -> None:
        config = self._config

        def run(work: StageWork) -> None:
            from experiments.large_then_compressed.finetuning import finetune_model

            finetune_model(
                config,
                work.inputs["model"] / place,
                work.inputs[TASK_STAGE],
                seed,
                work.folder,
                work.stop_requested,
                slice_to=slice_to,
                keeps_model=keeps_model,
            )

        self._add(
            Stage(
                name,
                run,
                kind="finetune",
                settings={
                    "place": place,
                    "slice_to": slice_to,
                    "keeps_model": keeps_model,
                    **config.finetuning(seed).results_settings(),
                },
                inputs={"model": source, TASK_STAGE: self.stages[TASK_STAGE]},
            )
        )

    def _prepare_text(self, work: StageWork) -> None:
        from experiments.demo.text import prepare_text

        work.clear()
        prepare_text(self._config.text(), work.folder)

    def _prepare_task(self, work: StageWork) -> None:
        from experiments.large_then_compressed.task import prepare_task

        prepare_task(self._config, work.folder)

    def _add(self, stage: Stage) -> None:
        self.stages[stage.name] = stage


def _sources(corpus: str) -> Mapping[str, Any]:
    """Return the files of a corpus by label."""
    from data.corpus.text_files import find_files

    return {f"corpus-{number:05d}": path for number, path in enumerate(find_files((corpus,)))}
