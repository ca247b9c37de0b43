"""Trains a Wasserstein GAN with a clipped critic on faces.

python -m experiments.wgan --flagfile=wgan.flags --data_dir=FOLDER
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("wgan")
