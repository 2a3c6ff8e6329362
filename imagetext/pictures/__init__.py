"""Safe intake of pictures from strangers: any file in, an upright RGB picture or a clear error out."""

from imagetext.pictures.formats import READABLE_SUFFIXES
from imagetext.pictures.intake import DEFAULT_LIMITS, Limits, check_bytes, open_picture, read_picture_file
from imagetext.pictures.metadata import FileMetadata, read_metadata
from imagetext.pictures.thumbnails import thumbnail

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
