"""The tensors of a model folder: loaded into modules, written in int8, fingerprinted."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from imagetext.models.folder import CARD, CONFIG, WEIGHTS, ModelFolder
from imagetext.models.transform import PictureTransform
from imagetext.wire.errors import ModelError

SCALE = ".scale"  # suffix of the row scales of a matrix
LARGEST = 127
SMALLEST_SCALE = 1e-6  # far above the smallest half-precision number
SMALLEST_POWER = 2.0**-24  # the smallest half-precision number
SHORTEST_ROW = 64  # shorter rows, such as depthwise kernels, stay in half precision


def load_weights(folder: ModelFolder, modules: Mapping[str, nn.Module]) -> None:
    """Load the stored tensors into the modules; a tensor is named `module.its.path`.

    Raises:
        ModelError: the weights are damaged, or a tensor does not fit.
    """
    try:
        tensors = load_file(folder.file(WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights in {folder.path} are damaged or cannot be read.") from error
    root = nn.ModuleDict(dict(modules))
    tensors = _restored(tensors)
    places = root.state_dict()
    misfits = [name for name, t in tensors.items() if name not in places or places[name].shape != t.shape]
    if misfits:
        raise ModelError(f"{len(misfits)} tensors in {folder.path} do not fit the model, first {misfits[0]}.")
    root.load_state_dict(tensors, strict=False)


def weights_fingerprint(modules: Iterable[nn.Module], transform: PictureTransform) -> str:
    """The fingerprint of a model without a folder of ours: a hash of all weights and of the preprocessing."""
    digest = hashlib.sha256(repr(transform).encode())
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.float().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_model_folder(
    path: Path, config: dict[str, Any], tensors: Mapping[str, Tensor], card: str, files: Mapping[str, str] | None = None
) -> None:
    """Write a model folder."""
    path.mkdir(parents=True, exist_ok=True)
    save_file(_compressed(tensors), path / WEIGHTS)
    (path / WEIGHTS).chmod(0o644)  # safetensors makes it readable by the owner only, and containers run as another user
    for name, text in (files or {}).items():
        (path / name).write_text(text, encoding="utf-8")
    (path / CARD).write_text(card, encoding="utf-8")
    (path / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _compressed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in int8, symmetric around 0, with a scale per row (Jacob et al., 2018, section 2.1).

    Only storage is compressed: a loaded model computes in float32.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.dim() >= 2 and tensor[0].numel() >= SHORTEST_ROW:
            rows = tensor.float().flatten(1)
            scale = _scale(rows).half()
            stored[name + SCALE] = scale
            stored[name] = (rows / scale.float()[:, None]).round().clamp(-LARGEST, LARGEST).char().view(tensor.shape)
        else:
            stored[name] = (tensor.half() if tensor.is_floating_point() else tensor).contiguous().clone()
    return stored


def _scale(rows: Tensor) -> Tensor:
    """The scale of each row (n, length) -> (n,): a power of two if the whole row is a multiple of it, so that quantised
    weights are stored exactly."""
    scale = rows.abs().amax(1) / LARGEST
    power = torch.exp2(scale.clamp(min=SMALLEST_POWER).log2().ceil())
    multiples = rows / power[:, None]
    return torch.where((multiples == multiples.round()).all(1), power, scale.clamp(min=SMALLEST_SCALE))


def _restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in float32.

    Raises:
        ModelError: a scale has no matrix, or a matrix no scale.
    """
    scales = {name.removesuffix(SCALE): tensor for name, tensor in stored.items() if name.endswith(SCALE)}
    if {name for name, tensor in stored.items() if tensor.dtype == torch.int8} != set(scales):
        raise ModelError("The weights are damaged: a matrix and its scale do not belong together.")
    restored = {name: tensor.float() for name, tensor in stored.items() if not name.endswith(SCALE)}
    for name, scale in scales.items():
        restored[name] *= scale.float().view(-1, *[1] * (restored[name].dim() - 1))
    return restored


def changed_tensors(prefix: str, module: nn.Module, start: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors of a module that differ from `start`, or all of them; named with the prefix.

    Of tied tensors, which share memory, only the first is returned.
    """
    changed, seen = {}, set()
    for name, tensor in module.state_dict().items():
        if tensor.data_ptr() in seen or (start is not None and torch.equal(tensor, start[name])):
            continue
        seen.add(tensor.data_ptr())
        changed[f"{prefix}.{name}"] = tensor.detach()
    return changed
