"""Trains a ProGAN, whose networks grow with their pictures: from 4×4 to any power of two up to 1024×1024.

python -m experiments.progan --flagfile=progan_avatars.flags     # faces that the library draws
python -m experiments.progan --data_dir=FOLDER --image_size=128
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("progan")
