"""The tables of channels and coupon providers: name to dotted path, imported on first use.

A class here has `Config` (its options, a subclass of `notifier.options.Options`) and takes `(config, http)`.
Adding one: a folder, a line here, and a case under `tests/channels/`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from pydantic import SecretStr

from notifier.http import Http
from notifier.sending import Channel, CouponProvider

CHANNELS: Mapping[str, str] = {
    "console": "notifier.channels.console:ConsoleChannel",
    "alertmanager": "notifier.channels.alertmanager:AlertmanagerChannel",
    "dingtalk": "notifier.channels.dingtalk:DingTalkChannel",
    "discord": "notifier.channels.discord:DiscordChannel",
    "feishu": "notifier.channels.feishu:FeishuChannel",
    "mattermost": "notifier.channels.mattermost:MattermostChannel",
    "pagerduty": "notifier.channels.pagerduty:PagerDutyChannel",
    "slack": "notifier.channels.slack:SlackChannel",
    "slack_bot": "notifier.channels.slack_bot:SlackBotChannel",
    "smtp": "notifier.channels.smtp:SmtpChannel",
    "teams": "notifier.channels.teams:TeamsChannel",
    "telegram": "notifier.channels.telegram:TelegramChannel",
    "wecom": "notifier.channels.wecom:WeComChannel",
    "webhook": "notifier.channels.webhook:WebhookChannel",
    # to customers
    "aliyun_sms": "notifier.channels.aliyun_sms:AliyunSmsChannel",
    "klaviyo": "notifier.channels.klaviyo:KlaviyoChannel",
    "twilio": "notifier.channels.twilio:TwilioChannel",
    "wechat": "notifier.channels.wechat:WeChatChannel",
}
COUPONS: Mapping[str, str] = {
    "shopify": "notifier.coupons.shopify:ShopifyCoupons",
    "woocommerce": "notifier.coupons.woocommerce:WooCommerceCoupons",
    "webhook": "notifier.coupons.webhook:WebhookCoupons",
}


def load(table: Mapping[str, str], kind: str) -> Any:
    if kind not in table:
        raise ValueError(f"no {kind!r} here; there are: {', '.join(sorted(table))}")
    module, _, name = table[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def channel(kind: str, options: Mapping[str, Any], http: Http) -> Channel:
    """Raises pydantic's ValidationError, without the input, where the options are wrong."""
    return cast("Channel", _build(CHANNELS, kind, options, http))


def coupons(kind: str, options: Mapping[str, Any], http: Http) -> CouponProvider:
    return cast("CouponProvider", _build(COUPONS, kind, options, http))


def _build(table: Mapping[str, str], kind: str, options: Mapping[str, Any], http: Http) -> Any:
    plugin = load(table, kind)
    return plugin(plugin.Config.model_validate(_plain(options)), http)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings wrap all text of a plugin's options, as any of it may be a secret; the plugin knows which is."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in options.items()
    }
