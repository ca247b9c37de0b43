"""Trains a GAN that is told what to draw.

python -m experiments.cgan --flagfile=cgan.flags                        # hair and eyes of faces that the library draws
python -m experiments.cgan --flagfile=cgan.flags --data_dir=FOLDER      # pictures with a tags.csv
python -m experiments.cgan --model=cgan_mnist --dataset=mnist           # digits by class
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("cgan")
