"""What a measurement of inference is told."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.engines.protocol import ENGINES, PRECISIONS
from bort.errors import InputError
from bort.settings.config import Config, setting

NONE = "none"


@dataclasses.dataclass(frozen=True)
class InferenceBenchmarkConfig(Config):
    """Which models, run how, on which inputs."""

    architecture: Tuple[str, ...] = setting(
        (), "measured with random weights; default without --model: bort_4_8_768_1024"
    )
    model: Tuple[str, ...] = setting(
        (), "measured folders: pre-trained, fine-tuned, exported or Hugging Face's"
    )
    against: Tuple[str, ...] = setting(
        ("roberta_24_1024_16", "bert_12_768_12"),
        "architectures that they are compared with; none for none",
    )
    engines: Tuple[str, ...] = setting(
        (), "what runs them; default: all that are installed", choices=ENGINES
    )
    precisions: Tuple[str, ...] = setting(
        PRECISIONS, "fp32, fast (what is fastest here of bf16 and int8)", choices=PRECISIONS
    )
    threads: Tuple[int, ...] = setting((), "threads; default: all cores", minimum=1)
    batch_sizes: Tuple[int, ...] = setting((1,), "sequences at a time", minimum=1)
    lengths: Tuple[int, ...] = setting((128, 512), "tokens a sequence", minimum=1)
    repeats: int = setting(10, "timed rounds, of which medians are taken", minimum=1)
    warmup: int = setting(2, "rounds before them that are not timed", minimum=1)
    seed: int = setting(0, "seed of random weights and inputs", minimum=0)
    output_dir: Optional[str] = setting(
        None, "folder for results.json, table.txt and, with matplotlib, latency.png"
    )

    def check(self) -> None:
        """`none` stands alone."""
        if NONE in self.against and len(self.against) > 1:
            raise InputError(f"against is {self.against!r}, allowed is {NONE!r} by itself")

    @property
    def measured(self) -> Tuple[str, ...]:
        """Architectures that are measured for their own sake."""
        return self.architecture or (() if self.model else ("bort_4_8_768_1024",))

    @property
    def references(self) -> Tuple[str, ...]:
        """Architectures to compare with, those that are measured anyway left out."""
        if self.against == (NONE,):
            return ()
        return tuple(name for name in self.against if name not in self.measured)
