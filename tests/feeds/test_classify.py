"""How the shop's own words and the machine's reading go together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from monitor.feeds.classify import Classifier, NotRemembered


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier()


def complaint(text: str | None, **more: Any) -> dict[str, Any]:
    event = {"kind": "complaint", "complaint_id": "C1", "status": "opened", "text": text, **more}
    return {name: value for name, value in event.items() if value is not None}


def test_the_shop_s_own_fields_stand(classifier: Classifier) -> None:
    event = complaint("物流信息三天没有更新了", category="service", reason="promotion", severity="major")
    classifier.fill(event)
    assert (event["category"], event["reason"], event["severity"]) == ("service", "promotion", "major")


def test_anger_raises_what_the_shop_says(classifier: Classifier) -> None:
    event = complaint("太失望了", category="logistics", severity="general")
    classifier.fill(event)
    assert event["severity"] == "important"


def test_without_a_text_nothing_is_made_up(classifier: Classifier) -> None:
    event = complaint(None)
    classifier.fill(event)
    assert set(event) == {"kind", "complaint_id", "status"}


def test_an_unsure_reading_is_unknown(classifier: Classifier) -> None:
    event = complaint("请问几点下班")
    classifier.fill(event)
    assert event["category"] == "unknown"
    assert "reason" not in event


def test_a_person_corrects_by_the_complaint_s_id() -> None:
    classifier = Classifier()
    text = "取件码过期了柜子打不开"
    first = complaint(text, complaint_id="C7")
    classifier.fill(first)
    for _ in range(3):
        classifier.correct("C7", reason="locker", category="logistics")
    again = complaint(text, complaint_id="C8")
    classifier.fill(again)
    assert (again["category"], again["reason"]) == ("logistics", "locker")
    other = Classifier()
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(classifier.state())))
    third = complaint(text, complaint_id="C9")
    other.fill(third)
    assert third["reason"] == "locker"
    with pytest.raises(NotRemembered):
        other.correct("C7", reason="late")
