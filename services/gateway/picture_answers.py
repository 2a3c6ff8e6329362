"""An answer and where it came from.

What a service says of pictures: each is looked up in the cache by its content, the rest is asked for in one request.

What a picture's result is in a reply's JSON is kept as it is, so that a cached reply is put together and not written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Literal, TypeVar

from prometheus_client import Counter

from imagetext.wire.contracts import (
    CaptionOptions,
    CaptionReply,
    CaptionResult,
    LabelOptions,
    LabelReply,
    LabelResult,
    ModelInfo,
    Models,
    Problem,
)
from imagetext.wire.errors import InvalidPicture, NotAPicture, TooLarge
from services.chassis.observing import current_request_id
from services.chassis.problems import problem_of
from services.gateway.cache import Cache
from services.gateway.deadline import Deadline, Gate
from services.gateway.keys import answer_key, digest_of, digests_of, sealed, unsealed
from services.gateway.messages import form_body
from services.gateway.single_flight import SingleFlight
from services.gateway.upstream import Upstream
from services.gateway.watched import Watched

T = TypeVar("T")
Source = Literal["hit", "miss", "partial"]


@dataclass(frozen=True)
class Answer(Generic[T]):
    reply: T
    source: Source  # as the header X-Cache says it


_PICTURE_ERRORS = (InvalidPicture, NotAPicture, TooLarge)

Reply = CaptionReply | LabelReply
Result = bytes | Problem  # JSON, but for a problem: that names the request which meets it


@dataclass(frozen=True)
class _Done:
    """The work of one model: results by the digest of the picture."""

    model: ModelInfo
    results: Mapping[str, Result]


@dataclass(frozen=True)
class _Ordered:
    """The work of one model: results in the order of the request."""

    model: ModelInfo
    results: Sequence[Result]


Options = CaptionOptions | LabelOptions


@dataclass(frozen=True)
class Task:
    """What is asked of a service for each picture, under `/v1/PATH`; replies are read as `reply`."""

    name: str
    path: str
    reply: type[CaptionReply] | type[LabelReply]

    def identity(self, options: Options) -> str:
        """Changes with every option that an answer depends on; which name the model was asked by does not matter."""
        return digest_of(options.model_dump_json(exclude={"model"}).encode())[:16]


CAPTION = Task("caption", "/v1/captions", CaptionReply)
LABEL = Task("label", "/v1/labels", LabelReply)


class PictureAnswers:
    def __init__(
        self,
        task: Task,
        upstream: Upstream,
        models: Watched[Models],
        cache: Cache,
        gate: Gate,
        lookups: Counter,
    ) -> None:
        self._task = task
        self._upstream = upstream
        self._models = models
        self._cache = cache
        self._gate = gate
        self._lookups = lookups
        self._flights: SingleFlight[Answer[_Ordered]] = SingleFlight()

    async def answer(self, pictures: Sequence[bytes], options: Options, deadline: Deadline) -> Answer[bytes]:
        """A reply as JSON: one result per picture, in order; a picture that fails has its error there.

        Raises:
            ImageTextError: the error of the only picture, or what kept all of them from an answer.
        """
        digests = await digests_of(pictures)
        flight = ":".join([_model_asked(options) or "", self._task.identity(options), *digests])
        answer = await self._flights.run(flight, lambda: self._answer(digests, pictures, options, deadline))
        return Answer(_written(answer.reply), answer.source)

    async def _answer(
        self, digests: Sequence[str], pictures: Sequence[bytes], options: Options, deadline: Deadline
    ) -> Answer[_Ordered]:
        by_digest = dict(zip(digests, pictures, strict=True))
        model = self._believed(options)
        found = await self._look_up(list(by_digest), options, model) if model else None
        missing = {digest: picture for digest, picture in by_digest.items() if not found or digest not in found.results}
        if found and not missing:
            return Answer(_ordered(digests, found), "hit")
        asked = await self._ask(missing, options, deadline, refused_by=model if len(pictures) > 1 else None)
        if not found or not found.results:
            return Answer(_ordered(digests, asked), "miss")
        if asked.model.fingerprint == found.model.fingerprint:
            return Answer(_ordered(digests, found, asked), "partial")
        # The model was replaced between then and now, and a reply is the work of one model.
        return Answer(_ordered(digests, await self._ask(by_digest, options, deadline)), "miss")

    def _believed(self, options: Options) -> ModelInfo | None:
        """The model that will answer, as far as the last poll knows."""
        for model in self._models.value.models if self._models.value else ():
            if model.name == _model_asked(options) or (_model_asked(options) is None and model.default):
                return model.without_networks()
        return None

    async def _look_up(self, digests: Sequence[str], options: Options, model: ModelInfo) -> _Done:
        values = await self._cache.get([self._key(digest, options, model) for digest in digests])
        stored = {digest: unsealed(value) for digest, value in zip(digests, values, strict=True)}
        results: dict[str, Result] = {digest: each for digest, each in stored.items() if each}
        self._lookups.labels(self._task.name, "hit").inc(len(results))
        self._lookups.labels(self._task.name, "miss").inc(len(digests) - len(results))
        return _Done(model, results)

    async def _ask(
        self,
        pictures: Mapping[str, bytes],
        options: Options,
        deadline: Deadline,
        *,
        refused_by: ModelInfo | None = None,
    ) -> _Done:
        """Asks for all of `pictures` at once.

        The service answers a single picture that it refuses with the bare problem. If that picture is one of
        several for our own caller, `refused_by` says whose work the reply is, and the problem becomes a result.
        """
        try:
            async with self._gate.passed(deadline):
                reply = await self._request(list(pictures.values()), options, deadline)
        except _PICTURE_ERRORS as error:
            if refused_by is None or len(pictures) > 1:
                raise
            problem = problem_of(error, current_request_id())
            return _Done(refused_by, dict.fromkeys(pictures, problem))
        if len(reply.results) != len(pictures):
            raise self._upstream.unreadable(self._task.reply)
        done = _Done(reply.model, dict(zip(pictures, map(_result, reply.results), strict=True)))
        await self._store(done, options)
        return done

    async def _request(self, pictures: Sequence[bytes], options: Options, deadline: Deadline) -> Reply:
        reply = await self._upstream.post(self._task.path, form_body(pictures, options), deadline)
        return self._upstream.parsed(self._task.reply, reply)

    async def _store(self, done: _Done, options: Options) -> None:
        """Keeps what succeeded, under the model that did it, whichever was believed to answer."""
        model = done.model
        if model != self._believed(options):
            self._models.wake()
        await self._cache.set(
            {
                self._key(digest, options, model): sealed(result)
                for digest, result in done.results.items()
                if isinstance(result, bytes)
            }
        )

    def _key(self, digest: str, options: Options, model: ModelInfo) -> str:
        return answer_key(self._task.name, model.fingerprint, digest, self._task.identity(options))


def _model_asked(options: Options) -> str | None:
    return options.model if isinstance(options, CaptionOptions) else None


def _result(result: CaptionResult | LabelResult) -> Result:
    return result.error or result.model_dump_json(exclude_none=True).encode()


def _ordered(digests: Sequence[str], *done: _Done) -> _Ordered:
    results = {digest: result for each in done for digest, result in each.results.items()}
    return _Ordered(done[0].model, [results[digest] for digest in digests])


def _written(reply: _Ordered) -> bytes:
    """As JSON. Problems in it name the request that meets them, also when another request did the work."""
    results = b",".join(each if isinstance(each, bytes) else _failed(each) for each in reply.results)
    return b'{"model":%b,"results":[%b]}' % (_model(reply.model), results)


def _failed(problem: Problem) -> bytes:
    own = problem.model_copy(update={"request_id": current_request_id()})
    return CaptionResult(error=own).model_dump_json(exclude_none=True).encode()


@lru_cache(16)
def _model(model: ModelInfo) -> bytes:
    return model.model_dump_json(exclude_none=True).encode()
