"""Simulated B-mode images: the speckle is physics, the lesions are where the masks say."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from engine.datasets.simulated import simulated_dataset
from engine.simulator import SCANNERS, SMALL_PARTS, SUS, K, Lesion, Scanner, draw_lesions, simulate, simulate_image

RAYLEIGH_SNR = 1.91
"""Mean over standard deviation of a Rayleigh variable: sqrt(pi / (4 - pi)) = 1.913."""


def homogeneous_envelope(scanner: Scanner = SUS, images: int = 4) -> np.ndarray:
    """Envelopes of phantoms without lesions, before compression: image line sample."""
    return np.stack(
        [
            simulate_image((), np.random.default_rng([3, index]), image_size=32, scanner=scanner).envelope
            for index in range(images)
        ]
    )


def evenly_bright(envelope: np.ndarray, scanner: Scanner) -> np.ndarray:
    """The envelope divided by what the background should have at its depth: echoes and noise, then the receiver."""
    depth_cm = 0.1 * (np.arange(envelope.shape[-1]) + 0.5) * scanner.sample_mm
    echoes = 10 ** (-scanner.attenuation_db_per_cm * depth_cm / 10)
    return envelope / np.sqrt((echoes + scanner.noise**2) * 10 ** (scanner.compensation_db_per_cm * depth_cm / 10))


def signal_to_noise(envelope: np.ndarray) -> float:
    return float(envelope.mean() / envelope.std())


@pytest.mark.parametrize("scanner", SCANNERS.values(), ids=SCANNERS)
def test_fully_developed_speckle_has_the_signal_to_noise_ratio_of_rayleigh(scanner: Scanner) -> None:
    envelope = evenly_bright(homogeneous_envelope(scanner), scanner)
    assert signal_to_noise(envelope) == pytest.approx(RAYLEIGH_SNR, rel=0.05)
    skin, bottom = np.array_split(envelope, 2, axis=-1)
    assert signal_to_noise(skin) == pytest.approx(RAYLEIGH_SNR, rel=0.05)
    assert signal_to_noise(bottom) == pytest.approx(RAYLEIGH_SNR, rel=0.05)


@pytest.mark.parametrize("scanner", SCANNERS.values(), ids=SCANNERS)
def test_the_speckle_test_fails_for_sparse_scatterers(scanner: Scanner) -> None:
    sparse = replace(scanner, scatterers_per_mm2=1.0)
    envelope = evenly_bright(homogeneous_envelope(sparse), sparse)
    assert signal_to_noise(envelope) != pytest.approx(RAYLEIGH_SNR, rel=0.05)


def independent(envelope: np.ndarray) -> np.ndarray:
    """Samples more than a resolution cell apart: 2.4 mm or more across (A), 0.8 mm along."""
    every = 3 if envelope.shape[1] == SUS.lines else 5
    return envelope[:, ::every, ::100].ravel()


@pytest.mark.parametrize("scanner", SCANNERS.values(), ids=SCANNERS)
def test_the_envelope_fits_a_rayleigh_distribution(scanner: Scanner) -> None:
    samples = independent(evenly_bright(homogeneous_envelope(scanner), scanner))
    scale = np.sqrt(np.mean(samples**2) / 2)
    assert len(samples) > 3000
    assert stats.kstest(samples, stats.rayleigh(scale=scale).cdf).pvalue > 0.01


def test_the_rayleigh_fit_fails_for_sparse_scatterers() -> None:
    samples = independent(homogeneous_envelope(Scanner(scatterers_per_mm2=1.0)))
    scale = np.sqrt(np.mean(samples**2) / 2)
    assert stats.kstest(samples, stats.rayleigh(scale=scale).cdf).pvalue < 1e-6


@pytest.mark.parametrize("scanner", SCANNERS.values(), ids=SCANNERS)
def test_the_envelope_is_in_units_of_the_background_at_every_depth(scanner: Scanner) -> None:
    envelope = evenly_bright(homogeneous_envelope(scanner), scanner)
    assert np.sqrt(np.mean(envelope**2)) == pytest.approx(1, abs=0.03)
    for part in np.array_split(envelope, 4, axis=-1):
        assert np.sqrt(np.mean(part**2)) == pytest.approx(1, abs=0.06)


def test_the_envelope_of_a_is_1_without_attenuation_to_undo() -> None:
    np.testing.assert_allclose(evenly_bright(np.ones((1, 1, 9)), SUS), 1, rtol=1e-3)


def test_the_envelope_has_a_line_per_rf_line_and_a_sample_per_sampling_interval() -> None:
    # 40 mm at 1.54 mm/us there and back, sampled at 100 MHz: 40 / 0.0077 = 5194.8.
    assert homogeneous_envelope(images=1).shape == (1, 50, 5195)


@pytest.mark.parametrize("k", [0.1, 0.5])
def test_a_lesion_echoes_k_times_the_background(k: float) -> None:
    lesion = Lesion(x_mm=20.0, z_mm=20.0, half_axes_mm=(10.0, 10.0), angle=0.0, k=k)
    envelope = simulate_image((lesion,), np.random.default_rng(0), scanner=Scanner(noise=0.0)).envelope
    inside = envelope[20:30, 2100:3100]  # a square of 8 mm in the middle
    assert np.sqrt(np.mean(inside**2)) == pytest.approx(k, rel=0.15)


def test_lesions_are_darker_than_the_background_where_the_mask_says() -> None:
    images, masks, _ = simulate(12, 64, seed=1)
    for image, mask in zip(images, masks, strict=True):
        assert image[mask == 1].mean() < image[mask == 0].mean()


def test_masks_are_binary_and_every_image_has_a_lesion_within_its_borders() -> None:
    _, masks, phantoms = simulate(20, 64, seed=2)
    assert set(np.unique(masks)) == {0, 1}
    assert masks.any(axis=(1, 2)).all()
    assert {len(lesions) for lesions in phantoms} == {1, 2, 3}
    assert all(K[0] <= lesion.k <= K[1] for lesions in phantoms for lesion in lesions)


def test_some_lesions_are_circles_and_some_are_ellipses() -> None:
    lesions = [lesion for index in range(20) for lesion in draw_lesions(np.random.default_rng(index))]
    round_ones = [lesion.half_axes_mm[0] == lesion.half_axes_mm[1] for lesion in lesions]
    assert any(round_ones)
    assert not all(round_ones)


def test_an_image_depends_on_seed_and_number_and_not_on_how_many_are_made() -> None:
    few, few_masks, _ = simulate(2, 48, seed=5)
    more, more_masks, _ = simulate(4, 48, seed=5)
    np.testing.assert_array_equal(few, more[:2])
    np.testing.assert_array_equal(few_masks, more_masks[:2])
    other, _, _ = simulate(2, 48, seed=6)
    assert not np.array_equal(few, other)
    assert not np.array_equal(more[0], more[1])


def test_the_same_phantom_is_seen_at_another_image_size() -> None:
    assert simulate(1, 32, seed=5)[2] == simulate(1, 64, seed=5)[2]


def test_a_wider_beam_makes_wider_speckle() -> None:
    def likeness_of_neighbours(scanner: Scanner) -> float:
        envelope = homogeneous_envelope(scanner, images=1)[0]
        return float(np.corrcoef(envelope[:-1].ravel(), envelope[1:].ravel())[0, 1])

    assert likeness_of_neighbours(Scanner(beam_width_mm=2.4)) > likeness_of_neighbours(SUS) + 0.1


def test_the_dataset_says_what_it_is_and_names_no_groups() -> None:
    data = simulated_dataset(3, 32, seed=0)
    assert data.name == "SUS (simulated)"
    assert "simulated here" in data.provenance
    assert "\n" not in data.provenance
    assert data.images.shape == data.masks.shape == (3, 32, 32)
    assert not data.has_groups
    assert data.table["spacing_mm"].to_list() == pytest.approx([1.25] * 3)
    assert data.fingerprint == simulated_dataset(3, 32, seed=0).fingerprint
    assert data.fingerprint != simulated_dataset(3, 32, seed=1).fingerprint


# Two scanners


def test_the_images_of_scanner_a_are_those_of_before_there_was_another() -> None:
    images, masks, _ = simulate(4, 32, seed=0)
    # Written down from revision e63e683: hashlib.sha256(simulate(4, 32, seed=0)[0].tobytes()).hexdigest(), and [1].
    # The same with OpenBLAS's kernels for Nehalem, Sandybridge, Haswell, Zen and SkylakeX.
    assert hashlib.sha256(images.tobytes()).hexdigest() == (
        "513f8dadfbb2408cb1efd2bd65ce930ed6fc6117b85f645fa5b46b00d35513b2"
    )
    assert hashlib.sha256(masks.tobytes()).hexdigest() == (
        "3712c22c2bbaa35ef72934fa7305560b25bd80d9175cf972d2a7feb3c0a2e594"
    )
    data = simulated_dataset(4, 32, seed=0)
    assert data.fingerprint == "c7ae62ee398642194519066f46c36037dfdfb1105d997e2297e55650bb65135a"
    assert set(data.table["scanner"]) == {"simulated linear array"}


def test_the_scanners_see_different_lesions_differently() -> None:
    of_a, of_b = simulate(6, 64, seed=0), simulate(6, 64, seed=0, scanner=SMALL_PARTS)
    assert not any(np.array_equal(first, second) for first in of_a[1] for second in of_b[1])
    plain = replace(SMALL_PARTS, stream=0)
    assert simulate(6, 64, seed=0, scanner=plain)[2] == of_a[2]
    assert of_b[1].any(axis=(1, 2)).all()
    for image, mask in zip(*of_b[:2], strict=True):
        assert image[mask == 1].mean() < image[mask == 0].mean()


def test_scanner_b_has_finer_speckle_and_is_darker_below() -> None:
    def likeness(scanner: Scanner, lines: int, samples: int) -> float:
        envelope = evenly_bright(homogeneous_envelope(scanner, images=1), scanner)[0]
        first = envelope[: len(envelope) - lines, : envelope.shape[1] - samples]
        return float(np.corrcoef(first.ravel(), envelope[lines:, samples:].ravel())[0, 1])

    # 0.63 mm across and 0.15 mm along in B are less alike than 0.80 mm across and 0.15 mm along in A.
    assert likeness(SMALL_PARTS, 2, 0) < likeness(SUS, 1, 0) - 0.15
    assert likeness(SMALL_PARTS, 0, 20) < likeness(SUS, 0, 20) - 0.15
    background = simulate_image((), np.random.default_rng(0), image_size=64, scanner=SMALL_PARTS).image
    assert background[:16].mean() > background[-16:].mean() + 10
    even = simulate_image((), np.random.default_rng(0), image_size=64).image
    assert even[:16].mean() == pytest.approx(even[-16:].mean(), abs=5)


def test_the_dataset_says_which_scanner_made_it() -> None:
    data = simulated_dataset(2, 32, seed=0, scanner="B")
    assert data.name == "scanner B (simulated)"
    assert "128 RF lines, 7.5 MHz" in data.provenance
    assert set(data.table["scanner"]) == {"simulated linear array B"}
    assert data.structures == ("lesion",)
    assert data.fingerprint != simulated_dataset(2, 32, seed=0).fingerprint
