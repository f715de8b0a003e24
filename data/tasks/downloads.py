"""Downloads of the official files of GLUE, SuperGLUE, RACE and SQuAD.

The sizes and SHA-256 hashes are those that two public catalogues of data sets (TensorFlow Datasets
and Hugging Face Datasets) record for these addresses.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from bort.downloads.archives import extract
from bort.downloads.https import RemoteFile, fetch
from bort.errors import InputError, WorkError
from bort.storage.files import (
    atomic_write,
    move_files_into,
    move_into_place,
    temporary_folder,
)
from bort.storage.text_lines import read_lines
from bort.tasks.records import TaskRecord
from data.tasks.files import cache_folder

log = logging.getLogger(__name__)

DOWNLOADS_FOLDER = "downloads"
_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_GLUE = _FACEBOOK + "glue/data/"
_SUPERGLUE = _FACEBOOK + "glue/superglue/data/v2/"
_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset/"
_SENTEVAL = _FACEBOOK + "senteval/senteval_data/"


@dataclass(frozen=True)
class TaskSource:
    """The source of a task's data.

    Attributes:
        files: the files to download.
        build: a function of the record, the downloaded files and an empty folder; it writes the
            task's official files into that folder.
    """

    files: Tuple[RemoteFile, ...]
    build: Callable[[TaskRecord, Sequence[Path], Path], None]


def download_task(
    record: TaskRecord,
    data_dir: Optional[Path] = None,
    *,
    sources: Optional[Mapping[str, TaskSource]] = None,
    local_server: str = "",
    offline: bool = False,
    keep_archives: bool = False,
) -> Tuple[Path, bool]:
    """Download and unpack a task's official files, unless they exist.

    The archives are stored in the folder `downloads` next to the task folders. An archive that the
    user has put there is used after the same checks. The task's files appear when all of them are
    unpacked.

    Args:
        record: the task.
        data_dir: the root of the official layout; by default GluonNLP's cache folders.
        sources: name of a task → its source; by default `TASK_SOURCES`.
        local_server: for tests; see `bort.downloads.https.fetch`.
        offline: do not use the network.
        keep_archives: keep the archives in `downloads`.

    Returns:
        The task's folder, and whether its files were written.

    Raises:
        InputError: see `bort.downloads.https.fetch` and `bort.downloads.archives.extract`.
        WorkError: no network; a damaged download; the archive lacks an official file.
    """
    root = cache_folder() if data_dir is None else data_dir.expanduser()
    folder = task_folder(record, data_dir)
    wanted = official_files(record)
    if all((folder / name).exists() for name in wanted):
        return folder, False
    source = (TASK_SOURCES if sources is None else sources)[record.name]
    downloads = root / DOWNLOADS_FOLDER
    fetched = [
        fetch(remote, downloads, local_server=local_server, offline=offline)
        for remote in source.files
    ]
    with temporary_folder(folder) as building:
        source.build(record, fetched, building)
        missing = [name for name in wanted if not (building / name).exists()]
        if missing:
            names = ", ".join(str(path) for path in fetched)
            raise WorkError(f"{names}: does not hold {', '.join(missing)} of {record.name}")
        _move(building, folder)
    if not keep_archives:
        for path in fetched:
            path.unlink()
    return folder, True


def task_folder(record: TaskRecord, data_dir: Optional[Path] = None) -> Path:
    """Return the folder for a task's files.

    It is `<data_dir>/<suite>/<task>`, for RACE and SQuAD `<data_dir>/<suite>`, and without
    `data_dir` GluonNLP's cache folder of the task.
    """
    if data_dir is None:
        return cache_folder() / record.cache_folder
    root = data_dir.expanduser()
    if record.folder == record.suite:
        return root / record.folder
    return root / record.suite / record.folder


def official_files(record: TaskRecord) -> List[str]:
    """Return the names of a task's public files (RACE: folders) in its folder."""
    return [split.files[0] for split in record.splits if split.is_public]


def _unpack(record: TaskRecord, fetched: Sequence[Path], folder: Path) -> None:
    """Extract the official files from an archive whose top folder is named after the task.

    For RACE these are the files of both levels.
    """
    tops = {name.split("/")[0] for name in official_files(record)}

    def rename(name: str) -> Optional[str]:
        parts = PurePosixPath(name).parts
        if parts and parts[0] == ".":
            parts = parts[1:]
        if len(parts) < 2 or parts[0] != record.folder or parts[1] not in tops:
            return None
        return str(PurePosixPath(*parts[1:]))

    extract(fetched[0], folder, rename)


def _copy(record: TaskRecord, fetched: Sequence[Path], folder: Path) -> None:
    for file, name in zip(fetched, official_files(record)):
        shutil.copyfile(file, folder / name)


def _build_mrpc(record: TaskRecord, fetched: Sequence[Path], folder: Path) -> None:
    """Make GLUE's train, dev and test files from the corpus and the list of dev pairs."""
    train, test, dev_ids = fetched
    wanted = {line.text for line in read_lines(dev_ids)}
    head = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    parts: Dict[str, List[str]] = {
        "train.tsv": [head],
        "dev.tsv": [head],
        "test.tsv": ["index\t#1 ID\t#2 ID\t#1 String\t#2 String"],
    }
    for fields in _paraphrases(train):
        name = "dev.tsv" if f"{fields[1]}\t{fields[2]}" in wanted else "train.tsv"
        parts[name].append("\t".join(fields))
    if len(parts["dev.tsv"]) - 1 != len(wanted):
        raise InputError(
            f"{train}: holds {len(parts['dev.tsv']) - 1} of the {len(wanted)} pairs of {dev_ids}"
        )
    for number, fields in enumerate(_paraphrases(test)):
        parts["test.tsv"].append("\t".join([str(number), *fields[1:]]))
    for name, lines in parts.items():
        with atomic_write(folder / name) as stream:
            stream.write("".join(line + "\n" for line in lines).encode("utf-8"))


