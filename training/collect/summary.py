"""What a collection has and what it lost, in a few lines."""

from collections import Counter
from collections.abc import Iterable

from training.collect.folder import Search, all_pictures


def summary(searches: Iterable[Search]) -> dict[str, int | dict[str, int]]:
    """Counts: sentences, those without a picture, pictures, and what was lost by kind."""
    searches = list(searches)
    losses = Counter(loss.kind for search in searches for loss in search.losses)
    return {
        "sentences": len(searches),
        "without_picture": sum(not search.pictures for search in searches),
        "pictures": len(all_pictures(searches)),
        "lost": dict(losses.most_common()),
        "licences": dict(Counter(picture.licence for picture in all_pictures(searches)).most_common()),
    }


def told(counts: dict[str, int | dict[str, int]]) -> str:
    """`summary` for people, one fact a line."""
    lines = [f"{counts['sentences']} sentences, {counts['pictures']} pictures, {counts['without_picture']} without any"]
    for name in ("lost", "licences"):
        inner = counts[name]
        assert isinstance(inner, dict)
        lines += [f"{name}: {kind or 'unnamed'} {count}" for kind, count in inner.items()]
    return "\n".join(lines)
