"""Settings of the inference benchmark."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.engines.protocol import ENGINES, PRECISIONS
from bort.errors import InputError
from bort.process.threads import check_thread_count
from bort.settings.config import Config, setting

NONE = "none"


@dataclasses.dataclass(frozen=True)
class InferenceBenchmarkConfig(Config):
    """Settings of the inference benchmark: models, engines and inputs."""

    architecture: Tuple[str, ...] = setting(
        (), "architectures with random weights; default without --model: bort_4_8_768_1024"
    )
    model: Tuple[str, ...] = setting(
        (), "model folders to measure: pre-trained, fine-tuned, exported or Hugging Face"
    )
    against: Tuple[str, ...] = setting(
        ("roberta_24_1024_16", "bert_12_768_12"),
        "architectures to compare with; none for no comparison",
    )
    engines: Tuple[str, ...] = setting(
        (), "inference engines; default: all that are installed", choices=ENGINES
    )
    precisions: Tuple[str, ...] = setting(
        PRECISIONS, "fp32, or fast (the fastest here of bf16, int8 and fp32)", choices=PRECISIONS
    )
    threads: Tuple[int, ...] = setting((), "threads of the engine; default: all cores", minimum=1)
    batch_sizes: Tuple[int, ...] = setting((1,), "sequences per batch", minimum=1, maximum=1 << 16)
    lengths: Tuple[int, ...] = setting(
        (128, 512), "tokens per sequence", minimum=1, maximum=1 << 15
    )
    repeats: int = setting(
        10, "timed rounds; the medians are reported", minimum=1, maximum=1_000_000
    )
    warmup: int = setting(2, "untimed rounds before them", minimum=1, maximum=1_000_000)
    seed: int = setting(0, "seed of random weights and inputs", minimum=0)
    output_dir: Optional[str] = setting(
        None, "folder for results.json, table.txt and, if matplotlib is installed, latency.png"
    )

    def check(self) -> None:
        """Raise `InputError` if `none` is not alone in `against`, or threads are too many."""
        if NONE in self.against and len(self.against) > 1:
            raise InputError(f"against is {self.against!r}, allowed is {NONE!r} by itself")
        for count in self.threads:
            check_thread_count("threads", count)

    @property
    def measured(self) -> Tuple[str, ...]:
        """Architectures that are measured, references excluded."""
        return self.architecture or (() if self.model else ("bort_4_8_768_1024",))

    @property
    def references(self) -> Tuple[str, ...]:
        """Architectures to compare with, except those that are measured anyway."""
        if self.against == (NONE,):
            return ()
        return tuple(name for name in self.against if name not in self.measured)
