"""Sentences by a language model, through any address that answers like OpenAI's chat completions."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from math import ceil

from imagetext.wire.errors import Busy, InvalidParameter, Unavailable
from training.collect.client import Answer, PoliteClient, is_passing
from training.collect.sentences import NEAR, Sentence

_WORDS = range(4, 31)  # a caption's length
_MARK = re.compile(r"^\s*(?:\d+\s*[.):]|[-*•])\s*")  # what a list puts in front of its lines
_TOKENS_PER_SENTENCE = 18
_CHARACTERS_PER_TOKEN = 4
_OVERSHOOT = 1.3  # sentences asked for, for each one that is new
_MALFORMED = 3  # answers in a row that are no completions


@dataclass(frozen=True)
class LanguageModelConfig:
    """The keys of sentences.toml, explained there."""

    address: str = "https://api.openai.com/v1"
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    price_in: float = 0.0
    price_out: float = 0.0
    currency: str = "USD"
    temperature: float = 1.0
    per_request: int = 20
    near: float = NEAR
    prompt: str = "Write {count} captions of photographs about {topic}, one a line."
    topics: str = "everyday life"

    @property
    def topic_list(self) -> list[str]:
        return [topic.strip() for topic in self.topics.splitlines() if topic.strip()]

    def check(self) -> None:
        """Raises InvalidParameter for values with which nothing can be asked."""
        if not self.model:
            raise InvalidParameter("No model is named: give --model or write `model` into the settings.")
        if not self.topic_list or "{topic}" not in self.prompt or "{count}" not in self.prompt:
            raise InvalidParameter("The prompt needs {count} and {topic}, and there must be topics.")
        if not (1 <= self.per_request <= 200 and 0 < self.near <= 1 and self.price_in >= 0 and self.price_out >= 0):
            raise InvalidParameter("per_request is 1 to 200, near above 0 to 1, and prices are not below 0.")


@dataclass(frozen=True)
class Tokens:
    """What was or will be asked and answered."""

    requests: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.requests + other.requests, self.read + other.read, self.written + other.written)

    def told(self, config: LanguageModelConfig) -> str:
        price = (self.read * config.price_in + self.written * config.price_out) / 1e6
        cost = f"{price:.4f} {config.currency}" if config.price_in or config.price_out else "no price is set"
        return f"{self.requests} requests, {self.read:,} tokens read, {self.written:,} written: {cost}"


def expected(config: LanguageModelConfig, number: int) -> Tokens:
    """What `number` new sentences will take, about."""
    requests = ceil(number * _OVERSHOOT / config.per_request)
    read = requests * (len(config.prompt) // _CHARACTERS_PER_TOKEN + 20)
    return Tokens(requests, read, requests * config.per_request * _TOKENS_PER_SENTENCE)


class LanguageModel:
    """`spent` counts what the address says it took."""

    def __init__(self, config: LanguageModelConfig, client: PoliteClient, environment: Mapping[str, str]) -> None:
        config.check()
        self.config = config
        self.spent = Tokens()
        self._client = client
        self._headers = _authorisation(config.key_variable, environment)

    def sentences(self, first: int, most_requests: int) -> Iterator[Sentence]:
        """Sentences, request after request; `first` says with which topic to go on.

        Raises:
            InvalidParameter: the address refuses the key, the model or the request.
            Busy: too many requests for now, or the account is used up.
            Unavailable: no usable answer, or `most_requests` are made.
        """
        topics = self.config.topic_list
        for number in count(first):
            if self.spent.requests >= most_requests:
                raise Unavailable(f"Stopped after {most_requests} requests, far more than expected: too little is new.")
            topic = topics[number % len(topics)]
            for text in self._ask(topic):
                yield Sentence(text, self.config.model, topic)

    def _ask(self, topic: str) -> list[str]:
        prompt = self.config.prompt.replace("{count}", str(self.config.per_request)).replace("{topic}", topic)
        body = {
            "model": self.config.model,
            "messages": [{"role": "user", "content": prompt.strip()}],
            "temperature": self.config.temperature,
        }
        url = f"{self.config.address.rstrip('/')}/chat/completions"
        for _ in range(_MALFORMED):
            answer = self._client.ask("POST", url, json=body, headers=self._headers, again=_again)
            self.spent += Tokens(requests=1)
            if answer.status != 200:
                raise self._refusal(answer)
            completion = _completion(answer.body)
            if completion:
                content, cut, tokens = completion
                self.spent += tokens
                return usable_lines(content, cut)
        raise Unavailable(f"{self.config.address} answers with something that is no chat completion.")

    def _refusal(self, answer: Answer) -> Exception:
        address, model = self.config.address, self.config.model
        match answer.status:
            case 401 | 403:
                return InvalidParameter(
                    f"{address} refuses the key in {self.config.key_variable or '(none was sent)'}."
                )
            case 404:
                return InvalidParameter(f"{address} knows no model {model}, or is no such interface.")
            case 429 if _is_used_up(answer):
                return Busy(f"The account at {address} has no credit left.")
            case 429:
                return Busy(f"{address} has too many requests; the same command goes on later.")
            case status if status >= 500:
                return Unavailable(f"{address} is out of order (status {status}); the same command goes on later.")
            case status:
                return InvalidParameter(f"{address} refuses the request (status {status}).")


def usable_lines(content: str, cut: bool) -> list[str]:
    """The captions of an answer: one a line, without list marks and quotes. `cut`: its last line is not whole."""
    lines = content.splitlines()[: -1 if cut else None]
    texts = (" ".join(_MARK.sub("", line).strip(" \t\"'`“”‘’*").split()) for line in lines)
    return [text for text in texts if len(text.split()) in _WORDS and not text.endswith(":")]


def _completion(body: bytes) -> tuple[str, bool, Tokens] | None:
    """Text, whether it was cut off, and tokens; None for what is no completion."""
    try:
        whole = json.loads(body)
        choice = whole["choices"][0]
        content = choice["message"]["content"]
        usage = whole.get("usage") or {}
        tokens = Tokens(0, int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        cut = choice.get("finish_reason") == "length"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return (content, cut, tokens) if isinstance(content, str) and content.strip() else None


def _again(answer: Answer) -> bool:
    return is_passing(answer) and not _is_used_up(answer)


def _is_used_up(answer: Answer) -> bool:
    return answer.status == 429 and b"insufficient_quota" in answer.body


def _authorisation(variable: str, environment: Mapping[str, str]) -> dict[str, str]:
    if not variable:
        return {}
    key = environment.get(variable, "").strip()
    if not key:
        raise InvalidParameter(f'Put the key into the environment variable {variable}, or set key_variable = "".')
    if not (key.isascii() and key.isprintable()):
        raise InvalidParameter(f"The environment variable {variable} does not hold a key: it has odd characters.")
    return {"Authorization": f"Bearer {key}"}
