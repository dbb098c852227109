"""The texts the model learns from: public sets by their names, and our own mentions of invented brands."""

import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from classify.sentiment import COMPLAINTS, LABELS

OWN = Path(__file__).parent / "mentions"
HELD_BACK = 0.05
"""Share of each public set on which nothing is trained: temperatures and thresholds are chosen there."""
OWN_HELD_BACK = 0.15
"""Share of the invented brands, whole ones, set aside for measuring."""


@dataclass(frozen=True, slots=True)
class Row:
    """One text with a label, about the marked place or (no span) as a whole."""

    text: str
    label: int
    language: str
    span: tuple[int, int] | None
    beside: str | None
    source: str
    kind: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A public set: the beginning of its file names, how many of its rows are drawn, and how often each is seen."""

    name: str
    rows: int
    times: int = 1


RECIPE = (
    Share("umsab_xlmt.train", 14_700, 2),
    Share("absa_semeval2016.train", 9_000),
    Share("en_mams_atsa.train", 3_000),
    Share("en_newsmtsc.train", 8_000),
    Share("en_semeval2014_task4.train", 2_500),
    Share("en_twitter_dong2014.train", 5_000),
    Share("en_semeval2017_task4_ce_topics", 5_000),
    Share("ru_rusentne2023.train", 3_000),
    Share("pl_polemo1_wccrs.train", 6_000),
    Share("tr_movie_reviews.train80", 3_000),
    Share("hu_husst.train90", 2_000),
    Share("id_indonlu.train", 2_000),
    Share("ko_naver.train80", 2_000),
    Share("no_norec_sentence.train", 2_000),
    Share("th_wisesight.train", 2_500),
    Share("vi_uit_vsfc.train", 1_000),
)


def held_back(source: str, identity: str) -> bool:
    """Whether a row is never trained on; decided by its id alone, so it stays so in every run."""
    if ".val" in source:
        return True
    return int(hashlib.sha256(identity.encode()).hexdigest()[:8], 16) / 2**32 < HELD_BACK


def read_set(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of one `*.jsonl.gz` with their ids; rows without a label are left out."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            raw = json.loads(line)
            if raw["label"] is None:
                continue
            span = tuple(raw["target_span"]) if raw["target_span"] else None
            target = raw["target"]
            if target and not span:
                at = raw["text"].lower().find(target.lower())
                span = (at, at + len(target)) if at >= 0 else None
            yield (
                raw["id"],
                Row(
                    raw["text"],
                    LABELS.index(raw["label"]),
                    raw["lang"],
                    span,
                    target if target and not span else None,
                    raw["source"],
                ),
            )


def public(folder: Path, seed: int, recipe: tuple[Share, ...] = RECIPE) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows held back, drawn by the recipe; classes evened out where they are lopsided."""
    train: list[Row] = []
    back: list[Row] = []
    for share in recipe:
        rows: list[Row] = []
        for path in sorted(folder.glob(f"{share.name}*.jsonl.gz")):
            for identity, row in read_set(path):
                (back if held_back(path.name, identity) else rows).append(row)
        train += draw(rows, share.rows, random.Random(f"{seed}{share.name}")) * share.times
    return train, back


def draw(rows: list[Row], count: int, chance: random.Random) -> list[Row]:
    """At most `count` rows, no class over half of them while others have rows left."""
    chance.shuffle(rows)
    taken: list[Row] = []
    seen = [0, 0, 0]
    later: list[Row] = []
    for row in rows:
        if len(taken) == count:
            break
        if seen[row.label] >= count * 0.5:
            later.append(row)
            continue
        seen[row.label] += 1
        taken.append(row)
    return taken + later[: count - len(taken)]


def own() -> tuple[list[Row], list[Row]]:
    """Our own mentions: rows to train on, and rows of the brands set aside.

    Brands are set aside per language, in the order of a hash of their name, as long as that comes nearer to
    `OWN_HELD_BACK` of the rows.
    """
    train: list[Row] = []
    aside: list[Row] = []
    for path in sorted(OWN.glob("*.jsonl")):
        raws = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        kept_aside = brands_aside(raws)
        texts_aside = {raw["text"] for raw in raws if raw["brand"] in kept_aside}
        for raw in raws:
            at = raw["text"].index(raw["target"])
            row = Row(
                raw["text"],
                LABELS.index(raw["label"]),
                raw["lang"],
                (at, at + len(raw["target"])),
                None,
                "own",
                COMPLAINTS.index(raw["kind"]) if raw["kind"] else None,
            )
            if raw["brand"] in kept_aside:
                aside.append(row)
            elif raw["text"] not in texts_aside:
                train.append(row)
    return train, aside


_LATIN = dict(zip(
    "абвгдезийклмнопрстуфхъыьэіїєґђјљњћџ", ["a", "b", "v", "g", "d", "e", "z", "i", "y", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "h", "", "y", "", "e", "i", "yi", "ye", "g", "dj", "j", "lj", "nj", "c", "dz"],
    strict=True)) | {"ё": "e", "ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya"}  # fmt: skip


def latin(name: str) -> str:
    """A name in Cyrillic letters as people type it in Latin ones; others stay as they are."""
    return "".join(_LATIN.get(c.lower(), c) for c in name)


def named_beside(row: Row, chance: random.Random) -> Row:
    """The same question with the target named beside the text, not marked in it: as for a brand that stands there in
    another alphabet or by a nickname that nobody configured."""
    if row.span is None:
        return row
    name = row.text[slice(*row.span)]
    return replace(row, span=None, beside=latin(name) if chance.random() < 0.5 else name)


def mixed(folder: Path, seed: int, own_times: int, beside: float) -> list[Row]:
    """What one training sees: the public sets by the recipe and our own mentions `own_times`, in random order; of the
    questions about a target a share names it beside the text."""
    chance = random.Random(seed)
    rows, _ = public(folder, seed)
    rows += own()[0] * own_times
    chance.shuffle(rows)
    return [named_beside(row, chance) if chance.random() < beside else row for row in rows]


def brands_aside(raws: list[dict[str, str]]) -> set[str]:
    """The brands of one language that are only measured on."""
    brands = sorted({raw["brand"] for raw in raws}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    rows = Counter(raw["brand"] for raw in raws)
    wanted = OWN_HELD_BACK * len(raws)
    aside = {brands[0]}
    for brand in brands[1:]:
        taken = sum(rows[name] for name in aside)
        if abs(taken + rows[brand] - wanted) >= abs(taken - wanted):
            break
        aside.add(brand)
    return aside
