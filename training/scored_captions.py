"""Captions of a set of pictures with their contributions to every score, so that any subset can be scored fast.

METEOR 1.5 (Denkowski and Lavie, 2014) is that of the COCO caption toolkit, with its own jar for the matches. The jar's
counts for each caption are additive, so the score of any subset is a formula, and resampling needs no further run of
Java. The score of a set equals that of the jar's EVAL command.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from imagetext.models.captioner.vocabulary import words_of
from imagetext.wire.errors import Unavailable
from training.metrics import CiderD, bleu_counts, bleu_of, rouge_l, rouge_n
from training.ranking import Rows

JAR_VARIABLE = "METEOR_JAR"  # of the environment, names the jar where no option does

# The jar's parameters for English, task "rank".
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
STAGES = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase

COUNTS = 23
CHUNKS = 20


def meteor_if_possible(
    captions: Sequence[str], references: Sequence[Sequence[str]], jar: str | None
) -> NDArray[np.float64] | None:
    """As `meteor_counts`; None if METEOR is not available, with the reason on standard error."""
    try:
        return meteor_counts(captions, references, find_jar(jar))
    except Unavailable as error:
        sys.stderr.write(f"Without METEOR: {error.detail}\n")
        return None


def find_jar(named: str | None) -> Path:
    """The jar that is named, or else the one that the package pycocoevalcap carries, if that is installed.

    Raises:
        Unavailable: there is none.
    """
    if named:
        jar = Path(named)
    else:
        package = importlib.util.find_spec("pycocoevalcap")
        if package is None or package.origin is None:
            raise Unavailable("No METEOR jar is named and the package pycocoevalcap is not installed.")
        jar = Path(package.origin).parent / "meteor" / "meteor-1.5.jar"
    if not jar.is_file():
        raise Unavailable(f"There is no METEOR jar at {jar}.")
    return jar


def meteor_counts(captions: Sequence[str], references: Sequence[Sequence[str]], jar: Path) -> NDArray[np.float64]:
    """The contribution of each caption to METEOR, rows of 23 counts in the jar's order.

    Raises:
        Unavailable: Java is missing or the jar does not work.
    """
    java = shutil.which("java")
    if java is None:
        raise Unavailable("Java is not installed.")
    # The jar writes numbers as its locale does.
    command = [java, "-Xmx2G", "-Duser.language=en", "-Duser.country=US", "-jar", str(jar.resolve())]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as questions:
        questions.writelines(_question(*pair) for pair in zip(captions, references, strict=True))
        questions.seek(0)
        with subprocess.Popen(
            [*command, "-", "-", "-stdio", "-l", "en", "-norm"],
            stdin=questions,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout
            answers = [line.split() for line in tqdm(process.stdout, total=len(captions), desc="METEOR")]
    if [len(answer) for answer in answers] != [COUNTS] * len(captions):
        raise Unavailable(f"{jar.name} does not work; it needs the file data/paraphrase-en.gz beside it.")
    return np.array(answers, dtype=np.float64)


def _question(caption: str, references: Sequence[str]) -> str:
    texts = [" ".join(words_of(text)) for text in (*references, caption)]
    return " ||| ".join(["SCORE", *texts]) + "\n"


def meteor_of(counts: NDArray[np.float64]) -> float:
    """METEOR in [0, 1] of the captions whose counts these are."""
    # One chunk that is the whole of both sentences is not a fragment.
    whole = (counts[:, 21] == counts[:, 0]) & (counts[:, 22] == counts[:, 1]) & (counts[:, CHUNKS] == 1)
    total = counts.sum(0)
    chunks = total[CHUNKS] - whole.sum()
    length, wanted_length, function_words, wanted_function_words = total[:4]
    content, wanted_content, function, wanted_function = total[4:CHUNKS].reshape(4, 4).T
    precision = _share(content, function, length, function_words)
    recall = _share(wanted_content, wanted_function, wanted_length, wanted_function_words)
    if not precision or not recall:
        return 0.0
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    return float(mean * (1 - GAMMA * (chunks / (total[21:].sum() / 2)) ** BETA))


def _share(content: NDArray[np.float64], function: NDArray[np.float64], words: float, function_words: float) -> float:
    matched = STAGES @ (DELTA * content + (1 - DELTA) * function)
    possible = DELTA * (words - function_words) + (1 - DELTA) * function_words
    return float(matched / possible) if possible else 0.0


class ScoredCaptions:
    """One caption and its references for each picture.

    Args:
        captions: as the captioner wrote them.
        references: for each caption at least one.
        known: captions that do not count as new, usually those of training.
        meteor: rows of `meteor_counts`, where METEOR can be had.
    """

    def __init__(
        self,
        captions: Sequence[str],
        references: Sequence[Sequence[str]],
        known: Collection[str] | None = None,
        meteor: NDArray[np.float64] | None = None,
    ) -> None:
        self.captions = captions
        self.words = [words_of(caption) for caption in captions]
        wanted = [[words_of(reference) for reference in one] for one in references]
        pairs = list(zip(self.words, wanted, strict=True))
        cider = CiderD(wanted)
        self.bleu = np.array([bleu_counts(c, r) for c, r in pairs])
        self.meteor = meteor
        self.means = {
            "rouge_l": np.array([rouge_l(c, r) for c, r in pairs]),
            "rouge1": np.array([rouge_n(c, r, 1) for c, r in pairs]),
            "rouge2": np.array([rouge_n(c, r, 2) for c, r in pairs]),
            "cider": np.array([cider.score(c, [cider.vector(w) for w in r]) for c, r in pairs]),
            "mean_length": np.array([float(len(c)) for c in self.words]),
        }
        if known is not None:
            old = {tuple(words_of(caption)) for caption in known}
            self.means["novel"] = np.array([float(tuple(c) not in old) for c in self.words])

    def scores(self, rows: Rows) -> dict[str, float]:
        """Scores of some pictures, each as often as it stands in `rows`.

        CIDEr's document frequencies stay those of all references; from the whole set they are the toolkit's.
        """
        found = {f"bleu{n}": score for n, score in enumerate(bleu_of(self.bleu[rows].sum(0).tolist()), 1)}
        if self.meteor is not None:
            found["meteor"] = meteor_of(self.meteor[rows])
        return found | {name: float(values[rows].mean()) for name, values in self.means.items()}

    @property
    def distinct_words(self) -> int:
        return len({word for words in self.words for word in words})
