"""What the console's pictures show, in numbers and in words, and that they can be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from matplotlib.font_manager import fontManager

from config.regions import regions
from detectors.findings import Finding
from monitor.console.drawing import PALETTES, SIZES, Look, Map, svg
from monitor.console.page import stylesheet
from monitor.console.pictures import (
    chart,
    chart_words,
    digest,
    map_words,
    open_by_region,
    region_map,
)
from monitor.incidents import Mute, Phase, View
from notifier.charts import Picture, draw
from tests.incidents.story import HOUR, T0, incidents, jam, stuck

LOOKS = [Look(theme, narrow) for theme in ("light", "dark") for narrow in (False, True)]
COUNTS = {"440100": 30, "440300": 20, "440000": 12, "110000": 9, "120000": 9, "130000": 9, "bad code": 3}
RISING = Picture([(T0 + n * HOUR, n * 1_000) for n in range(13)], 6_000.0, timezone="Asia/Shanghai")
AHEAD = Picture(
    (), 2_000.0, [(T0, 8_000, 8_000, 8_000), (T0 + 24 * HOUR, 9_000, 7_500, 12_000)], timezone="UTC"
)
SVG = "{http://www.w3.org/2000/svg}"


def china(locale: str = "zh-CN") -> Map:
    found = region_map(COUNTS, regions(), locale)
    assert found is not None
    return found


def texts(image: bytes) -> list[str]:
    return [one.text or "" for one in ET.fromstring(image).iter(f"{SVG}text")]  # noqa: S314 - drawn by us


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    "content", [china(), china("en"), RISING, AHEAD], ids=["zh", "en", "chart", "forecast"]
)
def test_a_picture_is_svg_of_its_size_without_script_and_the_same_for_the_same_content(
    content: Picture | Map, look: Look
) -> None:
    image = svg(content, look)
    drawn = ET.fromstring(image)  # noqa: S314
    kind = "map" if isinstance(content, Map) else "chart"
    assert drawn.tag == f"{SVG}svg"
    assert drawn.attrib["viewBox"] == "0 0 {} {}".format(*SIZES[kind][look.narrow])
    assert not {one.tag.removeprefix(SVG) for one in drawn.iter()} & {"script", "foreignObject", "image"}
    assert not [name for one in drawn.iter() for name in one.attrib if name.lower().startswith("on")]
    assert b"http" not in re.sub(rb'http://www\.w3\.org/[^"]*', b"", image), "nothing is fetched"
    assert PALETTES[look.theme].ink in image.decode() or kind == "chart"
    assert image == svg(content, look)
    assert len(image) < 45_000


def test_a_chart_has_counts_beside_times_below_and_the_usual_level() -> None:
    written = texts(svg(RISING, Look()))
    assert "12,000" in written
    assert [text for text in written if re.fullmatch(r"\d\d:\d\d", text)]
    assert [text for text in written if re.fullmatch(r"\d{4}-\d\d-\d\d", text)], "and of which day"
    assert not [text for text in written if re.search(r"[^\d,.:\- −]", text)], (
        "numbers alone, for any language"
    )
    unmarked = Picture(RISING.points, None, timezone=RISING.timezone)
    assert svg(unmarked, Look()) != svg(RISING, Look())


def test_a_map_names_what_it_shows_in_the_readers_language_and_its_own_fonts() -> None:
    image = svg(china(), Look())
    assert {"广东 62", "北京 9"} <= set(texts(image))
    assert "湖南" in texts(image), "those around are named for orientation"
    assert "广州" not in image.decode(), "cities count for their provinces"
    assert "Microsoft YaHei" in image.decode()
    assert "Guangdong 62" in texts(svg(china("en"), Look()))


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
@pytest.mark.parametrize("look", LOOKS)
def test_no_two_names_of_a_map_lie_on_each_other(locale: str, look: Look) -> None:
    everywhere = {code: 5 * at + 1 for at, code in enumerate(regions().children("CN"))}
    content = region_map(everywhere, regions(), locale)
    assert content is not None
    boxes = [box(one) for one in ET.fromstring(svg(content, look)).iter(f"{SVG}text")]  # noqa: S314
    assert len(boxes) >= 8
    for (left, right, line, _), (other_left, other_right, other, _) in combinations(boxes, 2):
        assert abs(line - other) >= 9 or right <= other_left or other_right <= left
    assert all(left >= 0 and right <= SIZES["map"][look.narrow][0] for left, right, _, _ in boxes)


def box(text: ET.Element) -> tuple[float, float, float, str]:
    """Left, right and base line, for letters half as wide as high and square characters."""
    written, style = text.text or "", text.attrib["style"]
    size = re.search(r"font-size: ([\d.]+)px", style)
    anchor = re.search(r"text-anchor: (\w+)", style)
    assert size is not None
    assert anchor is not None
    width = float(size[1]) * sum(1.0 if char > "\u2e7f" else 0.5 for char in written)
    left = float(text.attrib["x"]) - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor[1]]
    return left, left + width, float(text.attrib["y"]), written


def test_pictures_drawn_at_once_are_what_they_are_alone() -> None:
    """Alerts have theirs drawn in another thread, in other fonts, by a library whose settings are the process's."""
    work: list[Callable[[], bytes]] = [
        lambda: draw(RISING),
        lambda: svg(china(), Look("dark")),
        lambda: svg(AHEAD, Look()),
    ]
    alone = [one() for one in work]
    with ThreadPoolExecutor(3) as threads:
        again = [threads.submit(one) for _ in range(6) for one in work]
    assert [one.result() for one in again] == alone * 6


