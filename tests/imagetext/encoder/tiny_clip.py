"""CLIP folders of the real layouts, small and with random weights."""

import json
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
WORDS = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
ORIGINAL_WORDS = 49408  # of OpenAI's CLIP models


def tiny_clip(words: int = len(WORDS), layers: int = 1) -> CLIPModel:
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": layers, "num_attention_heads": 2}
    ends = {"bos_token_id": words - 2, "eos_token_id": words - 1, "pad_token_id": words - 1}
    config = CLIPConfig(
        text_config={**tower, **ends, "vocab_size": words, "max_position_embeddings": 40},
        vision_config={**tower, "image_size": 32, "patch_size": 16},
        projection_dim=12,
    )
    return CLIPModel(config)


def save_tiny_clip(folder: Path, layers: int = 1) -> None:
    """A CLIP folder as the hub has them, with a vocabulary of single letters."""
    tiny_clip(layers=layers).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(WORDS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))


def save_like_the_original(folder: Path) -> CLIPModel:
    """A CLIP folder as the original pushed its own: a config and pickled weights, nothing else."""
    model = tiny_clip(ORIGINAL_WORDS)
    folder.mkdir(exist_ok=True)
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model.eval()
