"""Write the network of a model folder as MXNet does: save_parameters.py FOLDER FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from bort.gluon.network.model_folder import load_model_folder

if __name__ == "__main__":
    network, _ = load_model_folder(Path(sys.argv[1]))
    getattr(network, "bort", network).save_parameters(sys.argv[2])
