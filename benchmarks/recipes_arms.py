"""The arms of `recipes`: their text, commands, runs side by side, and held-out scores."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from benchmarks.demo_teacher import text_stage
from benchmarks.search_ground import halves
from benchmarks.stored import Basis, Stored
from bort.errors import WorkError
from bort.settings.config import Config, setting
from bort.stages.stage import Stage, StageWork
from experiments.demo.plan import REAL_ENGLISH, DemoConfig

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "run_pretraining_distillation.py"
DEFAULTS, ACADEMIC_BUDGET, CRAMMING = "defaults", "academic-budget", "cramming"
ARMS = (DEFAULTS, ACADEMIC_BUDGET, CRAMMING)
LEARNING_RATES = (3e-4, 1e-3, 3e-3)
TUNING_SEED = 1_000
PRE_NORM = {ACADEMIC_BUDGET: True, CRAMMING: True, DEFAULTS: False}
_FLAGS: Mapping[str, Sequence[str]] = {
    DEFAULTS: (),
    ACADEMIC_BUDGET: ("--recipe", ACADEMIC_BUDGET, "--batch_size", "8", "--accumulate", "4"),
    CRAMMING: ("--recipe", CRAMMING, "--batch_size", "8", "--accumulate", "4"),
}


@dataclasses.dataclass(frozen=True)
class RecipesConfig(Config):
    """Settings of the comparison."""

    text: str = setting(..., "text file of real English, e.g. WikiText-2")
    architecture: str = setting("4-4-128-512", "sizes of the student of every arm")
    hours: str = setting("8m", "time of each training, such as 8m")
    tuning_hours: str = setting("90s", "time of each training that chooses a learning rate")
    vocabulary_size: int = setting(2_000, "tokens in the vocabulary", minimum=300)
    max_seq_length: int = setting(128, "tokens per sequence", minimum=16, maximum=512)
    seeds: int = setting(3, "seeds", minimum=2)


class Arms:
    """The trainings of all arms, as stages of one store.

    Args:
        config: the settings.
        stored: the results.
    """

    def __init__(self, config: RecipesConfig, stored: Stored) -> None:
        self.config, self._stored = config, stored
        self._demo = DemoConfig.from_dict(
            {
                **REAL_ENGLISH,
                "corpus": config.text,
                "vocabulary_size": config.vocabulary_size,
                "max_seq_length": config.max_seq_length,
            },
            "recipes",
        )

    def tuned(self) -> Dict[str, float]:
        """Return the learning rate of each arm with the lowest loss on the first half.

        All arms try the same learning rates for the same time.
        """
        losses: Dict[str, Dict[float, float]] = {arm: {} for arm in ARMS}
        for rate in LEARNING_RATES:
            rates = dict.fromkeys(ARMS, rate)
            hours = self.config.tuning_hours
            found = self._stored.value(
                self._side_by_side(f"tuning-{rate:g}", rates, hours, TUNING_SEED, half=0)
            )
            for arm in ARMS:
                losses[arm][rate] = found[arm]["loss"]
        return {arm: min(losses[arm], key=losses[arm].__getitem__) for arm in ARMS}

    def trained(self, seed: int, rates: Mapping[str, float]) -> Dict[str, Dict[str, Any]]:
        """Return the results of all arms for a seed, scored on the second half.

        Args:
            seed: seed of weights, order and masks.
            rates: learning rate of each arm.

        Returns:
            For each arm `loss` (nats per masked token), `accuracy`, `steps`, `tokens`, `rate`.
        """
        stage = self._side_by_side(f"seed-{seed}", rates, self.config.hours, seed, half=1)
        return self._stored.value(stage)

    def _side_by_side(
        self, name: str, rates: Mapping[str, float], hours: str, seed: int, half: int
    ) -> Stage:
        """Return the stage that trains all arms at once, so that other load hits them equally."""
        settings = {
            "arms": {arm: [*_FLAGS[arm], PRE_NORM[arm], rates[arm]] for arm in ARMS},
            "hours": hours,
            "seed": seed,
            "half": half,
            "scored_examples": self._demo.scored_examples,
            "architecture": self.config.architecture,
        }
        return Basis(settings, {"text": text_stage(self._demo)}).stage(
            name, lambda work: self._train(work, rates, hours, seed, half), continues=True
        )

    def _train(
        self, work: StageWork, rates: Mapping[str, float], hours: str, seed: int, half: int
    ) -> Dict[str, Dict[str, Any]]:
        text = work.inputs["text"]
        folders = {arm: work.folder / arm for arm in ARMS}
        processes = []
        try:
            for arm, folder in folders.items():
                folder.mkdir(parents=True, exist_ok=True)
                words = self._command(arm, rates[arm], hours, seed, text / "shards", folder / "run")
                with (folder / "messages").open("wb") as messages:
                    processes.append(
                        subprocess.Popen(
                            words,
                            stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL,
                            stderr=messages,
                            env={**os.environ, "OMP_NUM_THREADS": "1"},
                        )
                    )
            statuses = [process.wait() for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        for (arm, folder), status in zip(folders.items(), statuses):
            if status != 0:
                raise WorkError(f"{arm}: exit status {status}, see {folder / 'messages'}")
        return {
            arm: {"rate": rates[arm], **self._score(folder / "run", text, half)}
            for arm, folder in folders.items()
        }

    def _command(
        self, arm: str, rate: float, hours: str, seed: int, shards: Path, folder: Path
    ) -> List[str]:
        sizes = self.config.architecture + ("-pre" if PRE_NORM[arm] else "")
        again = ["--resume"] if folder.exists() else []
        return [
            *(sys.executable, str(SCRIPT), *_FLAGS[arm], "--architecture", sizes),
            *("--data", str(shards), "--teacher_model", "none"),
            *("--hours", hours, "--lr", f"{rate:g}", "--seed", str(seed), "--cpu_only"),
            *("--ckpt_interval", "1000000", "--log_interval", "50", "--ckpt_dir", str(folder)),
            *again,
        ]

    def _score(self, folder: Path, text_folder: Path, half: int) -> Dict[str, Any]:
        """Return steps, tokens and the scores of a run's model on a half of the held-out text."""
        import mxnet as mx

        from bort.gluon.pretraining.evaluation import evaluation_batches, score_masked_tokens
        from bort.gluon.teacher.live import load_teacher
        from bort.gluon.training.checkpoint import checkpoint_steps
        from bort.ranks import ALONE
        from bort.text.masking import Masking
        from bort.text.masking_config import TrainingMasks
        from experiments.demo.text import open_text
        from experiments.demo.training import Selection

        text = open_text(self._demo, text_folder)
        batches = evaluation_batches(
            Selection(text.held_out, halves(len(text.held_out))[half]),
            Masking(text.vocabulary, TrainingMasks().policy, 0),
            batch_size=16,
            communicator=ALONE,
            maximum_length=self.config.max_seq_length,
        )
        answer = load_teacher(str(folder / "model")).answer
        score = score_masked_tokens(answer, batches, ALONE, mx.cpu())
        steps = checkpoint_steps(folder)[-1]
        record = json.loads((folder / f"step-{steps:08d}" / "state.json").read_text("utf-8"))
        return {
            "loss": score.mlm_loss,
            "accuracy": score.mlm_accuracy,
            "predictions": score.predictions,
            "steps": steps,
            "tokens": record["state"]["tokens"],
        }
