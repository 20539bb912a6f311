from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.valkey import Valkey

_numbers = itertools.count()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """One server for all tests of this process; durability is for tests/faults."""
    with tempfile.TemporaryDirectory(prefix="fm") as folder, Valkey(Path(folder), fsync="no") as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """Each test has keys of its own."""
    return f"t{next(_numbers)}"
