"""A plain FastAPI endpoint around a captioner in torch, as FastAPI's pages show one for an uploaded file.

FastAPI runs it in its threads; a lock lets one picture at a time into the model, which is faster on few cores than
letting all of them fight for them. A module of its own: uvicorn starts it as a process.
"""

import io
import os
import threading
from pathlib import Path

from fastapi import FastAPI, UploadFile
from PIL import Image

from bench.rows.captions import WORDS, plain
from imagetext.machine import keep_freed_memory
from imagetext.models.captioner.model import load_in_torch

MODEL = "BENCH_CAPTIONER"  # the environment's name for the model folder


def create_app() -> FastAPI:
    keep_freed_memory()  # as the other side does
    captioner = load_in_torch(Path(os.environ[MODEL]))
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
