"""What each command does, in the order of a collection: sentences, pictures, review, export.

Each imports what it alone needs when it runs: a browser's driver, a server and a parquet reader take seconds.
"""

import json
import os
import socket
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imagetext.pictures import Limits
from imagetext.wire.errors import InvalidParameter, NotFound, Unavailable
from training.collect.client import AGENT, PoliteClient
from training.collect.export import summary, told
from training.collect.folder import CollectionFolder, Journal, Provider
from training.collect.language_model import LanguageModel, LanguageModelConfig, expected
from training.collect.open_licence import COMMONS, OPENVERSE, Commons, Openverse
from training.collect.search_page import read_page_file
from training.collect.sentences import gather, read_grammar, read_sentences
from training.data.folder import refuse_repository
from training.loop import read_config

HERE = Path(__file__).parent
GRAMMAR = HERE / "grammar.toml"
_OVERRUN = 3  # times the expected requests


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
        return f"{known} sentences are in {options.out} already."
    config.check()
    cost = expected(config, options.number - known)
    plan = f"{options.number - known} sentences of {config.model} at {config.address}, about {cost.told(config)}."
    if not options.yes:
        raise InvalidParameter(f"{plan} Nothing was asked yet: give --yes to start.")
    options.say(plan)
    with closing(PoliteClient(AGENT, pause_s=options.pause, timeout_s=120, whole_s=180)) as client:
        model = LanguageModel(config, client, os.environ)
        try:
            offered = model.sentences(known // config.per_request, _OVERRUN * cost.requests + 2)
            repeated = gather(journal, offered, options.number, config.near)
        finally:
            options.say(f"Spent: {model.spent.told(config)}.")
    return f"{len(read_sentences(journal))} sentences in {options.out}, {repeated} offered ones were not new."


def collect_pictures(options: Namespace) -> str:
    from training.collect.pictures import Collector, Wanted

    if not options.sentences.is_file():
        raise NotFound(f"There are no sentences in {options.sentences}.")
    refuse_repository(options.folder)
    folder = CollectionFolder(options.folder)
    limits = Limits(max_bytes=int(options.max_megabytes * 1e6))
    wanted = Wanted(options.each, options.candidates, options.min_side, limits)
    name = f"{AGENT}/1 ({options.contact})" if options.contact else AGENT
    with (
        folder.searches.held(),
        closing(PoliteClient(name, pause_s=options.pause)) as client,
        _provider(options, client) as provider,
    ):
        collector = Collector(folder, provider, client, wanted)
        collector.run(read_sentences(Journal(options.sentences)), options.again)
    return report(options)


@contextmanager
def _provider(options: Namespace, client: PoliteClient) -> Iterator[Provider]:
    if options.provider in ("commons", "openverse"):
        if not options.contact:
            raise InvalidParameter("Give --contact, a mail or web address: open-licence APIs want to know who asks.")
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
    """What was found and what was lost, and why."""
    counts = summary(CollectionFolder(options.folder).read())
    return json.dumps(counts) if options.json else told(counts)


def review(options: Namespace) -> str:
    """Serves the review page on this machine alone, until Ctrl-C."""
    import uvicorn

    from training.collect.review.app import HOST, create_app

    folder = CollectionFolder(options.folder)
    if not folder.searches.file.is_file():
        raise NotFound(f"There is no collection in {options.folder}.")
    with folder.decisions.held():
        app = create_app(folder)
        try:
            listener = socket.create_server((HOST, options.port))
        except OSError as error:
            raise Unavailable(f"Port {options.port} is taken; name another with --port.") from error
        options.say(f"Review at http://{HOST}:{listener.getsockname()[1]}/ - Ctrl-C ends it; nothing is lost.")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
    return "The review has ended."


def export_accepted(options: Namespace) -> str:
    from training.collect.export import export
    from training.data.folder import Shares

    records = export(CollectionFolder(options.folder), options.into, Shares(options.dev, options.test))
    return f"{len(records)} accepted pictures in {options.into}, with credits.csv."
