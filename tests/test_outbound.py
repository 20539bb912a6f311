"""How requests leave: through a company's proxy, and trusting its own certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.loading import ConfigError
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


@pytest.mark.parametrize("proxy", ["proxy.corp:3128", "socks5://proxy:1080", "http://"])
def test_a_proxy_that_is_none_is_refused(proxy: str) -> None:
    with pytest.raises(ValidationError, match="must be http"):
        OutboundSettings.model_validate({"proxy": proxy})


def test_an_alertmanager_of_the_cluster_is_told_in_the_clear_and_no_password_goes_with_it() -> None:
    inside = {"url": "http://alertmanager.monitoring:9093"}
    http = Http()
    assert registry.channel("alertmanager", inside, http).name == "alertmanager"
    for secret in ({"bearer": "t0ken"}, {"username": "u", "password": "pa55"}):
        with pytest.raises(ValidationError, match="must be https"):
            registry.channel("alertmanager", inside | secret, http)
    with pytest.raises(ValidationError, match="must be https"):
        registry.channel("slack", {"url": "http://hooks.slack.example/x"}, http)
