"""Captions: one picture at a time in one process, and many callers at once over HTTP."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from bench.load import Request, upload
from bench.processes import Server, free_port, load, server
from bench.rivals.captions import GeneratedCaptions, PlainCaptioner
from bench.rivals.encoders import captioner_in_float32
from bench.row import Contest, Floor, Missing, Setting
from bench.rows.pictures import opened, scenes
from bench.timing import milliseconds
from imagetext.engines import Array, Engines, Loaded, Network, Run
from imagetext.models.captioner.engine import Captioner, DecodingOptions, load_captioner
from imagetext.models.captioner.model import CaptionModel, load_in_torch

GRU, VIT_BERT = Path("models/caption-gru"), Path("models/caption-vit-bert")
FULL_SIZE = "vit-bert-base"
BEAMS, WORDS = 3, 20
FIXED_TOKENS = 16
PICTURES = 6
CALLERS, SERVED_PICTURES = 16, 32  # of the service
ENDPOINT_MODEL = "BENCH_CAPTIONER"  # environment variable that gives the plain endpoint its model folder

Caption = Callable[[NDArray[Any]], str]


@contextmanager
def compact_captions(setting: Setting, folder: Path) -> Iterator[Contest]:
    """A compact captioner by its folder. Raises Missing if there is none."""
    captioner = loaded(setting, folder)
    yield contest(setting, captioner, folder, plain(load_in_torch(folder), WORDS), WORDS)


@contextmanager
def full_size_captions(setting: Setting) -> Iterator[Contest]:
    """ViT-B and BERT-base with random weights; no caption ends before its last token."""
    folder = full_size_folder(setting)
    captioner = loaded(setting, folder)
    rival = GeneratedCaptions(load_in_torch(folder), BEAMS, FIXED_TOKENS, exactly=True)
    yield contest(setting, captioner, folder, rival, FIXED_TOKENS, setting.sized(2, 1))


def contest(
    setting: Setting,
    captioner: Captioner,
    source: Path,
    rival: Caption,
    words: int,
    pictures: int = PICTURES,
) -> Contest:
    """Each measurement captions the same pictures one after the other; in milliseconds per picture."""
    options = DecodingOptions(num_beams=BEAMS, max_new_tokens=words)
    inputs = [captioner.prepare(picture) for picture in opened(setting, pictures)]

    def ours(picture: NDArray[Any]) -> str:
        return captioner.caption([picture], options)[0][0].text

    found, expected = [ours(picture) for picture in inputs], [rival(picture) for picture in inputs]
    equal = sum(mine == theirs for mine, theirs in zip(found, expected, strict=True)) / len(inputs)
    return Contest(
        ours=lambda: _each(ours, inputs, setting.turn_s),
        rival=lambda: _each(rival, inputs, setting.turn_s),
        floor=lambda: _floor(setting, source, inputs, options),
        engine=setting.chosen(source.name),
        details=lambda: {"equal_sentences": equal, "pictures": len(inputs), "first": [found[0], expected[0]]},
    )


def loaded(setting: Setting, folder: Path) -> Captioner:
    """Raises Missing if there is no such folder."""
    if not folder.is_dir():
        raise Missing(f"{folder} is not there")
    return load_captioner(folder, setting.engines(folder.name))


def plain(captioner: CaptionModel, words: int) -> Caption:
    """The rival of a captioner: the same modules, with the picture network in float32."""
    kind = PlainCaptioner if captioner.decoder.architecture == "gru-attention" else GeneratedCaptions
    return kind(captioner_in_float32(captioner), BEAMS, words)


def full_size_folder(setting: Setting) -> Path:
    """A vision-encoder-decoder folder with random weights, the size of ViT-B/16 and BERT-base; written once."""
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
    end = 102  # in the vocabulary of bert-base-uncased
    for bias in (decoder.cls.predictions.bias, decoder.cls.predictions.decoder.bias):
        bias.data[end] = -1e4  # no caption ends early
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, bert)
    VisionEncoderDecoderModel(config, encoder=ViTModel(vit), decoder=decoder).save_pretrained(folder)
    (folder / "written").touch()
    return folder


def _each(caption: Caption, inputs: Sequence[NDArray[Any]], seconds: float) -> float:
    return milliseconds(lambda: [caption(picture) for picture in inputs], seconds, least=1) / len(inputs)


class _Recording(Engines):
    """Engines that remember every call of the networks they load."""

    def __init__(self, engines: Engines) -> None:
        super().__init__(engines.folder, engines.only, engines.threads, engines.streams)
        self.calls: list[tuple[Run, tuple[Array, ...]]] = []

    def load(self, network: Network) -> Loaded | None:
        loaded = super().load(network)
        if loaded is None:
            return None
        run_alone = loaded.run

        def run(*inputs: Array) -> Sequence[Array]:
            self.calls.append((run_alone, inputs))
            return run_alone(*inputs)

        return replace(loaded, run=run)


def _floor(setting: Setting, source: Path, inputs: Sequence[NDArray[Any]], options: DecodingOptions) -> Floor:
    """The networks alone: the calls of these beam searches repeated without the search."""
    engines = _Recording(setting.engines(source.name))
    captioner = load_captioner(source, engines)
    for picture in inputs:
        captioner.caption([picture], options)

    def again() -> None:
        for run, given in engines.calls:
            run(*given)

    value = milliseconds(again, setting.turn_s) / len(inputs)
    steps = len(engines.calls) / len(inputs) - 1
    return Floor(value, f"the bare networks: one encoder call, {steps:.3g} decoder steps")


@contextmanager
def captions_at_once(setting: Setting) -> Iterator[Contest]:
    """The caption service against a plain endpoint: the same files, one per request, 16 concurrent requests."""
    folder = VIT_BERT if VIT_BERT.is_dir() else GRU
    contents = [file.read_bytes() for file in scenes(setting)[:SERVED_PICTURES]]
    seconds = setting.sized(5, 2)
    found: dict[str, list[Any]] = {"ours": [], "rival": []}
    with caption_service(setting, folder) as ours, _plain_endpoint(setting, folder) as rival:

        def turn(side: str, at: Server, requests: Sequence[Request]) -> float:
            before = at.cpu_seconds()
            summary = load(at.port, requests, callers=CALLERS, seconds=seconds)
            used = {"cpu_s": at.cpu_seconds() - before, "memory_mb": at.memory_mb()}
            found[side].append(summary | used)
            return float(summary["rate"])

        asked = [upload("/v1/captions", content) for content in contents]
        asked_rival = [upload("/captions", content) for content in contents]
        yield Contest(
            ours=lambda: turn("ours", ours, asked),
            rival=lambda: turn("rival", rival, asked_rival),
            engine=setting.chosen(folder.name),
            details=lambda: {"model": folder.name, **{side: rounds[-1] for side, rounds in found.items()}},
        )


@contextmanager
def caption_service(setting: Setting, folder: Path) -> Iterator[Server]:
    """Our service with one captioner."""
    port = free_port()
    environment = {
        "CAPTION_PORT": str(port),
        "CAPTION_MODELS": str(folder),
        "CAPTION_ENGINES": str(setting.engine_folder(folder.name)),
        "CAPTION_THREADS": str(setting.threads),
        "CAPTION_LOG_LEVEL": "WARNING",
    }
    log = setting.folder("logs") / "caption.log"
    with server(["-m", "services.caption"], environment, port, "/health/ready", log) as started:
        yield started


@contextmanager
def _plain_endpoint(setting: Setting, folder: Path) -> Iterator[Server]:
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "bench.rivals.caption_endpoint:create_app", "--port", str(port)]
    command += ["--log-level", "warning"]
    log = setting.folder("logs") / "caption-endpoint.log"
    with server(command, {ENDPOINT_MODEL: str(folder)}, port, "/ready", log) as started:
        yield started
