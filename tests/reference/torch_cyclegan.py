"""CycleGAN in PyTorch, as its authors' program has it: pictures (N, C, H, W) in [−1, 1], the pools' draws given."""

import torch
from torch import nn


def normalised(convolution, norm="instance"):
    """A convolution and its normalisation, in order."""
    channels = convolution.out_channels
    return [convolution, nn.InstanceNorm2d(channels) if norm == "instance" else nn.BatchNorm2d(channels)]


class Block(nn.Module):
    """Adds what two convolutions make of a picture to it."""

    def __init__(self, channels, norm):
        super().__init__()
        bias = norm == "instance"
        first, second = (nn.Conv2d(channels, channels, 3, bias=bias) for _ in range(2))
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            *normalised(first, norm),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            *normalised(second, norm),
        )

    def forward(self, x):
        return x + self.layers(x)


def resnet(channels=3, width=64, blocks=9, norm="instance"):
    """The residual generator."""
    bias = norm == "instance"
    halvings = [nn.Conv2d(width * n, width * 2 * n, 3, 2, 1, bias=bias) for n in (1, 2)]
    doublings = [nn.ConvTranspose2d(width * 2 * n, width * n, 3, 2, 1, output_padding=1, bias=bias) for n in (2, 1)]
    layers = [nn.ReflectionPad2d(3), *normalised(nn.Conv2d(channels, width, 7, bias=bias), norm), nn.ReLU()]
    for halving in halvings:
        layers += [*normalised(halving, norm), nn.ReLU()]
    layers += [Block(4 * width, norm) for _ in range(blocks)]
    for doubling in doublings:
        layers += [*normalised(doubling, norm), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh())


class Pool:
    """Former pictures; what chance decides is given with each picture."""

    def __init__(self, size):
        self.size, self.pictures = size, []

    def query(self, fresh, swaps, places):
        shown = []
        for picture, swap, place in zip(fresh, swaps, places, strict=True):
            if len(self.pictures) < self.size:
                self.pictures.append(picture.clone())
                shown.append(picture)
            elif swap:
                shown.append(self.pictures[place].clone())
                self.pictures[place] = picture.clone()
            else:
                shown.append(picture)
        return torch.stack(shown)


def adversarial(logits, target, loss):
    """The mean loss of a map of logits against one target."""
    targets = torch.full_like(logits, target)
    if loss == "bce":
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)
    return nn.functional.mse_loss(logits, targets)


def step(networks, optimizers, pools, real_a, real_b, draws, *, loss="lsgan", cycle=(10.0, 10.0), identity=0.5):
    """One step; returns its metrics, and the gradients of the four networks by their names.

    Args:
      networks: "a_to_b", "b_to_a", "discriminator_a" and "discriminator_b".
      optimizers: one for both generators, and one for both discriminators.
      pools: of pictures of A and of B.
      real_a: (N, C, H, W).
      real_b: likewise.
      draws: (swaps, places) of each pool.
      loss: "lsgan" or "bce".
      cycle: weights of the two cycles.
      identity: in shares of them.
    """
    there, back = networks["a_to_b"], networks["b_to_a"]
    judge_a, judge_b = networks["discriminator_a"], networks["discriminator_b"]
    l1 = nn.functional.l1_loss
    fake_b, fake_a = there(real_a), back(real_b)
    metrics = {
        "cycle_a": l1(back(fake_b), real_a),
        "cycle_b": l1(there(fake_a), real_b),
        "g_loss_a": adversarial(judge_a(fake_a), 1.0, loss),
        "g_loss_b": adversarial(judge_b(fake_b), 1.0, loss),
    }
    total = metrics["g_loss_a"] + metrics["g_loss_b"] + cycle[0] * metrics["cycle_a"] + cycle[1] * metrics["cycle_b"]
    if identity:
        metrics["identity_b"], metrics["identity_a"] = l1(there(real_b), real_b), l1(back(real_a), real_a)
        total = total + identity * (cycle[0] * metrics["identity_a"] + cycle[1] * metrics["identity_b"])
    seen = {}
    optimizers[0].zero_grad()
    total.backward()
    for name in ("a_to_b", "b_to_a"):
        seen[name] = {key: weight.grad.clone() for key, weight in networks[name].named_parameters()}
    optimizers[0].step()
    optimizers[1].zero_grad()
    for name, judge, pool, real, fake, drawn in (
        ("a", judge_a, pools[0], real_a, fake_a, draws[0]),
        ("b", judge_b, pools[1], real_b, fake_b, draws[1]),
    ):
        of_real, of_fake = judge(real), judge(pool.query(fake.detach(), *drawn))
        d_loss = 0.5 * (adversarial(of_real, 1.0, loss) + adversarial(of_fake, 0.0, loss))
        d_loss.backward()
        scores = torch.sigmoid if loss == "bce" else lambda logits: logits
        metrics |= {
            f"d_loss_{name}": d_loss,
            f"d_real_{name}": scores(of_real).mean(),
            f"d_fake_{name}": scores(of_fake).mean(),
        }
        key = f"discriminator_{name}"
        seen[key] = {path: weight.grad.clone() for path, weight in judge.named_parameters()}
    optimizers[1].step()
    return {name: value.item() for name, value in metrics.items()}, seen
