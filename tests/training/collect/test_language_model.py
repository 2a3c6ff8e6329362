"""Sentences by a language model: a server shaped like OpenAI's chat completions, in good and in bad moods."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from imagetext.wire.errors import InvalidParameter
from training.collect.__main__ import GRAMMAR, main
from training.collect.language_model import LanguageModelConfig, expected, usable_lines
from training.collect.sentences import read_grammar

KEY = "sk-test-7"
VARIABLE = "COLLECT_TEST_KEY"


class Chat:
    """Answers with fresh sentences; `moods` are taken first, one for each request."""

    def __init__(self) -> None:
        self.moods: list[Response] = []
        self.requests: list[dict[str, Any]] = []
        self.repeats = False
        self._sentences = read_grammar(GRAMMAR).sentences(5)
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.complete, methods=["POST"])])

    async def complete(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_api_key")
        self.requests.append(await request.json())
        if self.moods:
            return self.moods.pop(0)
        lines = [f"{place}. {next(self._sentences).text}" for place in range(1, 11)]
        return completion("\n".join(["A dog runs."] * 10 if self.repeats else lines))


def completion(content: str | None, finish: str = "stop") -> Response:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}
    return JSONResponse(body)


def _error(status: int, code: str, **headers: str) -> Response:
    error = {"message": f"You have {code}.", "type": code, "param": None, "code": code}
    return JSONResponse({"error": error}, status, headers)


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def ask(
    chat: Chat, serve: Callable[[ASGIApp], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command against the server; the file is s.jsonl."""
    monkeypatch.setenv(VARIABLE, KEY)
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'address = "{serve(chat.app)}/v1"\nmodel = "small"\nkey_variable = "{VARIABLE}"\nprice_in = 2.0\n'
        'price_out = 8.0\nper_request = 10\nprompt = "{count} captions about {topic}"\ntopics = "dogs\\nboats\\n"\n'
    )

    def ask(*arguments: str, number: int = 25) -> int:
        base = ["sentences", "--settings", str(settings), "--out", str(tmp_path / "s.jsonl"), "--pause", "0"]
        return main([*base, "--number", str(number), *arguments])

    return ask


