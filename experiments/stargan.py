"""Trains StarGAN, which translates pictures into any of their classes: faces into every colour of hair, by one network.

python -m experiments.stargan --flagfile=stargan.flags                  # hair of faces that the library draws
python -m experiments.stargan --data_dir=FOLDER                         # with a tags.csv, or a subfolder a class
"""

from experiments.run import start

if __name__ == "__main__":
    start.main("stargan")
