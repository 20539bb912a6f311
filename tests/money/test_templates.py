"""Every template of the default pack in both languages, and what a template may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.policies import load_pack
from notifier.templates import TemplateProblemError, Templates, chain
from notifier.templates.samples import FULL
from notifier.templates.sms import segments

PACK = load_pack()
SPOKEN = sorted(
    {
        name
        for rule in PACK.rules
        for action in rule.actions
        if action.kind != "coupon"
        for name in (action.template, action.fallback)
        if name
    }
)
OURS = Templates()


@pytest.mark.parametrize("name", SPOKEN)
def test_every_template_of_the_default_pack_exists_in_both_languages_and_stands_every_sample(
    name: str,
) -> None:
    assert OURS.locales(name) == ["en", "zh-CN"]
    OURS.check([name])


@pytest.mark.parametrize("name", SPOKEN)
@pytest.mark.parametrize("word", ["promise", "guarantee", "never again", "保证", "承诺", "绝不", "一定会"])
def test_no_template_promises(name: str, word: str) -> None:
    for locale in OURS.locales(name):
        assert word not in OURS.preview(name, locale).body.lower()


def test_money_and_days_are_spelled_as_the_reader_does() -> None:
    assert "¥5.00" in OURS.preview("late_coupon", "zh-CN").body
    assert "2026年12月22日" in OURS.preview("late_coupon", "zh-CN").body
    english = OURS.render("late_coupon", "en", {**FULL, "currency": "USD", "amount": 123456}).body
    assert "$1,234.56" in english
    assert "December 22, 2026" in english
    assert "¥500" in OURS.render("late_coupon", "en", {**FULL, "currency": "JPY", "amount": 500}).body


def test_a_day_is_the_customers_day() -> None:
    evening = {**FULL, "promised_at": 1_795_302_000_000}  # 2026-11-21T23:00Z
    assert "November 21" in OURS.render("late", "en", evening, "Europe/London").body
    assert "November 22" in OURS.render("late", "en", evening, "Asia/Shanghai").body
    assert "November 22" in OURS.render("late", "en", evening, "No/Where").body


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("zh-CN", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("zh_TW", "zh-CN"),
        ("en-GB", "en"),
        ("fr-FR", "en"),
        ("", "en"),
    ],
)
def test_a_missing_language_falls_back(asked: str, got: str) -> None:
    assert OURS.render("late", asked, FULL).locale == got
    assert chain(asked)[-1] == "en"


@pytest.mark.parametrize(
    "text",
    [
        "{{ nobody_knows }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ carrier.__init__ }}",
        "{% for a in range(10) %}x{% endfor %}",
        "{{ texts.update({'a': 1}) }}",
        "{{ carrier | money }}",
        "{% include 'x' %}",
        "{% broken",
        "{{ 'x' * 9999 }}",
    ],
)
def test_a_template_that_does_what_it_may_not_is_refused_when_loaded(tmp_path: Path, text: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "mine.j2").write_text(f"Title\n\n{text}\n", encoding="utf-8")
    with pytest.raises(TemplateProblemError, match="mine"):
        Templates(tmp_path).check(["mine"])


def test_an_operators_own_words_go_before_ours(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "late.j2").write_text("Late\n\nSorry, {{ order_id }}.\n", encoding="utf-8")
    mine = Templates(tmp_path)
    mine.check(["late"])
    assert mine.preview("late", "en").body == "Sorry, 1001."
    assert mine.preview("late", "zh-CN") == OURS.preview("late", "zh-CN")


def test_what_others_wrote_is_never_a_template_and_has_no_control_characters() -> None:
    hostile = OURS.preview("collection", "en", sample=2).body
    assert "{% for a in b %}" in hostile
    assert "\u202e" not in OURS.render("ops_alert", "en", {**FULL, "subject": "a\u202eb"}).body
    assert "7*7" not in OURS.preview("late", "en", sample=2).body, "an odd name of a carrier is left unsaid"
    assert "\n" not in OURS.preview("upgrade_shipping", "en", sample=2).title


def test_an_unknown_template_names_those_there_are() -> None:
    with pytest.raises(TemplateProblemError, match="late_coupon"):
        OURS.check(["late_cupon"])


@pytest.mark.parametrize(
    ("text", "encoding", "count"),
    [
        ("", "gsm-7", 0),
        ("a" * 160, "gsm-7", 1),
        ("a" * 161, "gsm-7", 2),
        ("€" * 80, "gsm-7", 1),
        ("a" * 152 + "€" * 5, "gsm-7", 2),
        ("晚" * 70, "ucs-2", 1),
        ("晚" * 71, "ucs-2", 2),
        ("晚" * 134, "ucs-2", 2),
        ("晚" * 135, "ucs-2", 3),
        ("👍" * 35, "ucs-2", 1),
        ("👍" * 67, "ucs-2", 3),
    ],
)
def test_an_sms_is_counted_as_the_network_bills_it(text: str, encoding: str, count: int) -> None:
    counted = segments(text)
    assert counted.count == count
    assert not text or counted.encoding == encoding


@pytest.mark.parametrize("name", [name for name in SPOKEN if not name.startswith(("ticket", "ops", "high"))])
def test_a_customers_message_fits_three_sms(name: str) -> None:
    for locale in ("zh-CN", "en"):
        for variant, rendered in OURS.variants(name, locale):
            assert rendered.sms.count <= 3, variant


STALLS = ("pickup_stalled", "facility_stalled", "linehaul_stalled", "delivery_stalled", "fulfilment_stalled")


@pytest.mark.parametrize("kind", STALLS)
@pytest.mark.parametrize("name", ["late", "late_coupon"])
def test_a_stall_before_its_day_is_not_called_late(name: str, kind: str) -> None:
    ahead = {**FULL, "kind": kind, "overdue": False}
    english, chinese = OURS.render(name, "en", ahead), OURS.render(name, "zh-CN", ahead)
    assert "late" not in english.title
    assert "was due" not in english.body
    assert "not arrived" not in english.body
    assert "may miss November 21" in english.body
    assert "晚到" not in chinese.title
    assert "可能无法在原定的 11月21日送达" in chinese.body
    unknown_day = {**ahead, "promised_at": None}
    assert "may miss" not in OURS.render(name, "en", unknown_day).body
    assert "原定" not in OURS.render(name, "zh-CN", unknown_day).body


def test_a_stall_after_its_day_is_late() -> None:
    past = {**FULL, "kind": "linehaul_stalled", "overdue": True}
    assert "was due on November 21 and has not arrived yet" in OURS.render("late", "en", past).body
    assert "原定 11月21日送达，目前还没有送到" in OURS.render("late", "zh-CN", past).body


def test_claims_of_an_earlier_version_are_still_spoken() -> None:
    old = {name: value for name, value in FULL.items() if name != "overdue"}
    assert "was due" in OURS.render("late", "en", old).body
    assert "may miss" in OURS.render("late", "en", {**old, "kind": "linehaul_stalled"}).body


@pytest.mark.parametrize(
    ("code", "chinese", "english"),
    [
        ("SF", "（顺丰速运）", "(SF Express)"),
        ("yuantong", "（圆通速递）", "(YTO Express)"),
        ("Hermes UK", "（Hermes UK）", "(Hermes UK)"),
        ("190271", "订单 1001 原定", "order 1001 was due"),
        ("<b>x</b>", "订单 1001 原定", "order 1001 was due"),
    ],
)
def test_a_carrier_is_called_what_customers_call_it(code: str, chinese: str, english: str) -> None:
    assert chinese in OURS.render("late", "zh-CN", {**FULL, "carrier": code}).body
    assert english in OURS.render("late", "en", {**FULL, "carrier": code}).body


def test_gateways_that_hold_the_text_get_days_and_names_spelled_out() -> None:
    facts = OURS.spoken_facts(FULL, "zh-CN", "Asia/Shanghai")
    assert facts == {
        "promised_day": "2026年11月21日",
        "coupon_day": "2026年12月22日",
        "carrier_name": "顺丰速运",
    }
    assert OURS.spoken_facts({"carrier": None}, "xx-nowhere") == {}
