"""Trains an autoencoder, plain or variational: on digits, or without --dataset on faces that the library draws.

python -m experiments.vae --flagfile=vae.flags            # vae_mlp on MNIST
python -m experiments.vae --flagfile=vae_avatars.flags    # vae_conv on faces that the library draws
python -m experiments.vae --model=autoencoder --dataset=fashion_mnist
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("vae")
