"""Trains a StyleGAN2, whose layers take styles of their own: small ones on a CPU, or the authors' configurations.

python -m experiments.stylegan --flagfile=stylegan_avatars.flags    # stylegan2_small on faces that the library draws
python -m experiments.stylegan --data_dir=FOLDER                    # stylegan2_small on your pictures
python -m experiments.stylegan --model=stylegan2_auto --image_size=128 --ada --data_dir=FOLDER
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("stylegan")
