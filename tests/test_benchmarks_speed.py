"""What the benchmarks of speed and memory count and print; nothing here is timed."""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import limits, machine, memory, peers
from benchmarks.flops import forward_flops, step_flops
from benchmarks.memory import DAEMONS, DRIVER, WORKER, Peak
from engine import config
from engine.architectures import UNET_CONVOLUTIONS, UNET_STRATEGIES, UNET_UNITS

SMALL = argparse.Namespace(width=2, size=32, batch=2, precision="float32", threads=1, device="cpu")


def test_forward_operations_of_the_first_and_last_convolutions_by_hand() -> None:
    found = forward_flops(width=4, side=32, batch=2)
    assert list(found) == [name for names in UNET_CONVOLUTIONS.values() for name in names]
    assert found["1.1"] == 2 * (2 * 32 * 32) * 9 * 1 * 4
    assert found["5.1"] == 2 * (2 * 2 * 2) * 9 * 32 * 64
    assert found["6.1"] == 2 * (2 * 4 * 4) * 4 * 64 * 32
    assert found["9.4"] == 2 * (2 * 32 * 32) * 1 * 4 * 1


def test_a_step_of_the_whole_network_at_the_papers_size_takes_654_gflop() -> None:
    """All forward, weights and inputs backward, except the gradient of the images."""
    forward = forward_flops(64, 256, 2)
    whole = step_flops(UNET_UNITS, 64, 256, 2)
    assert whole == 3 * sum(forward.values()) - forward["1.1"]
    assert round(whole / 1e9) == 654


def test_a_step_that_only_trains_the_output_takes_one_gradient_beyond_forward() -> None:
    forward = forward_flops(8, 64, 1)
    assert step_flops(["9.4"], 8, 64, 1) == sum(forward.values()) + forward["9.4"]
    assert step_flops([], 8, 64, 1) == sum(forward.values())


@pytest.mark.parametrize("strategy", ["whole network", "contracting", "expanding", "block 9", "block 5", "blocks 1,9"])
def test_operations_are_those_that_pytorch_counts(strategy: str) -> None:
    units = UNET_STRATEGIES[strategy].units
    step = limits.step_of(limits.trial_of(strategy, units, SMALL))
    with FlopCounterMode(display=False) as counted:
        step()
    assert counted.get_total_flops() == step_flops(units, SMALL.width, SMALL.size, SMALL.batch)


def test_shares_are_medians_of_rounds_not_of_their_parts() -> None:
    rounds = [(1.0, {"bf16": 100.0}), (2.0, {"bf16": 25.0}), (4.0, {"bf16": 100.0})]
    found = limits.share_of("block 9", 50, rounds)
    assert found.seconds == 2.0
    assert found.of_peak == {"bf16": 0.5}
    assert found.rate == 25.0


def test_shares_table_tells_how_many_times_its_flop_time_a_step_takes() -> None:
    share = limits.Share(strategy="block 9", flops=2_000_000_000, seconds=0.5, of_peak={"bf16": 0.25, "float32": 0.8})
    assert limits.shares_table([share]).splitlines()[-1] == "| block 9 | 2.0 | 0.5000 | 4 | 25% | 4.00 | 80% |"


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::mkldnn_convolution", "convolution, forward"),
        ("aten::cudnn_convolution", "convolution, forward"),
        ("aten::convolution_backward", "convolution, backward"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", "convolution, backward"),
        ("aten::_fused_adam_", "optimiser"),
        ("Optimizer.zero_grad#Adam.zero_grad", "optimiser"),
        ("aten::upsample_bilinear2d_backward", "upsampling"),
        ("aten::binary_cross_entropy_with_logits", "loss"),
        ("BinaryCrossEntropyWithLogitsBackward0", "loss"),
        ("aten::relu_", "activations and copies"),
        ("aten::clamp_min_", "activations and copies"),
        ("aten::copy_", "activations and copies"),
        ("aten::max_pool2d_with_indices_backward", "activations and copies"),
        ("aten::view", "other"),
    ],
)
def test_operators_of_the_profiler_have_a_kind(operator: str, kind: str) -> None:
    assert limits.kind_of(operator) == kind


def test_costs_of_a_step_name_every_kind_of_work_that_it_does() -> None:
    trial = limits.trial_of("block 9", UNET_STRATEGIES["block 9"].units, SMALL)
    costs = limits.costs_of(limits.step_of(trial), "cpu", steps=1)
    assert [kind for kind, seconds in costs.items() if seconds <= 0] == []
    lines = limits.costs_table({"block 9": costs}).splitlines()
    assert [line.split(" |")[0] for line in lines[2:]] == [f"| {kind}" for kind in [*limits.KINDS, "other", "all"]]


@pytest.mark.parametrize(("trials", "found"), [(1, (1, 1)), (4, (1, 1)), (8, (2, 1)), (20, (5, 1)), (40, (5, 2))])
def test_folds_and_seeds_make_as_many_trials_as_asked_or_a_few_more(trials: int, found: tuple[int, int]) -> None:
    folds, seeds = peers.folds_and_seeds(trials)
    assert (len(folds), len(seeds)) == found
    assert len(folds) * len(seeds) * len(peers.STRATEGIES) >= trials


def test_the_study_of_the_peers_is_one_that_loads(tmp_path: Path) -> None:
    options = argparse.Namespace(trials=8, epochs=3, start_images=60, start_batches=20)
    file = tmp_path / "peers.yaml"
    file.write_text(peers.study_text(options, tmp_path))
    study = config.load(file)
    assert (study.folds.run, study.seeds, study.training.max_epochs) == ((0, 1), (0,), 3)


