"""A vision-encoder-decoder model of the real layout, small and with random weights."""

import torch
from transformers import (
    BertConfig,
    BertLMHeadModel,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTModel,
)

SIZE = 32
BERTS_WORDS = 30522  # of bert-base-uncased


def tiny_full_size(vocabulary: int = BERTS_WORDS, width: int = 16) -> VisionEncoderDecoderModel:
    torch.manual_seed(0)
    vit = ViTConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIZE,
        patch_size=8,
    )
    bert = BertConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        is_decoder=True,
        add_cross_attention=True,
        initializer_range=0.5,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, bert)
    return VisionEncoderDecoderModel(config, encoder=ViTModel(vit), decoder=BertLMHeadModel(bert)).eval()
