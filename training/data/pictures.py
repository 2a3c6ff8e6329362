"""Picture files of a data set: linked, copied or written, each whole or not at all."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

from imagetext.errors import InvalidParameter
from training.data.record import PICTURES


def write_picture(path: Path, data: bytes) -> None:
    """Several threads may write the same picture at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{threading.get_ident()}.part")
    unfinished.write_bytes(data)
    os.replace(unfinished, path)


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed `write_picture` left in a data set's folder."""
    for unfinished in (folder / PICTURES).rglob(".*.part"):
        unfinished.unlink()


def bring_picture(source: Path, target: Path, *, copy: bool) -> None:
    """Make `target` a copy of `source`, or a symbolic link to it; what was there is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = source.resolve()
    if target.exists() and target.resolve() == source and (target.is_symlink() != copy or target == source):
        return
    unfinished = target.with_name(f".{target.name}.part")
    unfinished.unlink(missing_ok=True)
    if copy:
        shutil.copyfile(source, unfinished)
    else:
        unfinished.symlink_to(source)
    os.replace(unfinished, target)


def refuse_repository(folder: Path) -> None:
    """Raise InvalidParameter for a folder whose files git would take: pictures of others do not belong there."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    command = ["git", "check-ignore", "-q", str(folder.absolute() / PICTURES)]
    try:
        answer = subprocess.run(command, cwd=existing, stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:  # no git, no repository
        return
    if answer.returncode == 1:  # 0: ignored, 128: no repository
        raise InvalidParameter(f"{folder} lies in a git repository that does not ignore it; choose another folder.")
