"""Make the inputs of the pre-training self-test offline: a corpus, its shards, a tiny teacher."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from pathlib import Path

from bort.process.command import make_parser, run_command
from experiments.demo.plan import DemoConfig


def main() -> None:
    """Parse the flags and make the files."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--folder", default="runs/self-test", help="output folder")
    parser.add_argument(
        "--teacher_steps", type=int, default=30, help="training steps of the tiny teacher"
    )
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    from experiments.demo.text import prepare_text
    from experiments.demo.training import train_teacher

    folder = Path(parsed.folder)
    config = DemoConfig(
        folder=parsed.folder,
        documents=400,
        vocabulary_size=700,
        max_seq_length=64,
        held_out_share=0.1,
        scored_examples=48,
        teacher="2-2-64-128",
        teacher_steps=parsed.teacher_steps,
    )
    train_teacher(config, prepare_text(config, folder), folder / "teacher")
    print(json.dumps({"data": str(folder / "shards"), "teacher": str(folder / "teacher")}))
    return 0


if __name__ == "__main__":
    main()
