"""What tests of training need that not every machine has."""

import os
import shutil
from pathlib import Path

import pytest

from imagetext.wire.errors import Unavailable
from training.scored_captions import JAR_VARIABLE, find_jar

# Runs are compared bit by bit, and their networks are tiny: a GPU would only add its own way of rounding.
os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def meteor_jar() -> Path:
    """METEOR's jar, where Java can run it."""
    if shutil.which("java") is None:
        pytest.skip("METEOR needs Java: apt-get install default-jre-headless")
    try:
        return find_jar(os.environ.get(JAR_VARIABLE))
    except Unavailable as error:
        pytest.skip(f"{error.detail} METEOR_JAR=.../meteor-1.5.jar, or pip install --no-deps pycocoevalcap")
