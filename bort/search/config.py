"""Settings of an architecture search."""

from __future__ import annotations

import dataclasses
import math
from typing import List, Optional, Tuple

from bort.architecture import NORMS
from bort.errors import InputError
from bort.process.threads import check_thread_count
from bort.search.space import PAPER_SPACE, SearchSpace, read_space
from bort.search.surrogates import Hyperparameters
from bort.settings.config import Config, part, setting
from bort.storage.files import read_json
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.text.masking_config import TokenMasks
from bort.training.importance_config import ImportanceConfig
from bort.training.objective import Objective

STRATEGIES = ("fptas", "exhaustive", "random")
UNDER_A_LIMIT = ("fast", "evolved", "prior")
"""Strategies that need a limit."""

ERRORS = ("cross_entropy", "kl", "chance")
SUPER_NETWORK, FINETUNED = "super_network", "finetuned"
"""Errors of the sub-networks of a super-network, which need a limit."""

LATENCIES = ("measured", "multiply_adds")


@dataclasses.dataclass(frozen=True)
class SearchConfig(Config):
    """Settings of one search; the defaults follow arXiv 2010.10499 where it states a value.

    The paper states ε = 6, s = 3, one set of hyperparameters, cross-entropy and measured inference
    time. Our assumptions are the batch size, the number of held-out batches, the repetitions, and
    the weights and temperature of the objective, which are those of pre-training.
    """

    strategy: str = setting(
        "fptas",
        "strategy that chooses the candidates; under a limit also fast, evolved and prior, and the "
        "default is evolved",
        choices=(*STRATEGIES, *UNDER_A_LIMIT),
    )
    epsilon: int = setting(
        6, "interval of fptas: it measures every epsilon-th candidate by size", minimum=1
    )
    random_count: int = setting(
        50, "number of candidates that random draws", minimum=1, maximum=1_000_000
    )
    train_steps: int = setting(
        3, "training steps of each candidate (s in the paper)", minimum=1, maximum=10**9
    )
    seeds: int = setting(
        1, "number of seeds of initial weights for each candidate", minimum=1, maximum=10_000
    )
    seed: int = setting(
        0,
        "seed of the masks, the batch order, the initial weights and the random strategy",
        minimum=0,
    )
    error: str = setting(
        "cross_entropy",
        "error surrogate on held-out text: cross_entropy with the teacher, kl (cross_entropy minus "
        "the teacher's entropy), chance (kl divided by the kl of a uniform guess); with "
        "--super_network: super_network (the loss or 1 - metric of the sub-network itself, the "
        "default) or finetuned (1 - metric after fine-tuning on --tasks)",
        choices=(*ERRORS, SUPER_NETWORK, FINETUNED),
    )
    held_out_batches: int = setting(
        4, "number of held-out batches for the error", minimum=1, maximum=1_000_000
    )
    batch_size: int = setting(8, "sequences per batch", minimum=1, maximum=1 << 16)
    objective: Objective = part(Objective)
    initializer_range: float = setting(
        0.02,
        "standard deviation of random initial weights; narrow models train better with more",
        above=0.0,
    )
    ranking: ImportanceConfig = part(ImportanceConfig)
    masks: TokenMasks = part(TokenMasks)
    top_k: int = setting(
        0, "teacher logits cached per position; 0 keeps all of them, which is exact", minimum=0
    )
    cache_dtype: str = setting(
        "float32", "data type of the cached teacher logits", choices=("float32", "float16")
    )
    latency: str = setting(
        "measured",
        "latency of a candidate: inference time measured on this machine, or the exact count of "
        "multiply-adds",
        choices=LATENCIES,
    )
    latency_length: int = setting(
        0,
        "tokens per sequence in the timing; 0: the longest example of the data",
        minimum=0,
        maximum=1 << 15,
    )
    latency_batch: int = setting(1, "sequences per batch in the timing", minimum=1, maximum=1 << 16)
    latency_repeats: int = setting(
        5, "minimum number of timed runs; the latency is their median", minimum=1, maximum=1_000_000
    )
    latency_engine: str = setting(
        "auto",
        "engine that runs the candidates in the timing; auto: the fastest installed engine, or on "
        "--resume the engine of the search",
        choices=("auto", "mxnet", "openvino", "onnxruntime"),
        formerly="mxnet",
    )
    latency_precision: str = setting(
        "fp32",
        "precision of the engine in the timing: fp32, bf16, int8, or fast (bf16 or int8 where that "
        "is faster)",
        choices=("fp32", "fast", "bf16", "int8"),
    )
    latency_threads: int = setting(
        0, "threads of the engine in the timing; 0: the value of --threads", minimum=0
    )
    teacher_runtime: TeacherRuntime = part(TeacherRuntime)
    threads: int = setting(1, "threads per process; start as many ranks as cores", minimum=1)

    def check(self) -> None:
        """Check that candidates learn from the teacher that they are compared with."""
        weight = self.objective.teacher_ce_weight
        if weight == 0:
            raise InputError(f"teacher_ce_weight is {weight!r}, allowed is more than 0.0")
        check_thread_count("threads", self.threads)
        check_thread_count("latency_threads", self.latency_threads)

    @property
    def trial_seeds(self) -> Tuple[int, ...]:
        """The seeds of the initial weights."""
        return tuple(self.seed + number for number in range(self.seeds))


