"""Small SVG pictures made on the server: a line over time, a bar, a map of regions. No script, no fonts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from config.regions import Regions

MAP = (640, 420)


def line(points: Sequence[tuple[int, int]], label: str, width: int = 1200, height: int = 170) -> Markup:
    """Steps from (milliseconds, count); the axis starts at zero."""
    if len(points) < 2:
        return Markup("")
    first, last = points[0][0], points[-1][0]
    most = max(count for _, count in points) or 1
    span = max(1, last - first)
    path = []
    for index, (at, count) in enumerate(points):
        x = 44 + (width - 52) * (at - first) / span
        y = height - 18 - (height - 30) * count / most
        path.append(f"M{x:.1f} {y:.1f}" if index == 0 else f"H{x:.1f}V{y:.1f}")
    whole = "".join(path)
    base = height - 18
    area = f"{whole}V{base}H44Z"
    return Markup(  # noqa: S704 - numbers of ours, and the label is escaped
        f'<svg class="line" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f'<line class="axis" x1="44" y1="{base}" x2="{width - 8}" y2="{base}"/>'
        f'<text class="tick" x="38" y="16" text-anchor="end">{most:,}</text>'
        f'<text class="tick" x="38" y="{base}" text-anchor="end">0</text>'
        f'<path class="area" d="{area}"/><path class="stroke" d="{whole}"/></svg>'
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
    """A dot a region with open findings, by its centre; faint dots are the provinces beside, for orientation."""
    places = []
    for code, count in counts.items():
        known = regions.canonical(code)
        centre = regions.centre(known) if known else None
        if known and centre:
            places.append((centre, count, regions.name(known, locale)))
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
    for centre, count, name in sorted(places, key=lambda place: -place[1])[:8]:
        x, y = spot(centre)
        parts.append(
            f'<text class="place" x="{x:.1f}" y="{y - 6:.1f}" text-anchor="middle">{escape(name)} {count:,}</text>'
        )
    width, height = MAP
    inside = "".join(parts)
    svg = f'<svg class="map" viewBox="0 0 {width} {height}" role="img" aria-label="map">{inside}</svg>'
    return Markup(svg)  # noqa: S704 - numbers of ours, and names are escaped


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
