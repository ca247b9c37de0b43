"""Trains a fully connected GAN: on digits, or without --dataset on faces that the library draws.

python -m experiments.gan --flagfile=mnist.flags            # mlp_b on MNIST
python -m experiments.gan --model=mlp_keras --dataset=fashion_mnist
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("gan")
