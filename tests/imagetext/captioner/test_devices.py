"""Decoders put all that they make beside what they are given, so that they run on a GPU.

No GPU is needed to see it: on the meta device, which computes nothing, tensors of the processor are refused, too.
"""

import pytest
import torch
from torch import nn

from imagetext.models.captioner.decoder import Decoder
from imagetext.models.captioner.gru import AttentionDecoder, DecoderShape
from imagetext.models.captioner.vit_bert import VitBert, VitBertShape

DECODERS = {
    "gru-attention": lambda: AttentionDecoder(DecoderShape(20, 8, 16, 4)),
    "vit-bert": lambda: VitBert(VitBertShape(20, 8, places=9, width=12, heads=2, decoder_layers=1)),
}


@pytest.mark.parametrize("architecture", DECODERS)
@pytest.mark.parametrize("training", [True, False])
def test_a_decoder_stays_on_its_device(architecture: str, training: bool) -> None:
    """With dropout and without: a step, and all steps of a sentence at once."""
    module: nn.Module = DECODERS[architecture]().to("meta").train(training)
    decoder: Decoder = module
    words = torch.ones(2, 5, dtype=torch.long, device="meta")

    memory = decoder.remember(torch.randn(2, 9, 8, device="meta"))
    logits, attention, state = decoder.step(words[:, 0], memory, decoder.begin(memory))
    # Every word counts: which ones do, only a device that computes can tell.
    taught = decoder.teach(words, memory, (slice(None), slice(None)))

    assert {tensor.device.type for tensor in (logits, attention, taught, *state)} == {"meta"}
