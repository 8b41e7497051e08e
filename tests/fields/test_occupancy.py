"""The march visits the occupied cells, all of them in order and nothing else; pruning follows the density."""

from __future__ import annotations

import torch

from talkface.fields.occupancy import Occupancy, cell_centers
from talkface.fields.rays import Rays


def sphere(cells: int, radius: float) -> torch.Tensor:
    return ((cell_centers(cells) - 0.5).norm(dim=0) < radius).reshape(cells, cells, cells)


def random_rays(count: int) -> Rays:
    generator = torch.Generator().manual_seed(3)
    origin = torch.tensor([0.4, 0.6, -2.0])
    target = torch.rand(3, count, generator=generator)
    direction = torch.nn.functional.normalize(target - origin[:, None], dim=0)
    return Rays(origin, direction)


def test_march_equals_a_loop() -> None:
    grid = Occupancy(16)
    grid.start(sphere(16, 0.4))
    rays, step = random_rays(40), 1 / 40
    ray, distance = grid.march(rays, step, most=7)
    low, high = grid.bounds()
    for number in range(40):
        direction = rays.direction[:, number]
        edges = torch.stack([(low - rays.origin) / direction, (high - rays.origin) / direction])
        near, far = float(edges.amin(0).amax()), float(edges.amax(0).amin())
        expected, place = [], near + 0.5 * step
        while place < far and len(expected) < 7:
            cell = ((rays.origin + direction * place) * 16).long().clamp(0, 15)
            if grid.occupied[tuple(cell)]:
                expected.append(place)
            place += step
        found = distance[ray == number]
        assert len(found) == len(expected)
        torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)
    assert (ray.diff() >= 0).all()


def test_nothing_occupied_and_rays_that_miss() -> None:
    grid = Occupancy(8)
    grid.start(torch.zeros(8, 8, 8, dtype=torch.bool))
    ray, distance = grid.march(random_rays(5), 0.1, 4)
    assert len(ray) == len(distance) == 0
    grid.start(sphere(8, 0.3))
    away = Rays(torch.tensor([0.5, 0.5, -1.0]), torch.tensor([[0.0], [0.0], [-1.0]]))
    assert len(grid.march(away, 0.1, 4)[0]) == 0


def test_pruning_keeps_what_was_seen_and_never_leaves_the_shell() -> None:
    """Cells that gave colour stay with their neighbours; the rest goes, also what lies behind a surface."""
    grid = Occupancy(32)
    grid.start(sphere(32, 0.45))
    centers = cell_centers(32)
    surface = ((centers - 0.5).norm(dim=0) - 0.3).abs() < 0.03
    grid.observe(centers, torch.where(surface, 0.4, 0.001))
    grid.prune(0.03)
    seen = surface.reshape(32, 32, 32)
    assert grid.occupied[seen].all()
    assert not grid.occupied[16, 16, 16], "hidden"
    assert not grid.occupied[~sphere(32, 0.45)].any()
    for axis in range(3):
        assert grid.occupied[seen.roll(1, axis)].all(), "neighbours stay, so that a surface can move"
    grid.observe(centers, torch.ones(centers.shape[1]))
    grid.prune(0.03)
    assert (grid.occupied == grid.shell).all()
    for _ in range(8):  # what is no longer seen is forgotten
        grid.observe(centers, torch.where(surface, 0.4, 0.001))
        grid.prune(0.03)
    assert grid.occupied[seen].all() and not grid.occupied[16, 16, 16]
    for _ in range(20):
        grid.prune(0.03)
    assert grid.occupied.any(), "never everything"


def test_samples_carry_gradients_to_the_camera() -> None:
    grid = Occupancy(16)
    grid.start(sphere(16, 0.4))
    origin = torch.tensor([0.4, 0.6, -2.0], requires_grad=True)
    samples = grid.samples(Rays(origin, random_rays(6).direction), 1 / 40, 5)
    samples.points.sum().backward()
    assert origin.grad is not None
    torch.testing.assert_close(origin.grad, torch.full((3,), float(len(samples.ray))))
