"""What the networks of a served retrieval model give under its heads, computed once in engines and kept in files.

Heads that are trained on these features are trained on what they will be given: at the served size, with the rounding
of the quantised picture network. Files are filled in order and remember how far they came.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from imagetext.engines import Run
from imagetext.engines.export import Program, run_in_fastest
from imagetext.engines.network import example_pictures
from imagetext.models.backbone import EFFICIENTNET_LITE0, Backbone, backbone_transform, load_backbone
from imagetext.models.captioner.model import CaptionModel
from imagetext.models.efficientnet import imagenet_classifier
from imagetext.models.encoder.dual import DualEncoder
from imagetext.models.encoder.minilm import PAD, LeanBert, mean_state
from imagetext.models.encoder.towers import PictureTower
from imagetext.models.transform import PictureTransform
from imagetext.pictures import open_picture
from training.dataset import CaptionedPicture
from training.features import views_of

BATCH = 8  # pictures
CHUNK = 256  # texts whose states are written together
ENLARGED, TRAINED = 288, 224  # pixels a side, of the classifier's looks
MIDDLE = 0.93  # of the shorter side, as in the evaluation that the classifier comes from
Rows = NDArray[np.float32]
# Cuts a picture into views; and what is made of batches of them.
Look = tuple[Callable[[CaptionedPicture], Sequence[NDArray[np.uint8]]], Callable[..., Any]]
USUAL_TEXT = "a brown dog runs across the grass with a ball in its mouth"


class Pooled(nn.Module):
    """Scaled pictures -> the mean of the features over the grid (n, channels)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, scaled: Tensor) -> Tensor:
        return self.backbone.pooled(scaled)


