"""A plain FastAPI endpoint around a captioner in torch, as FastAPI's pages show one for an uploaded file.

FastAPI runs it in its threads; a lock admits one picture at a time to the model, which on few cores is faster than
letting threads compete. A separate module because uvicorn starts it as a process.
"""

import io
import os
import threading
from pathlib import Path

from fastapi import FastAPI, UploadFile
from PIL import Image

from bench.rows.captions import ENDPOINT_MODEL, WORDS, plain
from imagetext.machine import keep_freed_memory
from imagetext.models.captioner.model import load_in_torch


def create_app() -> FastAPI:
    keep_freed_memory()  # as our service does
    captioner = load_in_torch(Path(os.environ[ENDPOINT_MODEL]))
    caption, lock, app = plain(captioner, WORDS), threading.Lock(), FastAPI()

    @app.post("/captions")
    def captions(image: UploadFile) -> dict[str, str]:
        picture = Image.open(io.BytesIO(image.file.read())).convert("RGB")
        prepared = captioner.prepare(picture)
        with lock:
            return {"caption": caption(prepared)}

    @app.get("/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app
