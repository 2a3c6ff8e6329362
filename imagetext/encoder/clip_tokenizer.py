"""CLIP's tokenizer for folders that come without one: the vocabulary that the package open_clip_torch carries."""

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imagetext.errors import ModelError

PACKAGE = "open_clip"
FILE = "bpe_simple_vocab_16e6.txt.gz"
WORDS = 49_408
ENDS = ["<|startoftext|>", "<|endoftext|>"]
SINGLE = 256  # symbols for bytes, each within a word and at its end


def packaged_tokenizer(name: str = PACKAGE) -> Any:
    """The byte-pair encoding of all of OpenAI's CLIP models (Radford et al., 2021, section 2.4).

    Raises:
        ModelError: the package is missing or holds another vocabulary.
    """
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    # Only its file is read: importing it would need torchvision and timm, which nothing here does.
    package = find_spec(name)
    if package is None or package.origin is None:
        raise ModelError(
            "The model has no tokenizer. Copy vocab.json, merges.txt and tokenizer_config.json of "
            "openai/clip-vit-base-patch16 into its folder, or install the vocabulary: "
            "pip install --no-deps open_clip_torch"
        )
    try:
        with gzip.open(Path(package.origin).with_name(FILE), "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1:]  # the first line is the version
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ModelError(f"The package open_clip_torch holds no readable {FILE}.") from error
    merges = [tuple(line.split()) for line in lines[: WORDS - 2 * SINGLE - len(ENDS)]]
    symbols = list(bytes_to_unicode().values())
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *("".join(pair) for pair in merges), *ENDS]
    if len(set(words)) != WORDS:
        raise ModelError("The vocabulary in the package open_clip_torch is not that of CLIP.")
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=merges)
