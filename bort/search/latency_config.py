"""Settings of the measurement of inference times on this device."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.errors import InputError
from bort.process.threads import check_thread_count
from bort.settings.config import Config, setting

ENGINE_CHOICES = ("auto", "openvino", "onnxruntime", "mxnet")
PRECISION_CHOICES = ("fp32", "bf16", "int8", "fast")
_SOURCES = ("super_network", "space", "search_space", "model")


@dataclasses.dataclass(frozen=True)
class TimingConfig(Config):
    """Conditions under which inference is timed; all of them are part of a table's key."""

    engine: str = setting(
        "auto",
        "engine that runs the models; auto: the fastest installed engine for the precision",
        choices=ENGINE_CHOICES,
    )
    precision: str = setting(
        "fp32",
        "precision of the engine; int8 is the graph that an export in int8 writes, fast is the "
        "fastest of the others here",
        choices=PRECISION_CHOICES,
    )
    threads: int = setting(1, "threads of the engine", minimum=1)
    batch: int = setting(1, "sequences per batch", minimum=1, maximum=1 << 16)
    length: int = setting(128, "tokens per sequence", minimum=1, maximum=1 << 15)
    repeats: int = setting(
        5,
        "minimum number of timed runs; the time is their median",
        minimum=1,
        maximum=1_000_000,
    )
    processor_time: bool = setting(
        False,
        "measure the processor time of this process instead of the clock, for a machine that other "
        "processes keep busy; with one thread only",
    )

    def check(self) -> None:
        """Check the number of threads."""
        check_thread_count("threads", self.threads)
        if self.processor_time and self.threads > 1:
            raise InputError(
                f"threads is {self.threads} with processor_time, allowed is 1: the processor time "
                "of several threads is no latency"
            )


@dataclasses.dataclass(frozen=True)
class LatencyTableConfig(TimingConfig):
    """Settings of a table of inference times."""

    count: int = setting(
        150,
        "number of architectures that are measured, --held_out included",
        minimum=5,
        maximum=1_000_000,
    )
    held_out: int = setting(
        30,
        "number of architectures that only check the predictor; predictor.json is then fitted to "
        "all of them",
        minimum=0,
        maximum=1_000_000,
    )
    seed: int = setting(0, "seed of the architectures and their order", minimum=0)

    def check(self) -> None:
        """Check that enough architectures are left to fit."""
        super().check()
        if self.held_out and self.count - self.held_out < 5:
            raise InputError(
                f"held_out is {self.held_out} with count {self.count}, allowed is at most "
                f"{max(0, self.count - 5)}: the predictor needs at least 5"
            )


@dataclasses.dataclass(frozen=True)
class LatencyTablePaths(Config):
    """The space that is measured, and the folder of the table."""

    output_dir: Optional[str] = setting(
        None, "folder for latencies.json, predictor.json, errors.json and latency.png"
    )
    super_network: Optional[str] = setting(
        None, "measure sub-networks of the space of this super-network"
    )
    space: Optional[str] = setting(
        None,
        "measure the space of this name (autotinybert_mlm, …) or .json file, with --architecture",
    )
    architecture: Optional[str] = setting(
        None,
        "with --space: sizes of the whole network, a preset, "
        "depth-heads-hidden-intermediate[-qkv][-pre], or a .json file",
    )
    search_space: Optional[str] = setting(
        None, "measure the search space of this .json file, as --space of search_architecture.py"
    )
    model: Optional[str] = setting(
        None,
        "measure this model folder alone, in a new process: pre-trained, fine-tuned, exported or "
        "Hugging Face; the JSON on stdout is the result",
    )
    resume: bool = setting(False, "continue the table in --output_dir")

    def check(self) -> None:
        """Check that there is one thing to measure, and a place for a table."""
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(f"--{name}" for name in _SOURCES)
            found = " and ".join(given) if given else "none"
            raise InputError(f"{found} of {names} is given, allowed is one of them")
        if (self.space is None) != (self.architecture is None):
            raise InputError(
                f"space is {self.space!r} and architecture is {self.architecture!r}, allowed are "
                "both or none"
            )
        if (self.model is None) != (self.output_dir is not None):
            raise InputError(
                f"output_dir is {self.output_dir!r}, "
                + ("needed is a folder" if self.model is None else "allowed is none with --model")
            )
