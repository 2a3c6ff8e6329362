"""Exported models: made once with torch, then loaded by services without it.

    data/engines/retrieval-1f0c.../    a model; its name contains a hash of what it was exported from
        model.json                     facts that need no network
        pictures.onnx ...              its networks (see `engines/network.py`)
        tokenizer.json ...             other files of its kind
    data/engines/choices/              the chosen engine of each network, per kind of processor

Exporting needs torch and takes half a minute, so it runs in a separate process that ends.
"""

import argparse
import atexit
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imagetext
from imagetext.engines import Engines, Loaded, Network
from imagetext.models.folder import CONFIG, ModelFolder, require_source
from imagetext.wire.errors import ModelError

ENCODER, CAPTIONER = "encoder", "captioner"  # kinds
MODEL = "model.json"
# Increase when exports change: earlier ones are then made again.
FORMAT = 5
LARGE = 2**24  # bytes: larger files are identified by size and time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelRef:
    """A model by kind and folder or hub id."""

    kind: str
    source: str

    @classmethod
    def parse(cls, text: str) -> "ModelRef":
        """encoder:models/retrieval -> both parts. Raises ArgumentTypeError."""
        kind, _, source = text.partition(":")
        if kind not in (ENCODER, CAPTIONER) or not source:
            raise argparse.ArgumentTypeError(f"{text!r} is not {ENCODER}:MODEL or {CAPTIONER}:MODEL")
        return cls(kind, source)

    def __str__(self) -> str:
        return f"{self.kind}:{self.source}"


@dataclass(frozen=True)
class ExportedModel:
    """An exported model.

    Attributes:
        kind: ENCODER or CAPTIONER.
        source: the folder or hub id it was requested by.
        folder: where its files are.
        facts: the content of its model.json.
    """

    kind: str
    source: str
    folder: Path
    facts: dict[str, Any]


def exported(kind: str, source: str | Path, engines: Engines) -> ExportedModel:
    """A model by folder or hub id, exported now if it was not before.

    Raises:
        ModelError: nothing loadable is there, or it must be exported and torch is not installed.
    """
    require_source(source)
    folder = _found(source, engines)
    if folder is None:
        wanted = ModelRef(kind, str(source))
        if "torch" in sys.modules:
            from imagetext.models.export import export_model

            folder = export_model(kind, str(source), _writable(engines.folder))
        else:
            (folder,) = _export([wanted], _writable(engines.folder))
    try:
        facts = json.loads((folder / MODEL).read_text(encoding="utf-8"))
        found = facts["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder) from error
    if found != kind:
        raise ModelError(f"{source} is of kind {found}; {kind} is required.")
    return ExportedModel(kind, str(source), folder, facts)


def damaged(folder: Path) -> ModelError:
    return ModelError(f"The exported model {folder} is damaged: delete the folder.")


def export_missing(wanted: Sequence[ModelRef], engines: Engines) -> bool:
    """Export those that are missing, in parallel; False if there are none.

    Raises:
        ModelError: one cannot be loaded, or torch is not installed.
    """
    for each in wanted:
        require_source(each.source)
    missing = [each for each in wanted if _found(each.source, engines) is None]
    if missing:
        _export(missing, _writable(engines.folder))
    return bool(missing)


class Networks:
    """Networks by name, each loaded once on first use. Thread-safe."""

    def __init__(self, load: Callable[[str], Loaded]) -> None:
        self._load = load
        self._loaded: dict[str, Loaded] = {}
        self._loading = threading.Lock()

    def __getitem__(self, name: str) -> Loaded:
        if name not in self._loaded:
            with self._loading:
                if name not in self._loaded:
                    self._loaded[name] = self._load(name)
        return self._loaded[name]

    def load(self, *names: str) -> None:
        for name in names:
            self[name]

    def loaded(self) -> dict[str, Loaded]:
        """The networks loaded so far."""
        return dict(self._loaded)


def load_networks(model: ExportedModel, engines: Engines) -> Callable[[str], Loaded]:
    """A function from a network's name to the network in its chosen engine, or in torch if no engine can run it."""

    def load(name: str) -> Loaded:
        loaded = engines.load(Network.open(model.folder, name))
        if loaded is None:
            if find_spec("torch") is None:
                raise ModelError(f"No engine can run {name} of {model.source} here, and torch is not installed.")
            from imagetext.models.export import network_in_torch

            log.warning("%s of %s runs in torch: no engine can run it", name, model.source)
            loaded = network_in_torch(model.kind, model.source, name, engines.threads)
        return loaded

    return load


def _export_name(title: str, key: str) -> str:
    """The folder name of an export."""
    safe = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in title)
    return f"{safe}-{hashlib.sha256(f'{FORMAT} {key}'.encode()).hexdigest()[:16]}"


def name_of(source: str | Path) -> str | None:
    """The folder name of a source's export; None for a hub id that is not on this machine yet."""
    folder = Path(source)
    if not folder.is_dir():
        snapshot = _snapshot(str(source))
        return None if snapshot is None else _export_name(folder.name, f"{source}@{snapshot.name}")
    if _is_ours(folder):
        return _export_name(folder.name, ModelFolder.open(folder).fingerprint)
    return _export_name(folder.name, _files(folder))


def _found(source: str | Path, engines: Engines) -> Path | None:
    """The folder of an existing export."""
    name = name_of(source)
    places = [place / name for place in (engines.exported, engines.folder) if place is not None and name is not None]
    return next((place for place in places if (place / MODEL).is_file()), None)


def _is_ours(folder: Path) -> bool:
    try:
        return "architecture" in json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _files(folder: Path) -> str:
    """A hash of a folder that transformers wrote; large files are not read."""
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if file.is_file()):
        facts = file.stat()
        content = f"{facts.st_size} {int(facts.st_mtime)}".encode() if facts.st_size > LARGE else file.read_bytes()
        digest.update(f"{file.name}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    return digest.hexdigest()


def _snapshot(source: str) -> Path | None:
    """A model's folder in the hub's cache; None if it is not there."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except Exception:  # of many kinds, all of which mean that it is not here
        return None


def _writable(folder: Path | None) -> Path:
    """`folder`, or a temporary one if it is missing or not writable."""
    if folder is not None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
        log.warning("%s is not writable; models will be exported at every start", folder)
    passing = Path(tempfile.mkdtemp(prefix="imagetext-"))
    atexit.register(shutil.rmtree, passing, ignore_errors=True)
    return passing


def _export(wanted: Sequence[ModelRef], engines: Path) -> list[Path]:
    """Export in a separate process, so that torch and transformers do not stay in memory; returns the folders."""
    if find_spec("torch") is None:
        raise ModelError(
            f"{wanted[0].source} must be exported first, which needs torch: "
            "install it, or use an image built with TORCH=1."
        )
    root = Path(imagetext.__file__).parent.parent
    paths = [str(root), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    done = subprocess.run(
        [sys.executable, "-m", "imagetext.models.export", *map(str, wanted), "--engines", str(engines)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode:
        reason = next((line for line in lines if not Path(line).is_dir()), "")
        raise ModelError(reason or f"{wanted[0].source} could not be exported.")
    return [Path(line) for line in lines]


def publish(unfinished: Path, folder: Path) -> None:
    """Move a finished export to its name, atomically."""
    if folder.exists():  # damaged, or without its model.json
        shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)
