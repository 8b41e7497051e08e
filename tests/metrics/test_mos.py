"""Opinions added up by hand, and files of ratings that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from talkface.errors import UserError
from talkface.metrics.mos import FORMAT, SCALES, TRUTH, Listener, Stimulus, opinion_table, opinions, read_listener
from talkface.metrics.mos import refuse_duplicates as refuse
from talkface.metrics.table_forms import markdown

STIMULI = [
    Stimulus("aa", "ours", "1"),
    Stimulus("bb", "ours", "2"),
    Stimulus("cc", TRUTH, "1"),
    Stimulus("dd", TRUTH, "2"),
]
CODES = [s.code for s in STIMULI]


def listener(name: str, *values: int) -> Listener:
    return Listener(name, {code: dict.fromkeys(SCALES, value) for code, value in zip(CODES, values, strict=True)}, True)


def test_means_and_t_intervals_by_hand() -> None:
    """Ours: 3, 4, 4, 5: mean 4, standard deviation sqrt(2/3), t(0.975, 3) = 3.1824."""
    found = opinions([listener("a", 3, 4, 5, 5), listener("b", 4, 5, 5, 5)], STIMULI)
    ours = next(o for o in found if (o.system, o.scale) == ("ours", "lip_sync"))
    assert ours.mean == 4.0 and ours.ratings == 4 and ours.listeners == 2
    assert ours.half_width == pytest.approx(3.182446 * np.sqrt(2 / 3) / 2, abs=1e-5)
    low, high = stats.t.interval(0.95, 3, 4.0, stats.sem([3, 4, 4, 5]))
    assert ours.half_width == pytest.approx((high - low) / 2)
    assert ours.by_listener == (3.5, 4.5), "two listeners: their means are the extremes of what can be drawn"
    truth = next(o for o in found if (o.system, o.scale) == (TRUTH, "realness"))
    assert (truth.mean, truth.half_width, truth.by_listener) == (5.0, 0.0, (5.0, 5.0))


def test_listeners_who_disagree_widen_the_listener_interval() -> None:
    generator = np.random.default_rng(0)
    agree = [listener(str(i), *generator.integers(1, 6, 4).tolist()) for i in range(12)]
    biased = [listener(str(i), *[1 + 4 * (i % 2)] * 4) for i in range(12)]
    widths = []
    for listeners in (agree, biased):
        low, high = opinions(listeners, STIMULI)[0].by_listener
        widths.append(high - low)
    assert widths[1] > 1.4 * widths[0]


def test_nothing_is_invented() -> None:
    found = opinions([], STIMULI)
    assert all(o.mean is None and o.half_width is None and o.by_listener is None and o.ratings == 0 for o in found)
    assert "nobody has rated it" in markdown(opinion_table(found, 0, 4))
    alone = opinions([listener("a", 3, 4, 5, 5)], STIMULI)[0]
    assert alone.by_listener is None, "one listener says nothing about listeners"


def test_the_table_shows_intervals_and_ranks_no_truth() -> None:
    text = markdown(opinion_table(opinions([listener("a", 3, 4, 5, 5), listener("b", 4, 5, 5, 4)], STIMULI), 2, 4))
    assert "| ours | 4.00 ± 1.30<sup>" in text or "| ours | 4.00 ± 1.30 |" in text
    assert "| Wav2lip+KPBE(Ours) | **4.14**" in text and "not comparable" in text


def saved(**changes: Any) -> dict[str, Any]:
    ratings = {code: dict.fromkeys(SCALES, 3) for code in CODES}
    whole = {"format": FORMAT, "study": "s", "listener": " Ann ", "ratings": ratings, "headphones": {"passed": True}}
    return whole | changes


def test_a_good_file_is_read() -> None:
    found = read_listener(saved(), "s", CODES, "f.json")
    assert found.name == "Ann" and found.headphones and found.ratings["cc"]["realness"] == 3
    assert not read_listener(saved(headphones=None), "s", CODES, "f.json").headphones


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ([], "not a file of ratings"),
        (saved(format="other"), "not a file of ratings"),
        (saved(study="t"), "another listening test"),
        (saved(listener=""), "lacks its listener"),
        (saved(ratings=None), "lacks its listener or its ratings"),
        (saved(ratings={"aa": dict.fromkeys(SCALES, 3)}), "3 of 4 videos have no rating"),
        (saved(ratings={**saved()["ratings"], "zz": {}}), "'zz', which is no video"),
        (saved(ratings={**saved()["ratings"], "aa": {"lip_sync": 3}}), "does not have the scales"),
        *(
            (saved(ratings={**saved()["ratings"], "aa": dict.fromkeys(SCALES, bad)}), "from 1 to 5")
            for bad in (0, 6, 3.5, "4", True, None)
        ),
    ],
)
def test_bad_files_are_one_sentence(broken: Any, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        read_listener(broken, "s", CODES, "f.json")
    assert str(refused.value).startswith("f.json")


def test_nobody_counts_twice() -> None:
    refuse({"1": listener("a", 3, 4, 5, 5), "2": listener("b", 3, 4, 5, 4)})
    with pytest.raises(UserError, match="the same listener"):
        refuse({"1": listener("Ann", 3, 4, 5, 5), "2": listener("ann", 1, 2, 3, 4)})
    with pytest.raises(UserError, match="the same ratings"):
        refuse({"1": listener("a", 3, 4, 5, 5), "2": listener("b", 3, 4, 5, 5)})
