"""Complaints read by the machine itself: right, or honestly unsure."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.text import CATEGORIES, SEVERITIES, ComplaintReader, features, severity_floor

# Written apart from the seed set, two a reason.
SENTENCES = (
    ("late", "快递怎么还没到啊都超时了"),
    ("late", "order should have been here three days ago"),
    ("no_update", "物流信息好多天没变化了"),
    ("no_update", "my parcel has been stuck in the same place for days, no scans"),
    ("false_delivery", "系统写着已签收，我这边根本没有收到货"),
    ("false_delivery", "Package marked delivered but I don't have it"),
    ("lost", "我的包裹好像丢件了"),
    ("lost", "I believe the courier has lost my box"),
    ("where_is_it", "麻烦看下我的包裹到哪儿了"),
    ("where_is_it", "Hi, where's my package?"),
    ("damaged", "玻璃瓶到手已经碎掉了"),
    ("damaged", "the plate came broken in pieces"),
    ("wrong_item", "给我发错颜色了"),
    ("wrong_item", "You shipped the wrong color"),
    ("missing_item", "少了一个配件没发"),
    ("missing_item", "only received two of three items"),
    ("quality", "用两天就坏了质量真差"),
    ("quality", "stopped working after a week, bad quality"),
    ("promotion", "领的优惠券结账不能用"),
    ("promotion", "discount code not working at checkout"),
    ("refund_slow", "退款怎么还不到账"),
    ("refund_slow", "still no refund for my return"),
    ("rude", "客服态度太恶劣了"),
    ("rude", "customer service was so rude"),
    ("order_change", "帮我取消这个订单吧"),
    ("order_change", "can you change my shipping address please"),
)
NO_COMPLAINTS = (
    "今天天气不错",
    "what are your opening hours",
    "你好",
    "ok thanks",
    "请问有没有黑色的",
    "do you ship to Iceland?",
    "asdf qwer",
    "好评，非常满意",
    "great product, love it",
    "",
    "🤷",
    "1234567",
)


@pytest.fixture(scope="module")
def reader() -> ComplaintReader:
    return ComplaintReader()


def test_most_complaints_are_read_right_and_hardly_any_wrong(reader: ComplaintReader) -> None:
    found = [(reason, reader.read(text).reason) for reason, text in SENTENCES]
    right = sum(reason == read for reason, read in found)
    wrong = sum(read not in {None, reason} for reason, read in found)
    assert right >= 18
    assert wrong <= 1


@pytest.mark.parametrize("text", NO_COMPLAINTS)
def test_what_is_no_complaint_is_unknown(reader: ComplaintReader, text: str) -> None:
    assert reader.read(text).category == "unknown"


def test_a_reason_brings_its_category(reader: ComplaintReader) -> None:
    for _, text in SENTENCES:
        reading = reader.read(text)
        assert reading.category == (CATEGORIES[reading.reason] if reading.reason else "unknown")


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("物流信息三天没有更新了", "general"),
        ("物流信息三天没有更新了，太失望了", "important"),
        ("再不处理我就打12315投诉", "major"),
        ("孩子用了之后过敏去了医院", "major"),
        ("where is my order", "general"),
        ("very disappointed, where is my order", "important"),
        ("WHERE IS MY ORDER NOW", "important"),
        ("this is a scam, I will call my lawyer", "major"),
        ("请尽快处理！！！", "important"),
    ],
)
def test_anger_and_disappointment_raise_the_severity(
    reader: ComplaintReader, text: str, severity: str
) -> None:
    assert reader.read(text).severity == severity


def test_a_correction_is_learned_and_the_rest_is_kept() -> None:
    reader = ComplaintReader()
    text = "你们的自提点下午不开门"
    before = [reader.read(one).reason for _, one in SENTENCES]
    assert reader.read(text).reason is None
    for _ in range(3):
        reader.learn(text, reason="late", weight=4)
    assert reader.read(text).reason == "late"
    after = [reader.read(one).reason for _, one in SENTENCES]
    assert sum(one != two for one, two in zip(before, after, strict=True)) <= 3


def test_a_reason_of_the_shop_s_own_can_be_taught() -> None:
    reader = ComplaintReader()
    for text in ("冷链温度超标了", "到货的时候冰袋已经化了", "冰淇淋全化了温度太高"):
        reader.learn(text, reason="cold_chain", weight=4)
    assert reader.read("收到的时候冰袋都化了").reason == "cold_chain"


def test_a_severity_can_be_taught() -> None:
    reader = ComplaintReader()
    text = "请安排专人上门处理"
    reader.learn(text, severity="major", weight=8)
    assert reader.read(text).severity == "major"


def test_the_state_is_plain_and_comes_back(reader: ComplaintReader) -> None:
    other = ComplaintReader()
    other.learn("仓库今天盘点", reason="late", severity="important", weight=4)
    packed = msgspec.msgpack.encode(other.state())
    again = ComplaintReader()
    again.restore(msgspec.msgpack.decode(packed))
    for _, text in SENTENCES:
        assert again.read(text) == other.read(text)


def test_no_text_can_be_found_in_the_state(reader: ComplaintReader) -> None:
    reader.learn("我的手机号是13912345678", reason="order_change")
    assert "139" not in str(reader.state()["reasons"].keys())
    assert all(isinstance(name, int) for weights in reader.state()["reasons"].values() for name in weights)


@given(st.text(max_size=3000))
def test_any_text_is_read(text: str) -> None:
    reading = READER.read(text)
    assert reading.severity in SEVERITIES
    assert 0 <= reading.certainty <= 1
    assert severity_floor(text) in SEVERITIES
    assert all(value > 0 for value in features(text).values())


READER = ComplaintReader()
