from __future__ import annotations

from dataclasses import replace

from tests.channels.case import CALLED, OPS, PICTURE_URL, PNG, ChannelCase
from tests.fakes.server import Request, Response


class Fake:
    def __call__(self, request: Request) -> Response:
        if request.query.get("sig") != "s1g":
            return Response(401)
        if len(request.body) > 28_000:
            return Response(413)
        value = request.json()
        card = value["attachments"][0]["content"]
        if value["type"] != "message" or card["type"] != "AdaptiveCard" or card["version"] != "1.4":
            return Response(400)
        marked = [card["body"][0]["text"]]
        marked += [text for one in card["body"] for fact in one.get("facts", ()) for text in fact.values()]
        if any("](" in text for text in marked):
            return Response(400)
        named = {one["text"] for one in card.get("msteams", {"entities": []})["entities"]}
        texts = " ".join(one.get("text", "") for one in card["body"])
        if any(name not in texts for name in named) or texts.count("<at>") != len(named):
            return Response(400)
        pictures = [one["url"] for one in card["body"] if one["type"] == "Image"]
        if not all(url.startswith(("https://", "data:image/png;base64,")) for url in pictures):
            return Response(400)
        return Response(202)


CASE = ChannelCase(
    options=lambda url: {"url": f"{url}/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=s1g"},
    fake=Fake,
    secrets=("s1g",),
    extra={
        "a_link_for_a_name": replace(OPS, fields=(("facility", "[点此认领](https://evil.example)"),)),
        "mention": replace(OPS, mention=CALLED),
        "picture": replace(OPS, image_url=PICTURE_URL),
        "picture_inside": replace(OPS, image=PNG),
    },
)
