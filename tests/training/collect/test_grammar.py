"""The offline grammar."""

import re
from itertools import islice
from pathlib import Path

import pytest

from imagetext.wire.errors import InvalidParameter, Unavailable
from training.collect.__main__ import GRAMMAR
from training.collect.collection import Journal
from training.collect.sentences import Grammar, gather, read_grammar, read_sentences


def test_the_shipped_grammar_gives_a_thousand_different_sentences(tmp_path: Path) -> None:
    """As many as the original's list, none like another, all of a caption's length, with right articles."""
    journal = Journal(tmp_path / "s.jsonl")
    gather(journal, read_grammar(GRAMMAR).sentences(1), 1000, 0.7)
    texts = [sentence.text for sentence in read_sentences(journal)]

    assert len(set(texts)) == 1000
    assert all(4 <= len(text.split()) <= 20 and re.fullmatch(r"[A-Z][A-Za-z ,-]+\.", text) for text in texts)
    assert not [text for text in texts if re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text)]


def test_a_seed_gives_the_same_sentences() -> None:
    """And another seed others."""
    grammar = read_grammar(GRAMMAR)
    one, same, other = (list(islice(grammar.sentences(seed), 20)) for seed in (7, 7, 8))

    assert one == same
    assert one != other


def test_stopped_and_gone_on_is_the_undisturbed_list(tmp_path: Path) -> None:
    """A file that was left at ten sentences ends like one that was written in one go."""
    grammar = read_grammar(GRAMMAR)
    for number in (10, 40):
        gather(Journal(tmp_path / "two.jsonl"), grammar.sentences(3), number, 0.7)
    gather(Journal(tmp_path / "one.jsonl"), grammar.sentences(3), 40, 0.7)

    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_a_small_grammar_says_when_it_is_used_up(tmp_path: Path) -> None:
    """What it gave stays."""
    grammar = Grammar({"sentence": ["a {who} sleeps on the wide sofa"], "who": ["dog", "crocodile"]})

    with pytest.raises(Unavailable, match="2 of 3 sentences"):
        gather(Journal(tmp_path / "s.jsonl"), grammar.sentences(1), 3, 0.9)
    assert len(read_sentences(Journal(tmp_path / "s.jsonl"))) == 2


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('sentence = ["a {dog}"]', "no rule for: dog"),
        ('start = ["a dog"]', "no rule for: sentence"),
        ("sentence = []", "no rule for: sentence"),
        ('sentence = ["{a}"]\na = ["{b}"]\nb = ["{a}"]', "circle"),
        ('sentence = "a dog"', "list of texts"),
        ("sentence = [", "readable TOML"),
    ],
)
def test_rules_that_do_not_hold_together(tmp_path: Path, rules: str, words: str) -> None:
    """Are refused with what is wrong."""
    (tmp_path / "g.toml").write_text(rules)

    with pytest.raises(InvalidParameter, match=words):
        read_grammar(tmp_path / "g.toml")
