"""Inception v3 as FID has it, written anew in PyTorch, every width divided by the same number."""

import torch
from torch import nn
from torch.nn import functional as F


class BasicConv2d(nn.Module):
    def __init__(self, inputs, outputs, **shape):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, bias=False, **shape)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def average(x):
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    def __init__(self, inputs, pooled, w):
        super().__init__()
        self.branch1x1 = BasicConv2d(inputs, 64 // w, kernel_size=1)
        self.branch5x5_1 = BasicConv2d(inputs, 48 // w, kernel_size=1)
        self.branch5x5_2 = BasicConv2d(48 // w, 64 // w, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(inputs, 64 // w, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64 // w, 96 // w, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96 // w, 96 // w, kernel_size=3, padding=1)
        self.branch_pool = BasicConv2d(inputs, pooled // w, kernel_size=1)

    def forward(self, x):
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(average(x))], 1)


class BlockB(nn.Module):
    def __init__(self, inputs, w):
        super().__init__()
        self.branch3x3 = BasicConv2d(inputs, 384 // w, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = BasicConv2d(inputs, 64 // w, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(64 // w, 96 // w, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96 // w, 96 // w, kernel_size=3, stride=2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    def __init__(self, inputs, inner, w):
        super().__init__()
        wide, high = {"kernel_size": (1, 7), "padding": (0, 3)}, {"kernel_size": (7, 1), "padding": (3, 0)}
        c = inner // w
        self.branch1x1 = BasicConv2d(inputs, 192 // w, kernel_size=1)
        self.branch7x7_1 = BasicConv2d(inputs, c, kernel_size=1)
        self.branch7x7_2 = BasicConv2d(c, c, **wide)
        self.branch7x7_3 = BasicConv2d(c, 192 // w, **high)
        self.branch7x7dbl_1 = BasicConv2d(inputs, c, kernel_size=1)
        self.branch7x7dbl_2 = BasicConv2d(c, c, **high)
        self.branch7x7dbl_3 = BasicConv2d(c, c, **wide)
        self.branch7x7dbl_4 = BasicConv2d(c, c, **high)
        self.branch7x7dbl_5 = BasicConv2d(c, 192 // w, **wide)
        self.branch_pool = BasicConv2d(inputs, 192 // w, kernel_size=1)

    def forward(self, x):
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(average(x))], 1)


class BlockD(nn.Module):
    def __init__(self, inputs, w):
        super().__init__()
        self.branch3x3_1 = BasicConv2d(inputs, 192 // w, kernel_size=1)
        self.branch3x3_2 = BasicConv2d(192 // w, 320 // w, kernel_size=3, stride=2)
        self.branch7x7x3_1 = BasicConv2d(inputs, 192 // w, kernel_size=1)
        self.branch7x7x3_2 = BasicConv2d(192 // w, 192 // w, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv2d(192 // w, 192 // w, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv2d(192 // w, 192 // w, kernel_size=3, stride=2)

    def forward(self, x):
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    def __init__(self, inputs, pool, w):
        super().__init__()
        self.pool = pool
        wide, high = {"kernel_size": (1, 3), "padding": (0, 1)}, {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = BasicConv2d(inputs, 320 // w, kernel_size=1)
        self.branch3x3_1 = BasicConv2d(inputs, 384 // w, kernel_size=1)
        self.branch3x3_2a = BasicConv2d(384 // w, 384 // w, **wide)
        self.branch3x3_2b = BasicConv2d(384 // w, 384 // w, **high)
        self.branch3x3dbl_1 = BasicConv2d(inputs, 448 // w, kernel_size=1)
        self.branch3x3dbl_2 = BasicConv2d(448 // w, 384 // w, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(384 // w, 384 // w, **wide)
        self.branch3x3dbl_3b = BasicConv2d(384 // w, 384 // w, **high)
        self.branch_pool = BasicConv2d(inputs, 192 // w, kernel_size=1)

    def forward(self, x):
        three, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(self.pool(x))]
        return torch.cat(parts, 1)


class InceptionV3(nn.Module):
    """Pictures (N, 3, H, W) in [0, 1] -> (N, 2048 / divisor)."""

    def __init__(self, divisor):
        super().__init__()
        w = divisor
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32 // w, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32 // w, 32 // w, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32 // w, 64 // w, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64 // w, 80 // w, kernel_size=1)
        self.Conv2d_4a_3x3 = BasicConv2d(80 // w, 192 // w, kernel_size=3)
        self.Mixed_5b = BlockA(192 // w, 32, w)
        self.Mixed_5c = BlockA(256 // w, 64, w)
        self.Mixed_5d = BlockA(288 // w, 64, w)
        self.Mixed_6a = BlockB(288 // w, w)
        self.Mixed_6b = BlockC(768 // w, 128, w)
        self.Mixed_6c = BlockC(768 // w, 160, w)
        self.Mixed_6d = BlockC(768 // w, 160, w)
        self.Mixed_6e = BlockC(768 // w, 192, w)
        self.Mixed_7a = BlockD(768 // w, w)
        self.Mixed_7b = BlockE(1280 // w, average, w)
        self.Mixed_7c = BlockE(2048 // w, lambda x: F.max_pool2d(x, 3, stride=1, padding=1), w)
        self.fc = nn.Linear(2048 // w, 1008 // w)  # in the file, and not used

    def forward(self, x):
        x = 2 * F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))
