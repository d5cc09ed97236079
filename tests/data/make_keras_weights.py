"""Make ``keras/tiny.keras``, ``keras/tiny.h5`` and ``keras/tiny.npz``: a small network by Keras 3, and what it answers.

It was run with Python 3.11, keras 3.15.0 on torch 2.15.0, and h5py 3.16.0 (Keras is no dependency of the tests: the
bytes are checked in):

    KERAS_BACKEND=torch python tests/data/make_keras_weights.py
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

OUT = Path(__file__).parent / "keras"


def network() -> keras.Model:
    """Return a network with every kind of kernel, and a network inside it."""
    inside = [
        layers.Input((7, 7, 6)),
        layers.Conv2D(5, 1, activation="relu", name="inner_conv"),
        layers.BatchNormalization(center=False, name="inner_norm"),
    ]
    images = layers.Input((15, 15, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="first")(images)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="deep")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", name="apart")(x)
    x = keras.Sequential(inside, name="inner")(x)
    x = layers.Conv2DTranspose(3, 2, strides=2, name="up")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(images, layers.Dense(7, name="logits")(x), name="tiny")


def main() -> None:
    """Write the files."""
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    made = network()
    made.set_weights([rng.uniform(0.2, 1, array.shape) for array in made.get_weights()])
    images = rng.normal(size=(2, 15, 15, 3)).astype(np.float32)
    np.savez_compressed(OUT / "tiny.npz", images=images, logits=np.asarray(made.predict(images, verbose=0)))
    made.save(OUT / "tiny.keras")
    made.save(OUT / "tiny.h5")


if __name__ == "__main__":
    main()
