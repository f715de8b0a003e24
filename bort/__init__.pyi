"""Types of the public names, which the package imports on first use."""

from bort.architecture import PRESETS as PRESETS
from bort.architecture import Architecture as Architecture
from bort.architecture import get_architecture as get_architecture
from bort.command.functions import CommandFunction
from bort.gluon.network.classifier import BortClassifier as BortClassifier
from bort.gluon.network.model import BortModel as BortModel
from bort.gluon.network.pretrained import get_bort_model as get_bort_model
from bort.gluon.network.span_model import BortSpanModel as BortSpanModel
from bort.inference.predictor import Predictor as Predictor

TYPE_CHECKING: bool
__version__: str
__all__: list[str]

benchmark_inference: CommandFunction
cache_teacher_answers: CommandFunction
describe_task: CommandFunction
download_tasks: CommandFunction
evaluate: CommandFunction
evaluate_architectures: CommandFunction
export_model: CommandFunction
extract_model: CommandFunction
extract_wikipedia: CommandFunction
finetune: CommandFunction
generate_english: CommandFunction
generate_tasks: CommandFunction
import_model: CommandFunction
make_small_model: CommandFunction
make_submission: CommandFunction
measure_latency: CommandFunction
prepare_corpus: CommandFunction
prepare_self_test: CommandFunction
pretrain: CommandFunction
run_agora: CommandFunction
run_demo: CommandFunction
run_grid: CommandFunction
search_architecture: CommandFunction
train_large_then_compress: CommandFunction
train_super_network: CommandFunction
train_vocabulary: CommandFunction
