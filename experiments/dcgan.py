"""Trains a deep convolutional GAN on faces or digits.

python -m experiments.dcgan --flagfile=anime.flags --data_dir=FOLDER    # a folder of faces
python -m experiments.dcgan --flagfile=anime.flags                      # faces that the library draws
python -m experiments.dcgan --model=dcgan_mnist_a --dataset=mnist
"""

from experiments.run import start

MODELS = ("dcgan_anime_a", "dcgan_anime_b", "dcgan_64", "dcgan_mnist_a", "dcgan_mnist_keras")

if __name__ == "__main__":
    start.main(MODELS)
