"""Trains pix2pix, which translates pictures: on pairs that the library draws, or a folder of pairs.

python -m experiments.pix2pix --flagfile=pix2pix.flags                                # maps of parts into faces
python -m experiments.pix2pix --dataset=folder_pairs --data_dir=facades/train --pair=left
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("pix2pix")
