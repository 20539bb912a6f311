"""The table of regions: China by GB/T 2260 (province, city, district), other countries by ISO 3166-2.

Codes are text: "320507" (district), "320500" (city), "320000" (province), "US-CA", and "CN", "US" for countries. What
cannot be placed is None, never a guess: a place name that fits two regions fits none. Sources: `docs/data/regions.md`.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"
_SUFFIXES = (
    *("特别行政区", "自治区", "自治州", "自治县", "自治旗", "地区", "林区", "矿区", "新区"),
    *("省", "市", "盟", "州", "县", "区", "旗"),
)
_PEOPLES = re.compile(
    r"(?:蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|拉祜|水|东乡|纳西|景颇|柯尔克孜|土|达斡尔"
    r"|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|阿昌|普米|塔吉克|怒|鄂温克|德昂|保安|裕固|独龙|鄂伦春|各)族"
    r"|(?<!内)(?:蒙古|哈萨克|柯尔克孜|塔吉克|锡伯|维吾尔)(?=自治)"
)
_CJK = re.compile(r"[\u4e00-\u9fff]")
_GB = re.compile(r"(?:CN)?(\d{6})(?:\d{3}|\d{6})?")
_CACHED = 65_536


def short_name(name: str) -> str:
    """As people write it: 苏州 for 苏州市, 延边 for 延边朝鲜族自治州; never less than two characters."""
    stem = _PEOPLES.sub("", name) if name.endswith(("自治区", "自治州", "自治县", "自治旗")) else name
    for suffix in _SUFFIXES:
        if stem.endswith(suffix) and len(stem) - len(suffix) >= 2:
            return stem[: -len(suffix)]
    return stem


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]", "", "".join(c for c in folded if not unicodedata.combining(c)))


@dataclass(frozen=True, slots=True)
class Region:
    code: str
    parent: str | None
    zh: str
    en: str
    centre: tuple[float, float] | None  # latitude, longitude
    borders: tuple[str, ...]


class Regions:
    def __init__(self, regions: list[Region], postcodes: dict[tuple[str, str], str]) -> None:
        self._regions = {region.code: region for region in regions}
        self._postcodes = postcodes
        self._children: dict[str, list[str]] = defaultdict(list)
        self._names: dict[str, list[str]] = defaultdict(list)  # Chinese, full and short
        self._foreign: dict[tuple[str, str], str | None] = {}  # (country or parent, plain name)
        self._countries: dict[str, str] = {}
        for region in regions:
            self._index(region)
        self._longest = max(map(len, self._names), default=0)
        self._found: dict[tuple[str, str | None], str | None] = {}

    def _index(self, region: Region) -> None:
        if region.parent is None:
            for name in (region.code, region.zh, region.en):
                self._countries.setdefault(_plain(name), region.code)
            return
        self._children[region.parent].append(region.code)
        if region.code.isdigit():
            for text in {region.zh, short_name(region.zh)}:
                self._names[text].append(region.code)
        country = self.country(region.code) or ""
        keys = {(country, _plain(region.en)), (region.parent, _plain(region.en))}
        if "-" in region.code:
            keys.add((country, _plain(region.code.split("-", 1)[1])))
        for key in keys:
            self._foreign[key] = None if key in self._foreign else region.code

    def __contains__(self, code: str) -> bool:
        return code in self._regions

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions.values())

    def canonical(self, code: str) -> str | None:
        """The region of a code as feeds write it (CN320500000000, a street, a code since abolished): the smallest
        that the table knows.
        """
        if code in self._regions:
            return code
        match = _GB.fullmatch(code.strip())
        if not match:
            return None
        digits = match[1]
        return next((c for c in (digits, digits[:4] + "00", digits[:2] + "0000") if c in self._regions), None)

    def parent(self, code: str) -> str | None:
        region = self._regions.get(code)
        return region.parent if region else None

    def ancestors(self, code: str) -> list[str]:
        """The code itself first, the country last."""
        chain: list[str] = []
        at: str | None = code if code in self._regions else None
        while at is not None:
            chain.append(at)
            at = self._regions[at].parent
        return chain

    def children(self, code: str) -> list[str]:
        return list(self._children.get(code, ()))

    def country(self, code: str) -> str | None:
        if code[:2].isdigit():
            return "CN" if code in self._regions else None
        return code[:2] if code[:2] in self._regions else None

    def name(self, code: str, locale: str = "zh-CN") -> str:
        """In the language of the locale where the table has it; the code itself for what it does not know."""
        region = self._regions.get(code)
        if region is None:
            return code
        return (region.zh or region.en) if locale.startswith("zh") else region.en

    def centre(self, code: str) -> tuple[float, float] | None:
        """Latitude and longitude of the seat of government in China, of the middle elsewhere."""
        region = self._regions.get(code)
        return region.centre if region else None

    def neighbours(self, code: str) -> tuple[str, ...]:
        """In China, who shares a border at the same level; elsewhere the table has no borders, and the five nearest
        centres under the same parent stand in.
        """
        region = self._regions.get(code)
        if region is None or region.borders or region.parent is None or region.centre is None:
            return region.borders if region else ()
        if region.code.isdigit():
            return ()  # an island
        here = region.centre
        far = [
            (_distance(here, centre), other)
            for other in self._children[region.parent]
            if other != code and (centre := self._regions[other].centre)
        ]
        return tuple(other for _, other in sorted(far)[:5])

    def postcode(self, country: str, postcode: str) -> str | None:
        plain = _plain(postcode).upper()
        for length in range(min(6, len(plain)), 0, -1):
            if found := self._postcodes.get((country, plain[:length])):
                return found
        return None

    def country_code(self, text: str) -> str | None:
        """From a name or a code of two letters. Codes of three letters are read by `alpha3`."""
        plain = _plain(text)
        return self._countries.get(plain) or (alpha3().get(plain) if len(plain) == 3 else None)

    def find(self, text: str, country: str | None = None) -> str | None:
        """The smallest region that a code, an address or a place name names without doubt."""
        key = (text, country)
        if key not in self._found:
            if len(self._found) >= _CACHED:
                self._found.clear()
            self._found[key] = self._find(text, country)
        return self._found[key]

    def _find(self, text: str, country: str | None) -> str | None:
        if found := self.canonical(text):
            return found
        if _CJK.search(text) and country in {None, "CN"}:
            return self._chinese(text) or self._countries.get(_plain(text))
        return self._western(text, country)

    def _chinese(self, text: str) -> str | None:
        """From left to right, from large to small: a name counts only inside what stands before it."""
        at: str | None = None
        i = 0
        while i < len(text) - 1:
            step = 1
            for length in range(min(self._longest, len(text) - i), 1, -1):
                if codes := self._names.get(text[i : i + length]):
                    inside = self._inside(codes, at, text[i : i + length])
                    at, step = inside or at, length
                    break
            i += step
        return at

    def _inside(self, codes: list[str], at: str | None, written: str) -> str | None:
        if at is not None:
            inside = [code for code in codes if code != at and at in self.ancestors(code)]
            inside = [
                code for code in inside if code.endswith("00")
            ] or inside  # 乌鲁木齐: the city, not the county
            return inside[0] if len(inside) == 1 else None
        top = [code for code in codes if code.endswith("0000")]
        cities = [code for code in codes if code.endswith("00")]
        full = [code for code in codes if self._regions[code].zh == written and len(written) >= 3]
        for choice in (top, cities, full):
            if len(choice) == 1:
                return choice[0]
            if choice:
                return None
        return None

    def _western(self, text: str, country: str | None) -> str | None:
        parts = [part.strip() for part in re.split(r"[,，;/|]", text) if part.strip()]
        doubtful = False
        if country is None:
            for at in reversed(range(len(parts))):
                if len(_plain(parts[at])) > 2 or at == len(parts) - 1:
                    country = self.country_code(parts[at])
                if country:
                    doubtful = (
                        f"US-{parts.pop(at).upper()}" in self._regions
                    )  # "Los Angeles, CA" is not in Canada
                    break
        if country is None or country not in self._regions:
            return None
        best = country
        for part in reversed(parts):
            inner = self._foreign.get((best, _plain(part))) or self._foreign.get((country, _plain(part)))
            if inner and best in self.ancestors(inner):
                best = inner
        if best == country:
            codes = [part for part in reversed(parts) if any(map(str.isdigit, part))]
            best = next((found for code in codes if (found := self.postcode(country, code))), country)
        return None if doubtful and best == country else best

    def locate(
        self,
        country: str | None = None,
        state: str | None = None,
        city: str | None = None,
        postcode: str | None = None,
    ) -> str | None:
        """From the parts of an address as trackers give them; the country alone where nothing finer is sure."""
        where = self.country_code(country) if country else None
        if where is None:
            text = "".join(part for part in (state, city) if part)
            return self._chinese(text) if _CJK.search(text) else None
        written = [part for part in (city, state) if part]
        if where == "CN" and any(map(_CJK.search, written)):
            found = self._chinese("".join(reversed(written)))
        else:
            found = self._western(", ".join(written), where)
        if found in {None, where} and postcode:
            found = self.postcode(where, postcode)
        return found or where


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Relative only: degrees on a flattened sphere."""
    east = (a[1] - b[1] + 180) % 360 - 180
    return math.hypot(a[0] - b[0], east * math.cos(math.radians((a[0] + b[0]) / 2)))


@cache
def alpha3() -> dict[str, str]:
    """Codes of three letters, lower case, to those of two."""
    with (DATA / "alpha3.csv").open(encoding="utf-8", newline="") as file:
        return {row["alpha3"].lower(): row["alpha2"] for row in csv.DictReader(file)}


def load(folder: Path) -> Regions:
    """Reads regions.csv and postcodes.csv; a shop with a division of its own brings a folder with its own two."""
    with (folder / "regions.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Region(
                row["code"],
                row["parent"] or None,
                row["zh"],
                row["en"],
                (float(row["latitude"]), float(row["longitude"])) if row["latitude"] else None,
                tuple(row["neighbours"].split()),
            )
            for row in csv.DictReader(file)
        ]
    with (folder / "postcodes.csv").open(encoding="utf-8", newline="") as file:
        codes = {(row["country"], row["prefix"]): row["region"] for row in csv.DictReader(file)}
    return Regions(rows, codes)


@cache
def regions() -> Regions:
    """The shipped table: read once, 8,500 rows."""
    return load(DATA)
