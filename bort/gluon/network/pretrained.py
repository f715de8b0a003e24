"""`get_bort_model`: a model by name, with the interface of the original release."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Tuple, Union

import mxnet as mx

from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import load_parameters
from bort.storage.files import PathLike

PARAMETERS_FILE = "bort.params"
PARAMETERS_URL = "https://alexa-saif-bort.s3.amazonaws.com/bort.params"
RELEASED_MODEL = "bort_4_8_768_1024"
RELEASED_VOCABULARY = "openwebtext_ccnews_stories_books_cased"


def get_bort_model(
    model_name: Union[str, Architecture] = RELEASED_MODEL,
    dataset_name: str = RELEASED_VOCABULARY,
    vocab: Optional[Any] = None,
    pretrained: bool = True,
    ctx: Optional[mx.Context] = None,
    use_decoder: bool = True,
    use_pooler: bool = False,
    root: PathLike = "model",
    dropout: float = 0.1,
) -> Tuple[BortModel, Any]:
    """Return a model and its vocabulary.

    Args:
        model_name: a preset, `depth-heads-hidden-intermediate[-qkv][-pre]`, a JSON file, or an
            `Architecture`.
        dataset_name: name of the vocabulary, used if `vocab` is None.
        vocab: a vocabulary. Without pre-trained weights, its size replaces the architecture's.
        pretrained: whether to load `<root>/bort.params`, the authors' file, instead of random
            weights.
        ctx: the device; the CPU by default.
        use_decoder: whether to build the masked-token decoder.
        use_pooler: whether to build a pooler. Its weights are random, since the file has none.
        root: folder that holds `bort.params`.
        dropout: dropout probability in training, in [0, 1).

    Returns:
        (model, vocabulary).

    Raises:
        InputError: the name is unknown, `root` holds no file, or the file or vocabulary does not
            fit the architecture.
    """
    if isinstance(model_name, Architecture):
        architecture = model_name
    else:
        architecture = get_architecture(model_name)
    path = Path(root) / PARAMETERS_FILE
    if pretrained and not path.is_file():
        raise InputError(
            f"{path}: no such file; download it from {PARAMETERS_URL} to that place, "
            "or ask for random weights (pretrained=False)"
        )
    if vocab is None:
        from bort.text.vocabularies import load_vocabulary

        vocab = load_vocabulary(dataset_name)
    if pretrained and len(vocab) != architecture.vocabulary_size:
        raise InputError(
            f"the vocabulary has {len(vocab)} tokens, the pre-trained model "
            f"{architecture.vocabulary_size}"
        )
    architecture = architecture.replace(vocabulary_size=len(vocab))
    model = BortModel(architecture, dropout=dropout, use_decoder=use_decoder, use_pooler=use_pooler)
    if pretrained:
        if model.pooler is not None:
            model.pooler.initialize(mx.init.Normal(0.02), ctx=ctx)
        ignore = () if use_decoder else ("decoder.",)
        optional = ("pooler.",)
        load_parameters(model, path, context=ctx, ignore=ignore, optional=optional)
    else:
        model.initialize(ctx=ctx)
    return model, vocab
