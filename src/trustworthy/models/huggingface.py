"""Folders of Hugging Face models: classifiers of images, and of texts from their embeddings on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.core.extras import required
from trustworthy.models.door import check_trusted
from trustworthy.models.reads_texts import as_texts
from trustworthy.nn import Normalize


class ImageClassifier(nn.Module):
    """Images (n, channels, h, w) in [0, 1] to logits: the folder's resizing and normalisation are layers.

    size : (h, w) that images are resized to, bilinear; None leaves them as they are.
    """

    def __init__(self, network: nn.Module, normalize: nn.Module, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.network, self.normalize, self.size = network, normalize, size
        self.eval()

    def forward(self, x: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n classes"]:
        if self.size is not None and tuple(x.shape[-2:]) != self.size:
            x = nn.functional.interpolate(x, self.size, mode="bilinear", antialias=True)
        return self.network(pixel_values=self.normalize(x)).logits


class TextClassifier(nn.Module):
    """Embeddings of tokens (n, tokens, width) to logits; a token whose embedding is zero is padding.

    So an attack may move the embeddings of words and must leave padding at zero: `free=embeddings != 0`.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        super().__init__()
        self.network, self.tokenizer = network, tokenizer
        self.eval()

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Float[Tensor, "n tokens width"]:
        """Embeddings of the tokens of some texts, cut where the model ends, filled up with zeros."""
        tokens = self._tokens(texts)
        return self.network.get_input_embeddings()(tokens.input_ids) * tokens.attention_mask[..., None]

    def words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text, in their order, as its tokenizer parts them, marks of punctuation among them."""
        tokens = self._tokens(texts)
        return [
            [text[slice(*tokens.word_to_chars(row, word))].strip() for word in words]
            for row, (text, words) in enumerate(zip(texts, self._words(tokens), strict=True))
        ]

    def word_groups(self, texts: Sequence[str]) -> Int[Tensor, "n tokens"]:
        """For each token the word of `words_of` that it is a piece of, counted from 0; -1 for marks and padding."""
        tokens = self._tokens(texts)
        groups = [
            [words.get(word, -1) for word in tokens.word_ids(row)] for row, words in enumerate(self._words(tokens))
        ]
        return torch.tensor(groups, device=self.network.device)

    def _tokens(self, texts: Sequence[str]) -> Any:
        return self.tokenizer(as_texts(texts), padding=True, truncation=True, return_tensors="pt").to(
            self.network.device
        )

    def _words(self, tokens: Any) -> list[dict[int | None, int]]:
        """For each text the numbers that its tokenizer gives to words, counted anew from 0."""
        if not tokens.is_fast:
            raise InvalidInput(
                f"{type(self.tokenizer).__name__} does not say which tokens are pieces of one word; save the folder "
                "with the fast tokenizer of the model (tokenizer.json)."
            )
        known = [dict.fromkeys(tokens.word_ids(row)) for row in range(len(tokens.input_ids))]
        return [{word: place for place, word in enumerate(w for w in words if w is not None)} for words in known]

    def forward(self, embeddings: Float[Tensor, "n tokens width"]) -> Float[Tensor, "n classes"]:
        mask = (embeddings != 0).any(-1).long()
        return self.network(inputs_embeds=embeddings, attention_mask=mask).logits


def load_folder(path: Path, *, trust: bool) -> tuple[nn.Module, list[str] | None, list[str]]:
    """The classifier in a folder, the names of its classes where it has any, and notes.

    Raises
    ------
    DataError : no folder of a model.
    InvalidInput : another task than classification; its own code, without `trust`; transformers is missing.
    """
    config = _json(path / "config.json")
    if config is None:
        raise DataError(
            f"{path} must be a folder of a Hugging Face model, with config.json, or of save_posterior, with "
            "model.json, and has neither; write one with model.save_pretrained(folder), or name a file in it."
        )
    made_for = " ".join(config.get("architectures") or [])
    task = next((task for task in _TASKS if made_for.endswith(task)), None)
    if task is None:
        raise InvalidInput(
            f"{path} must hold a classifier of images or texts (an architecture that ends in {' or '.join(_TASKS)}), "
            f"and holds {made_for or 'none that config.json names'}; give a function that builds the model, "
            "package.module:factory."
        )
    if "auto_map" in config:
        check_trusted(path, "a model with code of its own", trust)
    transformers = required("transformers", f"reading the folder {path}")
    try:
        with _silenced(transformers.utils.logging):
            network, report = getattr(transformers, f"AutoModel{task}").from_pretrained(
                path, local_files_only=True, trust_remote_code=trust, output_loading_info=True
            )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0]
        raise DataError(f"transformers {transformers.__version__} cannot read the folder {path}: {said}") from error
    if report["missing_keys"]:
        raise DataError(
            f"{path} lacks the weights {', '.join(sorted(report['missing_keys']))}, which would be random; write the "
            "folder again from the trained classifier with save_pretrained."
        )
    model, notes = _TASKS[task](path, network, transformers)
    named = dict(sorted((int(index), str(name)) for index, name in network.config.id2label.items()))
    is_numbered = all(name == f"LABEL_{index}" for index, name in named.items())  # what transformers makes up
    return model, None if is_numbered else list(named.values()), notes


@contextmanager
def _silenced(logging: Any) -> Iterator[None]:
    """Without the progress bar and the remarks of transformers: missing weights are an error here."""
    shows, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shows:
            logging.enable_progress_bar()


def _images(path: Path, network: nn.Module, transformers: Any) -> tuple[nn.Module, list[str]]:
    given = _json(path / "preprocessor_config.json")
    if given is None:
        note = "the folder has no preprocessor_config.json: images in [0, 1] reach the network as they are"
        return ImageClassifier(network, nn.Identity(), None), [note]
    sizes = given.get("size") if given.get("do_resize") else None
    size = (sizes["height"], sizes["width"]) if isinstance(sizes, dict) and "height" in sizes else None
    notes = [f"images of another size are resized to {size[0]}x{size[1]} inside the model"] if size else []
    return ImageClassifier(network, _normalization(given), size), notes


def _normalization(given: dict[str, Any]) -> nn.Module:
    """(255 factor x - offset - mean) / std as one layer, which is what the folder does to a pixel 255 x."""
    scale = 255 * given.get("rescale_factor", 1 / 255) if given.get("do_rescale", True) else 255.0
    offset = 1.0 if given.get("rescale_offset") else 0.0
    normalizes = given.get("do_normalize", True) and "image_mean" in given
    mean, std = (given["image_mean"], given["image_std"]) if normalizes else ([0.0], [1.0])
    return Normalize([(value + offset) / scale for value in mean], [value / scale for value in std])


def _texts(path: Path, network: nn.Module, transformers: Any) -> tuple[nn.Module, list[str]]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    return TextClassifier(network, tokenizer), [
        "texts are attacked at the embeddings of their tokens, padding excepted"
    ]


_TASKS = {"ForImageClassification": _images, "ForSequenceClassification": _texts}


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); write the folder again with save_pretrained.") from error
