"""Safe intake of pictures from strangers: any file in, an upright RGB picture or a clear error out."""

from imagetext.pictures.decoding import DEFAULT_LIMITS, Limits, check_bytes, open_picture, read_picture_file, thumbnail
from imagetext.pictures.formats import READABLE_SUFFIXES
from imagetext.pictures.metadata import FileMetadata, read_metadata

__all__ = [
    "DEFAULT_LIMITS",
    "READABLE_SUFFIXES",
    "FileMetadata",
    "Limits",
    "check_bytes",
    "open_picture",
    "read_metadata",
    "read_picture_file",
    "thumbnail",
]
