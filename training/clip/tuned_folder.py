"""A fine-tuned CLIP on disk: a plain transformers folder."""

import os
import shutil
from pathlib import Path
from typing import Any

from imagetext.errors import InvalidParameter
from imagetext.model_folder import CARD, CONFIG
from imagetext.transform import PictureTransform


def require_free(folder: Path) -> None:
    """What is no model folder is not written into. Raises InvalidParameter."""
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / CONFIG).is_file())):
        raise InvalidParameter(f"{folder} is neither new nor a model folder.")


def write_tuned_clip(folder: Path, model: Any, tokenizer: Any, transform: PictureTransform, card: str) -> None:
    """Weights, tokenizer, preprocessor and card, written beside `folder` and moved into it file by file."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    image_processor(transform).save_pretrained(unfinished)
    (unfinished / CARD).write_text(card, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(unfinished.iterdir()):
        file.chmod(0o644)  # safetensors lets only the owner read it, and a container runs as another
        os.replace(file, folder / file.name)
    unfinished.rmdir()


def image_processor(transform: PictureTransform) -> Any:
    """The transform as transformers writes it down."""
    from transformers import CLIPImageProcessor

    square = {"height": transform.size, "width": transform.size}
    crops = transform.fit == "crop"
    return CLIPImageProcessor(
        do_resize=True,
        size={"shortest_edge": transform.size} if crops else square,
        do_center_crop=crops,
        crop_size=square,
        do_normalize=any(transform.mean) or set(transform.std) != {1.0},
        image_mean=list(transform.mean),
        image_std=list(transform.std),
    )
