"""The JSON of captions and labels."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import from_json

from imagetext.wire.contracts import Contract, ModelInfo, Problem


class Label(Contract):
    name: str
    probability: float = Field(description="that it is this, and none of the others")


class CaptionOptions(Contract):
    """How captions are decoded; the names are those of transformers' `generate`."""

    model: str | None = Field(None, max_length=200, description="a name from /v1/models; the default when left out")
    num_captions: int = Field(1, ge=1, le=5)
    num_beams: int = Field(3, ge=1, le=10)
    max_new_tokens: int = Field(20, ge=1, le=60)
    attention: bool = Field(False, description="return the attention of each word")


class CaptionJSONRequest(CaptionOptions):
    """The JSON form of a caption request: one picture, by address or in base64 (a data: URI works too)."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class LabelledCaptionOptions(CaptionOptions):
    """Options of the gateway, which asks the retrieval service for labels."""

    labels: bool = Field(False, description="add the five likeliest names for what is in the picture")


class LabelledCaptionJSONRequest(LabelledCaptionOptions):
    """As CaptionJSONRequest."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class Word(Contract):
    """One word of a caption. `attention` is a grid of rows over the whole upright picture, summing to 1."""

    text: str
    attention: list[list[float]] | None = None


class Caption(Contract):
    """`score` is the mean log probability of the tokens, end token included: exp(score) lies in (0, 1]. `confidence` is
    the probability that a person would call the caption right; null if it was not fitted for the model."""

    text: str
    score: float
    confidence: float | None = None
    words: list[Word] | None = None


class CaptionResult(Contract):
    """The outcome for one picture: captions with the upright size in pixels, and labels if asked for; or an error."""

    captions: list[Caption] | None = None
    labels: list[Label] | None = None
    width: int | None = None
    height: int | None = None
    error: Problem | None = None


class CaptionReply(Contract):
    model: ModelInfo
    results: list[CaptionResult]


MAX_LABELS = 200  # names that a caller gives


LABEL_PROMPT = "a photo of a {}"


LabelName = Annotated[str, Field(min_length=1, max_length=200)]


class LabelOptions(Contract):
    """The names to choose from: those that the model knows or, in any words, those in `labels`."""

    labels: list[LabelName] | None = Field(
        None, min_length=1, max_length=MAX_LABELS, description="a list of names; in a form it is JSON"
    )
    k: int = Field(5, ge=1, le=100, description="how many per picture, likeliest first")
    prompt: str = Field(
        LABEL_PROMPT,
        pattern=r"^[^{}]*\{\}[^{}]*$",
        max_length=200,
        description="the sentence that a name of `labels` is put into",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _read_labels(cls, value: object) -> object:
        return from_json(value) if isinstance(value, str) else value

    @classmethod
    def form_properties(cls) -> dict[str, object]:
        """The documentation of the fields of a form."""
        labels = {"type": "string", "description": 'a list of names in JSON: ["cat", "my red bicycle"]'}
        properties: dict[str, object] = cls.model_json_schema()["properties"]
        return properties | {"labels": labels}


class LabelJSONRequest(LabelOptions):
    """The JSON form of a label request: one picture, by address or in base64 (a data: URI works too)."""

    url: str | None = Field(None, max_length=2_000)
    image: str | None = None


class LabelResult(Contract):
    """The outcome for one picture: either labels with the upright size in pixels, or an error."""

    labels: list[Label] | None = None
    width: int | None = None
    height: int | None = None
    error: Problem | None = None


class LabelReply(Contract):
    model: ModelInfo
    results: list[LabelResult]