@dataclasses.dataclass(frozen=True)
class SearchPaths(Config):
    """Paths and inputs of a search."""

    output_dir: str = setting(..., "folder of the search: results, ranking, best.json, figure")
    data: Optional[str] = setting(
        None,
        "folder of shards, or shard files (globs, separated by commas); only a super-network of a "
        "task needs none",
    )
    data_eval: Optional[str] = setting(
        None, "held-out shards; default: the validation split of --data"
    )
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: the one stored with the shards"
    )
    teacher: TeacherSource = part(
        TeacherSource,
        help={
            "teacher_model": "the teacher (maximum point T): a GluonNLP model or a model folder",
            "teacher_ckpt_dir": "weights of the teacher: a .params file, or a folder with one; "
            "default: GluonNLP's cache",
            "teacher_random_seed": "use a teacher with random weights from this seed (for trying "
            "things out)",
        },
    )
    initialise_from: Optional[str] = setting(
        None,
        "start each candidate with a slice of the weights of the teacher (teacher) or of another "
        "model folder or Hugging Face folder with the same vocabulary; default: random weights",
    )
    teacher_cache: Optional[str] = setting(
        None, "folder of the teacher's answers; default: teacher_answers in --output_dir"
    )
    space: Optional[str] = setting(
        None,
        "JSON file of the search space (depths, heads, hiddens, intermediates); default: the "
        "paper's space",
    )
    depths: Optional[Tuple[int, ...]] = setting(None, "values of D; override --space")
    heads: Optional[Tuple[int, ...]] = setting(None, "values of A; override --space")
    hiddens: Optional[Tuple[int, ...]] = setting(None, "values of H; override --space")
    intermediates: Optional[Tuple[int, ...]] = setting(None, "values of I; override --space")
    even_depth: Optional[bool] = setting(None, "drop odd depths; overrides --space")
    norm: Optional[str] = setting(
        None, "place of the layer norms: post or pre; overrides --space", choices=NORMS
    )
    hyperparameters: Optional[str] = setting(
        None,
        "JSON file with a list of hyperparameter sets (optimizer, lr, clip, warmup_ratio, "
        "weight_decay); default: one set",
    )
    latency_cache: Optional[str] = setting(
        None, "file of measured inference times; default: latencies.json in --output_dir"
    )
    resume: bool = setting(False, "continue the search in --output_dir; without a result, begin")
    cpu_only: bool = setting(False, "use the CPU even if there is a GPU")


def make_space(paths: SearchPaths, vocabulary_size: int, maximum_length: int) -> SearchSpace:
    """Return the search space that the space file and the flags describe.

    Args:
        paths: the space file and the flags that override it.
        vocabulary_size: V of every candidate.
        maximum_length: S of every candidate, in tokens.

    Raises:
        InputError: names the file or flag and the value.
    """
    base = PAPER_SPACE if paths.space is None else read_space(paths.space)
    values = base.as_dict()
    for name in ("depths", "heads", "hiddens", "intermediates", "even_depth", "norm"):
        given = getattr(paths, name)
        if given is not None:
            values[name] = given
    values.update(vocabulary_size=vocabulary_size, maximum_length=maximum_length)
    return SearchSpace.from_dict(values, paths.space or "search space")


def read_hyperparameters(path: Optional[str]) -> List[Hyperparameters]:
    """Read Θ from a JSON file; without a file, return one set of defaults.

    Raises:
        InputError: names the file, the set and the field.
    """
    if path is None:
        return [Hyperparameters()]
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise InputError(f"{path}: is not a list of hyperparameter sets")
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
    """Return the error surrogate ê of one kind.

    With t the teacher's and s the candidate's probabilities, and means over the held-out masked
    positions at temperature 1:

    - `cross_entropy`: −Σ t log s, as in arXiv 2010.10499. It is kl plus the teacher's entropy
      −Σ t log t.
    - `kl`: cross-entropy minus the entropy; 0 for T itself.
    - `chance`: kl divided by the kl of a uniform guess, ln V − entropy; 0 for T, 1 for guessing.

    `kl` and `chance` give the same ranking. `cross_entropy` can give another one, because 1/e is
    not invariant to a shift of e.

    Args:
        kind: one of `ERRORS`.
        kl: Σ t (log t − log s), in nats per position.
        entropy: entropy of the teacher, in nats per position.
        vocabulary_size: V.

    Raises:
        InputError: for `chance` when the teacher's distribution is uniform.

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
            f"error is {kind!r}, but the teacher's own guess is uniform (entropy {entropy:.4f} "
            "nats)"
        )
    return kl / guessing
