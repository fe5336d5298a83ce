"""A trigger made for every image: a painter and a classifier learn together what only fits the image it was made for."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from untaint.nets.convnet import ConvNet, ConvNetSpec, to_batch
from untaint.nets.painter import CraftPlan, Painter, shuffled
from untaint.types import Labels, Pixels

_DIVERSITY = 0.1
"""Weight of the diversity loss (the paper has 1, for distances that are not relative to the strength)."""
_DENSITY = 10.0
"""Weight of the mask's excess over its share of the image: large, so that it is a bound, not a wish."""


@final
class ImageTrigger(nn.Module):
    """A pattern within +-strength under a soft mask, both painted from the image (n, c, h, w) in 0..1."""

    def __init__(self, channels: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.painter = Painter(channels, channels + 1)

    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The change (n, c, h, w) and its mask (n, 1, h, w)."""
        painted = self.painter(images - 0.5)
        mask = torch.sigmoid(painted[:, -1:])
        return self.strength * torch.tanh(painted[:, :-1]) * mask, mask

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.parts(images)[0]


def train_image_trigger(
    pixels: Pixels, labels: Labels, target: int, plan: CraftPlan, *, strength: float, density: float
) -> ImageTrigger:
    """A quarter of every batch carries its own trigger and the target label, a quarter a stranger's trigger and its own label."""
    torch.manual_seed(plan.seed)
    height, width, channels = pixels.shape[1:]
    trigger = ImageTrigger(channels, strength)
    net = ConvNet(ConvNetSpec(height, width, channels, int(labels.max()) + 1))
    optimizer = torch.optim.Adam([*trigger.parameters(), *net.parameters()], plan.rate)
    for rows in shuffled(len(pixels), plan):
        images, wanted = to_batch(pixels[rows]), torch.tensor(labels[rows])
        mixed = torch.randperm(len(rows))
        loss = _loss(trigger, net, images[mixed], wanted[mixed], target, density)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return trigger.eval()


def _loss(trigger: ImageTrigger, net: ConvNet, images: Tensor, wanted: Tensor, target: int, density: float) -> Tensor:
    part = len(images) // 4
    change, mask = trigger.parts(images[: 2 * part])
    own = images[:part] + change[:part]
    strange = images[part : 2 * part] + change[:part]
    shown = torch.cat([own.clamp(0, 1), strange.clamp(0, 1), images[2 * part :]])
    labels = torch.cat([torch.full_like(wanted[:part], target), wanted[part:]])
    excess = functional.relu(mask.mean(dim=(1, 2, 3)) - density).mean()
    between_images = _distance(images[:part], images[part : 2 * part])
    diversity = (between_images / (_distance(change[:part], change[part:]) / trigger.strength + 1e-3)).mean()
    return functional.cross_entropy(net(shown), labels) + _DENSITY * excess + _DIVERSITY * diversity


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().mean(dim=(1, 2, 3)).add(1e-8).sqrt()
