"""Options of the radiance field and of its two training stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from talkface.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """BLINK's field. Defaults keep the paper's networks; "paper" in a note names what the paper or ER-NeRF uses."""

    conditioning: Literal["planes", "attention"] = "planes"
    """How the mouth enters: "planes" are tables linear in the condition (ours: learns the mouth within a minute on a
    CPU); "attention" is the paper's region attention (needs the full schedule, else the mouth stays frozen)."""
    triplane: bool = True
    """Tri-plane hash (paper, TriHash = 1); off is one 3-D hash grid of 16 levels x 2 features (the ablation)."""
    levels: int = 12
    """Grid levels per plane (paper: 12)."""
    features: int = 1
    """Features per level (paper: 1)."""
    coarsest: int = 64
    """Nodes of the coarsest level (paper: 64)."""
    finest: int = 512
    """Nodes of the finest level (paper: 512)."""
    log2_rows: int = 14
    """Rows of a level at most, as a power of two (paper: 14)."""
    motion_levels: int = 6
    """Levels of the grid that follows the condition ("planes")."""
    motion_coarsest: int = 24
    """Its coarsest nodes, over the moving part of the face."""
    motion_finest: int = 160
    """Its finest nodes: about 1 mm."""
    motion_log2_rows: int = 15
    """Its rows of a level at most, as a power of two: no collisions, since unused directions would pick up noise."""
    hidden: int = 64
    """Width of the networks (paper: 64)."""
    mouth_components: int = 8
    """Principal components of mouth and chin landmarks that drive the field when landmarks do (ours; 8 hold 99 % of a
    speaker's variance, 16 gain 0.6 dB in the mouth, 24 follow speech less well)."""
    brow_components: int = 2
    """Principal components of the brows, part of the drive as well (ours)."""
    drive: int = 0
    """Size of the driving vector when a network makes it (landmark code or audio code: 32); 0: components."""
    eye: bool = True
    """Eye closure channel (E = 1)."""
    clamp: float = 2.5
    """Components are cut at so many standard deviations: unseen mouths must not make the tables explode (ours)."""
    noise: float = 0.05
    """Noise on the drive while training, standard deviations (ours)."""
    code: int = 4
    """Per-frame appearance code (ER-NeRF: 4); rendering uses the training mean."""
    view: bool = True
    """Colour depends on the viewing direction (paper equation 1)."""
    view_limit: bool = False
    """Viewing directions are cut to the range of the training frames (ours): beyond it the colour of a view-dependent
    field runs away (a face filmed from the front turns cyan at 25 degrees)."""

    size_px: int = 128
    """Side of the training picture."""
    first_size_px: int = 0
    """Side of the picture for the first part of training; 0: the same all the time."""
    first_share: float = 0.5
    """Share of the coarse stage at `first_size_px`."""
    steps: int = 9000
    """Steps of the coarse stage (paper: 100 000 with 64 times the rays)."""
    fine_steps: int = 1000
    """Steps of the fine stage, every other one on a mouth patch (paper: 25 000)."""
    patch_px: int = 32
    """Side of the mouth patches of the fine stage (ER-NeRF: at least 32)."""
    perceptual: float = 0.001
    """Weight of the perceptual term of the fine stage for LPIPS (paper: 0.001)."""
    rays: int = 1024
    """Rays per step (ER-NeRF: 65 536); a third of it while warming up."""
    samples: int = 8
    """Samples per ray at most (ER-NeRF: 16); five times as many while warming up."""
    step_fraction: float = 1 / 48
    """Distance of samples as a share of the box's side (ER-NeRF: 0.0135 of its box)."""
    outline_rays: int = 1
    """Rays across a pixel of the outline in both directions when rendering (1: one ray a pixel everywhere, as ER-NeRF;
    2: four rays there, ours): hair has detail finer than a pixel, which flickers and looks dotted under one ray."""
    exchange: Literal["core", "rays"] = "core"
    """Where the plate is exchanged by a random colour half of the time: "core": inside the head, one colour a step;
    "rays": after the warm-up, on every ray for itself, also beside the head and along its edge, where the target is
    exchanged with it (ours): what lies around the head is then empty, not painted in the colour of the old background.
    """
    warmup_steps: int = 300
    """Steps before empty space is pruned for the first time."""
    occupancy_cells: int = 64
    """Cells of the occupancy grid along a side (ER-NeRF: 128)."""
    occupancy_every: int = 250
    """Steps between occupancy refreshes (ER-NeRF: 16, by CUDA)."""

    grid_rate: float = 1e-2
    """Learning rate of the tables (ER-NeRF: 1e-2)."""
    linear_rate: float = 3e-3
    """Learning rate of the condition's share of the tables (ours)."""
    network_rate: float = 2e-3
    """Learning rate of the networks (ER-NeRF: 1e-3)."""
    code_rate: float = 1e-3
    """Learning rate of the per-frame codes."""
    final_rate: float = 0.1
    """Learning rates at the end as a share of those at the start (ER-NeRF: 0.5, then 0.05)."""
    opacity_weight: float = 0.02
    """Weight of the squared difference between opacity and matte (ours)."""
    entropy_weight: float = 1e-4
    """Weight of the opacity's entropy (ER-NeRF: 1e-4)."""
    attention_weight: float = 1e-4
    """Weight of the attention outside the face, reached at the end ("attention"; ER-NeRF: 1e-4)."""

    def __post_init__(self) -> None:
        counts = "levels coarsest finest log2_rows hidden size_px steps rays samples outline_rays"
        for name in counts.split():
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.finest < self.coarsest:
            raise UserError(f"finest ({self.finest}) must not be below coarsest ({self.coarsest})")
        if self.conditioning not in ("planes", "attention"):
            raise UserError(f"conditioning must be planes or attention, not {self.conditioning!r}")
        if self.exchange not in ("core", "rays"):
            raise UserError(f"exchange must be core or rays, not {self.exchange!r}")

    @property
    def drive_size(self) -> int:
        """Length of the driving vector."""
        return self.drive or self.mouth_components + self.brow_components


