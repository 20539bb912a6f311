"""What to paste where, per feed: the steps of `forestall connect` and of docs/feeds.md.

`{url}` is the address that the provider must reach. A step says what to do at the provider, in the words of its pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Guide(NamedTuple):
    title: str
    gives: str  # tracking | order | complaint
    steps: tuple[str, ...]
    config: str
    notes: tuple[str, ...] = ()


GUIDES: Mapping[str, Guide] = {
    "kuaidi100": Guide(
        "Kuaidi100 快递100",
        "tracking",
        (
            "In every subscription (POST https://poll.kuaidi100.com/poll) set parameters.callbackurl to {url}?orderId=YOUR_ORDER",
            "Set parameters.salt to the same text as `secret` below: without a salt nothing is signed, and unsigned pushes are refused",
            "Set parameters.resultv2 to 4: codes and regions come with each scan",
        ),
        'secret = "the salt"',
        (
            "A poller makes up for lost pushes: [pollers.kuaidi100] customer and key, from the page 授权信息",
            "It leaves out SF and ZTO, of which Kuaidi100 tells only to who names a phone: phones = true names four digits of it",
        ),
    ),
    "kdniao": Guide(
        "KDNiao 快递鸟",
        "tracking",
        (
            "Open 快递鸟 > 用户管理后台 > 产品管理 > 我的接口 and set the push address 推送地址 to {url}",
            "Copy 用户ID (EBusinessID) and API key from the same page",
        ),
        'secret = "the API key"\nbusiness_id = "the EBusinessID"',
    ),
    "17track": Guide(
        "17TRACK",
        "tracking",
        (
            "Open api.17track.net > Settings > Notifications and set the WebHook URL to {url}",
            "Choose push version v2.2 or newer",
            "Copy the access key from Settings > Security",
        ),
        'secret = "the access key"',
        (
            "Three failed pushes and 17TRACK is silent about that parcel: [pollers.17track] key asks again",
            "The order's number travels in `order_no` of the registration",
        ),
    ),
    "aftership": Guide(
        "AfterShip",
        "tracking",
        (
            "Open AfterShip Tracking > Settings > Webhooks, add {url}",
            "Switch on all tracking updates, and copy the webhook secret",
        ),
        'secret = "the webhook secret"\ntimezone = "America/New_York"   # of checkpoints whose place does not tell',
    ),
    "easypost": Guide(
        "EasyPost",
        "tracking",
        (
            "Open EasyPost > Webhooks > Add webhook, URL {url}, and choose a webhook secret",
            "Paste the same secret below: without it EasyPost does not sign",
        ),
        'secret = "the webhook secret"',
    ),
    "shippo": Guide(
        "Shippo",
        "tracking",
        (
            "Open Shippo > Settings > API > Webhooks, add {url}?token=SECRET for the event track_updated",
            "Put your order's number into `metadata` of the shipment",
            "Ask Shippo's support for signed webhooks, then set signed = true",
        ),
        'secret = "a long random text of your own"\nsigned = false',
        ("Until Shippo signs, the secret travels in the URL: use https, and keep the URL out of logs",),
    ),
    "shopify": Guide(
        "Shopify",
        "order",
        (
            "Open Shopify admin > Settings > Notifications > Webhooks",
            (
                "Add {url}, format JSON, for: Order creation, Order update, Order payment, Order cancellation, "
                "Fulfillment creation, Fulfillment update, Fulfillment event creation"
            ),
            "Copy the signing secret from the foot of that page (of an app: its client secret)",
        ),
        'secret = "the signing secret"',
        (
            "Order payment tells when a bank transfer came in; Order update tells refunds, and needs no topic of its own",
            "Orders of the test mode, draft orders and checkouts are skipped: `forestall feeds` counts them",
        ),
    ),
    "woocommerce": Guide(
        "WooCommerce",
        "order",
        (
            "Open WooCommerce > Settings > Advanced > Webhooks > Add webhook",
            "Twice: topic Order created, topic Order updated; delivery URL {url}; API version WP REST API v3",
            "Enter the same secret in both",
        ),
        'secret = "the secret"',
        (
            "Parcels come along where the Shipment Tracking extension (or AST) notes their numbers",
            "Set an order to Completed when it is sent: that is how it is read",
            (
                "WooCommerce sends nothing again, and switches a webhook off after five failures in a row: read the orders "
                "as a list too, by the [pollers] section in docs/feeds.md"
            ),
        ),
    ),
    "karrio": Guide(
        "karrio",
        "tracking",
        (
            "Open karrio > Developers > Webhooks > Add endpoint {url}, event tracker_updated",
            "Copy the secret that karrio shows",
        ),
        'secret = "the webhook secret"\ntimezone = "America/New_York"   # of scans whose place does not tell',
        ("karrio sends the secret itself in a header: the URL must be https",),
    ),
    "wechat_shop": Guide(
        "WeChat Shop 微信小店",
        "tracking",
        (
            "Open 微信小店 > 服务市场 > 开发配置 > 消息推送, set URL to {url}, data format JSON, mode 安全模式",
            "Choose Token and EncodingAESKey there, paste both below, start the daemon, then press 提交: WeChat asks the URL at once",
            "Subscribe to 物流轨迹推送通知 (ewaybill_push_path)",
        ),
        'secret = "the Token"\naes_key = "the EncodingAESKey, 43 characters"\ncarrier = "jt"   # the push does not name it',
    ),
    "zendesk": Guide(
        "Zendesk",
        "complaint",
        (
            "Open Admin Center > Apps and integrations > Webhooks > Create webhook > Zendesk events",
            "Choose Ticket created, Ticket status changed, Comment added; endpoint {url}, POST, JSON",
            "Open the webhook > Reveal secret, and copy the signing secret",
        ),
        'secret = "the signing secret"\norder_pattern = "#(\\\\d{4,})"   # how your orders\' numbers look in a text\n'
        '[feeds.zendesk.tags.late_parcel]\ncategory = "logistics"\nreason = "late"',
        (
            (
                "Zendesk sends a push again that is answered with 503 and a Retry-After under a minute, as the daemon and "
                "the proxy of docs/feeds.md answer; what is answered otherwise is lost"
            ),
        ),
    ),
    "gorgias": Guide(
        "Gorgias",
        "complaint",
        (
            "Open Settings > App Store > HTTP integration > Add, URL {url}, POST, application/json",
            "Triggers: Ticket created, Ticket updated, Ticket message created",
            "Add the header X-Forestall-Secret with a long random text of your own",
            'Body: {"ticket": {{ticket}}, "message": {{message}}}',
        ),
        'secret = "the text of the header"',
        ("Gorgias signs nothing; the secret travels in a header: the URL must be https",),
    ),
    "generic": Guide(
        "Any webhook",
        "complaint",
        (
            "Send JSON to {url}",
            "Sign the raw body: HMAC-SHA256 in hex with the secret, in the header X-Signature (others: docs/feeds.md)",
        ),
        'type = "generic"\nsecret = "a long random text"\n[feeds.NAME.map]\nevent = "complaint"\noccurred_at = "created_at"\n'
        '[feeds.NAME.map.fields]\ncomplaint_id = "id"\nstatus = "state"\n[feeds.NAME.map.values.status]\nnew = "opened"',
    ),
}
