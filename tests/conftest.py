"""What all tests share: an empty engine of each kind, so that both are held to every rule."""

from __future__ import annotations

import pytest

from exchange.engine import ENGINE_KINDS, Engine, create_engine
from exchange.errors import BuildError


@pytest.fixture(params=ENGINE_KINDS)
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of engine in turn; a missing build fails, with what to do about it."""
    kind: str = request.param
    try:
        create_engine(kind)
    except BuildError as error:
        pytest.fail(f"{error}: run `make build`", pytrace=False)
    return kind


@pytest.fixture
def engine(engine_kind: str) -> Engine:
    """A new, empty engine."""
    return create_engine(engine_kind)
