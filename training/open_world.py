"""Pictures and sentences from beyond Flickr8k's world, in the layout that `data/README.md` beside them describes.

DIR/coco/Images/*.jpg             pictures; those in dev.token.txt have captions, the others have none
DIR/imagenet/Images/0004.jpg      one picture for each of some classes of ImageNet, named after the class's number
DIR/imagenet/names.txt            the names of all classes, in the order of the classifier
DIR/sentences/*                   captions without their pictures
"""

from dataclasses import dataclass
from pathlib import Path

from imagetext.errors import InvalidParameter
from training.dataset import CaptionedPicture, read_captions

KEPT_OUT = 4  # pictures of classes whose number is no multiple of it are scored apart


@dataclass(frozen=True)
class Things:
    """Pictures of ImageNet with what they show: `numbers[i]` is the class of `pictures[i]`, named `names[number]`."""

    pictures: list[CaptionedPicture]
    numbers: list[int]
    names: list[str]

    def kept_out(self) -> list[bool]:
        """Of each picture, whether it belongs to the half that nothing is fitted on."""
        return [number % KEPT_OUT != 0 for number in self.numbers]


def class_names(folder: Path) -> list[str]:
    """Raises InvalidParameter where there are none."""
    return _lines(folder / "imagenet" / "names.txt")


def read_things(folder: Path) -> Things:
    """Raises InvalidParameter where there are none."""
    names = class_names(folder)
    files = sorted((folder / "imagenet" / "Images").glob("*.jpg"))
    if not files:
        raise InvalidParameter(f"{folder / 'imagenet' / 'Images'} holds no pictures.")
    numbers = [int(file.stem) for file in files]
    return Things([CaptionedPicture(file, (names[n],)) for file, n in zip(files, numbers, strict=True)], numbers, names)


def read_coco_dev(folder: Path) -> list[CaptionedPicture]:
    captions = read_captions(folder / "coco" / "dev.token.txt")
    return [CaptionedPicture(folder / "coco" / "Images" / name, found) for name, found in sorted(captions.items())]


def read_unlabelled(folder: Path) -> list[CaptionedPicture]:
    """Pictures without captions, those of the dev set left out."""
    dev = read_captions(folder / "coco" / "dev.token.txt")
    files = sorted((folder / "coco" / "Images").glob("*.jpg"))
    return [CaptionedPicture(file, ()) for file in files if file.name not in dev]


def read_paraphrases(folder: Path) -> list[tuple[str, ...]]:
    """Sentences that describe one picture, for each picture."""
    return list(read_captions(folder / "sentences" / "flickr30k.token.txt").values())


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidParameter(f"{file} cannot be read.") from error
