"""Captions and labels of pictures: each is looked up in the cache by its content, the rest is asked for in one request.

A picture's result is kept as the JSON that it is in a reply, so a cached reply is joined, not serialised.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from prometheus_client import Counter

from imagetext.wire.captions import CaptionOptions, CaptionReply, CaptionResult, LabelOptions, LabelReply, LabelResult
from imagetext.wire.contracts import ModelInfo, Models, Problem
from imagetext.wire.errors import InvalidPicture, NotAPicture, TooLarge
from services.chassis.observing import current_request_id
from services.chassis.problems import problem_of
from services.gateway.cache import MAX_BYTES_ON_LOOP, Cache, SingleFlight, answer_key, digest_of, digests_of
from services.gateway.messages import Reply, form_body
from services.gateway.upstream import Deadline, Upstream
from services.gateway.watched import Watched

_PICTURE_ERRORS = (InvalidPicture, NotAPicture, TooLarge)

Options = CaptionOptions | LabelOptions
Source = Literal["hit", "miss", "partial"]  # where an answer came from, as the header X-Cache says it
Result = bytes | Problem  # a result as JSON; not a problem, because that names the request that meets it


@dataclass(frozen=True)
class Task:
    """What a service is asked for each picture at `path`; it answers with a `reply`."""

    name: str
    path: str
    reply: type[CaptionReply] | type[LabelReply]

    def identity(self, options: Options) -> str:
        """Changes with every option that an answer depends on; the name by which the model was asked is none."""
        return digest_of(options.model_dump_json(exclude={"model"}).encode())[:16]


CAPTION = Task("caption", "/v1/captions", CaptionReply)
LABEL = Task("label", "/v1/labels", LabelReply)


@dataclass(frozen=True)
class Answer:
    reply: bytes  # JSON
    source: Source


@dataclass(frozen=True)
class _ByDigest:
    """Results of one model by the digest of the picture."""

    model: ModelInfo
    results: Mapping[str, Result]


@dataclass(frozen=True)
class _InOrder:
    """Results of one model in the order of the request."""

    model: ModelInfo
    results: Sequence[Result]
    source: Source


class PictureAnswers:
    def __init__(self, task: Task, upstream: Upstream, models: Watched[Models], cache: Cache, lookups: Counter) -> None:
        self._task = task
        self._upstream = upstream
        self._models = models
        self._cache = cache
        self._lookups = lookups
        self._flights: SingleFlight[_InOrder] = SingleFlight()

    async def answer(self, pictures: Sequence[bytes], options: Options, deadline: Deadline) -> Answer:
        """One result per picture, in order; a picture that fails has its error there.

        Raises:
            ImageTextError: the error of the only picture, or what kept all of them from an answer.
        """
        digests = await digests_of(pictures)
        flight = ":".join([_model_name(options) or "", self._task.identity(options), *digests])
        found = await self._flights.run(flight, lambda: self._answer(digests, pictures, options, deadline))
        return Answer(_joined(found), found.source)

    async def _answer(
        self, digests: Sequence[str], pictures: Sequence[bytes], options: Options, deadline: Deadline
    ) -> _InOrder:
        by_digest = dict(zip(digests, pictures, strict=True))
        model = self._expected_model(options)
        cached = await self._look_up(list(by_digest), options, model) if model else None
        missing = {
            digest: picture for digest, picture in by_digest.items() if not cached or digest not in cached.results
        }
        if cached and not missing:
            return _in_order(digests, "hit", cached)
        fresh = await self._ask(missing, options, deadline, refused_by=model if len(pictures) > 1 else None)
        if not cached or not cached.results:
            return _in_order(digests, "miss", fresh)
        if fresh.model.fingerprint == cached.model.fingerprint:
            return _in_order(digests, "partial", cached, fresh)
        # The model was replaced since the poll, and a reply is the work of one model.
        return _in_order(digests, "miss", await self._ask(by_digest, options, deadline))

    def _expected_model(self, options: Options) -> ModelInfo | None:
        """The model that will answer, as far as the last poll knows."""
        name = _model_name(options)
        for model in self._models.value.models if self._models.value else ():
            if model.name == name or (name is None and model.default):
                return model.without_networks()
        return None

    async def _look_up(self, digests: Sequence[str], options: Options, model: ModelInfo) -> _ByDigest:
        values = await self._cache.get([self._key(digest, options, model) for digest in digests])
        results: dict[str, Result] = {digest: value for digest, value in zip(digests, values, strict=True) if value}
        self._lookups.labels(self._task.name, "hit").inc(len(results))
        self._lookups.labels(self._task.name, "miss").inc(len(digests) - len(results))
        return _ByDigest(model, results)

    async def _ask(
        self,
        pictures: Mapping[str, bytes],
        options: Options,
        deadline: Deadline,
        *,
        refused_by: ModelInfo | None = None,
    ) -> _ByDigest:
        """Asks for all of `pictures` at once.

        If a service refuses the only picture of a request, its reply is the bare problem. Where our own caller sent
        more pictures, `refused_by` is the model that the other results come from, and the problem becomes a result.
        """
        try:
            reply = await self._upstream.post(self._task.path, form_body(list(pictures.values()), options), deadline)
        except _PICTURE_ERRORS as error:
            if refused_by is None or len(pictures) > 1:
                raise
            return _ByDigest(refused_by, dict.fromkeys(pictures, problem_of(error, current_request_id())))
        if len(reply.content) <= MAX_BYTES_ON_LOOP:
            model, results = self._parsed(reply)
        else:  # attention maps
            model, results = await asyncio.to_thread(self._parsed, reply)
        if len(results) != len(pictures):
            raise self._upstream.unreadable(self._task.reply)
        fresh = _ByDigest(model, dict(zip(pictures, results, strict=True)))
        await self._store(fresh, options)
        return fresh

    def _parsed(self, reply: Reply) -> tuple[ModelInfo, list[Result]]:
        parsed = self._upstream.parsed(self._task.reply, reply)
        return parsed.model, [_result(each) for each in parsed.results]

    async def _store(self, fresh: _ByDigest, options: Options) -> None:
        """Keeps what succeeded, under the model that did it, whichever was expected to."""
        if fresh.model != self._expected_model(options):
            self._models.wake()
        await self._cache.set(
            {
                self._key(digest, options, fresh.model): result
                for digest, result in fresh.results.items()
                if isinstance(result, bytes)
            }
        )

    def _key(self, digest: str, options: Options, model: ModelInfo) -> str:
        return answer_key(self._task.name, model.fingerprint, digest, self._task.identity(options))


def with_labels(captions: Answer, labels: Answer) -> Answer:
    """Captions with the labels of the same pictures; a picture without a caption gets none."""
    captioned = CaptionReply.model_validate_json(captions.reply)
    labelled = LabelReply.model_validate_json(labels.reply)
    results = [
        result.model_copy(update={"labels": other.labels} if result.error is None else {})
        for result, other in zip(captioned.results, labelled.results, strict=True)
    ]
    reply = captioned.model_copy(update={"results": results}).model_dump_json(exclude_none=True).encode()
    return Answer(reply, captions.source if captions.source != "hit" else labels.source)


def _model_name(options: Options) -> str | None:
    return options.model if isinstance(options, CaptionOptions) else None


def _result(result: CaptionResult | LabelResult) -> Result:
    return result.error or result.model_dump_json(exclude_none=True).encode()


def _in_order(digests: Sequence[str], source: Source, *parts: _ByDigest) -> _InOrder:
    results = {digest: result for part in parts for digest, result in part.results.items()}
    return _InOrder(parts[0].model, [results[digest] for digest in digests], source)


def _joined(answer: _InOrder) -> bytes:
    """The reply as JSON. A problem in it names the request that meets it, even if another request did the work."""
    results = b",".join(each if isinstance(each, bytes) else _failed(each) for each in answer.results)
    return b'{"model":%b,"results":[%b]}' % (_model(answer.model), results)


def _failed(problem: Problem) -> bytes:
    own = problem.model_copy(update={"request_id": current_request_id()})
    return CaptionResult(error=own).model_dump_json(exclude_none=True).encode()


@lru_cache(16)
def _model(model: ModelInfo) -> bytes:
    return model.model_dump_json(exclude_none=True).encode()
