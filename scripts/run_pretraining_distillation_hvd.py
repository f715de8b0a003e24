"""Pre-train a Bort by distillation on Horovod ranks, with any launcher.

The same command as scripts/run_pretraining_distillation.py, which detects only ranks started by
`horovodrun`, `mpirun` and `bort.launch`.

python -m bort.launch --ranks 2 scripts/run_pretraining_distillation_hvd.py --data …
horovodrun -np 8 -H host1:4,host2:4 python scripts/run_pretraining_distillation_hvd.py --data …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
from run_pretraining_distillation import main

from bort.ranks import Communicator


def _communicator() -> Communicator:
    from bort.gluon.distributed import HorovodProcess

    return HorovodProcess()


if __name__ == "__main__":
    main(_communicator)
