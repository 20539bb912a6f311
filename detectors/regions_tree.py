"""The tree of regions as detectors need it: given as plain tables, or read off the codes."""

from __future__ import annotations

from collections.abc import Mapping


class RegionTree:
    """`parents` from code to code; where a code is not in it, GB/T 2260 prefixes (district, city, province, CN) and
    ISO 3166-2 (US-CA, US) are read off the code itself.
    """

    def __init__(
        self,
        parents: Mapping[str, str | None] | None = None,
        neighbours: Mapping[str, tuple[str, ...]] | None = None,
        names: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._parents = parents or {}
        self._neighbours = neighbours or {}
        self._names = names or {}
        self._chains: dict[str, tuple[str, ...]] = {}

    def chain(self, region: str) -> tuple[str, ...]:
        """The region itself first, its country last."""
        known = self._chains.get(region)
        if known is None:
            steps = [region]
            while (above := self._parent(steps[-1])) and above not in steps:
                steps.append(above)
            known = self._chains[region] = tuple(steps)
        return known

    def _parent(self, region: str) -> str | None:
        if region in self._parents:
            return self._parents[region]
        if len(region) == 6 and region.isdigit():
            if not region.endswith("00"):
                return region[:4] + "00"
            return region[:2] + "0000" if not region.endswith("0000") else "CN"
        return region.partition("-")[0] if "-" in region else None

    def related(self, one: str, other: str) -> bool:
        """The same, or one inside the other."""
        return one in self.chain(other) or other in self.chain(one)

    def neighbours(self, region: str) -> tuple[str, ...]:
        return self._neighbours.get(region, ())

    def name(self, region: str) -> tuple[str, str]:
        return self._names.get(region, (region, region))