class _States(nn.Module):
    """Token ids (n, steps) -> the mean over the states of the text tower (n, width)."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = LeanBert(bert)

    def forward(self, tokens: Tensor) -> Tensor:
        counts = (tokens != PAD).float()
        return mean_state(self.bert(tokens, counts), counts)


def picture_features(
    encoder: DualEncoder, pictures: Sequence[CaptionedPicture], views: int, cache: Path
) -> NDArray[np.float16]:
    """Pooled features of all views of all pictures, (pictures, views, channels), as the served network gives them."""
    transform = encoder.transform

    def start() -> Look:
        run = _picture_run("pooled", PictureTower(transform, Pooled(encoder.backbone)).eval(), transform)
        return lambda picture: views_of(picture, views, transform), lambda batch: run(batch)[0]

    shape = views, encoder.backbone.channels
    return _kept(cache, [f"pooled {encoder.fingerprint}", str(views), repr(transform)], pictures, shape, start)


def grid_features(
    captioner: CaptionModel, pictures: Sequence[CaptionedPicture], views: int, cache: Path
) -> NDArray[np.float16]:
    """What the served picture network gives of all views of all pictures, (pictures, views, places, channels)."""
    transform, backbone = captioner.transform, captioner.backbone
    assert isinstance(backbone, Backbone), "only these give a grid"

    def start() -> Look:
        run = _picture_run("grids", PictureTower(transform, backbone).eval(), transform)
        return lambda picture: views_of(picture, views, transform), lambda batch: run(batch)[0]

    with torch.inference_mode():
        _, places, channels = backbone(torch.zeros(1, 3, transform.size, transform.size)).shape
    identity = [f"grids {_fingerprint(backbone)}", str(views), repr(transform)]
    return _kept(cache, identity, pictures, (views, places, channels), start)


def _fingerprint(backbone: Backbone) -> str:
    """The decoder above it may change."""
    digest = hashlib.sha256()
    for tensor in backbone.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def classifier_log_probabilities(pictures: Sequence[CaptionedPicture], cache: Path) -> NDArray[np.float16]:
    """The packaged classifier's log probabilities of ImageNet's classes, (pictures, 1, 1000).

    It looks twice, at the whole picture enlarged and at its middle in the size that it was trained with: the mean names
    87.6 % of the dev set of things, where the whole picture in that size gives 82.2 %.
    """
    whole, middle = (replace(backbone_transform(EFFICIENTNET_LITE0), size=size) for size in (ENLARGED, TRAINED))

    def cut(picture: CaptionedPicture) -> list[NDArray[np.uint8]]:
        opened = open_picture(picture.path)
        side = MIDDLE * min(opened.size)
        left, top = ((length - side) / 2 for length in opened.size)
        square = opened.crop((round(left), round(top), round(left + side), round(top + side)))
        return [whole.resize(opened), middle.resize(square)]

    def start() -> Look:
        runs = [_picture_run("classes", _classifier(each), each) for each in (whole, middle)]
        return cut, lambda *looks: sum(_log_softmax(run(look)[0]) for run, look in zip(runs, looks, strict=True)) / 2

    return _kept(cache, ["classes", repr(whole), repr(middle), str(MIDDLE)], pictures, (1, 1000), start)


def _classifier(transform: PictureTransform) -> nn.Module:
    network = nn.Sequential(Pooled(load_backbone(EFFICIENTNET_LITE0)), imagenet_classifier())
    return PictureTower(transform, network).eval()


def _log_softmax(logits: Rows) -> Rows:
    return torch.from_numpy(np.asarray(logits)).log_softmax(-1).numpy()


def text_states(encoder: DualEncoder, texts: Sequence[str], cache: Path) -> NDArray[np.float16]:
    """States under the text head, (texts, width); those of equal length are encoded together."""
    file = _file(cache, ["states", encoder.fingerprint, *texts])
    rows, done = _opened(file, (len(texts), encoder.text_tower.width))
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    if done < len(texts):
        run = _states_run(encoder)
        with tqdm(total=len(texts), initial=done, desc="sentences", unit="sentence") as bar:
            for start in range(done, len(texts), CHUNK):
                some = order[start : start + CHUNK]
                tokens = encoder.text_tower.tokens([texts[place] for place in some]).numpy()
                for part in range(0, len(some), 2 * BATCH):
                    rows[some[part : part + 2 * BATCH]] = run(_shortened(tokens[part : part + 2 * BATCH]))[0]
                _note(file, rows, start + len(some))
                bar.update(len(some))
    return rows


def _shortened(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.ascontiguousarray(tokens[:, : int((tokens != PAD).sum(1).max())])


def _kept(
    cache: Path,
    identity: Sequence[str],
    pictures: Sequence[CaptionedPicture],
    shape: tuple[int, ...],
    start_looking: Callable[[], Look],
) -> NDArray[np.float16]:
    """(pictures, *shape), from the file that belongs to exactly these pictures."""
    facts = [f"{picture.path} {picture.path.stat().st_size}" for picture in pictures]
    file = _file(cache, [*identity, *facts])
    rows, done = _opened(file, (len(pictures), *shape))
    if done == len(pictures):
        return rows
    cut, run = start_looking()
    bar = tqdm(total=len(pictures), initial=done, desc=identity[0].split()[0], unit="picture")
    with ThreadPoolExecutor(2) as pool, bar:
        ahead = [pool.submit(cut, picture) for picture in pictures[done : done + BATCH]]
        for start in range(done, len(pictures), BATCH):
            cuts = [each.result() for each in ahead]
            ahead = [pool.submit(cut, picture) for picture in pictures[start + BATCH : start + 2 * BATCH]]
            end = start + len(cuts)
            rows[start:end] = _looked(cuts, run).reshape(len(cuts), *shape)
            if end % CHUNK < BATCH or end == len(pictures):
                _note(file, rows, end)
            bar.update(len(cuts))
    return rows


def _looked(cuts: Sequence[Sequence[NDArray[np.uint8]]], run: Callable[..., Any]) -> Rows:
    """Views of one size pass together; of several sizes each passes alone."""
    sizes = {view.shape for views in cuts for view in views}
    looks = (
        [np.stack([view for views in cuts for view in views])]
        if len(sizes) == 1
        else map(np.stack, zip(*cuts, strict=True))
    )
    return np.asarray(run(*looks), dtype=np.float32)


def _picture_run(name: str, tower: nn.Module, transform: PictureTransform) -> Run:
    examples = torch.from_numpy(example_pictures(transform.size))
    return run_in_fastest(Program(name, tower, (examples[:1],), ((0,),), ((examples,),)))


def _states_run(encoder: DualEncoder) -> Run:
    example, other = (encoder.text_tower.tokens([text] * 2) for text in (USUAL_TEXT, "a dog"))
    return run_in_fastest(
        Program("states", _States(encoder.text_tower.bert).eval(), (example,), ((0, 1),), ((other,),))
    )


def _file(cache: Path, identity: Sequence[str]) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    return cache / f"served-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}.npy"


def _opened(file: Path, shape: tuple[int, ...]) -> tuple[NDArray[np.float16], int]:
    progress = file.with_suffix(".done")
    done = int(progress.read_text()) if file.exists() and progress.exists() else 0
    mode = "r+" if file.exists() else "w+"
    return np.lib.format.open_memmap(file, mode=mode, dtype=np.float16, shape=shape), done


def _note(file: Path, rows: NDArray[np.float16], done: int) -> None:
    """What is written must be on disk before it counts."""
    rows.flush()  # type: ignore[attr-defined]
    file.with_suffix(".done").write_text(str(done))
