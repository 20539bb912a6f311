"""Small SVG pictures made on the server: a line over time, a bar, a map of regions. No script, no fonts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup, escape

from config.regions import Regions

MAP = (640, 420)
TICKS = 4
NAMED = 14


def line(
    points: Sequence[tuple[int, int]],
    label: str,
    moment: Callable[[int], str],
    usual: float | None = None,
    width: int = 1200,
    height: int = 190,
) -> Markup:
    """Steps from (milliseconds, count), with times below and the usual level dotted; the axis starts at zero."""
    if len(points) < 2:
        return Markup("")
    first, last = points[0][0], points[-1][0]
    most = max(*(count for _, count in points), usual or 0, 1)
    base = height - 24

    def across(at: float) -> float:
        return 52 + (width - 64) * (at - first) / max(1, last - first)

    def up(count: float) -> float:
        return base - (height - 38) * count / most

    whole = f"M{across(first):.1f} {up(points[0][1]):.1f}"
    whole += "".join(f"H{across(at):.1f}V{up(count):.1f}" for at, count in points[1:])
    parts = [
        f'<line class="axis" x1="52" y1="{base}" x2="{width - 12}" y2="{base}"/>',
        f'<text class="tick" x="46" y="{up(most) + 4:.1f}" text-anchor="end">{most:,.0f}</text>',
        f'<text class="tick" x="46" y="{base}" text-anchor="end">0</text>',
        f'<path class="area" d="{whole}V{base}H52Z"/><path class="stroke" d="{whole}"/>',
    ]
    for part in range(TICKS + 1):
        at, anchor = (
            first + (last - first) * part / TICKS,
            ("start", "middle", "end")[(part > 0) + (part == TICKS)],
        )
        parts.append(
            f'<text class="tick" x="{across(at):.1f}" y="{height - 6}" text-anchor="{anchor}">{escape(moment(round(at)))}</text>'
        )
    if usual is not None:
        parts.append(
            f'<line class="usual" x1="52" y1="{up(usual):.1f}" x2="{width - 12}" y2="{up(usual):.1f}"/>'
        )
    inside = "".join(parts)
    return Markup(  # noqa: S704 - numbers of ours, and texts are escaped
        f'<svg class="line" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{inside}</svg>'
    )


def bar(share: float, label: str) -> Markup:
    width = 100 * min(1.0, max(0.0, share))
    level = "bad" if share >= 0.9 else "warn" if share >= 0.7 else "good"
    return Markup(  # noqa: S704
        f'<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<rect class="rail" width="100" height="6" rx="3"/>'
        f'<rect class="{level}" width="{width:.1f}" height="6" rx="3"/></svg>'
    )


def region_map(counts: Mapping[str, int], regions: Regions, locale: str) -> Markup:
    """A dot a province with open findings, by its centre; faint dots are the provinces beside, for orientation."""
    totals: dict[str, int] = {}
    for code, count in counts.items():
        if known := regions.canonical(code):
            province = _province(known, regions)
            totals[province] = totals.get(province, 0) + count
    places = [
        (centre, count, regions.name(code, locale))
        for code, count in totals.items()
        if (centre := regions.centre(code))
    ]
    if not places:
        return Markup("")
    countries = {regions.country(known) for code in counts if (known := regions.canonical(code))}
    around = [
        region.centre
        for country in sorted(country for country in countries if country)
        for code in regions.children(country)
        if (region := next((one for one in regions if one.code == code), None)) and region.centre
    ]
    spot = _projection([centre for centre, _, _ in places] + around)
    parts = [
        f'<circle class="faint" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
        for x, y in (spot(centre) for centre in around)
    ]
    most = max(count for _, count, _ in places)
    for centre, count, name in sorted(places, key=lambda place: -place[1])[:200]:
        x, y = spot(centre)
        radius = 4 + 18 * (count / most) ** 0.5
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{escape(name)}: {count:,}</title></circle>'
        )
    parts += _labels([(*spot(centre), count, name) for centre, count, name in places], most)
    width, height = MAP
    inside = "".join(parts)
    svg = f'<svg class="map" viewBox="0 0 {width} {height}" role="img" aria-label="map">{inside}</svg>'
    return Markup(svg)  # noqa: S704 - numbers of ours, and names are escaped


def _province(code: str, regions: Regions) -> str:
    """The region right below the country: cities lie on their provinces, and would hide each other."""
    country = regions.country(code)
    while (parent := regions.parent(code)) and parent != country:
        code = parent
    return code


def _labels(spots: list[tuple[float, float, int, str]], most: int) -> list[str]:
    """The largest first; one that would lie on another is left out (its dot still tells when pointed at)."""
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for x, y, count, name in sorted(spots, key=lambda spot: -spot[2])[:NAMED]:
        text = f"{name} {count:,}"
        half = sum(6 if ord(char) > 0x2E7F else 3.3 for char in text)
        over = y - 6 - 18 * (count / most) ** 0.5
        if any(abs(x - other) < half + wide and abs(over - line) < 13 for other, line, wide in taken):
            continue
        taken.append((x, over, half))
        parts.append(
            f'<text class="place" x="{x:.1f}" y="{over:.1f}" text-anchor="middle">{escape(text)}</text>'
        )
    return parts


class _projection:  # noqa: N801 - used as a function
    """Latitude and longitude to the picture, with east-west shrunk by the middle latitude."""

    def __init__(self, centres: Sequence[tuple[float, float]]) -> None:
        import math

        latitudes = [latitude for latitude, _ in centres]
        longitudes = [longitude for _, longitude in centres]
        self._squeeze = math.cos(math.radians((min(latitudes) + max(latitudes)) / 2))
        self._west, self._north = min(longitudes), max(latitudes)
        wide = max(1.0, (max(longitudes) - self._west) * self._squeeze)
        high = max(1.0, self._north - min(latitudes))
        width, height = MAP
        self._scale = min((width - 80) / wide, (height - 60) / high)
        self._left = (width - wide * self._scale) / 2
        self._top = (height - high * self._scale) / 2

    def __call__(self, centre: tuple[float, float]) -> tuple[float, float]:
        latitude, longitude = centre
        return (
            self._left + (longitude - self._west) * self._squeeze * self._scale,
            self._top + (self._north - latitude) * self._scale,
        )
