"""The folded network against the unfolded equations of ER-NeRF, and rendering against itself done plainly."""

from __future__ import annotations

import pytest
import torch

from talkface.fields.encodings import ConditionedGrid, spherical_harmonics
from talkface.fields.occupancy import Occupancy, cell_centers
from talkface.fields.radiance import FADE, Condition, RadianceField, fast_kind
from talkface.fields.rays import Rays
from talkface.fields.render import render_image, render_rays
from talkface.ops.hashgrid import GridShape

WINDOW = torch.tensor([[0.2, 0.3, 0.1], [0.8, 0.9, 0.9]])


def make(conditioning: str, eye: int = 1) -> RadianceField:
    torch.manual_seed(0)
    grid = ConditionedGrid(GridShape(2, 4, 8, 32, 9, planes=3))
    motion = ConditionedGrid(GridShape(2, 2, 6, 12, 9, planes=3), 1, 4 + eye) if conditioning == "planes" else None
    field = RadianceField(grid, motion, 4, eye, 3, 16)
    field.window.copy_(WINDOW)
    torch.nn.init.normal_(field.grid.base)
    if motion is not None:
        torch.nn.init.normal_(motion.linear, std=0.3)
    return field


def condition(eye: int = 1) -> Condition:
    generator = torch.Generator().manual_seed(5)
    return Condition(
        torch.randn(4, generator=generator), torch.rand(eye, generator=generator), torch.randn(3, generator=generator)
    )


def ball() -> Occupancy:
    grid = Occupancy(16)
    grid.start(((cell_centers(16) - 0.5).norm(dim=0) < 0.4).reshape(16, 16, 16))
    return grid


def some_rays(count: int) -> Rays:
    generator = torch.Generator().manual_seed(3)
    origin = torch.tensor([0.5, 0.5, -2.0])
    target = torch.rand(3, count, generator=generator) * 0.8 + 0.1
    return Rays(origin, torch.nn.functional.normalize(target - origin[:, None], dim=0))


@pytest.mark.parametrize("conditioning", ["planes", "attention"])
@pytest.mark.parametrize("eye", [0, 1])
def test_equals_the_unfolded_network(conditioning: str, eye: int) -> None:
    field, given = make(conditioning, eye), condition(eye)
    points = torch.rand(3, 11, generator=torch.Generator().manual_seed(1))
    ray = torch.arange(11) // 2
    direction = some_rays(6).direction
    density, colour = field(points, ray, direction, field.freeze(given))
    encoded = field.grid(points, field.grid.base).T
    if conditioning == "attention":
        drive, lid = given.drive.expand(11, 4) * field.region(encoded), given.eye.expand(11, eye)
        if eye:
            lid = lid * torch.sigmoid(field.eye_region(encoded))
        weight = torch.cat([field.first.weight, field.first_drive.weight], 1)
        weight = torch.cat([weight, field.first_eye.weight], 1) if eye else weight
        inputs = torch.cat([encoded, drive, lid], 1)
    else:
        place = (points - WINDOW[0][:, None]) / (WINDOW[1] - WINDOW[0])[:, None]
        table = field.motion.table(torch.cat([given.drive, given.eye]))
        moving = field.motion(place, table).T.clone()
        for number, (x, y, _) in enumerate(place.T.tolist()):
            edge = min(max(min(x, y, 1 - x, 1 - y) / FADE, 0), 1)
            moving[number] *= edge**2 * (3 - 2 * edge)
        inputs, weight = torch.cat([encoded, moving], 1), field.first.weight
    hidden = (inputs @ weight.T).relu()
    hidden = field.second(hidden).relu()
    torch.testing.assert_close(density, field.density_head(hidden)[:, 0].exp(), atol=1e-4, rtol=1e-4)
    seen = torch.cat([field.geometry_head(hidden), spherical_harmonics(direction).T[ray], given.code.expand(11, 3)], 1)
    weight = torch.cat([field.colour_geometry.weight, field.colour_view.weight, field.colour_code.weight], 1)
    expected = torch.sigmoid((seen @ weight.T).relu() @ field.colour_head.weight.T) * 1.002 - 0.001
    torch.testing.assert_close(colour.T, expected, atol=1e-4, rtol=1e-4)


