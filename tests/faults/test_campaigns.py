"""Short samples of the campaigns; `BORT_FAULT_TRIALS` names a larger number of trials of each.

A long campaign is `python -m tests.faults.campaign` itself (docs/reliability.md).
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import List

import pytest

from tests.faults.campaign import KINDS
from tests.faults.children import ROOT
from tests.faults.commands import COMMANDS
from tests.faults.formats import READINGS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SLOW = ("HF ", "bort.json", "merges.txt", "vocab.json", "modules", "pooling", "sentence_bert")
"""Beginnings of the formats whose good inputs are exports, which take seconds to make."""
SAMPLES = {
    "mutated": [name for name in READINGS if not name.startswith(SLOW)],
    "kills": [name for name in COMMANDS if not name.startswith(("export", "import"))],
    "pairs": ["predict", "pre-training", "search"],
    "disks": ["create_pretraining_data", "pre-training", "fine-tuning"],
}
TRIALS = {"mutated": 30, "kills": 10, "pairs": 2, "disks": 2}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_short_campaign_finds_nothing(tmp_path, kind):
    trials = os.environ.get("BORT_FAULT_TRIALS", str(TRIALS[kind]))
    seed = os.environ["BORT_TEST_SEED"]
    of: List[str] = [word for subject in SAMPLES[kind] for word in ("--of", subject)]
    # The moments of these kills are the same on every machine.
    command = [sys.executable, "-m", "tests.faults.campaign", "--kind", kind, "--without_time", *of]
    done = subprocess.run(
        [*command, "--trials", trials, "--seed", seed, "--folder", str(tmp_path / "faults")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"{trials} trials, 0 findings, seed {seed}" in done.stdout
    assert "not tried" not in done.stdout, done.stdout[-4000:]


def test_the_samples_name_subjects():
    assert SAMPLES.keys() <= KINDS.keys()
    assert len(SAMPLES["mutated"]) > len(READINGS) / 2
    assert {name for kind in ("kills", "pairs", "disks") for name in SAMPLES[kind]} <= set(COMMANDS)
