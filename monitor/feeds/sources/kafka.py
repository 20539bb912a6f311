"""Kafka topics, read from the positions that the checkpoint holds; no consumer group, so no second bookkeeping.

A position moves on when its messages are durable in the event stream. After a crash the messages since the checkpoint come
again, which changes nothing. A message holds one event, NDJSON, or a foreign record with a mapping. Needs `forestall[kafka]`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from pydantic import Field, SecretStr

from config.regions import Regions
from monitor.feeds.desk import Desk
from monitor.feeds.mapping import MappingOptions
from monitor.feeds.sources.base import Records
from notifier.options import Options

log = structlog.get_logger(__name__)

BATCH: Final = 2000
MOST_BATCHES: Final = 10  # in one run
BEGINNING: Final = -2  # of a partition that no checkpoint knows
OVERTAKEN: Final = "_AUTO_OFFSET_RESET"  # librdkafka: the position is no longer there


class KafkaUnavailable(Exception):  # noqa: N818 - told to the operator as it is
    """The package is missing, or no broker answers."""


class KafkaOptions(Options):
    brokers: str = Field(description="host:port, several with commas")
    topics: tuple[str, ...] = Field(min_length=1)
    security: Mapping[str, SecretStr] = Field(
        default_factory=dict, description="librdkafka's own keys: security.protocol, sasl.username, ..."
    )
    map: MappingOptions | None = Field(None, description="without it the messages hold canonical events")


class Kafka:
    Options = KafkaOptions

    def __init__(self, name: str, options: KafkaOptions, places: Regions, desk: Desk | None) -> None:
        self.name = name
        self._options = options
        self._records = Records(name, "kafka", options.map, places, desk)
        self.of_complaints = self._records.of_complaints
        self._positions: dict[tuple[str, int], int] = {}
        self._consumer: Any = None
        try:
            self._library: Any = importlib.import_module("confluent_kafka")
        except ImportError:
            raise KafkaUnavailable(
                'the Kafka client is not installed: pip install "forestall[kafka]"'
            ) from None

    async def run(self, now: int) -> int:
        if self._consumer is None:
            self._consumer = await asyncio.to_thread(self._connect)
        taken = 0
        for _ in range(MOST_BATCHES):
            messages = await asyncio.to_thread(self._consumer.consume, BATCH, 0.2)
            good = [message for message in messages if message.error() is None]
            for trouble in sorted({one.error().name() for one in messages if one.error() is not None}):
                log.warning("kafka.trouble", source=self.name, error=trouble)
            lines = [
                line for message in good for line in (message.value() or b"").split(b"\n") if line.strip()
            ]
            try:
                await self._records.take(lines, now)
            except BaseException:
                self.close()  # what was fetched and not taken is fetched again from the last position
                raise
            for message in good:
                self._positions[message.topic(), message.partition()] = message.offset() + 1
            taken += len(good)
            if any(self._overtaken(message) for message in messages):
                self.close()  # the next run finds out what is gone, and goes on after it
                break
            if len(messages) < BATCH:
                break
        return taken

    def _connect(self) -> Any:
        library = self._library
        config = {
            "bootstrap.servers": self._options.brokers,
            "group.id": "forestall",  # the client insists on one; it is never used
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # told, where the client would begin again without a word
            **{name: value.get_secret_value() for name, value in self._options.security.items()},
        }
        consumer = library.Consumer(config)
        try:
            consumer.assign(self._assignment(consumer))
        except library.KafkaException as error:
            consumer.close()
            raise KafkaUnavailable(f"{self.name}: no broker answers: {error.args[0].name()}") from None
        return consumer

    def _assignment(self, consumer: Any) -> Sequence[Any]:
        found = []
        for topic in self._options.topics:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            for number in sorted(partitions):
                partition = self._library.TopicPartition(topic, number, BEGINNING)
                if (topic, number) in self._positions:
                    partition.offset = self._kept(consumer, partition, self._positions[topic, number])
                found.append(partition)
        return found

    def _overtaken(self, message: Any) -> bool:
        """Whether the broker has deleted what would have been read next."""
        error = message.error()
        return error is not None and error.name() == OVERTAKEN

    def _kept(self, consumer: Any, partition: Any, position: int) -> int:
        """Where to go on: at the oldest message that the broker still has, where it has none of ours."""
        oldest, end = consumer.get_watermark_offsets(partition, timeout=10)
        place = {"source": self.name, "topic": partition.topic, "partition": partition.partition}
        if position < oldest:
            log.error("kafka.lost", **place, messages=oldest - position, why="the broker has deleted them")
        if position > end:
            log.error("kafka.started_over", **place, why="the topic ends before the position that we knew")
        return position if oldest <= position <= end else int(oldest)

    def state(self) -> Mapping[str, Any]:
        return {"positions": [[topic, number, offset] for (topic, number), offset in self._positions.items()]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._positions = {(topic, number): offset for topic, number, offset in state.get("positions", ())}
        self.close()

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
