"""A trained network taken along from the page Live: the file, its card, and what goes wrong in one line."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import exports
from dashboard.launch import models
from dashboard.launch.models import zip_model
from engine.errors import WhichLayersError
from tests.trained_store import STUDY, TrainedStore, make_trained_store


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainedStore]:
    made = make_trained_store(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHICHLAYERS_STORE", made.store.files.root)
        patch.setenv("WHICHLAYERS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield made


def script() -> None:
    from dashboard.views import take_along

    take_along.section("bright")


def test_a_network_is_made_on_demand_and_offered(trained: TrainedStore, tmp_path: Path) -> None:
    page = AppTest.from_function(script, default_timeout=120).run()
    assert not page.exception, page.exception
    assert not page.get("link_button")
    page.button[0].click().run()
    assert not page.exception, page.exception
    assert not page.error
    (offered,) = page.get("link_button")
    chosen = page.selectbox[0].value
    assert offered.proto.label.startswith(f"{STUDY}-{chosen[:12]}.safetensors.zip (")
    client = TestClient(Starlette(routes=exports.routes()))
    content = client.get(offered.proto.url).content
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.testzip() is None
    page.button_group[0].set_value("ONNX").run()
    assert not page.get("link_button"), "another form is another file"


def test_the_file_and_its_card_are_in_the_zip(trained: TrainedStore, tmp_path: Path) -> None:
    trial = sorted(trained.store.has_weights(STUDY))[0]
    out = tmp_path / "made.zip"
    zip_model(STUDY, trial, "safetensors", trained.store.files.root, tmp_path, out)
    with zipfile.ZipFile(out) as packed:
        name = f"{STUDY}-{trial[:12]}.safetensors"
        assert packed.namelist() == [name, f"{name}.md"]
        assert "block9.0.weight" in load(packed.read(name))
        assert "For research, not for diagnosis" in packed.read(f"{name}.md").decode()


def test_what_cannot_be_made_is_one_line(
    trained: TrainedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WhichLayersError, match="ffffffff") as error:
        zip_model(STUDY, "f" * 64, "safetensors", trained.store.files.root, tmp_path, tmp_path / "made.zip")
    assert "Traceback" not in str(error.value)
    monkeypatch.setattr(models, "MODEL_SECONDS", 0.01)
    with pytest.raises(WhichLayersError, match=r"the file took more than .* the machine is busy"):
        zip_model(STUDY, "best", "safetensors", trained.store.files.root, tmp_path, tmp_path / "made.zip")
