"""Trains CycleGAN, which translates pictures: between two domains without pairs, drawn by the library or two folders.

python -m experiments.cyclegan --flagfile=cyclegan.flags                                # blonde hair into blue
python -m experiments.cyclegan --dataset=folder_domains --data_dir=horse2zebra
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("cyclegan")
