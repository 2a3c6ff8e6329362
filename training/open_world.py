"""Pictures and captions from beyond Flickr8k, and kinds of things.

DIR/coco/Images/*.jpg             pictures; those in dev.token.txt have captions, the others have none
DIR/imagenet/Images/0004.jpg      one picture for each of some classes of ImageNet, named after the class's number
DIR/imagenet/names.txt            the names of all classes, in the order of the classifier
DIR/sentences/*                   captions without their pictures
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagetext.models.captioner.vocabulary import words_of
from imagetext.wire.errors import InvalidParameter
from training.dataset import CaptionedPicture, read_captions

KEPT_OUT = 4  # classes whose number is not a multiple of it are scored separately


@dataclass(frozen=True)
class Things:
    """Pictures of ImageNet with their classes: `numbers[i]` is the class of `pictures[i]`, named `names[number]`."""

    pictures: list[CaptionedPicture]
    numbers: list[int]
    names: list[str]

    def kept_out(self) -> list[bool]:
        """Whether each picture belongs to the half that nothing is fitted on."""
        return [number % KEPT_OUT != 0 for number in self.numbers]


def class_names(folder: Path) -> list[str]:
    """Raises InvalidParameter if there are none."""
    return _lines(folder / "imagenet" / "names.txt")


def read_things(folder: Path) -> Things:
    """Raises InvalidParameter if there are none."""
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
    """Pictures without captions, without those of the dev set."""
    dev = read_captions(folder / "coco" / "dev.token.txt")
    files = sorted((folder / "coco" / "Images").glob("*.jpg"))
    return [CaptionedPicture(file, ()) for file in files if file.name not in dev]


def read_paraphrases(folder: Path) -> list[tuple[str, ...]]:
    """The captions of each picture of Flickr30k, without the picture."""
    return list(read_captions(folder / "sentences" / "flickr30k.token.txt").values())


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidParameter(f"{file} cannot be read.") from error


KINDS = Path(__file__).with_name("kinds.txt")
DOGS = "dog"  # the name of their kind
PEOPLE = frozenset(
    {"man", "woman", "boy", "girl", "person", "people", "child", "kid", "baby", "lady", "guy", "player", "men", "women"}
    | {"children", "toddler", "crowd", "somebody"}
)


@dataclass(frozen=True)
class Kind:
    """A caption names it with one of `words`, in the singular, or a plural; `classes` are ImageNet's."""

    name: str
    words: tuple[str, ...]
    classes: frozenset[int]


def read_kinds(file: Path = KINDS) -> list[Kind]:
    """Raises InvalidParameter for a line that is not a kind."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        try:
            name, words, classes = (part.strip() for part in line.split(";"))
            found.append(Kind(name, tuple(words.split()), frozenset(numbers_of(classes))))
        except ValueError:
            raise InvalidParameter(f"{file.name}: {line!r} is not NAME; WORDS; CLASSES.") from None
    return found


def numbers_of(text: str) -> list[int]:
    """ "3 7-9" are 3, 7, 8 and 9. Raises ValueError."""
    ends = [part.split("-") for part in text.split()]
    return [number for first, *last in ends for number in range(int(first), int(last[0] if last else first) + 1)]


def with_plurals(words: Sequence[str]) -> frozenset[str]:
    return frozenset(form for word in words for form in (word, f"{word}s", f"{word}es"))


class Naming:
    """What a caption must say to name a thing or its kind, for each of ImageNet's classes."""

    def __init__(self, names: Sequence[str], kinds: Sequence[Kind]) -> None:
        self.words = [
            with_plurals(words_of(name)).union(*(with_plurals(kind.words) for kind in kinds if number in kind.classes))
            for number, name in enumerate(names)
        ]
        dogs = next(kind for kind in kinds if kind.name == DOGS)
        self.dogs = with_plurals(dogs.words)
        self.of_dogs = dogs.classes

    def named(self, caption: str, number: int) -> bool:
        return not self.words[number].isdisjoint(words_of(caption))

    def mistaken(self, caption: str, number: int) -> bool:
        """It mentions dogs where there are none, or people, whom no class is about."""
        words = set(words_of(caption))
        return bool(words & PEOPLE) or (number not in self.of_dogs and bool(words & self.dogs))
