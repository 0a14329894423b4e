"""What the gateway under test is, by the environment that python.client-test.ts sets."""

import os
from dataclasses import dataclass

import pytest

CAPITAL = "What is the capital of France? Answer in one sentence."
TOO_LONG = "word " * 5000


@dataclass(frozen=True)
class Gateway:
    url: str
    key: str
    once_key: str
    """Good for one request a minute."""
    model: str
    embedding_model: str
    red_square: str
    """A PNG in base64."""


@pytest.fixture(scope="session")
def gateway() -> Gateway:
    names = ("URL", "KEY", "ONCE_KEY", "MODEL", "EMBEDDING_MODEL", "RED_SQUARE")
    return Gateway(*(os.environ[f"GATEWAY_{name}"] for name in names))
