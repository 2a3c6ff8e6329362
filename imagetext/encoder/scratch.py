"""A CLIP small enough to be trained from random weights on a few thousand pictures, in torch."""

from torch import nn

from imagetext.captioner.vocabulary import Vocabulary
from imagetext.encoder.calibration import Calibration, load_calibration
from imagetext.encoder.scratch_network import LeanTextTower, ScratchClip, ScratchShape, UnitRows
from imagetext.encoder.tokenizer import WordTokenizer
from imagetext.encoder.towers import TwoTowers
from imagetext.errors import ModelError
from imagetext.model_folder import ModelFolder
from imagetext.transform import PictureTransform
from imagetext.weights import load_weights

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
        pictures, texts, shape = UnitRows(network.picture), UnitRows(network.text), network.shape
        tokenizer = WordTokenizer(vocabulary, shape.max_words)
        self._lean = UnitRows(LeanTextTower(network.text, shape.heads)).eval()
        super().__init__(name, fingerprint, pictures, texts, shape.dimensions, transform, calibration, tokenizer)

    def lean_texts(self) -> nn.Module:
        return self._lean


def load_scratch_clip(folder: ModelFolder) -> ScratchEncoder:
    """Raises ModelError where the folder's vocabulary or tensors do not fit its config."""
    config = folder.config
    vocabulary = Vocabulary.read(folder.file(VOCABULARY))
    network = ScratchClip(ScratchShape.from_config(config["shape"]))
    if len(vocabulary) != network.shape.vocabulary:
        raise ModelError(
            f"The vocabulary in {folder.path} has {len(vocabulary)} words, not {network.shape.vocabulary}."
        )
    load_weights(folder, {"network": network})
    return ScratchEncoder(
        config["name"],
        folder.fingerprint,
        network,
        vocabulary,
        PictureTransform.from_config(config["transform"]),
        load_calibration(folder.path, config["calibration"]),
    )
