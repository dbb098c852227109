import random
from collections import Counter, defaultdict
from itertools import pairwise
from statistics import mean, variance

import pytest

from services.demo import world as worlds
from services.demo.crisis import LASTS, Crisis
from services.demo.world import BEGINS, BIN, BRANDS, COPY_AGAIN, DAY, QUIET, World, build


@pytest.fixture(scope="module")
def world() -> World:
    return build(1)


def counted(world: World, begin: float, end: float) -> Counter[tuple[str, str]]:
    return Counter(
        (brand, label) for post in world.posts if begin <= post.at < end for brand, label in post.text.labels.items()
    )


def facts(world: World) -> list[tuple[int, str, float, str, str]]:
    return [(p.number, p.site, p.at, p.author, p.text.text) for p in world.posts]


def test_the_same_seed_makes_the_same_world_and_another_one_another(world: World) -> None:
    assert facts(build(1)) == facts(world)
    assert facts(build(2)) != facts(world)


def test_quiet_weeks_have_the_promised_rates(world: World) -> None:
    counts = counted(world, BEGINS, BEGINS + QUIET)
    bins = QUIET / BIN
    for brand in BRANDS:
        total = sum(counts[brand, label] for label in ("negative", "neutral", "positive", "irrelevant"))
        assert 0.25 <= counts[brand, "negative"] / bins <= 0.35
        assert 0.7 <= total / bins <= 0.9
    assert 8_000 <= sum(counts.values()) <= 11_000


def test_nobody_speaks_of_the_scandal_before_it_begins(world: World) -> None:
    assert world.crisis is not None
    assert min(p.at for p in world.posts if p.text.phase == "crisis") >= world.crisis.begins >= BEGINS + QUIET


def test_a_calm_world_is_the_same_without_its_crisis(world: World) -> None:
    calm = build(1, calm=True)
    assert calm.crisis is None
    assert not any(post.text.phase == "crisis" for post in calm.posts)
    quiet_ends = BEGINS + QUIET
    assert [p.at for p in calm.posts if p.at < quiet_ends] == [p.at for p in world.posts if p.at < quiet_ends]


def test_seeds_draw_every_brand_shape_size_and_part_of_the_day() -> None:
    drawn = [worlds.crises.draw(seed, BRANDS, BEGINS + QUIET, BEGINS + QUIET + DAY) for seed in range(100)]
    assert {crisis.brand for crisis in drawn} == set(BRANDS)
    assert {crisis.shape for crisis in drawn} == {"step", "ramp", "viral"}
    assert {int(crisis.begins % DAY // (DAY / 4)) for crisis in drawn} == {0, 1, 2, 3}
    assert all(3 <= crisis.size <= 10 for crisis in drawn)
    assert min(crisis.size for crisis in drawn) < 4 and max(crisis.size for crisis in drawn) > 9


@pytest.mark.parametrize(
    ("shape", "after_minutes", "size"),
    [("step", 0, 9.0), ("step", 120, 9.0), ("ramp", 90, 5.0), ("ramp", 180, 9.0), ("viral", 0, 1.5), ("viral", 60, 3.0), ("viral", 120, 9.0)],
)  # fmt: skip
def test_shapes_rise_as_they_are_called(shape: str, after_minutes: float, size: float) -> None:
    crisis = Crisis("Kometa", 1_000.0, 9.0, shape)  # type: ignore[arg-type]
    assert 1 + crisis.excess(1_000.0 + 60 * after_minutes) == pytest.approx(size)
    assert crisis.excess(999.0) == 0
    assert crisis.excess(1_000.0 + 4 * LASTS) < 0.1


def test_arrivals_keep_their_rate_and_come_more_evenly_than_by_chance() -> None:
    hours = 2_000
    times = list(
        worlds.arrivals(
            random.Random(1), 6 / 3_600, lambda at: 1.5 if at % 7_200 < 3_600 else 0.5, (0.0, hours * 3_600.0)
        )
    )
    counts = Counter(int(at // 3_600) for at in times)
    for parity, expected in ((0, 9.0), (1, 3.0)):
        found = [counts[hour] for hour in range(parity, hours, 2)]
        assert mean(found) == pytest.approx(expected, rel=0.05)
        assert 0.2 < variance(found) / mean(found) < 0.7


@pytest.mark.parametrize("seed", [1, 3])
def test_a_crisis_has_its_size(seed: int) -> None:
    world = build(seed)
    assert world.crisis is not None
    begin = world.crisis.begins + 3.5 * 3_600
    counts = counted(world, begin, begin + 6 * 3_600)
    usual = sum(worlds.RATES["negative"] * BIN * worlds.day_shape(begin + at) for at in range(0, 6 * 3_600, 300))
    observed = counts[world.crisis.brand, "negative"]
    assert world.crisis.size * 0.7 <= observed / usual <= world.crisis.size * 1.3


def test_long_texts_come_again_only_after_72_hours_on_one_site(world: World) -> None:
    stood = defaultdict(list)
    for post in world.posts:
        if not post.text.short:
            stood[post.site, post.text].append(post.at)
    assert max(map(len, stood.values())) > 1
    assert all(b - a >= COPY_AGAIN for times in stood.values() for a, b in pairwise(times))


def test_alerts_list_every_article_of_the_press_a_little_later(world: World) -> None:
    press = {post.number: post.at for post in world.posts if post.site in ("gazette", "courier")}
    listed = world.listed["alerts"]
    assert {post.number for _, post in listed} == press.keys()
    assert all(180 <= at - press[post.number] <= 1_801 for at, post in listed)
    assert [at for at, _ in listed] == sorted(at for at, _ in listed)


def test_a_feed_shows_its_newest_posts_first_and_nothing_of_the_future(world: World) -> None:
    now = BEGINS + DAY
    shown = world.newest("agora", now, 25)
    assert len(shown) == 25
    assert [at for at, _ in shown] == sorted((at for at, _ in shown), reverse=True)
    assert shown[0][0] <= now < min(p.at for p in world.posts if p.site == "agora" and p.at > now)
