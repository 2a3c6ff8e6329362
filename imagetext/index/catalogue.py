"""What operators see of an index: its versions, the files that each skipped, and the switch to another version."""

from pathlib import Path

from imagetext.index.manifest import SKIPPED, check_sizes, read_manifest, verify_file
from imagetext.index.reader import IndexReader, info_of
from imagetext.index.versions import current_version, list_versions, publish, version_folder
from imagetext.index.writer import SkippedFile, read_skipped
from imagetext.wire.errors import CannotPublish, ImageTextError, IndexVersionError, NotFound
from imagetext.wire.index import IndexInfo, IndexVersion


def describe(index: Path, version: str, *, current: bool, fingerprint: str | None = None) -> IndexVersion:
    """What the manifest says, or what is wrong with it or with the sizes of the files.

    Args:
        fingerprint: that of the loaded encoder, which must have made the version; None: any.
    """
    folder = version_folder(index, version)
    try:
        manifest = read_manifest(folder)
        check_sizes(folder, manifest)
    except IndexVersionError as error:
        return IndexVersion(version=version, current=current, error=error.detail)
    info = info_of(manifest)
    known = {name: value for name, value in info.model_dump().items() if name in IndexVersion.model_fields}
    conflict = None if fingerprint is None else other_encoder(info, fingerprint)
    own = {"version": version, "current": current, "format": manifest.format, "error": conflict}
    return IndexVersion.model_validate(known | own)


def other_encoder(info: IndexInfo, fingerprint: str) -> str | None:
    """An error message if another encoder made the version."""
    if info.fingerprint == fingerprint:
        return None
    return (
        f"Index version {info.version} was made by the encoder {info.encoder} {info.fingerprint}, "
        f"not by the one that is loaded, {fingerprint}. Build the index again with this model."
    )


def skipped_files(index: Path, version: str) -> list[SkippedFile]:
    """All files that a version skipped.

    Raises:
        NotFound: there is no such version.
        IndexVersionError: the list is damaged.
    """
    folder = existing_folder(index, version)
    verify_file(folder, read_manifest(folder), SKIPPED)
    return read_skipped(folder)


def version_before(index: Path) -> str | None:
    """The newest version that is older than the current one; None if there is none.

    Raises:
        IndexVersionError: CURRENT is damaged.
    """
    current = current_version(index)
    earlier = [version for version in list_versions(index) if current is not None and version < current]
    return earlier[-1] if earlier else None


def current_or_none(index: Path) -> str | None:
    """As `current_version`, but None if CURRENT is damaged: publishing repairs it."""
    try:
        return current_version(index)
    except IndexVersionError:
        return None


def existing_folder(index: Path, version: str) -> Path:
    """The folder of a version. Raises NotFound."""
    if version not in list_versions(index):
        raise NotFound(f"The index has no version {version}.")
    return version_folder(index, version)


def switch(index: Path, version: str, fingerprint: str | None = None) -> str | None:
    """Verify every byte of a version and make it the current one; returns the one before.

    Args:
        fingerprint: as in `describe`.

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
    """An error message if a version cannot be searched, or another encoder made it; reads every byte."""
    try:
        reader = IndexReader.open(folder, verify=True)
    except ImageTextError as error:
        return error.detail
    reader.close()
    return None if fingerprint is None else other_encoder(reader.info, fingerprint)
