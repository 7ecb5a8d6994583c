"""A sandbox on a Clock, and a client of each of its services."""

from random import Random

import pytest
from twisted.internet.task import Clock

from pipetest.sandbox.world import KEY, World
from tests.support.sandbox_client import NOON_AT, Client


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(NOON_AT)
    return clock


@pytest.fixture
def world(clock: Clock) -> World:
    return World(clock.seconds, Random(1), tokens={"good-token": "reader"})


@pytest.fixture
def github(world: World) -> Client:
    return Client(world.github, "https://api.github.com", {"user-agent": "test"})


@pytest.fixture
def pipedrive(world: World) -> Client:
    return Client(world.pipedrive, "https://test.pipedrive.com", {"x-api-token": KEY})
