"""InfoGAN: a step of the discriminator with Q, then one of the generator, each with latents of its own."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import TUTORIALS, reference
from benchmarks.torch_steps.base import TimedStep, adam, cross_entropy, descend, fixed, refuse
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models.infogan import BODIES

torch_infogan = reference("torch_infogan")


class Norm(nn.BatchNorm2d):
    """PyTorch's own batch normalisation, of vectors and of pictures."""

    def _check_input_dim(self, x: torch.Tensor) -> None:
        pass


class Step(TimedStep):
    """A training of an InfoGAN; see `TimedStep`. Its discriminator is a trunk with two heads, "head" and "q"."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        refuse(recipe, "average_decay", "spectral_norm", "upsampling", "loss", "diffaugment")
        self.codes, of_digits = recipe.settings.codes, recipe.model == "infogan_mnist"
        generator, judge = (of_digits_networks if of_digits else of_faces_networks)(recipe)
        self.generator, self.discriminator = self.placed(generator), self.placed(judge)
        betas = recipe.beta1, 0.999
        self.for_generator = adam([self.generator], recipe.generator_learning_rate, betas)
        self.for_discriminator = adam([self.discriminator], recipe.discriminator_learning_rate, betas)
        self.pictures = self.source(random_pictures(recipe).arrays, unit=of_digits)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self) -> None:
        judge, real = self.discriminator, self.pictures.batch()["image"]
        latents = self.latents()
        with torch.no_grad():
            fake = self.generator(latents)
        of_real, features = judge.head(judge.trunk(real)), judge.trunk(fake)
        loss = cross_entropy(of_real, 1.0) + cross_entropy(judge.head(features), 0.0)
        descend(self.for_discriminator, loss + self.ignorance(judge.q(features), latents))
        latents = self.latents()
        with fixed(judge):
            features = judge.trunk(self.generator(latents))
            loss = cross_entropy(judge.head(features), 1.0)
            descend(self.for_generator, loss + self.ignorance(judge.q(features), latents))

    def latents(self) -> torch.Tensor:
        """Draws noise, one-hot codes and continuous codes, side by side."""
        count, codes = self.batch_size, self.codes
        parts = [2 * torch.rand(count, codes.noise_dim, device=self.device) - 1]
        for classes in codes.categorical:
            chosen = torch.randint(0, classes, (count,), device=self.device)
            parts.append(functional.one_hot(chosen, classes).float())
        parts.append(2 * torch.rand(count, codes.continuous, device=self.device) - 1)
        return torch.cat(parts, 1)

    def ignorance(self, believed: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Returns the information terms with their weights, negative and but for what does not depend on Q."""
        recipe, codes, loss = self.recipe, self.codes, believed.new_zeros(())
        for place in codes.categorical_columns():
            logits = believed[:, place.start - codes.noise_dim : place.stop - codes.noise_dim]
            loss = loss + recipe.categorical_weight * functional.cross_entropy(logits, latents[:, place])
        if codes.continuous:
            means = believed[:, sum(codes.categorical) :: 2]
            squares = (latents[:, codes.continuous_columns()] - means).square().sum()
            loss = loss + recipe.continuous_weight * squares / (2 * len(latents))
        return loss


def of_digits_networks(recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """Builds the networks for digits, with PyTorch's own normalisation and order of features."""
    codes, size, colours = recipe.settings.codes, recipe.picture_size, channels(recipe)
    slope = 0.01 if recipe.negative_slope is None else recipe.negative_slope
    widths = recipe.generator_width or 64, recipe.discriminator_width or 64
    built = [torch_infogan.mnist(codes.latent_dim, codes.outputs, width, size, colours, slope) for width in widths]
    generator, judge = built[0][0], built[1][1]
    for network in (generator, judge):
        for parent in list(network.modules()):
            for name, layer in parent.named_children():
                setattr(parent, name, _own(layer))
    return generator, judge


def _own(layer: nn.Module) -> nn.Module:
    if isinstance(layer, torch_infogan.TensorFlowBatchNorm):
        return Norm(layer.num_features, layer.eps)
    if isinstance(layer, torch_infogan.Unflatten):
        height, width, colours = layer.shape
        return nn.Unflatten(1, (colours, height, width))
    return nn.Flatten() if isinstance(layer, torch_infogan.Flatten) else layer


def of_faces_networks(recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """Builds the networks for faces: a DCGAN's, with a second head of the kernel of the first."""
    size, codes = recipe.picture_size, recipe.settings.codes
    widths = recipe.generator_width or 64, recipe.discriminator_width or 64
    build = TUTORIALS[_body(size)]
    generator, judge = build(size, codes.latent_dim, *widths)
    *trunk, head, _ = judge
    features = 2 * trunk[0].out_channels
    q = nn.Sequential(
        nn.Conv2d(head.in_channels, features, head.kernel_size, head.stride, head.padding, bias=head.bias is not None),
        nn.BatchNorm2d(features),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(features, codes.outputs),
    )
    return generator, torch_infogan.Judge(nn.Sequential(*trunk), head, q)


def _body(size: int) -> str:
    """Returns the first DCGAN that makes pictures of this size."""
    for name in BODIES:
        try:
            models.build(name, image_size=size)
        except UserError:
            continue
        return name
    raise UserError(f"--image_size={size}: no DCGAN makes such pictures")
