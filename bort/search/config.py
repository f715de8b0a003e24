"""Every setting of an architecture search."""

from __future__ import annotations

import dataclasses
import math
from typing import List, Optional, Tuple

from bort.errors import InputError
from bort.search.space import PAPER_SPACE, SearchSpace, read_space
from bort.search.surrogates import Hyperparameters
from bort.settings.config import Config, part, setting
from bort.storage.files import read_json
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.text.masking_config import TokenMasks
from bort.training.objective import Objective

STRATEGIES = ("fptas", "exhaustive", "random")
ERRORS = ("cross_entropy", "kl", "chance")
LATENCIES = ("measured", "multiply_adds")


@dataclasses.dataclass(frozen=True)
class SearchConfig(Config):
    """Settings of one search; the defaults are those of arXiv 2010.10499 where it states one.

    From the paper: ε = 6, s = 3, one set of hyperparameters, cross-entropy, measured inference
    time. Assumptions of ours: batch size, number of held-out batches, repetitions, and the weights
    and temperature of the objective, which are those of pre-training.
    """

    strategy: str = setting("fptas", "which candidates are measured", choices=STRATEGIES)
    epsilon: int = setting(6, "interval size of the scheme: every n-th candidate", minimum=1)
    random_count: int = setting(50, "candidates that the random strategy draws", minimum=1)
    train_steps: int = setting(3, "s, steps that each candidate is trained", minimum=1)
    seeds: int = setting(1, "initial weights tried for each candidate", minimum=1)
    seed: int = setting(0, "seed of masks, order, initial weights and drawing", minimum=0)
    error: str = setting(
        "cross_entropy",
        "error surrogate on held-out text: cross_entropy with the teacher, kl (less the teacher's "
        "entropy), chance (kl as a share of that of guessing evenly)",
        choices=ERRORS,
    )
    held_out_batches: int = setting(4, "held-out batches that the error is taken on", minimum=1)
    batch_size: int = setting(8, "sequences a batch", minimum=1)
    objective: Objective = part(Objective)
    initializer_range: float = setting(
        0.02, "standard deviation of random initial weights; narrow models like more", above=0.0
    )
    masks: TokenMasks = part(TokenMasks)
    top_k: int = setting(
        0, "teacher's logits kept a position; 0 keeps all, which is exact", minimum=0
    )
    cache_dtype: str = setting(
        "float32", "of the teacher's kept logits", choices=("float32", "float16")
    )
    latency: str = setting(
        "measured", "inference time on this machine, or the exact polynomial", choices=LATENCIES
    )
    latency_length: int = setting(
        0, "tokens a sequence when inference is timed; 0: the longest of the data", minimum=0
    )
    latency_batch: int = setting(1, "sequences at a time when inference is timed", minimum=1)
    latency_repeats: int = setting(
        5, "timed runs at least, of which the median is taken", minimum=1
    )
    latency_engine: str = setting(
        "auto",
        "what runs the candidates when inference is timed; auto: the fastest installed, or on "
        "--resume that of the search",
        choices=("auto", "mxnet", "openvino", "onnxruntime"),
        formerly="mxnet",
    )
    latency_precision: str = setting(
        "fp32",
        "of the engine when inference is timed: fp32, or fast (bf16 or int8 where that is faster)",
        choices=("fp32", "fast"),
    )
    latency_threads: int = setting(
        0, "threads of the engine when inference is timed; 0: those of --threads", minimum=0
    )
    teacher_runtime: TeacherRuntime = part(TeacherRuntime)
    threads: int = setting(1, "threads of every process; start as many ranks as cores", minimum=1)

    def check(self) -> None:
        """Candidates are compared with their teacher, so they learn from it."""
        weight = self.objective.teacher_ce_weight
        if weight == 0:
            raise InputError(f"teacher_ce_weight is {weight!r}, allowed is more than 0.0")

    @property
    def trial_seeds(self) -> Tuple[int, ...]:
        """Seeds of initial weights."""
        return tuple(self.seed + number for number in range(self.seeds))


