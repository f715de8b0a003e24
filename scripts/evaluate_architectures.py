"""Score many sub-networks of a super-network: without training, or fine-tuned on several tasks.

Runs in one process, or on several ranks of this machine that share the sub-networks:

python -m bort.launch --ranks 2 scripts/evaluate_architectures.py --super_network …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import os
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.super_network.evaluation_config import PartEvaluationConfig, PartEvaluationPaths
from bort.super_network.finetuning_config import PartFinetuningConfig


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, score, print the scores as JSON."""
    parser = make_parser(
        "Score sub-networks of a super-network, each once: without training them, or with --tasks "
        "after fine-tuning. A table on stderr and the JSON on stdout list the best first."
    )
    PartEvaluationPaths.add_flags(parser.add_argument_group("files and sub-networks"))
    PartEvaluationConfig.add_flags(parser.add_argument_group("evaluation"))
    PartFinetuningConfig.add_flags(parser.add_argument_group("fine-tuning on tasks"))
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths = PartEvaluationPaths.from_arguments(parsed)
    config = PartEvaluationConfig.from_arguments(parsed)
    training = PartFinetuningConfig.from_arguments(parsed)
    stop = StopRequest().install()
    os.environ["OMP_NUM_THREADS"] = str(config.threads)  # MXNet reads it on import
    if training.tasks is None:
        from experiments.architecture_evaluation import evaluate_architectures

        summary = evaluate_architectures(paths, config, stop.requested)
    else:
        from experiments.architecture_finetuning import finetune_architectures

        summary = finetune_architectures(paths, config, training, stop.requested)
    if summary is not None:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
