"""Trains an InfoGAN, whose codes learn classes and styles without labels: on digits, or on faces.

python -m experiments.infogan --flagfile=infogan.flags            # infogan_mnist on MNIST
python -m experiments.infogan --flagfile=infogan_avatars.flags    # infogan_faces on faces that the library draws
python -m experiments.infogan --model=infogan_faces --categorical_codes=10,10 --data_dir=FOLDER
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("infogan")
