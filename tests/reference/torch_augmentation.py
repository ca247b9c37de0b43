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
