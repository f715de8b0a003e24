"""The inputs that the teacher answers before a training, and the stages that keep its relations."""

from __future__ import annotations

from typing import Dict, Mapping, Set

from bort.architecture import Architecture
from bort.teacher.keeping_features import may_keep
from bort.teacher.task_features import FeaturesKey
from bort.training.objective import FeatureObjective
from experiments.small_model.config import KEPT_FEATURES_GB, NEW_EXAMPLES, NEW_OF_EACH

_FIRST, _SAME_INPUTS, _MORE_INPUTS = "super_network", "student", "agora"


def inputs_by_stage(inputs: int, training_rows: int) -> Dict[str, int]:
    """Return the inputs that the teacher answers before the first step of a stage.

    The first stage with a teacher asks it, and further stages read the same answers. Agora's new
    examples are further inputs.

    Args:
        inputs: training and unlabelled inputs.
        training_rows: training inputs.

    >>> inputs_by_stage(2_500, 500)
    {'super_network': 2500, 'agora': 6500}
    """
    new = min(NEW_EXAMPLES, NEW_OF_EACH * training_rows)
    return {_FIRST: inputs, _MORE_INPUTS: inputs + new}


def keeps_relations(
    teacher: Architecture, inputs: Mapping[str, int], length: int, free: int
) -> Set[str]:
    """Return the stages whose steps read the teacher's kept relations instead of asking for them.

    Args:
        teacher: sizes of the teacher.
        inputs: see `inputs_by_stage`.
        length: tokens of an input, on average.
        free: free bytes of the disk.
    """
    names = FeatureObjective(relation_weight=1.0).features
    found: Set[str] = set()
    for stage, count in inputs.items():
        size = FeaturesKey.of("", teacher, names, "", count).bytes(count * length)
        if may_keep(size, size, KEPT_FEATURES_GB, free):
            found |= {stage, _SAME_INPUTS} if stage == _FIRST else {stage}
    return found
