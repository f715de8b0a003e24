"""Facts about MXNet and Horovod, printed as JSON for the command `bort doctor`."""

from __future__ import annotations

import json
from typing import Any, Dict

import mxnet as mx

from bort.gluon.distributed import horovod_built_with
from bort.process.gpus import gpus_without_kernels

_LONGEST_ERROR = 200


def abilities() -> Dict[str, Any]:
    """Return the version of MXNet, the GPUs that it sees and cannot use, and Horovod's state."""
    return {
        "mxnet": mx.__version__,
        "gpus": mx.context.num_gpus(),
        "gpus_without_kernels": [str(gpu) for gpu in gpus_without_kernels().values()],
        "horovod": _horovod(),
    }


def _horovod() -> Dict[str, Any]:
    try:
        return {"built": horovod_built_with()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]}


if __name__ == "__main__":
    print(json.dumps(abilities()))
