"""The pictures of the console: what they show, and that they can be read."""

from __future__ import annotations

import re

from config.regions import regions
from monitor.console.pictures import bar, line, region_map
from tests.incidents.story import HOUR, T0


def test_a_line_has_times_below_and_the_usual_level() -> None:
    points = [(T0 + n * HOUR, n * 10) for n in range(13)]
    drawn = str(line(points, "<b>", lambda at: f"{(at - T0) // HOUR} h", usual=60))
    assert re.findall(r">(\d+ h)<", drawn) == ["0 h", "3 h", "6 h", "9 h", "12 h"]
    assert 'class="usual"' in drawn
    assert ">120<" in drawn
    assert "<b>" not in drawn, "a place's name is no markup"
    assert " style=" not in drawn, "the policy of the page forbids it"


def test_a_line_of_one_point_is_none() -> None:
    assert line([(T0, 1)], "x", str) == ""


def test_cities_count_for_their_provinces_and_no_two_names_lie_on_each_other() -> None:
    counts = {"440100": 30, "440300": 20, "440000": 12, "110000": 9, "120000": 9, "130000": 9, "bad code": 3}
    drawn = str(region_map(counts, regions(), "zh-CN"))
    assert "广东省: 62" in drawn
    assert "广州市" not in drawn
    spots = [
        (float(x), float(y), len(text))
        for x, y, text in re.findall(r'class="place" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)<', drawn)
    ]
    assert spots
    for at, (x, y, size) in enumerate(spots):
        for other_x, other_y, other in spots[at + 1 :]:
            assert abs(y - other_y) >= 13 or abs(x - other_x) >= 3 * (size + other)


def test_a_map_of_nowhere_is_none() -> None:
    assert region_map({"bad code": 3}, regions(), "en") == ""


def test_a_bar_says_how_full_it_is() -> None:
    assert 'class="bad"' in str(bar(0.95, "day"))
    assert 'class="good"' in str(bar(0.1, "day"))
    assert 'width="100.0"' in str(bar(7.0, "day")), "and never more"
