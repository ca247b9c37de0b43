"""Trains a deep convolutional GAN on faces or digits.

python -m experiments.dcgan --flagfile=anime.flags --data_dir=FOLDER    # a folder of faces
python -m experiments.dcgan --flagfile=anime.flags                      # faces that the library draws
python -m experiments.dcgan --model=dcgan_mnist_a --dataset=mnist
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("dcgan")
