"""From one version to another: only to one that can be searched, which is known when all of it was read."""

from pathlib import Path

from imagetext.errors import CannotPublish, ImageTextError
from imagetext.index.overview import current_or_none, existing_folder, other_encoder
from imagetext.index.reader import IndexReader
from imagetext.index.versions import publish


def switch(index: Path, version: str, fingerprint: str | None = None) -> str | None:
    """Verify every byte of a version and make it the current one; returns the one that was.

    Args:
        fingerprint: of the encoder that must have made it; None: any.

    Raises:
        NotFound: there is no such version.
        CannotPublish: it is damaged or made by another encoder, or the folder cannot be written.
    """
    folder = existing_folder(index, version)
    before = current_or_none(index)
    reason = why_unusable(folder, fingerprint)
    if reason is not None:
        raise CannotPublish(f"{reason} The current version stays.")
    try:
        publish(index, version)
    except OSError as error:
        raise CannotPublish("The folder of the index cannot be written, so the current version stays.") from error
    return before


def why_unusable(folder: Path, fingerprint: str | None = None) -> str | None:
    """A sentence if a version cannot be searched, or was not made by the encoder; reads every byte."""
    try:
        reader = IndexReader.open(folder, verify=True)
    except ImageTextError as error:
        return error.detail
    reader.close()
    return None if fingerprint is None else other_encoder(reader.info, fingerprint)