def kept(folder: Path) -> list[dict[str, str]]:
    file = folder / "s.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_the_cost_is_shown_before_anything_is_asked(
    ask: Callable[..., int], chat: Chat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --yes the plan is told, with its price, and no request is made."""
    assert ask() == 1
    told = capsys.readouterr().err
    assert "25 sentences of small" in told
    assert "108 tokens read, 720 written: 0.0060 USD" in told  # at 2 and 8 a million
    assert "--yes" in told
    assert (chat.requests, kept(tmp_path)) == ([], [])


def test_sentences_come_in_and_what_they_cost_is_told(
    ask: Callable[..., int], chat: Chat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """List marks are gone, each has its model and topic, topics take turns, and the spent tokens are those billed."""
    assert ask("--yes") == 0
    sentences = kept(tmp_path)
    assert len(sentences) == 25
    assert all(one["text"][0].isalpha() and one["source"] == "small" for one in sentences)
    assert {one["topic"] for one in sentences} == {"dogs", "boats"}
    assert chat.requests[0]["messages"] == [{"role": "user", "content": "10 captions about dogs"}]
    requests = len(chat.requests)
    assert f"Spent: {requests} requests, {requests * 1000:,} tokens read" in capsys.readouterr().err


def test_a_stopped_run_goes_on(ask: Callable[..., int], chat: Chat, tmp_path: Path) -> None:
    """What was got is kept and not paid for again; enough is enough."""
    chat.moods = [completion("A goose crosses the road slowly.\nTwo red boats lie on dry sand."), _error(401, "gone")]
    assert ask("--yes") == 1
    first = kept(tmp_path)
    assert len(first) == 2
    assert ask("--yes") == 0
    assert kept(tmp_path)[:2] == first
    assert len(kept(tmp_path)) == 25
    before = len(chat.requests)
    assert ask("--yes") == 0
    assert len(chat.requests) == before


def test_overload_is_waited_for(ask: Callable[..., int], chat: Chat, tmp_path: Path) -> None:
    """429 with Retry-After and a 503 cost time, not sentences."""
    chat.moods = [_error(429, "rate_limit_exceeded", **{"Retry-After": "0"}), _error(503, "server_is_overloaded")]

    assert ask("--yes", number=10) == 0
    assert len(kept(tmp_path)) == 10


@pytest.mark.parametrize(
    ("mood", "words", "requests"),
    [
        (_error(401, "invalid_api_key"), f"refuses the key in {VARIABLE}", 1),
        (_error(404, "model_not_found"), "knows no model small", 1),
        (_error(400, "invalid_request_error"), "refuses the request", 1),
        (_error(429, "insufficient_quota"), "no credit left", 1),
        (_error(429, "rate_limit_exceeded", **{"Retry-After": "9999"}), "too many requests", 1),
        (Response("<html>proxy</html>"), "no chat completion", 3),
        (JSONResponse({"choices": []}), "no chat completion", 3),
        (JSONResponse({"choices": [{"message": None}]}), "no chat completion", 3),
        (JSONResponse([1]), "no chat completion", 3),
        (completion(None), "no chat completion", 3),
    ],
)
def test_each_failure_has_its_sentence(
    ask: Callable[..., int],
    chat: Chat,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mood: Response,
    words: str,
    requests: int,
) -> None:
    """What was wrong, in one line that never shows the key, after as many requests as make sense."""
    chat.moods = [mood] * 3

    assert ask("--yes") == 1
    told = capsys.readouterr().err
    assert words in told
    assert KEY not in told
    assert len(chat.requests) == requests
    assert kept(tmp_path) == []


def test_one_malformed_answer_is_asked_again(ask: Callable[..., int], chat: Chat, tmp_path: Path) -> None:
    """A proxy's page in between is not the end."""
    chat.moods = [Response("<html>proxy</html>")]

    assert ask("--yes", number=5) == 0
    assert len(kept(tmp_path)) == 5


def test_a_model_that_repeats_itself_is_stopped(
    ask: Callable[..., int], chat: Chat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After three times the expected requests, not after an endless bill."""
    chat.repeats = True
    assert ask("--yes") == 1
    assert len(chat.requests) == 3 * expected(LanguageModelConfig(per_request=10), 25).requests + 2
    assert "too little is new" in capsys.readouterr().err


def test_a_wrong_or_missing_key_is_told_before_asking(
    ask: Callable[..., int], chat: Chat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable is named, its content is not shown."""
    for content, words in [("", f"environment variable {VARIABLE}"), ("schlüssel", "odd characters")]:
        monkeypatch.setenv(VARIABLE, content)
        assert ask("--yes") == 1
        told = capsys.readouterr().err
        assert words in told
        assert "schlüssel" not in told
    assert chat.requests == []


def test_lines_of_an_answer() -> None:
    """Marks, quotes, headings, blank lines, a fragment and a cut-off end are no captions."""
    content = (
        'Here are your captions:\n\n1. A dog runs on the sand.\n2) "Two boats lie in a harbour."'
        "\n- **A cat naps all day.**"
        "\n* A dog.\n• Die Katze schläft auf Stühlen.\nA man carries a lad"
    )

    assert usable_lines(content, cut=True) == [
        "A dog runs on the sand.",
        "Two boats lie in a harbour.",
        "A cat naps all day.",
        "Die Katze schläft auf Stühlen.",
    ]


@pytest.mark.parametrize(
    "changes", [{"model": ""}, {"prompt": "captions"}, {"topics": " "}, {"near": 0}, {"price_in": -1}]
)
def test_settings_with_which_nothing_can_be_asked(changes: dict[str, Any]) -> None:
    """Are refused before the cost is reckoned."""
    values = {"model": "m", "prompt": "{count} {topic}", **changes}

    with pytest.raises(InvalidParameter):
        LanguageModelConfig(**values).check()