def test_peers_get_85_images_from_the_whole_manifest_with_their_masks(tmp_path: Path) -> None:
    for part in ("images", "masks"):
        (tmp_path / "all" / part).mkdir(parents=True)
        for number in range(170):
            (tmp_path / "all" / part / f"{number}.png").write_text(f"{part} {number}")
    rows = [{"image": f"images/{number}.png", "mask": f"masks/{number}.png"} for number in range(170)]
    pd.DataFrame(rows).to_csv(tmp_path / "all" / "manifest.csv", index=False)
    peers.take_images(tmp_path / "all", tmp_path / "few")
    taken = pd.read_csv(tmp_path / "few" / "manifest.csv")
    assert list(taken["image"]) == [f"images/{number}.png" for number in range(0, 170, 2)]
    assert (tmp_path / "few" / "masks" / "168.png").read_text() == "masks 168"


def test_a_peer_that_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.NEEDS, "MONAI", "monai_that_nobody_has")
    monkeypatch.setitem(peers.NEEDS, "Lightning", "torch")
    found = peers.missing(["plain PyTorch", "MONAI", "Lightning", peers.OURS])
    assert found == {
        "MONAI": "MONAI is left out: 'monai_that_nobody_has' is not installed; uv pip install --group benchmarks"
    }


def test_a_peer_that_fails_is_told_by_the_end_of_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(peers.PeerFailed, match="No module named"):
        peers.theirs("nobody", {}, tmp_path)


def test_by_strategy_takes_as_many_trials_of_each() -> None:
    trials = [{"strategy": name, "fold": fold} for name in peers.STRATEGIES for fold in range(5)]
    assert [one["fold"] for one in peers.by_strategy(trials, 8)] == [0, 1] * 4


def _done(strategy: str, fold: int, dice: float) -> dict[str, object]:
    return {"strategy": strategy, "fold": fold, "seed": 0, "dice": dice}


def test_peers_table_has_medians_ratios_and_paired_differences_of_dice() -> None:
    seconds = {"MONAI": [8.0, 12.0, 9.0], peers.OURS: [2.0, 4.0, 3.0]}
    scores = {
        "MONAI": [_done("whole network", 0, 0.7), _done("block 9", 1, 0.5)],
        peers.OURS: [
            _done("whole network", 0, 0.8), _done("block 9", 1, 0.5), _done("block 9", 2, 0.1)
        ],
    }  # fmt: skip
    lines = peers.table(seconds, scores).splitlines()
    assert lines[2] == (
        "| MONAI | 9.00 (8.00-12.00) | 3.0 | 0.700 (n = 1) |  |  | 0.500 (n = 1) | -0.050 ± 0.071 (n = 2) |"
    )
    assert lines[3] == "| WhichLayers | 3.00 (2.00-4.00) | 1.0 | 0.800 (n = 1) |  |  | 0.300 (n = 2) |  |"


def test_peers_table_without_ours_has_no_ratios() -> None:
    line = peers.table({"MONAI": [8.0]}, {"MONAI": [_done("block 9", 0, 0.5)]}).splitlines()[-1]
    assert line == "| MONAI | 8.00 |  |  |  |  | 0.500 (n = 1) |  |"


def test_the_head_of_a_table_names_machine_load_date_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["limits.py", "--width", "16"])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine.command_line("benchmarks.limits") == "python -m benchmarks.limits --width 16"
    line = machine.machine_line((0.5, 1.0, 2.0), "some GPU")
    assert "some GPU; load over 1, 5, 15 minutes at the start: 0.5, 1.0, 2.0; OMP_NUM_THREADS=1; 20" in line
    assert machine.versions("torch", "a package that nobody has").startswith("torch 2")


def test_daemons_count_together_and_of_workers_the_largest() -> None:
    peaks = memory.by_role(
        [
            (DRIVER, Peak(resident=300, own=200)),
            (WORKER, Peak(resident=100, own=90)),
            (WORKER, Peak(resident=150, own=80)),
            (DAEMONS, Peak(resident=50, own=20)),
            (DAEMONS, Peak(resident=70, own=40)),
        ]
    )
    assert peaks == {
        DRIVER: Peak(resident=300, own=200),
        WORKER: Peak(resident=150, own=90),
        DAEMONS: Peak(resident=120, own=60),
    }


def test_processes_of_ray_are_told_apart_by_their_command_lines() -> None:
    assert memory.role_of(["ray::Trainable.train()"]) == WORKER
    assert memory.role_of(["/somewhere/raylet", "--port=0"]) == DAEMONS
    assert memory.role_of([]) == DAEMONS


def test_a_watch_sees_a_process_and_what_it_starts() -> None:
    held = "import sys; kept = bytearray(2**26); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        watch = memory.Watch(psutil.Process(process.pid))
        watch.look()
        process.communicate()
    watch.look()  # nobody is there any more
    peaks = watch.peaks()
    assert set(peaks) == {DRIVER, DAEMONS}
    assert peaks[DAEMONS].resident >= 64 > peaks[DRIVER].own
    assert peaks[DAEMONS].own <= peaks[DAEMONS].resident


def test_memory_table_has_a_row_per_process_and_leaves_empty_what_was_not_seen() -> None:
    lines = memory.table({200: {DRIVER: Peak(resident=1234.4, own=900.0)}, 2000: {}}).splitlines()
    assert lines[0] == "| | 200 trials: resident, MB | PSS, MB | 2,000 trials: resident, MB | PSS, MB |"
    assert lines[2] == "| driver | 1,234 | 900 |  |  |"
    assert {line.count("|") for line in lines} == {6}
