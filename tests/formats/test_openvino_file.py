"""Tests of OpenVINO's files that need no comparison of outputs."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from bort.errors import WorkError
from bort.formats.openvino_file import write_openvino
from tests.formats.parity import BORT, make_network

pytestmark = pytest.mark.parity("onnx", "openvino")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    network = make_network(BORT.replace(depth=1, vocabulary_size=3000), decoder=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(WorkError, match=r"openvino\.xml: cannot be written .is the disk full"):
            write_openvino(tmp_path, network, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, former)