@pytest.fixture
def latin_fonts_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = fontManager._findfont_cached  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr(fontManager, "ttflist", [f for f in fontManager.ttflist if f.name == "DejaVu Sans"])
        found.cache_clear()
        yield
    found.cache_clear()


@pytest.mark.usefixtures("latin_fonts_alone")
def test_a_server_without_a_chinese_font_draws_the_names_all_the_same() -> None:
    assert {"广东 62", "北京 9", "湖南"} <= set(texts(svg(china(), Look())))


def test_a_name_is_text_and_no_markup() -> None:
    content = china()
    wild = Map(
        tuple(type(one)('$<script>"&$', one.latitude, one.longitude, one.count) for one in content.places), ()
    )
    image = svg(wild, Look())
    assert b"<script" not in image
    assert '$<script>"&$ 62' in texts(image)


def test_a_map_of_nowhere_is_none() -> None:
    assert region_map({"bad code": 3}, regions(), "en") is None


def test_what_is_far_from_its_country_is_on_the_map_only_with_findings() -> None:
    def shown(code: str) -> set[str]:
        content = region_map({code: 3}, regions(), "en")
        assert content is not None
        return {place.name for place in (*content.places, *content.around)}

    assert {"Xinjiang", "Heilongjiang", "Taiwan"} <= shown("440000")
    assert {"Maine", "Oregon"} <= shown("US-CA")
    assert "Guam" not in shown("US-CA")
    assert {"Guam", "California"} <= shown("US-GU")


def test_a_map_of_the_whole_world_stays_small_and_tells_the_most() -> None:
    table = regions()
    provinces = [code for one in table if one.parent is None for code in table.children(one.code)]
    content = region_map({code: at + 1 for at, code in enumerate(provinces)}, table, "en")
    assert content is not None
    assert [place.count for place in content.places] == sorted(
        (place.count for place in content.places), reverse=True
    )
    assert len(svg(content, Look())) < 150_000
    said = map_words(content, "en")
    assert said.count(",") < 50
    assert re.search(r"\(\+\d+\)$", said)


def seen(*findings: Finding, steps: int = 1) -> Sequence[View]:
    book = incidents()
    for step in range(steps):
        book.advance(findings if step == 0 else (), T0 + step * HOUR)
    return book.firing()


def test_an_incident_shows_its_forecast_or_else_its_open_findings_over_time() -> None:
    hours: dict[str, Any] = {
        f"{word}_{at}": at * scale
        for at in (24, 72)
        for word, scale in (("forecast", 3), ("low", 2), ("high", 4))
    }
    (view,) = seen(jam(stock=8_000, usual_24=2_000.0, **hours))
    picture = chart(view, "UTC")
    assert picture is not None
    assert [row[1:] for row in picture.forecast] == [[8_000] * 3, [72, 48, 96], [216, 144, 288]]
    assert (picture.points, picture.usual) == ((), 2_000.0)
    (view,) = seen(*(stuck(n) for n in range(12)), steps=3)
    picture = chart(view, "UTC")
    assert picture is not None
    assert [count for _, count in picture.points][-1] == 12


def test_an_incident_of_one_moment_has_no_picture() -> None:
    (view,) = seen(jam())
    assert len(view.series) < 2
    assert chart(view, "UTC") is None


def test_what_its_cause_mutes_is_not_counted_twice_on_the_map() -> None:
    (view,) = seen(*(stuck(n, region="330000") for n in range(12)), steps=2)
    assert open_by_region([view]) == {"330000": 12}
    assert open_by_region([view, replace(view, mutes=((Mute.INHIBITED, "I1"),))]) == {"330000": 12}
    assert open_by_region([view, replace(view, phase=Phase.PENDING)]) == {"330000": 12}


def test_another_content_has_another_digest() -> None:
    assert digest(china()) == digest(china())
    assert len({digest(one) for one in (china(), china("en"), RISING, AHEAD)}) == 4


def test_pictures_have_the_colours_of_the_page() -> None:
    css = stylesheet()[0].decode()
    for theme, palette in PALETTES.items():
        for name in ("card", "ink", "soft", "line"):
            value = getattr(palette, name)
            short = re.sub(r"^#(.)\1(.)\2(.)\3$", r"#\1\2\3", value)
            assert f"--{name}:{short}" in css, (theme, name)


def test_pictures_are_told_in_words() -> None:
    assert map_words(china(), "zh-CN").startswith("各地区未结发现：广东 62，")
    assert map_words(china("en"), "en").startswith("Open findings by region: Guangdong 62, ")
    assert chart_words(RISING, "HUB-1", "en").endswith(", at most 12,000, usually 6,000")
    assert "HUB-1：现有 8,000 件，预计 " in chart_words(AHEAD, "HUB-1", "zh-CN")
    assert "9,000 件（7,500–12,000）" in chart_words(AHEAD, "HUB-1", "zh-CN")
