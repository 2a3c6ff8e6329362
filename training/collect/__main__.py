"""Make the custom set: python -m training.collect sentences | pictures | report | review | export

docs/custom-set.md describes a whole collection. Every command continues where it was interrupted, and imports what it
alone needs when it runs: a browser driver, a server and a parquet reader take seconds.
"""

import argparse
import json
import os
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from imagetext.pictures import Limits
from imagetext.wire.errors import ImageTextError, InvalidParameter, NotFound, Unavailable
from training.collect.client import AGENT, PoliteClient
from training.collect.collection import CollectionFolder, Journal, Provider
from training.collect.export import summary, told
from training.collect.language_model import LanguageModel, LanguageModelConfig, expected
from training.collect.open_licence import COMMONS, OPENVERSE, Commons, Openverse
from training.collect.search_page import read_page_file
from training.collect.sentences import gather, read_grammar, read_sentences
from training.data.records import refuse_repository
from training.loop import read_config

HERE = Path(__file__).parent
GRAMMAR = HERE / "grammar.toml"
_OVERRUN = 3  # times the expected requests


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 on success, 1 on an error, 130 if interrupted."""
    options = _parse(arguments)
    options.say = partial(_say, sys.stderr)
    try:
        _say(sys.stdout, options.run(options))
    except ImageTextError as error:
        _say(sys.stderr, error.detail)
        return 1
    except OSError as error:
        _say(sys.stderr, f"{error.strerror or 'Reading or writing failed'}: {error.filename or 'the collection'}")
        return 1
    except KeyboardInterrupt:
        _say(sys.stderr, "Interrupted; run the same command again to continue.")
        return 130
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.collect", description="Make the custom set.")
    commands_of = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_sentences(commands_of.add_parser("sentences", help="gather sentences"))
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--folder", type=Path, required=True, metavar="DIR", help="the collection")
    _add_pictures(commands_of.add_parser("pictures", parents=[folder], help="find pictures for sentences"))
    reporting = commands_of.add_parser("report", parents=[folder], help="pictures found, and losses with reasons")
    reporting.add_argument("--json", action="store_true", help="one line of JSON")
    reporting.set_defaults(run=report)
    reviewing = commands_of.add_parser("review", parents=[folder], help="serve the review page on this machine")
    reviewing.add_argument("--port", type=int, default=8765, help="0 for any free port (default 8765)")
    reviewing.set_defaults(run=review)
    exporting = commands_of.add_parser("export", parents=[folder], help="write the accepted pictures as a data set")
    exporting.add_argument("--into", type=Path, required=True, metavar="DIR", help="folder of the data set")
    exporting.add_argument("--dev", type=float, default=0.1, help="share of the dev split (default 0.1)")
    exporting.add_argument("--test", type=float, default=0.0, help="share of the test split (default 0)")
    exporting.set_defaults(run=export_accepted)
    return parser.parse_args(arguments)


def _add_sentences(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON lines; existing lines are kept")
    parser.add_argument("--number", type=_positive, required=True, help="sentences in the file in the end")
    parser.add_argument("--grammar", action="store_true", help="from the offline grammar, without a language model")
    parser.add_argument("--rules", type=Path, default=GRAMMAR, help="with --grammar: the rules (default grammar.toml)")
    parser.add_argument("--seed", type=int, default=1, help="with --grammar: seed of the sentences")
    parser.add_argument("--settings", type=Path, default=HERE / "sentences.toml", help="prompt, topics, prices")
    parser.add_argument("--address", help="base URL of the API (default: from the settings)")
    parser.add_argument("--model", help="model name (default: from the settings)")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between requests (default 0.2)")
    parser.add_argument("--yes", action="store_true", help="accept the estimated cost and start")
    parser.set_defaults(run=collect_sentences)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", type=Path, required=True, metavar="FILE", help="JSON lines with a `text` each")
    parser.add_argument(
        "--provider", default="commons", help="commons (default), openverse, or the TOML file of a search page"
    )
    parser.add_argument("--contact", help="your e-mail or web address, for commons and openverse")
    parser.add_argument("--address", help="another URL of the API")
    parser.add_argument("--each", type=_positive, default=1, help="pictures for a sentence (default 1)")
    parser.add_argument("--candidates", type=_positive, default=5, help="results to try (default 5)")
    parser.add_argument("--min-side", type=_positive, default=200, help="pixels of the shorter side (default 200)")
    parser.add_argument("--max-megabytes", type=float, default=10.0, help="of a picture's file (default 10)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between requests to a host (default 1)")
    parser.add_argument("--again", action="store_true", help="search again for sentences without a picture")
    parser.add_argument("--browser", type=Path, help="the Chromium to use (default: on the PATH)")
    parser.add_argument("--driver", type=Path, help="its chromedriver (default: on the PATH)")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    parser.set_defaults(run=collect_pictures)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _say(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def collect_sentences(options: Namespace) -> str:
    journal = Journal(options.out)
    with journal.held():
        config = read_config(LanguageModelConfig, options.settings, address=options.address, model=options.model)
        if options.grammar:
            grammar = read_grammar(options.rules)
            gather(journal, grammar.sentences(options.seed), options.number, config.near)
            return f"{len(read_sentences(journal))} sentences in {options.out}."
        return _ask_for_sentences(config, journal, options)


def _ask_for_sentences(config: LanguageModelConfig, journal: Journal, options: Namespace) -> str:
    known = len(read_sentences(journal))
    if known >= options.number:
        return f"{known} sentences are already in {options.out}."
    config.check()
    cost = expected(config, options.number - known)
    plan = f"{options.number - known} sentences of {config.model} at {config.address}, about {cost.told(config)}."
    if not options.yes:
        raise InvalidParameter(f"{plan} Nothing was requested yet; start with --yes.")
    options.say(plan)
    with closing(PoliteClient(AGENT, pause_s=options.pause, timeout_s=120, whole_s=180)) as client:
        model = LanguageModel(config, client, os.environ)
        try:
            offered = model.sentences(known // config.per_request, _OVERRUN * cost.requests + 2)
            repeated = gather(journal, offered, options.number, config.near)
        finally:
            options.say(f"Spent: {model.spent.told(config)}.")
    return f"{len(read_sentences(journal))} sentences in {options.out}, {repeated} repeated ones were skipped."


def collect_pictures(options: Namespace) -> str:
    from training.collect.pictures import Collector, Target

    if not options.sentences.is_file():
        raise NotFound(f"There are no sentences in {options.sentences}.")
    refuse_repository(options.folder)
    folder = CollectionFolder(options.folder)
    limits = Limits(max_bytes=int(options.max_megabytes * 1e6))
    target = Target(options.each, options.candidates, options.min_side, limits)
    name = f"{AGENT}/1 ({options.contact})" if options.contact else AGENT
    with (
        folder.searches.held(),
        closing(PoliteClient(name, pause_s=options.pause)) as client,
        _provider(options, client) as provider,
    ):
        collector = Collector(folder, provider, client, target)
        collector.run(read_sentences(Journal(options.sentences)), options.again)
    return report(options)


@contextmanager
def _provider(options: Namespace, client: PoliteClient) -> Iterator[Provider]:
    if options.provider in ("commons", "openverse"):
        if not options.contact:
            raise InvalidParameter("Give --contact, an e-mail or web address: these APIs require one.")
        is_commons = options.provider == "commons"
        address = options.address or (COMMONS if is_commons else OPENVERSE)
        yield Commons(client, address) if is_commons else Openverse(client, os.environ, address)
    else:
        from training.collect.browser import open_browser
        from training.collect.search_page import SearchPage

        page = read_page_file(Path(options.provider))
        with open_browser(options.browser, options.driver) as chrome:
            yield SearchPage(page, chrome, client)


def report(options: Namespace) -> str:
    """Pictures found, and losses with reasons."""
    counts = summary(CollectionFolder(options.folder).read())
    return json.dumps(counts) if options.json else told(counts)


def review(options: Namespace) -> str:
    """Serves the review page, on this machine only, until Ctrl-C."""
    import uvicorn

    from training.collect.review import HOST, create_app

    folder = CollectionFolder(options.folder)
    if not folder.searches.file.is_file():
        raise NotFound(f"There is no collection in {options.folder}.")
    with folder.decisions.held():
        app = create_app(folder)
        try:
            listener = socket.create_server((HOST, options.port))
        except OSError as error:
            raise Unavailable(f"Port {options.port} is in use; give another --port.") from error
        options.say(f"Review at http://{HOST}:{listener.getsockname()[1]}/ - stop with Ctrl-C; nothing is lost.")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
    return "The review has ended."


def export_accepted(options: Namespace) -> str:
    from training.collect.export import export
    from training.data.records import Shares

    records = export(CollectionFolder(options.folder), options.into, Shares(options.dev, options.test))
    return f"{len(records)} accepted pictures in {options.into}, with credits.csv."


if __name__ == "__main__":
    sys.exit(main())
