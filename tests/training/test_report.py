"""The report: what it shows, and how the page looks in a real browser."""

import json
import shutil
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.browser.shapes import shape_library
from tests.patience import BROWSER_MS
from training.dataset import CaptionedPicture
from training.ranking import bootstrap, rank
from training.report.page import caption_groups, picture_queries, word_queries, write_report
from training.report.tables import CaptionFindings, Findings, SearchFindings, tables
from training.score import main as score
from training.scored_captions import ScoredCaptions

PICTURES = 12
LONG = "a-captioner-whose-name-goes-on-and-on"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[CaptionedPicture]:
    """Drawn shapes with two references each."""
    folder = tmp_path_factory.mktemp("pictures")
    found = []
    for shape in shape_library()[:PICTURES]:
        path = folder / f"{shape.id}.jpg"
        path.write_bytes(shape.encoded())
        references = (f"A {shape.colour} {shape.shape} on {shape.ground} .", f"{shape.shape} <b>& {shape.colour}</b>")
        found.append(CaptionedPicture(path, references))
    return found


def captioned(name: str, captions: list[str], pictures: list[CaptionedPicture]) -> CaptionFindings:
    scored = ScoredCaptions(captions, [picture.captions for picture in pictures], known=["a red circle on blue"])
    return CaptionFindings(name, scored, bootstrap(scored.scores, len(pictures), resamples=50))


