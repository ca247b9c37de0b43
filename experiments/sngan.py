"""Trains a GAN with spectral normalisation: residual or convolutional networks for pictures of many sizes.

python -m experiments.sngan --data_dir=FOLDER --image_size=48           # resnet_gan on a folder of faces
python -m experiments.sngan --model=sngan_32 --dataset=cifar10
python -m experiments.sngan --model=sndcgan --dataset=cifar10
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("sngan")