@dataclasses.dataclass(frozen=True)
class SearchPaths(Config):
    """What a search reads and writes."""

    data: str = setting(..., "folder of shards, or files of shards (globs, commas)")
    output_dir: str = setting(..., "folder of the search: results, ranking, best.json, figure")
    data_eval: Optional[str] = setting(
        None, "held-out shards; default: the validation split of --data"
    )
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: the one stored with the shards"
    )
    teacher: TeacherSource = part(
        TeacherSource,
        help={
            "teacher_model": "the maximum point T: a GluonNLP model or a model folder",
            "teacher_ckpt_dir": "weights of T: .params, or a folder that holds one; default: "
            "GluonNLP's cache",
            "teacher_random_seed": "use a T of random weights drawn from this seed (to try things "
            "out)",
        },
    )
    teacher_cache: Optional[str] = setting(
        None, "folder that keeps T's answers; default: teacher_answers in --output_dir"
    )
    space: Optional[str] = setting(
        None, "search space as JSON (depths, heads, hiddens, intermediates); default: the paper's"
    )
    depths: Optional[Tuple[int, ...]] = setting(None, "values of D, in place of the space's")
    heads: Optional[Tuple[int, ...]] = setting(None, "values of A, in place of the space's")
    hiddens: Optional[Tuple[int, ...]] = setting(None, "values of H, in place of the space's")
    intermediates: Optional[Tuple[int, ...]] = setting(None, "values of I, in place of the space's")
    even_depth: Optional[bool] = setting(None, "drop odd depths, in place of the space's choice")
    hyperparameters: Optional[str] = setting(
        None, "JSON list of sets of optimizer, lr, clip, warmup_ratio, weight_decay; default: one"
    )
    latency_cache: Optional[str] = setting(
        None, "file that keeps inference times; default: latencies.json in --output_dir"
    )
    resume: bool = setting(False, "continue the search in --output_dir")
    cpu_only: bool = setting(False, "do not use a GPU even if there is one")


def make_space(paths: SearchPaths, vocabulary_size: int, maximum_length: int) -> SearchSpace:
    """The search space that files and flags describe, for a vocabulary and a length.

    Raises:
        InputError: names the file or flag and the value.
    """
    base = PAPER_SPACE if paths.space is None else read_space(paths.space)
    values = base.as_dict()
    for name in ("depths", "heads", "hiddens", "intermediates", "even_depth"):
        given = getattr(paths, name)
        if given is not None:
            values[name] = given
    values.update(vocabulary_size=vocabulary_size, maximum_length=maximum_length)
    return SearchSpace.from_dict(values, paths.space or "search space")


def read_hyperparameters(path: Optional[str]) -> List[Hyperparameters]:
    """Θ from a JSON file, or the default of one set.

    Raises:
        InputError: names the file, the set and the field.
    """
    if path is None:
        return [Hyperparameters()]
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise InputError(f"{path}: holds no list of hyperparameter sets")
    sets = []
    for number, entry in enumerate(values):
        where = f"{path}: set {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{where} is {entry!r}, allowed is an object")
        try:
            sets.append(Hyperparameters.from_dict(entry, where))
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(where) else f"{where}: {text}") from error
    return sets


def error_from(kind: str, kl: float, entropy: float, vocabulary_size: int) -> float:
    """ê of one kind, from means over held-out masked positions at temperature 1.

    `cross_entropy`: −Σ t log s, as in arXiv 2010.10499, which is kl and the teacher's entropy
    −Σ t log t. `kl`: without the entropy, so that T itself would have 0. `chance`: kl divided by
    that of an even guess, ln V − entropy: 0 is T, 1 is guessing. The last two rank alike; against
    the first they rank otherwise, because 1/e is not invariant to a shift.

    Args:
        kind: one of `ERRORS`.
        kl: Σ t (log t − log s), nats a position.
        entropy: of the teacher, nats a position.
        vocabulary_size: V.

    >>> error_from("chance", 1.0, 2.0, 55)
    0.498...
    """
    if kind == "cross_entropy":
        return kl + entropy
    if kind == "kl":
        return kl
    guessing = math.log(vocabulary_size) - entropy
    if guessing <= 0:
        raise InputError(
            f"error is {kind!r}, but the teacher itself guesses evenly (entropy {entropy:.4f} nats)"
        )
    return kl / guessing
