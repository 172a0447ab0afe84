"""Networks whose weights read images in [-1, 1] get them, also from a run's checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mixwell.recipes.detection.backbones import backbone
from mixwell.recipes.models import build_model


@pytest.mark.parametrize(
    ("name", "last"), [("googlenet", "inception5b"), ("inception_v3", "Mixed_7c")]
)
def test_loaded_weights_read_what_they_were_trained_on(
    name: str, last: str, tmp_path: Path
) -> None:
    network = build_model(name, 1000).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    seen: list[Tensor] = []

    def note(module: nn.Module, given: object, out: Tensor) -> None:
        seen.append(out)

    network.get_submodule(last).register_forward_hook(note)
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    body = backbone(name, str(tmp_path / "weights.pth"))[0].eval()
    again = backbone(name)[0].eval()
    again.load_state_dict(body.state_dict())
    plain = backbone(name)[0].eval()
    state = {k: v for k, v in body.state_dict().items() if not k.startswith("first.")}
    assert set(plain.load_state_dict(state, strict=False).missing_keys) == {
        "first.scale",
        "first.shift",
    }
    with torch.no_grad():
        for converts in (True, False):
            network.transform_input = converts  # type: ignore[assignment]
            network(images)
        found = [list(module(images).values())[-1] for module in (body, again, plain)]
    # Of networks that are not trained the numbers are large, and compared with the largest.
    converted, as_they_are = seen
    most = converted.abs().max()
    for maps, wanted in zip(found, (converted, converted, as_they_are), strict=True):
        assert (maps - wanted).abs().max() < 1e-3 * most
    assert (converted - as_they_are).abs().max() > 0.05 * most
