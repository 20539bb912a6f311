"""How requests leave: through a company's proxy, and trusting its own certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.loading import ConfigError, explain
from config.settings import OutboundSettings, Settings
from monitor.assembly import check_parts, outbound
from notifier import registry
from notifier.http import Http, Reply
from notifier.sending import Answer, Cause, SendResult
from tests.fakes.mail import certificate
from tests.fakes.server import FakeServer, Response

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def over_tls(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """A server with a certificate that no public authority signed."""
    context, trusted = certificate(folder)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 Fine\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", trusted


async def test_an_authority_of_ones_own_is_believed_and_only_then(tmp_path: Path) -> None:
    async with over_tls(tmp_path) as (url, trusted):
        async with Http() as strangers:
            refused = await strangers.request("GET", url)
        assert isinstance(refused, SendResult)
        assert (refused.answer, refused.cause) == (Answer.RETRY, Cause.NETWORK)
        async with outbound(Settings(outbound=OutboundSettings(ca_file=trusted))) as friends:
            reply = await friends.request("GET", url)
        assert isinstance(reply, Reply)
        assert reply.status == 204


async def test_everything_goes_through_the_proxy_and_none_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with FakeServer(lambda _: Response(204)) as proxy, FakeServer(lambda _: Response(204)) as shop:
        given = OutboundSettings.model_validate({"proxy": proxy.url.replace("//", "//ops:pa55@")})
        assert "pa55" not in repr(given)
        async with outbound(Settings(outbound=given)) as http:
            await http.request("GET", f"{shop.url}/orders")
        async with Http() as http:
            await http.request("GET", f"{shop.url}/orders")
        assert [request.target for request in proxy.requests] == [f"{shop.url}/orders"]
        assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
        assert [request.target for request in shop.requests] == ["/orders"]


@pytest.mark.parametrize("text", [None, "no certificate", ""])
def test_a_file_without_certificates_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        check_parts(Settings(outbound=OutboundSettings(ca_file=file)))
    assert [problem.split(": ")[:2] for problem in refused.value.problems] == [
        ["outbound.ca_file", str(file)]
    ]


@pytest.mark.parametrize("proxy", ["proxy.corp:3128", "socks5://proxy:1080", "http://", "http://proxy:abc"])
def test_a_proxy_that_is_none_is_refused(proxy: str) -> None:
    with pytest.raises(ValidationError, match="must be http"):
        OutboundSettings.model_validate({"proxy": proxy})


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:pa#geheim@proxy:3128",
        "http://user:12#geheim@proxy:3128",
        "http://user:12/geheim@proxy:3128",
        "http://user:12?geheim@proxy:3128",
        "http://user:geheim@[proxy:3128",
        "http://user:geheim@proxy℀:3128",
    ],
)
def test_a_password_that_cuts_the_address_is_not_sent_elsewhere_and_not_printed(proxy: str) -> None:
    with pytest.raises(ValidationError, match="percent-encode") as refused:
        OutboundSettings.model_validate({"proxy": proxy})
    said = "\n".join(explain(refused.value, "outbound", OutboundSettings))
    for part in ("geheim", "user", "pa", "12"):
        assert part not in said.replace("password", "")


def test_what_only_the_client_refuses_of_a_proxy_is_a_problem_of_the_config() -> None:
    given = OutboundSettings.model_validate({"proxy": "http://user:geheim@pröxy..x:3128"})
    with pytest.raises(ConfigError) as refused:
        check_parts(Settings(outbound=given))
    (problem,) = refused.value.problems
    assert problem.startswith("outbound.proxy: ")
    assert "geheim" not in problem


@pytest.mark.parametrize("proxy", ["http://proxy:3128/", "https://user:pa%23ss@proxy", "http://[::1]:3128"])
def test_a_proxy_is_taken(proxy: str) -> None:
    check_parts(Settings(outbound=OutboundSettings.model_validate({"proxy": proxy})))


def test_an_alertmanager_of_the_cluster_is_told_in_the_clear_and_no_password_goes_with_it() -> None:
    inside = {"url": "http://alertmanager.monitoring:9093"}
    http = Http()
    assert registry.channel("alertmanager", inside, http).name == "alertmanager"
    named = {"url": "http://u:pa55@alertmanager.monitoring:9093"}
    for secret in ({"bearer": "t0ken"}, {"username": "u", "password": "pa55"}, named):
        with pytest.raises(ValidationError, match="must be https"):
            registry.channel("alertmanager", inside | secret, http)
    for near in ("http://u:pa55@127.0.0.1:9093", "https://u:pa55@alertmanager.monitoring:9093"):
        assert registry.channel("alertmanager", {"url": near}, http).name == "alertmanager"
    with pytest.raises(ValidationError, match="must be https"):
        registry.channel("slack", {"url": "http://hooks.slack.example/x"}, http)


@pytest.mark.parametrize("kind", ["alertmanager", "slack"])
@pytest.mark.parametrize(
    "url",
    ["https://u:12#geheim@chat:9093", "https://u:geheim@chat:port", "https://u:geheim@[chat", "chat/geheim"],
)
def test_an_address_that_would_lead_elsewhere_is_refused_without_its_password(kind: str, url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        registry.channel(kind, {"url": url}, Http())
    assert "geheim" not in str(refused.value)
    assert "port'" not in str(refused.value)
