"""Captions for pictures: each is looked up in the cache by its content, and the rest is asked for in one request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from imagetext.contracts import CaptionOptions, CaptionReply, CaptionResult, Contract, ModelInfo, Models
from imagetext.errors import InvalidPicture, NotAPicture, TooLarge, Unavailable
from services.chassis.problems import problem_of
from services.chassis.request_id import current_request_id
from services.gateway.answer import Answer
from services.gateway.cache import Cache
from services.gateway.deadline import Deadline
from services.gateway.gate import Gate
from services.gateway.keys import caption_key, decoding_of, digests_of
from services.gateway.single_flight import SingleFlight
from services.gateway.upstream import Upstream
from services.gateway.watched import Watched

_PICTURE_ERRORS = (InvalidPicture, NotAPicture, TooLarge)


class StoredCaption(Contract):
    """What the cache keeps for one picture."""

    model: ModelInfo
    result: CaptionResult


@dataclass(frozen=True)
class _Captioned:
    """The work of one model: results by the digest of the picture."""

    model: ModelInfo
    results: Mapping[str, CaptionResult]


class Captions:
    def __init__(self, upstream: Upstream, models: Watched[Models], cache: Cache, gate: Gate, lookups: Counter) -> None:
        self._upstream = upstream
        self._models = models
        self._cache = cache
        self._gate = gate
        self._lookups = lookups
        self._flights: SingleFlight[Answer[CaptionReply]] = SingleFlight()

    async def answer(
        self, pictures: Sequence[bytes], options: CaptionOptions, deadline: Deadline
    ) -> Answer[CaptionReply]:
        """One result per picture, in order; a picture that fails has its error there.

        Raises:
            ImageTextError: the error of the only picture, or what kept all of them from an answer.
        """
        digests = await run_in_threadpool(digests_of, pictures)
        flight = ":".join([options.model or "", decoding_of(options), *digests])
        answer = await self._flights.run(flight, lambda: self._answer(digests, pictures, options, deadline))
        return Answer(_with_own_request_id(answer.reply), answer.source)

    async def _answer(
        self, digests: Sequence[str], pictures: Sequence[bytes], options: CaptionOptions, deadline: Deadline
    ) -> Answer[CaptionReply]:
        by_digest = dict(zip(digests, pictures, strict=True))
        model = self._believed(options)
        found = await self._look_up(list(by_digest), options, model) if model else None
        missing = {digest: picture for digest, picture in by_digest.items() if not found or digest not in found.results}
        if found and not missing:
            return Answer(_reply(digests, found), "hit")
        asked = await self._ask(missing, options, deadline, refused_by=model if len(pictures) > 1 else None)
        if not found or not found.results:
            return Answer(_reply(digests, asked), "miss")
        if asked.model.fingerprint == found.model.fingerprint:
            return Answer(_reply(digests, found, asked), "partial")
        # The model was replaced between then and now, and a reply is the work of one model.
        return Answer(_reply(digests, await self._ask(by_digest, options, deadline)), "miss")

    def _believed(self, options: CaptionOptions) -> ModelInfo | None:
        """The model that will answer, as far as the last poll knows."""
        for model in self._models.value.models if self._models.value else ():
            if model.name == options.model or (options.model is None and model.default):
                return model
        return None

    async def _look_up(self, digests: Sequence[str], options: CaptionOptions, model: ModelInfo) -> _Captioned:
        values = await self._cache.get([caption_key(digest, options, model.fingerprint) for digest in digests])
        stored = {digest: _parsed(value) for digest, value in zip(digests, values, strict=True)}
        results = {digest: each.result for digest, each in stored.items() if each}
        self._lookups.labels("caption", "hit").inc(len(results))
        self._lookups.labels("caption", "miss").inc(len(digests) - len(results))
        return _Captioned(model, results)

    async def _ask(
        self,
        pictures: Mapping[str, bytes],
        options: CaptionOptions,
        deadline: Deadline,
        *,
        refused_by: ModelInfo | None = None,
    ) -> _Captioned:
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
            return _Captioned(refused_by, dict.fromkeys(pictures, CaptionResult(error=problem)))
        if len(reply.results) != len(pictures):
            raise Unavailable("The caption service gave an answer that cannot be read.")
        captioned = _Captioned(reply.model, dict(zip(pictures, reply.results, strict=True)))
        await self._store(captioned, options)
        return captioned

    async def _request(self, pictures: Sequence[bytes], options: CaptionOptions, deadline: Deadline) -> CaptionReply:
        return await self._upstream.ask(
            CaptionReply,
            "POST",
            "/v1/captions",
            deadline=deadline,
            files=[("image", ("picture", picture, "application/octet-stream")) for picture in pictures],
            data=options.model_dump(exclude_none=True),
        )

    async def _store(self, captioned: _Captioned, options: CaptionOptions) -> None:
        """Keeps what succeeded, under the model that did it, whichever was believed to answer."""
        model = captioned.model
        if model != self._believed(options):
            self._models.wake()
        await self._cache.set(
            {
                caption_key(digest, options, model.fingerprint): StoredCaption(model=model, result=result)
                .model_dump_json()
                .encode()
                for digest, result in captioned.results.items()
                if result.captions is not None
            }
        )


def _parsed(value: bytes | None) -> StoredCaption | None:
    """What was stored; None also for bytes that somebody else put there."""
    try:
        return StoredCaption.model_validate_json(value) if value else None
    except ValidationError:
        return None


def _reply(digests: Sequence[str], *captioned: _Captioned) -> CaptionReply:
    results = {digest: result for each in captioned for digest, result in each.results.items()}
    return CaptionReply(model=captioned[0].model, results=[results[digest] for digest in digests])


def _with_own_request_id(reply: CaptionReply) -> CaptionReply:
    """Problems inside a reply name the request that meets them, also when another request did the work."""
    return reply.model_copy(update={"results": [_owned(result) for result in reply.results]})


def _owned(result: CaptionResult) -> CaptionResult:
    if result.error is None:
        return result
    error = result.error.model_copy(update={"request_id": current_request_id()})
    return result.model_copy(update={"error": error})