def _paraphrases(path: Path) -> List[List[str]]:
    rows = []
    for line in read_lines(path)[1:]:
        fields = line.text.split("\t")
        if len(fields) != 5:
            raise InputError(f"{path} line {line.number}: has {len(fields)} fields, allowed are 5")
        rows.append(fields)
    return rows


def _move(building: Path, folder: Path) -> None:
    """Move the built folder to its place, entry by entry if that folder exists."""
    try:
        if folder.exists():
            move_files_into(building, folder)
        else:
            move_into_place(building, folder)
    except OSError as error:
        raise WorkError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _archive(url: str, size: int, sha256: str) -> TaskSource:
    return TaskSource((RemoteFile(url, size, sha256),), _unpack)


_RACE_ARCHIVE = _archive(
    "https://www.cs.cmu.edu/~glai1/data/race/RACE.tar.gz",
    25443609,
    "b2769cc9fdc5c546a693300eb9a966cec6870bd349fbc44ed5225f8ad33006e5",
)

TASK_SOURCES: Mapping[str, TaskSource] = {
    "CoLA": _archive(_GLUE + "CoLA.zip", 376971,
                     "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff"),
    "SST-2": _archive(_GLUE + "SST-2.zip", 7439277,
                      "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa"),
    "MRPC": TaskSource(
        (
            RemoteFile(_SENTEVAL + "msr_paraphrase_train.txt", 1047044,
                       "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89"),
            RemoteFile(_SENTEVAL + "msr_paraphrase_test.txt", 441275,
                       "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784"),
            RemoteFile(_GLUE + "mrpc_dev_ids.tsv", 6222,
                       "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7"),
        ),
        _build_mrpc,
    ),
    "STS-B": _archive(_GLUE + "STS-B.zip", 802872,
                      "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85"),
    "QQP": _archive(_GLUE + "QQP-clean.zip", 41696084,
                    "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0"),
    "MNLI": _archive(_GLUE + "MNLI.zip", 312783507,
                     "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633"),
    "QNLI": _archive(_GLUE + "QNLIv2.zip", 10627589,
                     "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5"),
    "RTE": _archive(_GLUE + "RTE.zip", 697150,
                    "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee"),
    "WNLI": _archive(_GLUE + "WNLI.zip", 28999,
                     "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46"),
    "AX": TaskSource(
        (RemoteFile(_GLUE + "AX.tsv", 222257,
                    "0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd"),),
        _copy,
    ),
    "BoolQ": _archive(_SUPERGLUE + "BoolQ.zip", 4118001,
                      "853fbe7922f70c59629f06a39e8d9ca440c3d740e760fd3b87a5ddf3dcba2436"),
    "CB": _archive(_SUPERGLUE + "CB.zip", 75482,
                   "8d641383298d54554066ba1c93f56ae7410af75df621b90c63028806bbbbb535"),
    "COPA": _archive(_SUPERGLUE + "COPA.zip", 43986,
                     "405906cddac74bc1e1ce8220f1107d1025b66a25ef10149d91b10bb30651125f"),
    "MultiRC": _archive(_SUPERGLUE + "MultiRC.zip", 1116225,
                        "b3cd440856e72eb166b2edcd37b798455f1ebd51f2c3de64c0c2a4e1971d2737"),
    "ReCoRD": _archive(_SUPERGLUE + "ReCoRD.zip", 51757880,
                       "30c7b651ab21b8bf8fab986495cd1084333010e040548f861b839eec0044ac18"),
    "SuperGLUE-RTE": _archive(_SUPERGLUE + "RTE.zip", 750920,
                              "6310aab3f000424c9d0318a1ff20692e07c7f4aa15e8f17a5972ea0a35c398b9"),
    "WiC": _archive(_SUPERGLUE + "WiC.zip", 396213,
                    "ee7e67f4ae9eafbf533780faa198e62167f3cda54256cdf261877be3c0e90900"),
    "WSC": _archive(_SUPERGLUE + "WSC.zip", 32751,
                    "2ed6dfa94556b4a128ff0441efe365b2e883124e7e6aa00fb8d3a6cb1fd520a9"),
    "AX-b": _archive(_SUPERGLUE + "AX-b.zip", 33950,
                     "43b45c55a273575c58a33cd68f10a971f83daa3aa223bfbc4077b92fbdf960b3"),
    "AX-g": _archive(_SUPERGLUE + "AX-g.zip", 10413,
                     "2d4e00d3a7d23d2c3787ee4c1382cc81a72cb05a76fc9d78d142949247ed61b9"),
    "RACE-H": _RACE_ARCHIVE,
    "RACE-M": _RACE_ARCHIVE,
    "SQuAD1.1": TaskSource(
        (
            RemoteFile(_SQUAD + "train-v1.1.json", 30288272,
                       "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
            RemoteFile(_SQUAD + "dev-v1.1.json", 4854279,
                       "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
        ),
        _copy,
    ),
    "SQuAD2.0": TaskSource(
        (
            RemoteFile(_SQUAD + "train-v2.0.json", 42123633,
                       "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002"),
            RemoteFile(_SQUAD + "dev-v2.0.json", 4370528,
                       "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8"),
        ),
        _copy,
    ),
}  # fmt: skip
