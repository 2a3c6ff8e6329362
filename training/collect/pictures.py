"""Finds pictures for sentences: asks a provider, fetches, checks and keeps; every loss is recorded with its reason."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tqdm import tqdm

from imagetext.pictures import DEFAULT_LIMITS, Limits
from imagetext.wire.errors import ImageTextError
from training.collect.client import PoliteClient
from training.collect.collection import Candidate, CollectionFolder, FoundPicture, Loss, Provider, Search, all_pictures
from training.collect.sentences import Sentence
from training.data.admission import Content, NearDuplicates, measure, suffix_of


@dataclass(frozen=True)
class Target:
    """Pictures per sentence, the candidates to try for them, and their limits."""

    each: int = 1
    candidates: int = 5
    min_side: int = 200  # pixels of the shorter side
    limits: Limits = DEFAULT_LIMITS


class Collector:
    def __init__(self, folder: CollectionFolder, provider: Provider, client: PoliteClient, target: Target) -> None:
        self._folder = folder
        self._provider = provider
        self._client = client
        self._target = target
        known = all_pictures(folder.read())
        self._addresses = {picture.address for picture in known}
        self._seen = NearDuplicates()
        for picture in known:
            self._seen.add(picture)

    def run(self, sentences: Sequence[Sentence], again: bool = False) -> list[Search]:
        """Search for every new sentence and, with `again`, for those without a picture. Returns all searches.

        Raises:
            Busy, Unavailable, DeadlineExceeded, InvalidParameter: the provider cannot be asked now; call again.
        """
        searches = {search.text: search for search in self._folder.read()}
        done = {text for text, search in searches.items() if search.pictures or not again}
        waiting = [sentence for sentence in {one.text: one for one in sentences}.values() if sentence.text not in done]
        for sentence in tqdm(waiting, desc="pictures", unit="sentence"):
            search = self._search(sentence)
            self._folder.add(search)
            searches[search.text] = search
        return list(searches.values())

    def _search(self, sentence: Sentence) -> Search:
        pictures: list[FoundPicture] = []
        losses: list[Loss] = []
        tried = 0
        for offer in self._provider.search(sentence.text):
            tried += 1
            result = self._fetched(offer, sentence) if isinstance(offer, Candidate) else offer
            if isinstance(result, Loss):
                losses.append(result)
            else:
                pictures.append(result)
            if len(pictures) == self._target.each or tried == self._target.candidates:
                break
        if not tried:
            losses.append(Loss("Nothing found", f"{self._provider.name} has no picture for these words."))
        return Search(sentence.text, tuple(pictures), tuple(losses))

    def _fetched(self, candidate: Candidate, sentence: Sentence) -> FoundPicture | Loss:
        if candidate.address in self._addresses:
            return Loss("Duplicate", "Another sentence or result already has this address.", candidate.address)
        try:
            answer = self._client.ask("GET", candidate.address, max_bytes=self._target.limits.max_bytes)
            if answer.status != 200:
                return Loss(f"Status {answer.status}", "The host does not serve the picture.", candidate.address)
            content = measure(answer.body, self._target.limits)
        except ImageTextError as error:
            return Loss(error.title, error.detail, candidate.address)
        loss = self._unwanted(content, candidate.address)
        if loss:
            return loss
        self._addresses.add(candidate.address)
        self._seen.add(content)
        path = self._folder.keep(f"{content.sha256[:16]}{suffix_of(answer.body)}", answer.body)
        about = asdict(candidate) | asdict(content)
        return FoundPicture(path, sentence.text, sentence.source, self._provider.name, **about)

    def _unwanted(self, content: Content, address: str) -> Loss | None:
        if min(content.width, content.height) < self._target.min_side:
            return Loss("Too small", f"The picture has {content.width} x {content.height} pixels.", address)
        if self._seen.find(content) is not None:
            return Loss("Duplicate", "Another sentence has a picture that looks the same.", address)
        return None
