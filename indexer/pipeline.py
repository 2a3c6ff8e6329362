"""How pictures come to be encoded: in this process, or wherever else there is a Pipeline."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from imagetext.index import SkippedFile
from indexer.encode import Encoding, encode_items
from indexer.known import KnownVectors
from indexer.reading import ReadPicture
from indexer.scan import FoundFile
from indexer.sources import Item, Listing

if TYPE_CHECKING:
    from imagetext.encoder.engine import Encoder


class Pipeline(Protocol):
    """Lists to encoded pictures."""

    def __call__(
        self,
        listing: Listing,
        root: str,
        encoder: "Encoder",
        known: KnownVectors,
        advance: Callable[[int], object],
    ) -> Encoding:
        """Reads everything in the listing, and leaves the vectors with `known`.

        Args:
            listing: the files that must be read, and shards of which something may be known.
            root: the address of the source.
            advance: is told how many pictures are done.

        Raises:
            Unavailable: the place where the pictures lie, or what encodes, does not answer.
            ModelError: the encoder does not do what it says.
        """
        ...


class InThisProcess:
    """Its threads read ahead while the model encodes. Pictures that are `settled` are left out of shards unread."""

    def __init__(self, settled: Callable[[FoundFile], bool] = lambda _: False) -> None:
        self._settled = settled

    def __call__(
        self,
        listing: Listing,
        root: str,
        encoder: "Encoder",
        known: KnownVectors,
        advance: Callable[[int], object],
    ) -> Encoding:
        apart = Encoding()
        outcome = encode_items(self._to_read(listing, root, known, apart, advance), encoder, known, advance)
        return apart.plus(outcome)

    def _to_read(
        self, listing: Listing, root: str, known: KnownVectors, apart: Encoding, advance: Callable[[int], object]
    ) -> Iterator[Item]:
        """The pictures that must be read; those whose content is known by their looks, and what is skipped, go
        `apart`."""

        def wanted(file: FoundFile) -> bool:
            return not self._settled(file) and known.unchanged(file, root) is None

        for shard in listing.all():
            for item in shard.items(wanted):
                if isinstance(item, SkippedFile):
                    apart.skipped.append(item)
                elif item.read is not None:
                    yield item
                    continue
                elif (content := known.unchanged(item.file, root)) is not None and not self._settled(item.file):
                    apart.pictures.append(ReadPicture(item.file, *content, item.captions))
                advance(1)
