"""The training steps of the PyTorch tutorials, each as its source goes about it."""

import torch

from reference.torch_play import cross_entropy


class Mlp:
    """``mlp_b``: one batch, fresh noise for the generator."""

    def __init__(self, generator, discriminator):
        self.generator, self.discriminator = generator.train(), discriminator.train()
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), lr=0.0002)
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.0002)

    def step(self, pictures, discriminator_noise, generator_noise):
        d_loss = cross_entropy(self.discriminator(pictures), 1.0)
        d_loss = d_loss + cross_entropy(self.discriminator(self.generator(discriminator_noise)), 0.0)
        self._reset()
        d_loss.backward()
        self.discriminator_optimizer.step()

        g_loss = cross_entropy(self.discriminator(self.generator(generator_noise)), 1.0)
        self._reset()
        g_loss.backward()
        self.generator_optimizer.step()
        return d_loss.item(), g_loss.item()

    def _reset(self):
        self.discriminator_optimizer.zero_grad()
        self.generator_optimizer.zero_grad()


class Dcgan:
    """``dcgan_anime_a``: two backward passes before one step of the discriminator, then the same noise again."""

    def __init__(self, generator, discriminator):
        self.generator, self.discriminator = generator.train(), discriminator.train()
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), lr=0.0001, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.0001, betas=(0.5, 0.999))

    def step(self, pictures, noise):
        self.discriminator_optimizer.zero_grad()
        real_loss = cross_entropy(self.discriminator(pictures), 1.0)
        real_loss.backward()
        fake_loss = cross_entropy(self.discriminator(self.generator(noise)), 0.0)
        fake_loss.backward()
        self.discriminator_optimizer.step()

        self.generator_optimizer.zero_grad()
        g_loss = cross_entropy(self.discriminator(self.generator(noise)), 1.0)
        g_loss.backward()
        self.generator_optimizer.step()
        return (real_loss + fake_loss).item(), g_loss.item()


class Cgan:
    """``cgan_anime``: two discriminator steps on the same batch, noise and wrong examples, then the generator."""

    def __init__(self, generator, discriminator):
        self.generator, self.discriminator = generator.train(), discriminator.train()
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), lr=0.0001)
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.0001)

    def step(self, pictures, conditions, wrong_pictures, wrong_conditions, noise):
        for _ in range(2):
            self.discriminator_optimizer.zero_grad()
            accepted = cross_entropy(self.discriminator(pictures, conditions), 1.0)
            refused = (
                cross_entropy(self.discriminator(pictures, wrong_conditions), 0.0)
                + cross_entropy(self.discriminator(*wrong_pictures), 0.0)  # with the conditions they are wrong for
                + cross_entropy(self.discriminator(self.generator(noise, conditions), conditions), 0.0)
            ) / 3
            d_loss = accepted + refused
            d_loss.backward()
            self.discriminator_optimizer.step()

        self.generator_optimizer.zero_grad()
        g_loss = cross_entropy(self.discriminator(self.generator(noise, conditions), conditions), 1.0)
        g_loss.backward()
        self.generator_optimizer.step()
        return d_loss.item(), g_loss.item()


SYSTEMS = {"mlp_b": Mlp, "dcgan_anime_a": Dcgan, "cgan_anime": Cgan}
