"""The region table: whole, consistent, and never a guess."""

from __future__ import annotations

import pytest

from config.regions import regions, short_name

TABLE = regions()
CHINA = [region for region in TABLE if region.code.isdigit()]


def test_the_whole_of_china_is_there() -> None:
    provinces = [r.code for r in CHINA if r.code.endswith("0000")]
    assert len(provinces) == 34
    assert len(CHINA) > 3200
    assert all(r.zh and r.en and r.parent for r in CHINA)


def test_every_parent_is_a_region_and_every_chain_ends_at_a_country() -> None:
    for region in TABLE:
        chain = TABLE.ancestors(region.code)
        assert TABLE.parent(chain[-1]) is None
        assert len(chain) <= 4
        assert len(chain[-1]) == 2


def test_neighbours_are_mutual() -> None:
    for region in CHINA:
        for other in region.borders:
            assert region.code in TABLE.neighbours(other), (region.code, other)


def test_nearly_every_district_has_a_centre_in_china() -> None:
    placed = [r.centre for r in CHINA if r.centre]
    assert len(placed) >= len(CHINA) - 5
    assert all(3 < lat < 54 and 73 < lon < 136 for lat, lon in placed)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("江苏,苏州市,相城区,北桥", "320507"),
        ("CN320507004000", "320507"),
        ("320507004", "320507"),
        ("【苏州转运中心】 已发出 下一站 【无锡转运中心】", "320500"),
        ("北京市朝阳区", "110105"),
        ("深圳南山", "440305"),
        ("吉林", "220000"),
        ("吉林省吉林市", "220200"),
        ("新疆乌鲁木齐", "650100"),
        ("540422", "540400"),  # abolished 2023: its city
        ("Suzhou, Jiangsu, CN", "320500"),
        ("Los Angeles, CA, US", "US-CA"),
        ("BOCA RATON, FL, 33487, USA, United States", "US-FL"),
        ("LETHBRIDGE, AB, T1H5K9, CA", "CA-AB"),
        ("德国", "DE"),
        ("US-TX", "US-TX"),
    ],
)
def test_an_address_is_placed_as_finely_as_it_says(text: str, code: str) -> None:
    assert TABLE.find(text) == code


@pytest.mark.parametrize(
    "text", ["", "朝阳区", "南山区", "Los Angeles, CA", "CUSTOMER", "快件已签收", "999999", "🚚"]
)
def test_what_fits_two_places_or_none_stays_unknown(text: str) -> None:
    assert TABLE.find(text) is None


def test_parts_of_an_address_place_a_parcel_abroad() -> None:
    assert TABLE.locate("US", None, None, "08817") == "US-NJ"
    assert TABLE.locate("DEU", None, "Köln", "50667") == "DE-NW"
    assert TABLE.locate("GB", None, "London", "SW1A 1AA") == "GB-ENG"
    assert TABLE.locate("CN", "广东省", "深圳市") == "440300"
    assert TABLE.locate("US", None, "Springfield") == "US"
    assert TABLE.locate(None, "Nowhere", None) is None


def test_postcodes_of_china_lead_to_districts() -> None:
    assert TABLE.postcode("CN", "215131") == "320507"
    assert TABLE.postcode("CN", "999999") is None


def test_names_speak_the_locale() -> None:
    assert (TABLE.name("320500", "zh-CN"), TABLE.name("320500", "en")) == ("苏州市", "Suzhou")
    assert TABLE.name("nowhere", "en") == "nowhere"


def test_abroad_the_nearest_centres_stand_in_for_neighbours() -> None:
    assert "US-NV" in TABLE.neighbours("US-CA")
    assert TABLE.neighbours("CN") == ()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("苏州市", "苏州"),
        ("延边朝鲜族自治州", "延边"),
        ("内蒙古自治区", "内蒙古"),
        ("浦东新区", "浦东"),
        ("单县", "单县"),
    ],
)
def test_short_names_are_what_people_write(name: str, stem: str) -> None:
    assert short_name(name) == stem
