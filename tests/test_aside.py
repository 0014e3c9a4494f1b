"""Where clips lie while they are read: gone with the process, and what a killed server has left is deleted."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from dashboard.inference import aside
from dashboard.inference.aside import Aside
from dashboard.inference.worker import InferenceWorker
from tests.live_server import served

LEAVE = """
import os, sys
from pathlib import Path
from dashboard.inference.aside import Aside
left = Aside(Path(sys.argv[1]))
(left.folder / "clip.video").write_bytes(b"1")
print(left.folder, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    made = Aside(tmp_path)
    (made.folder / "clip.video").write_bytes(b"1")
    made.leave()
    assert list((tmp_path / aside.FOLDER).iterdir()) == []


def test_what_a_killed_server_has_left_is_deleted_and_what_is_used_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVE, str(tmp_path)]
    left = Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip())
    used, outside = Aside(tmp_path), tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"1")
    (tmp_path / aside.FOLDER / "link").symlink_to(outside)
    aside.sweep(tmp_path)
    assert left.is_dir(), "it is young"
    for folder in (left, used.folder, outside):
        os.utime(folder, (0, 0))
    aside.sweep(tmp_path)
    assert not left.exists()
    assert used.folder.is_dir()
    assert (outside / "kept").is_file()
    used.leave()
    aside.sweep(tmp_path / "none")


def test_uploads_of_a_killed_server_go_and_those_of_another_stay(tmp_path: Path) -> None:
    used, left = Aside(tmp_path, aside.UPLOADS), tmp_path / aside.UPLOADS / "left"
    (left / "hash").mkdir(parents=True)
    (left / "hash" / "frame.png").write_bytes(b"1")
    for folder in (left, used.folder):
        os.utime(folder, (0, 0))
    aside.sweep(tmp_path)
    assert [place.name for place in (tmp_path / aside.UPLOADS).iterdir()] == [used.folder.name]
    used.leave()
    used.leave()
    assert list((tmp_path / aside.UPLOADS).iterdir()) == []


def test_the_live_program_keeps_uploads_in_a_folder_of_its_own_which_goes_with_it(tmp_path: Path) -> None:
    with served(tmp_path / "store", tmp_path / "cache") as server:
        (folder,) = (tmp_path / "cache" / aside.UPLOADS).iterdir()
        sent = httpx.post(f"{server.address}/gradio_api/upload", files={"files": ("frame.png", b"1")}, timeout=30)
        (place,) = sent.json()
        assert Path(place).read_bytes() == b"1"
        assert Path(place).is_relative_to(folder)
        (folder / "unfinished").mkdir()
    assert not folder.exists()


def test_the_inference_process_writes_there(tmp_path: Path) -> None:
    with InferenceWorker(str(tmp_path / "store"), cache=tmp_path / "cache") as worker:
        worker._running()
        assert worker.process_id is not None
        there = Path(f"/proc/{worker.process_id}/environ").read_bytes().split(b"\0")
        (folder,) = (tmp_path / "cache" / aside.FOLDER).iterdir()
        assert f"TMPDIR={folder}".encode() in there
    assert list((tmp_path / "cache" / aside.FOLDER).iterdir()) == []
