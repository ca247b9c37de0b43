"""What ``test_devices.py`` runs in a process with eight virtual devices; prints what it found as JSON."""

import functools
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import losses, models
from jaxgan.data.examples import Examples
from jaxgan.host.digest import digest
from jaxgan.ops import noise
from jaxgan.systems import adversarial
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.training import input_pipeline, parallel
from jaxgan.training.files.checkpoints import Checkpoints

COUNTS = (1, 2, 4, 8)
STEPS, HALF, BATCH = 20, 10, 16
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 1)).astype(np.uint8)
PICTURES = Examples({"image": IMAGES})
GAN = models.build("dcgan_64", image_size=16, channels=1, generator_width=2, discriminator_width=2, latent_dim=5)
RULES = adversarial.Rules(
    gan=GAN,
    discriminator_loss=losses.minimax_discriminator_loss,
    generator_loss=losses.nonsaturating_generator_loss,
    generator_optimizer=optax.sgd(0.01),
    discriminator_optimizer=optax.sgd(0.01),
    reuse_noise=True,
)


def feed(step, count, mode, steps_per_call):
    """The step on so many devices, with its data."""
    program = parallel.compile_step(step, mode=mode, devices=jax.devices()[:count])
    settings = {"seed": 3, "schedule": BatchSchedule(BATCH), "steps_per_call": steps_per_call, "placement": "device"}
    return program, input_pipeline.InputPipeline(program, PICTURES, inputs={"": ("image",)}, **settings)


def seen(state, batch, axis_name):
    """A step that logs the noise and the pictures of the whole batch instead of training."""
    images = batch["image"][0]
    z = noise.latents(jax.random.fold_in(jax.random.key(7), state), images.shape[0], 5, axis_name=axis_name)
    both = {"noise": z, "pictures": images}
    if axis_name is not None:
        both = jax.lax.all_gather(both, axis_name, tiled=True)
    return state + 1, both


def difference(ours, theirs):
    """The largest difference of any parameter."""
    parameters = [(state.generator.params, state.discriminator.params) for state in (ours, theirs)]
    pairs = zip(*map(jax.tree.leaves, parameters), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def main(directory):
    found = {"order": {}, "trained": {}, "resumed": {}, "to the bit": {}}
    start = adversarial.init_state(jax.random.key(0), RULES)
    ways = [(1, "jit"), *((count, mode) for count in COUNTS[1:] for mode in ("pmap", "shard_map"))]
    logs, whole, feeds = {}, {}, {}
    for way in ways:
        program, look = feed(seen, *way, STEPS)
        _, log = look(program.place_state(jnp.int32(0)), 0, STEPS)
        logs[way] = jax.device_get(log)
        found["order"][str(way)] = all(np.array_equal(logs[way][name], logs[ways[0]][name]) for name in logs[way])
        feeds[way] = program, train = feed(functools.partial(adversarial.train_step, rules=RULES), *way, HALF)
        state, _ = train(program.place_state(start), 0, HALF)
        saver = Checkpoints(directory / str(way))
        saver.save(HALF, state, {})
        saver.close()
        whole[way], _ = train(state, HALF, STEPS - HALF)
        found["trained"][str(way)] = difference(whole[way], whole[ways[0]])
    assert not np.array_equal(logs[ways[0]]["noise"][0], logs[ways[0]]["noise"][1])
    for saved in ways:
        for way, (program, train) in feeds.items():
            step, state, _ = Checkpoints(directory / str(saved)).restore_latest(program.place_state(start))
            state, _ = train(state, step, STEPS - step)
            found["resumed"][f"{saved} on {way}"] = difference(state, whole[ways[0]])
            if saved == way:
                found["to the bit"][str(way)] = digest(state) == digest(whole[way])
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
