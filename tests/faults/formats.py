"""Every format that is read: its files, and the shortest command that reads them."""

from __future__ import annotations

from typing import Dict

from tests.faults.formats_of_inputs import INPUTS
from tests.faults.formats_of_models import MODELS
from tests.faults.formats_of_runs import RUNS
from tests.faults.reading import Reading

READINGS: Dict[str, Reading] = {**MODELS, **RUNS, **INPUTS}
"""Name of a format → how it is read."""
