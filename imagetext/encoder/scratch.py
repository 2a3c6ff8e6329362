"""A CLIP small enough to be trained from random weights on a few thousand pictures, loaded."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from imagetext.captioner.vocabulary import Vocabulary
from imagetext.encoder.calibration import Calibration
from imagetext.encoder.scratch_network import ScratchClip, ScratchShape, word_ids
from imagetext.errors import ModelError
from imagetext.model_folder import ModelFolder
from imagetext.transform import PictureTransform

ARCHITECTURE = "scratch-clip"
VOCABULARY = "vocabulary.txt"


class ScratchEncoder:
    """A CLIP from scratch behind the encoder's interface; not for use by several threads at once."""

    def __init__(
        self,
        name: str,
        fingerprint: str,
        network: ScratchClip,
        vocabulary: Vocabulary,
        transform: PictureTransform,
        calibration: Calibration,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.network = network.eval()
        self.vocabulary = vocabulary
        self.transform = transform
        self.calibration = calibration
        self.dimensions = network.shape.dimensions
        self.parameters = sum(p.numel() for p in network.parameters())

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An upright RGB picture -> one model input (3, size, size); safe in any thread."""
        return self.transform.resize(picture)

    @torch.inference_mode()
    def encode_pictures(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Prepared pictures -> unit rows (n, dimensions)."""
        vectors: NDArray[np.float32] = self.network.pictures(
            torch.from_numpy(self.transform.scale(np.stack(inputs)))
        ).numpy()
        return vectors

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit rows (n, dimensions)."""
        ids = word_ids(texts, self.vocabulary, self.network.shape.max_words)
        vectors: NDArray[np.float32] = self.network.texts(ids).numpy()
        return vectors

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarities -> probabilities of a match."""
        return self.calibration.relevance(scores)


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
        Calibration(**config["calibration"]),
    )
