"""Pictures to sentences, one at a time, in one process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from numpy.typing import NDArray

from bench.rivals.generated_captions import GeneratedCaptions
from bench.rivals.gru_captions import PlainCaptioner
from bench.rounds import milliseconds
from bench.row import Contest, Floor, Missing
from bench.rows.pictures import opened
from bench.setting import Setting
from imagetext.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.captioner.programs import Saying, Seeing, programs

GRU, VIT_BERT = Path("models/caption-gru"), Path("models/caption-vit-bert")
FULL_SIZE = "vit-bert-base"
BEAMS, WORDS = 3, 20
FIXED_TOKENS = 16
PICTURES = 6

Caption = Callable[[NDArray[Any]], str]


@contextmanager
def compact_captions(setting: Setting, folder: Path) -> Iterator[Contest]:
    """A compact captioner by its folder. Raises Missing where there is none."""
    captioner = loaded(setting, folder)
    yield contest(setting, captioner, folder.name, plain(captioner, WORDS), WORDS)


@contextmanager
def full_size_captions(setting: Setting) -> Iterator[Contest]:
    """ViT-B and BERT-base with random weights; no sentence ends before its last token."""
    captioner = loaded(setting, full_size_folder(setting))
    rival = GeneratedCaptions(captioner, BEAMS, FIXED_TOKENS, exactly=True)
    yield contest(setting, captioner, FULL_SIZE, rival, FIXED_TOKENS, setting.sized(2, 1), FIXED_TOKENS)


def contest(
    setting: Setting,
    captioner: Captioner,
    name: str,
    rival: Caption,
    words: int,
    pictures: int = PICTURES,
    steps: float | None = None,
) -> Contest:
    """Each turn captions the same pictures, one after the other: milliseconds for one.

    `steps` counts the steps of a search; where it is left out they are counted from the sentences.
    """
    options = DecodingOptions(num_beams=BEAMS, max_new_tokens=words)
    inputs = [captioner.prepare(picture) for picture in opened(setting, pictures)]

    def ours(picture: NDArray[Any]) -> str:
        return captioner.caption([picture], options)[0][0].text

    found, expected = [ours(picture) for picture in inputs], [rival(picture) for picture in inputs]
    equal = sum(mine == theirs for mine, theirs in zip(found, expected, strict=True)) / len(inputs)
    return Contest(
        ours=lambda: _each(ours, inputs, setting.turn_s),
        rival=lambda: _each(rival, inputs, setting.turn_s),
        floor=lambda: _floor(setting, captioner, name, inputs[0], steps or _steps(captioner, inputs, options)),
        engine=setting.chosen(name),
        details=lambda: {"equal_sentences": equal, "pictures": len(inputs), "first": [found[0], expected[0]]},
    )


def loaded(setting: Setting, folder: Path) -> Captioner:
    """Raises Missing where there is no such folder."""
    if not folder.is_dir():
        raise Missing(f"{folder} is not there")
    return load_captioner(folder, setting.engines(folder.name))


def plain(captioner: Captioner, words: int) -> Caption:
    """The rival of a captioner, on its modules."""
    kind = PlainCaptioner if captioner.decoder.architecture == "gru-attention" else GeneratedCaptions
    return kind(captioner, BEAMS, words)


def full_size_folder(setting: Setting) -> Path:
    """A vision-encoder-decoder folder with random weights, of the sizes of ViT-B/16 and BERT-base; written once."""
    from transformers import (
        BertConfig,
        BertLMHeadModel,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTModel,
    )

    folder = setting.folder(f"models/{FULL_SIZE}")
    if (folder / "written").exists():
        return folder
    torch.manual_seed(0)
    vit, bert = ViTConfig(), BertConfig(is_decoder=True, add_cross_attention=True)
    decoder = BertLMHeadModel(bert)
    end = 102  # of bert-base-uncased's words
    for bias in (decoder.cls.predictions.bias, decoder.cls.predictions.decoder.bias):
        bias.data[end] = -1e4  # no sentence ends early
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, bert)
    VisionEncoderDecoderModel(config, encoder=ViTModel(vit), decoder=decoder).save_pretrained(folder)
    (folder / "written").touch()
    return folder


def _each(caption: Caption, inputs: Sequence[NDArray[Any]], seconds: float) -> float:
    return milliseconds(lambda: [caption(picture) for picture in inputs], seconds, least=1) / len(inputs)


def _steps(captioner: Captioner, inputs: Sequence[NDArray[Any]], options: DecodingOptions) -> float:
    """How many steps a search takes at the least: one for each token of the best sentence, its end included."""
    found = [captioner.caption([picture], options)[0][0].words for picture in inputs]
    return mean(min(len(words) + 1, options.max_new_tokens) for words in found)


def _floor(setting: Setting, captioner: Captioner, name: str, picture: NDArray[Any], steps: float) -> Floor:
    """The bare networks in their engines, one pass to see and one for each token, with no search around them."""
    decoder = captioner.decoder
    seeing = Seeing(captioner.transform, captioner.backbone, decoder)
    saying = Saying(decoder, decoder.memory_tensors, decoder.words, captioner.vocabulary.banned)
    see, say = programs(seeing.eval(), saying.eval(), captioner.transform.size)
    engines = setting.engines(name)
    run_see, run_say = (engines.run(program, captioner.fingerprint) for program in (see, say))
    seen = milliseconds(lambda: run_see(picture[None]), setting.turn_s)
    said = milliseconds(lambda: run_say(*say.inputs), setting.turn_s)
    return Floor(seen + steps * said, f"the bare networks: {seen:.3g} ms to see, {steps:.3g} steps of {said:.3g} ms")
