"""A subject's story as a person reads it: in their language, by their clock, and nothing that Python wrote."""

from __future__ import annotations

import re
from typing import Any

import pytest

from detectors.findings import CloseReason, State
from monitor.api import Json
from monitor.console.evidence_names import SEGMENT, STATUS
from monitor.console.words import LOCALES, words
from monitor.vocabulary import Segment, Status
from notifier.actions import Arm
from tests.console.shop import TOKEN, Browser, Shop

EXPECTED = {"p05": "2026-11-22T13:47:12.462Z", "p50": "2026-11-23T01:20:41Z", "p95": "2026-11-25T10:49:56Z"}
PARCEL: dict[str, Any] = {
    "tracking_number": "SF1", "status": "out_for_delivery", "segment": "delivery", "finished": False,
    "since": "2026-11-20T21:03:10Z", "last_scan": "2026-11-21T01:34:07Z", "carrier": "sf", "lane": "330000>620000",
    "facility": "S-620103-04", "region": "620100", "feed": "kuaidi100", "promised_at": "2026-11-21T15:59:59Z",
    "carrier_estimate": None, "expected": EXPECTED,
    "findings": [{"finding_id": "F1", "kind": "late_predicted", "evidence": {"p5": 1773238302124}}],
}  # fmt: skip
LATE: dict[str, Any] = {
    "age_hours": 102.4, "carrier": "sf", "days_left": 0, "lane": "330000-620000", "segment": 6, "learning": True,
    "p50": 1_773_303_699_137, "reasons": ["instant", "other_city"], "weights": {"instant": 1.2},
    "zh": "包裹 SF1 有 94% 的可能赶不上", "en": "parcel SF1 will miss its promise with 94 %",
}  # fmt: skip


def finding(state: str, **more: Any) -> Json:
    return {
        "what": "finding", "as_of": "2026-11-22T07:00:00Z", "kind": "late_predicted", "state": state, "score": 0.94,
        "subject": {"type": "parcel", "id": "SF1"}, "evidence": LATE, **more,
    }  # fmt: skip


MESSAGE: Json = {
    "what": "action", "decided_at": "2026-11-22T07:00:00Z", "kind": "message", "decision": "send", "reason": "ok",
    "rule": "late", "arm": "treated", "template": "late_coupon", "subject": {"type": "parcel", "id": "SF1"},
}  # fmt: skip


@pytest.fixture
def shop() -> Shop:
    return Shop()


def page(shop: Shop, lang: str, told: Json) -> str:
    async def explain(_subject: str) -> Json:
        return told

    shop.service.explain = explain  # type: ignore[assignment, method-assign]
    browser = Browser(shop.app())
    browser.post("/sign-in", data={"token": TOKEN, "name": "li"})
    answer = browser.get("/story/SF1", headers={"accept-language": lang})
    assert answer.status_code == 200
    return answer.text


def told(*records: Json, **more: Any) -> Json:
    return {
        "subject": "parcel:SF1",
        "subjects": ["parcel:SF1"],
        "parcel": PARCEL,
        "records": list(records),
        **more,
    }


@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_nothing_on_it_is_python_or_another_clocks(shop: Shop, lang: str) -> None:
    text = page(shop, lang, told(finding("opened"), MESSAGE, finding("closed", close_reason="moved")))
    assert not re.search(r"&#39;|\{|False|True|None", text), "no dictionary and no value as Python writes it"
    assert not re.search(r"\d\d:\d\d(:\d\d)?(\.\d+)?Z", text), "no time of Greenwich"
    assert "1,773,303,699,137" not in text
    assert "2026-11-23 09:20:41" in text, "the expected arrival, in Shanghai"


def test_the_chinese_page_has_no_key_of_a_program(shop: Shop) -> None:
    text = page(shop, "zh-CN", told(finding("opened"), finding("closed", close_reason="moved")))
    body = text.partition("<main")[2]
    for key in (*PARCEL, *LATE, "opened", "closed", "moved"):
        assert not re.search(rf">{key}<|· {key}\b", body), key
    for word in (
        "运单号",
        "派送中",
        "浙江省 → 甘肃省",
        "派件后一分钟左右即签收，签收城市",
        "结束：已有新的扫描",
    ):
        assert word in body, word


def test_what_is_open_stands_in_the_timeline_and_not_in_the_parcel(shop: Shop) -> None:
    text = page(shop, "en", told(finding("opened")))
    assert text.count("will miss its promise") == 1


def test_a_yes_says_so_once_and_which_words_it_was(shop: Shop) -> None:
    text = page(shop, "en", told(MESSAGE))
    assert "sent · words late_coupon · Rule late · treated arm" in text
    assert not re.search(r"\bok\b", text.partition("<main")[2])


def test_lines_about_several_subjects_say_which(shop: Shop) -> None:
    other = {**MESSAGE, "subject": {"type": "parcel", "id": "SF1b"}}
    text = page(shop, "en", told(MESSAGE, other, subjects=["parcel:SF1", "parcel:SF1b"], parcel=None))
    assert text.count("<code>parcel:SF1b</code>") == 1


@pytest.mark.parametrize("locale", LOCALES)
def test_every_state_reason_arm_status_and_leg_has_its_words(locale: str) -> None:
    named = words(locale)
    assert {f"state_{one}" for one in State} <= named.keys()
    assert {f"close_{one}" for one in CloseReason} <= named.keys()
    assert {f"arm_{one}" for one in Arm} <= named.keys()
    assert {one.name.lower() for one in Status} == STATUS.keys()
    assert {one.name.lower() for one in Segment} == SEGMENT.keys()