PRESETS: dict[str, FieldConfig] = {
    "test": FieldConfig(
        levels=6, coarsest=16, finest=64, log2_rows=11, motion_levels=4, motion_coarsest=8, motion_finest=40,
        motion_log2_rows=11, hidden=32, size_px=48, steps=300, fine_steps=20, rays=384,
        warmup_steps=60, occupancy_cells=32, occupancy_every=100, patch_px=12, grid_rate=2e-2, network_rate=5e-3,
        view_limit=True,
    ),
    "small": FieldConfig(
        levels=8, finest=256, size_px=128, steps=6000, fine_steps=600, grid_rate=2e-2, network_rate=5e-3,
        mouth_components=16, view_limit=True, exchange="rays", outline_rays=2,
    ),
    "medium": FieldConfig(
        levels=10, finest=400, size_px=256, first_size_px=128, steps=12_000, fine_steps=2000, samples=10,
        step_fraction=1 / 64, grid_rate=2e-2, network_rate=5e-3, patch_px=48, mouth_components=16,
        view_limit=True, exchange="rays", outline_rays=2,
    ),
    "full": FieldConfig(
        conditioning="attention", drive=32, size_px=512, steps=100_000, fine_steps=25_000, patch_px=64, rays=65_536,
        samples=16, step_fraction=0.0271 / 2, occupancy_cells=128, occupancy_every=16, network_rate=1e-3,
        final_rate=0.5, opacity_weight=0.0,
    ),
}  # fmt: skip
"""test: seconds, for tests; small: three minutes on one CPU core; medium: ten, at 256 px; full: the paper's
conditioning and schedule (sizes it leaves open are ER-NeRF's), for a GPU.

On a CPU, fewer levels and higher rates than the paper's: 25 % less time a step at equal quality, and quicker learning
(cnn2, 1000 steps: mouth +0.7 dB on held-out frames)."""
