"""Model cards of the CLIP models that are trained here.

How well texts find pictures and pictures find texts.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.ranking import rank


def scratch_card(name: str, config: Mapping[str, object], scores: Mapping[str, float]) -> str:
    return f"""# {name}

A CLIP trained from random weights: a small residual network for pictures, word embeddings under a transformer of one
layer for texts, one space of {config["dimensions"]} dimensions.

## Data
Flickr8k, train split, 6000 pictures with five captions each, and nothing else. M. Hodosh, P. Young, J. Hockenmaier
(2013), Framing Image Description as a Ranking Task, JAIR 47:853-899. For research use; no picture of it is part of this
model.

## Recipe
`python -m training.clip scratch`: InfoNCE on unit vectors with a learned temperature (Radford et al., 2021), random
crops, mirrored where no caption says left or right, colour jitter; averaged weights of the last pass.

{_table(config)}

## Scores
Flickr8k dev split, 1000 pictures and their 5000 captions; recall in percent. Chance is 1 for ten of a thousand.

{_table(scores)}

## Limits
It shows that contrastive training from nothing works on eight thousand pictures; it knows scenes and colours rather
than things. For search take the compact dual encoder or a full-size CLIP.
"""


def tuned_card(
    name: str,
    start: str,
    data: Sequence[str],
    config: Mapping[str, object],
    scores: Mapping[str, Mapping[str, float]],
) -> str:
    tables = "\n\n".join(f"{title}:\n\n{_table(values)}" for title, values in scores.items())
    lines = "\n".join(f"- {one}" for one in data)
    return f"""# {name}

A CLIP, fine-tuned from `{start}`. A plain transformers folder: `CLIPModel.from_pretrained` and
`CLIPProcessor.from_pretrained` load it.

## Data
{lines}

## Recipe
`python -m training.clip tune`: InfoNCE over large batches by gradient caching; other captions of a picture are no
negatives; averaged with the start weights.

{_table(config)}

## Scores
Recall in percent, on the dev splits of the data.

{tables}

## Licences
Those of the start model and of the data; neither allows more than the stricter of the two.
"""


def _table(values: Mapping[str, object]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in values.items())
    return f"| | |\n|---|---|\n{rows}"


def clip_scores(texts: NDArray[np.float32], pictures: NDArray[np.float32], captions: Sequence[int]) -> dict[str, float]:
    """Recall at 1, 5 and 10 in percent, median rank and mean average precision, both ways.

    Texts (m, d) and pictures (n, d) are unit rows, the texts in the order of the pictures; `captions` (n,) tells how
    many each picture has.
    """
    owner = [picture for picture, count in enumerate(captions) for _ in range(count)]
    found = rank(texts, pictures, owner).scores(np.arange(len(pictures)))
    return {name: round(value, 4 if name.endswith("_map") else 2) for name, value in found.items()}
