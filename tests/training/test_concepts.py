"""What the classifier knows, taught over towers that stay; and how it is scored beyond Flickr8k's world."""

from pathlib import Path

import numpy as np
import pytest
import torch

from imagetext.models.encoder.calibration import Labels, load_labels
from imagetext.models.encoder.minilm import Concepts
from imagetext.wire.errors import InvalidParameter, ModelError
from training.concepts import Taught, start_classifier
from training.evaluate_open import (
    Collection,
    ShortQuery,
    label_scores,
    numbers_of,
    read_queries,
    short_scores,
    thing_scores,
)
from training.open_world import read_coco_dev, read_things, read_unlabelled


def test_concepts_turn_a_picture_towards_what_they_name() -> None:
    """The likelier a name, the nearer its vector; the row stays of unit length, and log probabilities add up to 1."""
    torch.manual_seed(0)
    concepts = Concepts(inputs=4, names=3, dimensions=8).requires_grad_(False)
    concepts.vectors.copy_(torch.nn.functional.normalize(torch.randn(3, 8), dim=1))
    concepts.classifier.weight.zero_()
    concepts.classifier.weight[1, 0] = 20.0
    concepts.classifier.bias.zero_()
    rows = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)

    found, likely = concepts(rows, torch.tensor([[1.0, 0, 0, 0], [0.0, 0, 0, 0]]))

    assert torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.allclose(likely.exp().sum(1), torch.ones(2), atol=1e-5)
    assert likely[0].argmax() == 1 and likely[0, 1].exp() > 0.99
    assert found[0] @ concepts.vectors[1] > rows[0] @ concepts.vectors[1]


def test_the_classifier_starts_as_what_the_teacher_said() -> None:
    """From features that tell the classes apart, ridge regression finds their probabilities again."""
    torch.manual_seed(0)
    weight = torch.randn(6, 5)
    whole = torch.randn(4000, 1, 5)
    features = torch.cat([whole, whole + 0.01], 1)  # two views, of which the teacher saw the first
    concepts = Concepts(inputs=5, names=6, dimensions=2).requires_grad_(False)

    start_classifier(concepts, [Taught(features, (features[:, 0] @ weight.T).softmax(-1))])

    unseen = torch.randn(200, 5)
    assert ((concepts.logits(unseen).argmax(1) == (unseen @ weight.T).argmax(1)).float().mean()) > 0.95


def test_labels_are_kept_with_a_model(tmp_path: Path) -> None:
    """In their order; a folder without them is no model that knows any."""
    labels = Labels(("tench", "great white shark"), scale=40.0)

    assert load_labels(tmp_path, labels.save(tmp_path)) == labels
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(ModelError, match=r"labels\.txt"):
        load_labels(tmp_path, {"names": "labels.txt", "scale": 1.0})


def test_names_that_are_given_share_all_probability() -> None:
    """They are ordered by similarity, and the scale says how sharply."""
    picture, texts = np.array([1.0, 0.0], np.float32), np.array([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], np.float32)

    found = Labels((), scale=10.0).among(picture, ["b", "a", "c"], texts, 3)

    assert [name for name, _ in found] == ["a", "b", "c"]
    assert sum(share for _, share in found) == pytest.approx(1)
    assert found[0][1] / found[1][1] == pytest.approx(np.exp(10 * 0.4))


def test_every_short_query_can_be_read() -> None:
    """Two hundred of them, no two alike, each with words or classes that exist."""
    queries = read_queries()

    assert len(queries) >= 200
    assert len({query.text for query in queries}) == len(queries)
    assert all(query.words or query.classes for query in queries)
    assert all(len(query.text.split()) <= 3 for query in queries)
    assert max(number for query in queries for number in query.classes) < 1000


def test_lines_that_are_no_query_are_refused(tmp_path: Path) -> None:
    """With the line."""
    (tmp_path / "queries.txt").write_text("cat; cat; 281-x\n")

    with pytest.raises(InvalidParameter, match="281-x"):
        read_queries(tmp_path / "queries.txt")
    assert numbers_of("3 7-9") == [3, 7, 8, 9]


def test_a_word_must_be_said_twice() -> None:
    """Plurals count; of several groups one caption must have a word of each."""
    query = ShortQuery("black dog", (frozenset({"black"}), frozenset({"dog", "dogs"})), frozenset())

    assert query.fits_captions(["Two black dogs run.", "A black dog.", "Animals."])
    assert not query.fits_captions(["Two black dogs run.", "A dog.", "A black cat."])


def test_short_searches_are_scored_over_what_is_known() -> None:
    """Pictures without captions are searched only where classes say what they show."""
    pictures = np.array([[1, 0], [0.8, 0.6], [0.9, 0.1]], np.float32)  # the last has a class and no captions
    collection = Collection(pictures, [("a cat", "the cat"), ("a dog", "the dog")], [281])
    cat, dog = frozenset({"cat"}), frozenset({"dog"})
    queries = [
        ShortQuery("cat", (cat,), frozenset({281})),
        ShortQuery("dog", (dog,), frozenset()),
        ShortQuery("cow", (frozenset({"cow"}),), frozenset()),
    ]
    vectors = np.array([[1, 0], [1, 0], [1, 0]], np.float32)

    found = short_scores(queries, vectors, collection)(np.arange(2))

    assert found["short searches"] == 50.0  # the cat is first, the dog second; of the cow there is none
    assert found["short searches, mAP"] == pytest.approx(100 * (1.0 + 0.5) / 2)


def test_things_and_labels_are_scored() -> None:
    """Recall by name, top-1 and the calibration error."""
    things = thing_scores(np.eye(2, dtype=np.float32), np.array([[1, 0.5], [0.2, 0]], np.float32), "things")
    sure = np.log(np.array([[0.8, 0.2], [0.8, 0.2]], np.float32))
    labels = label_scores(sure, np.array([0, 1]), "things")(np.arange(2))

    assert things(np.arange(2)) == {"things R@1": 50.0, "things R@10": 100.0}
    assert labels["things top-1"] == 50.0
    assert labels["things ECE"] == pytest.approx(0.3)


def test_pictures_beyond_flickr8k_are_read(tmp_path: Path) -> None:
    """The dev set is no part of what has no captions; a thing's class is in its name."""
    for name in ("coco/Images/000000000001.jpg", "coco/Images/000000000002.jpg", "imagenet/Images/0002.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "coco/dev.token.txt").write_text("000000000001.jpg#0\ta stove\n")
    (tmp_path / "imagenet/names.txt").write_text("tench\ngoldfish\ngreat white shark\n")

    things = read_things(tmp_path)

    assert [picture.captions for picture in read_coco_dev(tmp_path)] == [("a stove",)]
    assert [picture.name for picture in read_unlabelled(tmp_path)] == ["000000000002.jpg"]
    assert (things.numbers, things.names[things.numbers[0]], things.kept_out()) == ([2], "great white shark", [True])
    with pytest.raises(InvalidParameter):
        read_things(tmp_path / "coco")
