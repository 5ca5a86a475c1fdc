import pytest
from config_runs import TinyData


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> TinyData:
    """Tiny data sets in their layouts."""
    return TinyData(tmp_path_factory.mktemp("data"))
