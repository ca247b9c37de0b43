"""Trains a semi-supervised GAN, whose discriminator learns classes from few labels: digits, or hair of faces.

python -m experiments.semi_supervised --flagfile=semi_supervised.flags                     # MNIST, 10 labels a digit
python -m experiments.semi_supervised --flagfile=semi_supervised_avatars.flags             # faces, 10 a hair colour
python -m experiments.semi_supervised --flagfile=semi_supervised.flags --nounsupervised --workdir=runs/labels_alone
python -m experiments.evaluate --workdir=runs/semi_supervised --features=thumbnails        # accuracy on test pictures
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("semi_supervised")