def test_every_parameter_learns() -> None:
    for conditioning in ("planes", "attention"):
        field = make(conditioning)
        seen = render_rays(field, ball(), some_rays(40), field.freeze(condition()), 1 / 20, 8)
        (seen.colour.square().sum() + seen.opacity.sum()).backward()
        still = [name for name, p in field.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert still == []


def test_nothing_outside_the_window_follows_the_condition() -> None:
    """Hair and outline stay as they are whatever the mouth does."""
    field = make("planes")
    points = torch.rand(3, 200, generator=torch.Generator().manual_seed(2))
    low, high = WINDOW[0, :2, None], WINDOW[1, :2, None]
    outside = ((points[:2] < low) | (points[:2] > high)).any(0)
    still = Condition(torch.zeros(4), torch.zeros(1), torch.zeros(3))
    change = (field.density(points, field.freeze(condition())) - field.density(points, field.freeze(still))).abs()
    assert outside.any() and change[outside].max() == 0
    assert change[~outside].max() > 1e-3


def test_image_rendering_equals_ray_rendering() -> None:
    """Chunks, rounds and early stopping may only drop what is behind an opaque surface."""
    field, rays = make("planes"), some_rays(60)
    with torch.no_grad():
        frozen = field.freeze(condition())
        plain = render_rays(field, ball(), rays, frozen, 1 / 20, 12)
    quick = render_image(field, ball(), rays, frozen, 1 / 20, 12, chunk=37, round_samples=3, enough=0.0)
    for one, other in zip(plain, quick, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    cut = render_image(field, ball(), rays, frozen, 1 / 20, 12, enough=0.05)
    assert float((cut.colour - plain.colour).abs().max()) < 0.06


def test_opaque_and_empty() -> None:
    """A field of one density: opacity is 1 - exp(-density * matter crossed)."""
    field, rays = make("planes"), some_rays(30)
    torch.nn.init.zeros_(field.density_head.weight)  # density exp(0) = 1 everywhere
    occupancy = ball()
    with torch.no_grad():
        seen = render_rays(field, occupancy, rays, field.freeze(condition()), 1 / 50, 100)
    ray, _ = occupancy.march(rays, 1 / 50, 100)
    crossed = torch.bincount(ray, minlength=30) / 50
    torch.testing.assert_close(seen.opacity, 1 - torch.exp(-crossed), atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(fast_kind(torch.device("cpu")) != torch.bfloat16, reason="no native bfloat16 here")
def test_bfloat16_is_close() -> None:
    field, rays = make("planes"), some_rays(200)
    with torch.no_grad():
        frozen = field.freeze(condition())
        exact = render_rays(field, ball(), rays, frozen, 1 / 20, 8)
        fast = render_rays(field, ball(), rays, frozen, 1 / 20, 8, kind=torch.bfloat16)
    assert float((exact.colour - fast.colour).square().mean().sqrt()) < 0.01


def test_directions_beyond_those_of_training_look_like_the_nearest() -> None:
    torch.manual_seed(0)
    field = RadianceField(ConditionedGrid(GridShape(2, 4, 8, 32, 9, planes=3)), None, 4, 1, 3, 16, limited=True)
    torch.nn.init.normal_(field.grid.base)
    points, ray, frozen = torch.rand(3, 40), torch.zeros(40, dtype=torch.int64), field.freeze(condition())

    def colour(x: float, y: float) -> torch.Tensor:
        direction = torch.tensor([[x], [y], [-((1 - x * x - y * y) ** 0.5)]])
        return field(points, ray, direction, frozen)[1]

    free = [colour(0.1, -0.1), colour(0.2, -0.1), colour(0.6, -0.1)]
    assert not torch.allclose(free[1], free[2], atol=1e-3)
    field.directions.copy_(torch.tensor([[-0.2, -0.3], [0.2, 0.1]]))
    assert torch.allclose(colour(0.1, -0.1), free[0], atol=1e-5), "what training had stays as it is"
    assert torch.allclose(colour(0.6, -0.1), free[1], atol=1e-5)
    assert torch.allclose(colour(0.6, -0.7), colour(0.2, -0.3), atol=1e-5)
