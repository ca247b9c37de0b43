"""DiffAugment in PyTorch, with draws from outside: pictures (N, C, H, W)."""

import torch
from torch.nn import functional


def diffaugment(x, draws):
    """Brightness, saturation, contrast, then a translation by `shift`, then a cutout of half of each side."""

    def of_each(name):
        return torch.from_numpy(draws[name]).view(-1, 1, 1, 1)

    x = x + of_each("brightness")
    grey = x.mean(dim=1, keepdim=True)
    x = torch.lerp(grey.expand_as(x), x, of_each("saturation"))
    level = x.mean(dim=(1, 2, 3), keepdim=True)
    x = torch.lerp(level.expand_as(x), x, of_each("contrast"))
    where = zip(x, draws["shift"], draws["center"], strict=True)
    return torch.stack([_cut(_move(image, *shift), *center) for image, shift, center in where])


def _move(image, down, right):
    """By padding one side and cropping the other, which negative padding does."""
    return functional.pad(image, (int(right), -int(right), int(down), -int(down)))


def _cut(image, row, column):
    _, height, width = image.shape
    tall, wide = int(height * 0.5 + 0.5), int(width * 0.5 + 0.5)
    top, left = int(row) - tall // 2, int(column) - wide // 2
    mask = torch.ones_like(image)
    mask[:, max(top, 0) : max(top + tall, 0), max(left, 0) : max(left + wide, 0)] = 0
    return image * mask


def ada(x, draws, probability):
    """ADA's geometry by `grid_sample` and its colours, from draws (gate, value) by the names of the library."""

    def gated(name, chance=probability):
        gate, value = (torch.from_numpy(array.astype("float64")) for array in draws[name])
        return torch.where((gate < chance).view(-1, *[1] * (value.ndim - 1)), value, torch.zeros_like(value))

    count, _, height, width = x.shape
    turn = 1 - (1 - probability) ** 0.5
    forward = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)  # from the picture to the result, in pixels
    whole = torch.round(gated("whole_shift") * torch.tensor([width, height]))
    part = 0.125 * gated("shift") * torch.tensor([width, height])
    one, scale, stretch = torch.ones(count), 2 ** (0.2 * gated("scale")), 2 ** (0.2 * gated("stretch"))
    for step in (
        _plane(1 - 2 * gated("flip"), one),
        _turn(-torch.pi / 2 * gated("quarter_turns")),
        _plane(one, one, whole),
        _plane(scale, scale),
        _turn(-gated("rotation_before", turn)),
        _plane(stretch, 1 / stretch),
        _turn(-gated("rotation_after", turn)),
        _plane(one, one, part),
    ):
        forward = step @ forward
    half = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    to_unit = torch.diag(torch.cat([1 / half, torch.ones(1)]).double())  # grid_sample's −1 and 1 are pixel centres
    theta = to_unit @ torch.linalg.inv(forward) @ torch.linalg.inv(to_unit)
    grid = functional.affine_grid(theta[:, :2], x.shape, align_corners=True)
    x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=True)

    luma = torch.full((3,), 3**-0.5, dtype=torch.float64)

    def of_each(value):
        return value.view(-1, 1, 1, 1)

    def along(x):
        return torch.einsum("i,j,njhw->nihw", luma, luma, x)

    x = x + of_each(0.2 * gated("brightness"))
    x = x * of_each(2 ** (0.5 * gated("contrast")))
    x = x - 2 * of_each(gated("luma_flip")) * along(x)
    angle, axis = of_each(gated("hue")), luma.view(1, 3, 1, 1).expand_as(x)
    x = x * angle.cos() + torch.linalg.cross(axis, x, dim=1) * angle.sin() + along(x) * (1 - angle.cos())  # Rodrigues
    return along(x) + (x - along(x)) * of_each(2 ** gated("saturation"))


def _plane(x, y, shift=None):
    """Scales along both axes, then a shift (N, 2): matrices (N, 3, 3)."""
    matrices = torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1).double())
    if shift is not None:
        matrices[:, :2, 2] = shift
    return matrices


def _turn(angle):
    matrices = torch.zeros(len(angle), 3, 3, dtype=torch.float64)
    matrices[:, 0, 0] = matrices[:, 1, 1] = angle.cos()
    matrices[:, 1, 0], matrices[:, 0, 1], matrices[:, 2, 2] = angle.sin(), -angle.sin(), 1
    return matrices
