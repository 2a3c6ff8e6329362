"""Five true sentences about a scene, the fullest first."""

from random import Random

from gallery.scene import PEOPLE, Group, Scene
from gallery.wording import (
    ALONG,
    GENERAL,
    GENERAL_PLURALS,
    LOOSER,
    MASS,
    NOUNS,
    NUMBERS,
    PLURALS,
    PROP_NOUNS,
    PROP_PLURALS,
    RELATIONS,
    TRIMMED,
    VERBS,
    WEATHER,
    WHERE,
    Verb,
)

_ATTEMPTS = 40


def describe(scene: Scene) -> tuple[str, ...]:
    """Five different captions; #0 tells everything that sets this scene apart from others."""
    rng = Random(f"{scene.key}/sentences")
    captions = [
        _sentence(
            _subject(scene.main, rng, 0),
            _action(scene, rng, True),
            _where(scene, rng),
            _beside(scene, rng, False),
            _when(scene, 0),
        )
    ]
    for tell in (_reworded, _without_other, _without_weather, _short):
        for _ in range(_ATTEMPTS):
            caption = tell(scene, rng)
            if caption not in captions:
                break
        captions.append(caption)
    return tuple(captions)


def _reworded(scene: Scene, rng: Random) -> str:
    parts = [_subject(scene.main, rng), _action(scene, rng, True), _where(scene, rng), _beside(scene, rng, True)]
    when = _when(scene, rng.randint(0, 1))
    return _sentence(*parts, when) if rng.random() < 0.7 else _sentence(*parts)


def _without_other(scene: Scene, rng: Random) -> str:
    return _sentence(
        _subject(scene.main, rng), _action(scene, rng, True), _where(scene, rng), _when(scene, rng.randint(0, 1))
    )


def _without_weather(scene: Scene, rng: Random) -> str:
    if scene.other and rng.random() < 0.6:
        return _sentence(_subject(scene.main, rng), _action(scene, rng, True), _beside(scene, rng, True))
    return _sentence(_subject(scene.main, rng), _action(scene, rng, True), _where(scene, rng))


def _short(scene: Scene, rng: Random) -> str:
    """Fewer details still: without most colours, without a verb or without the place."""
    plain = _subject(scene.main, rng, plain=True)
    style = rng.randrange(3)
    if style == 0:
        return _sentence(plain, _action(scene, rng, False), _where(scene, rng))
    if style == 1:
        return _sentence(_subject(scene.main, rng), _where(scene, rng, still=True))
    return _sentence(_subject(scene.main, rng), _action(scene, rng, True))


def _sentence(*parts: str) -> str:
    text = " ".join(part for part in parts if part)
    return f"{text[0].upper()}{text[1:]} ."


def _subject(group: Group, rng: Random, choice: int | None = None, *, plain: bool = False) -> str:
    """`plain` leaves colours and clothes out and may say "child" for "boy"."""
    nouns = NOUNS[group.kind] + (GENERAL.get(group.kind, ()) if plain else ())
    noun = nouns[choice] if choice is not None else rng.choice(nouns)
    if group.kind not in PEOPLE:
        return _counted(group.count, noun, group.kind, None if plain else group.colour)
    who = _counted(group.count, noun, group.kind, None)
    if plain or group.clothes is None:
        return who
    wears = rng.choice(("in", "wearing", "in")) if choice is None else "in"
    return f"{who} {wears} {_dressed(group)}"


def _dressed(group: Group) -> str:
    plural = {"shirt": "shirts", "jacket": "jackets", "dress": "dresses"}
    clothes = group.clothes or ""
    return f"{group.colour} {plural[clothes]}" if group.count > 1 else _with_article(f"{group.colour} {clothes}")


def _counted(count: int, noun: str, kind: str, colour: str | None) -> str:
    trimming = f" with {_with_article(f'{colour} {TRIMMED[kind]}')}" if colour and kind in TRIMMED else ""
    words = f"{colour} {noun}" if colour and kind not in TRIMMED else noun
    if kind in MASS:
        return words if colour else f"some {words}"
    if count == 1:
        return _with_article(words) + trimming
    return f"{NUMBERS[count]} {_plural(words, noun, kind)}" + (trimming.replace(" a ", " ") + "s" if trimming else "")


def _plural(words: str, noun: str, kind: str) -> str:
    if noun in GENERAL_PLURALS:
        return words[: -len(noun)] + GENERAL_PLURALS[noun]
    if noun == kind and kind in PLURALS:
        return words[: -len(noun)] + PLURALS[kind]
    return f"{words}s"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _action(scene: Scene, rng: Random, full: bool) -> str:
    group = scene.main
    verb = rng.choice(VERBS[group.action])
    if group.kind in ("balloon", "plane", "bird"):
        verb = VERBS[group.action][0]
    if group.kind == "boat" and verb.ing == "sailing":
        verb = VERBS["floating"][0]
    form = _form(verb, group.count, rng)
    if group.prop is None:
        return f"{form} {verb.rest}".strip()
    colour = group.prop.colour if full else None
    noun = rng.choice(PROP_NOUNS[group.prop.kind])
    words = f"{colour} {noun}" if colour else noun
    many = words[: -len(noun)] + PROP_PLURALS.get(noun, f"{noun}s")
    thing = _with_article(words) if group.count == 1 else many
    return " ".join(part for part in (form, verb.rest, thing) if part)


def _form(verb: Verb, count: int, rng: Random) -> str:
    if rng.random() < 0.55:
        return f"{'is' if count == 1 else 'are'} {verb.ing}"
    return verb.one if count == 1 else verb.many


def _where(scene: Scene, rng: Random, *, still: bool = False) -> str:
    where = WHERE[scene.place]
    if scene.main.action == "flying":
        return rng.choice(where.over)
    moves = scene.main.action in ALONG and not still
    return rng.choice(where.along if moves else where.still)


def _beside(scene: Scene, rng: Random, loose: bool) -> str:
    other, relation = scene.other, scene.relation
    if other is None or relation is None:
        return ""
    words = RELATIONS[relation]
    word = rng.choice((*words, *LOOSER.get(relation, ()))) if loose else words[0]
    return f"{word} {_subject(other, rng, None if loose else 0)}"


def _when(scene: Scene, choice: int) -> str:
    return WEATHER[scene.weather][choice] if scene.weather else ""