def searched(name: str, pictures: list[CaptionedPicture]) -> SearchFindings:
    """An encoder that knows the first half of the pictures by heart and takes each other one for its opposite."""
    vectors = np.eye(PICTURES, dtype=np.float32)
    owner = [row for row in range(PICTURES) for _ in range(2)]
    texts = np.where(np.array(owner)[:, None] < PICTURES // 2, vectors[owner], -vectors[owner])
    ranking = rank(texts, vectors, owner)
    captions = [caption for picture in pictures for caption in picture.captions]
    return SearchFindings(name, captions, ranking, bootstrap(ranking.scores, PICTURES, resamples=50))


@pytest.fixture(scope="module")
def findings(pictures: list[CaptionedPicture]) -> Findings:
    """A captioner that copies the first reference, except of the last picture, and one that always says the same."""
    copies = [picture.captions[0] for picture in pictures]
    good = captioned("good", [*copies[:-1], "nothing of the kind"], pictures)
    dull = captioned(LONG, ["a thing"] * PICTURES, pictures)
    return Findings(pictures, [good, dull], [searched("half", pictures)])


def test_the_best_and_the_worst_are_found(findings: Findings) -> None:
    """The copied captions are the best, the foreign one the worst; those by lot show what every captioner said."""
    groups = {group.title: group.cards for group in caption_groups(findings)}

    best, worst, lot = groups["Best of good"], groups["Worst of good"], groups["Drawn by lot"]
    assert best[0].spoken[0].text == findings.pictures[best[0].row].captions[0]
    assert best[0].spoken[0].cider > worst[0].spoken[0].cider == 0
    assert worst[0].row == PICTURES - 1
    assert [one.captioner for one in lot[0].spoken] == ["good", LONG]


def test_hits_and_misses_are_told_apart(findings: Findings) -> None:
    """What the encoder knows by heart is found first, the rest stands last."""
    for hits, misses in (word_queries(findings.encoders[0]), picture_queries(findings.encoders[0])):
        assert [query.rank for query in hits] == [1] * 6
        assert all(query.rank > 5 for query in misses)
        assert len(misses) == 6


def test_tables_have_rouge_in_front_and_a_column_for_each(findings: Findings) -> None:
    """One row for each score, one column for each captioner; a sure change to the first column is told."""
    captions, words, _ = tables(findings)

    rows = {row.label: row for row in captions.rows}
    assert captions.columns == ("good", LONG)
    assert captions.rows[0].label == "ROUGE-L"
    assert rows["ROUGE-L"].cells[1].verdict == "worse"
    assert rows["Distinct words"].cells[1].text == "2"
    assert rows["New captions"].cells[0].text == "91.7"
    assert words.rows[0].cells[0].text == "50.0"
    assert "ROUGE-L" in captions.to_text()


def test_a_difference_that_may_be_chance_is_not_called_one(pictures: list[CaptionedPicture]) -> None:
    """Two captioners that are each right where the other is wrong are not told apart."""
    right, wrong = [picture.captions[0] for picture in pictures], ["nothing"] * PICTURES
    even = [one if row % 2 else other for row, (one, other) in enumerate(zip(right, wrong, strict=True))]
    odd = [other if row % 2 else one for row, (one, other) in enumerate(zip(right, wrong, strict=True))]
    both = Findings(pictures, [captioned("even", even, pictures), captioned("odd", odd, pictures)], [])

    assert tables(both)[0].rows[0].cells[1].verdict == "same"


def test_the_folders_captions_can_be_scored_again(
    findings: Findings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`training.score` reads the captions beside the page and finds the same scores."""
    write_report(findings, "Report", tmp_path)
    lines = [f"{p.name}#{n}\t{c}\n" for p in findings.pictures for n, c in enumerate(p.captions)]
    (tmp_path / "some.token.txt").write_text("".join(lines))
    told = json.loads((tmp_path / "scores.json").read_text())["captions"]["good"]

    arguments = ["--references", str(tmp_path / "some.token.txt"), "--captions", str(tmp_path / "captions/good.json")]
    score([*arguments, "--meteor", "no.jar"])

    found = json.loads(capsys.readouterr().out)
    assert {key: found[key] for key in ("rouge_l", "bleu4", "cider")} == {
        key: told[key]["value"] for key in ("rouge_l", "bleu4", "cider")
    }
    assert told["cider"]["low"] <= told["cider"]["value"] <= told["cider"]["high"]


class Links(HTMLParser):
    """All that a page points to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_needs_nothing_else(findings: Findings, tmp_path: Path) -> None:
    """Every picture is in the page, every link stays in it, there is no script, and captions are text, not markup."""
    page = write_report(findings, "Report", tmp_path).read_text()
    links = Links()
    links.feed(page)

    assert links.found
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert "<script" not in page
    assert "&lt;b&gt;&amp; red&lt;/b&gt;" in page


def test_a_report_of_one_captioner_alone(findings: Findings, tmp_path: Path) -> None:
    """Without an encoder the page has no retrieval part and compares nothing."""
    page = write_report(Findings(findings.pictures, findings.captioners[:1], []), "Report", tmp_path).read_text()

    assert 'id="captions"' in page
    assert 'id="words"' not in page
    assert "surely better" not in page


@pytest.fixture
async def browser() -> AsyncIterator[object]:
    """A real headless Chromium."""
    playwright = pytest.importorskip("playwright.async_api", reason="needs: pip install playwright")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("the report's page test needs Chromium: apt-get install chromium")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"], timeout=BROWSER_MS
        )
        yield browser
        await browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_never_scrolls_sideways(findings: Findings, tmp_path: Path, browser, scheme: str) -> None:
    """390 pixels are enough in the light and in the dark, all pictures show, and nothing is asked of a network."""
    page_file = write_report(findings, "Report", tmp_path)
    context = await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, is_mobile=True)
    page = await context.new_page()
    page.set_default_timeout(BROWSER_MS)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))

    await page.goto(page_file.as_uri())

    wide, window = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    broken = await page.evaluate("[...document.images].filter((one) => !one.naturalWidth).length")
    paper, ink = await page.evaluate(BRIGHTNESS)
    assert wide <= window == 390
    assert broken == 0
    assert (paper < ink) == (scheme == "dark")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []
    await context.close()


BRIGHTNESS = """["backgroundColor", "color"].map((name) => {
    const channels = getComputedStyle(document.documentElement)[name].match(/[0-9.]+/g).slice(0, 3);
    return channels.reduce((sum, value) => sum + Number(value), 0);
})"""
