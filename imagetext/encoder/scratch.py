"""A CLIP small enough to be trained from random weights on a few thousand pictures, loaded."""

from collections.abc import Sequence

from torch import Tensor

from imagetext.captioner.vocabulary import Vocabulary
from imagetext.encoder.calibration import Calibration, load_calibration
from imagetext.encoder.scratch_network import ScratchClip, ScratchShape, UnitRows, word_ids
from imagetext.encoder.towers import TwoTowers
from imagetext.errors import ModelError
from imagetext.model_folder import ModelFolder
from imagetext.transform import PictureTransform

ARCHITECTURE = "scratch-clip"
VOCABULARY = "vocabulary.txt"


class ScratchEncoder(TwoTowers):
    """A CLIP from scratch."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        network: ScratchClip,
        vocabulary: Vocabulary,
        transform: PictureTransform,
        calibration: Calibration,
    ) -> None:
        pictures, texts = UnitRows(network.picture), UnitRows(network.text)
        super().__init__(name, fingerprint, pictures, texts, network.shape.dimensions, transform, calibration)
        self._vocabulary = vocabulary
        self._max_words = network.shape.max_words

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        return (word_ids(texts, self._vocabulary, self._max_words),)


def load_scratch_clip(folder: ModelFolder) -> ScratchEncoder:
    """Raises ModelError where the folder's vocabulary or tensors do not fit its config."""
    config = folder.config
    vocabulary = Vocabulary.read(folder.file(VOCABULARY))
    network = ScratchClip(ScratchShape.from_config(config["shape"]))
    if len(vocabulary) != network.shape.vocabulary:
        raise ModelError(
            f"The vocabulary in {folder.path} has {len(vocabulary)} words, not {network.shape.vocabulary}."
        )
    folder.load_into({"network": network})
    return ScratchEncoder(
        config["name"],
        folder.fingerprint,
        network,
        vocabulary,
        PictureTransform.from_config(config["transform"]),
        load_calibration(folder),
    )
