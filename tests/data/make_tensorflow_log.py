"""Make ``tensorflow.tfevents``: a small log by TensorFlow itself, with one of everything it knows.

It was run with TensorFlow 2.21 and tensorboard 2.21 (not a dependency of the tests: the bytes are checked in):

    python tests/data/make_tensorflow_log.py
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

HERE = Path(__file__).parent


@tf.function
def network(x: tf.Tensor) -> tf.Tensor:
    """Compute something that has a graph."""
    return tf.nn.relu(tf.matmul(x, tf.ones((3, 2))) + 1.0)


def main() -> None:
    """Write the log."""
    rng = np.random.default_rng(0)
    folder = tempfile.mkdtemp()
    with tf.summary.create_file_writer(folder).as_default():
        for step in range(40):
            tf.summary.scalar("loss", 1 / (step + 1), step)
            tf.summary.scalar("epoch/accuracy", step / 40, step, description="how many are right")
        tf.summary.scalar("not a number", np.nan, 3)
        for step in range(3):
            tf.summary.histogram("weights", rng.normal(size=200), step, buckets=12)
            tf.summary.image("pictures", rng.random((2, 5, 4, 3)).astype(np.float32), step, max_outputs=2)
            tf.summary.text("notes", [f"step **{step}**", "second"], step)
        tone = np.sin(np.arange(200) / 5).astype(np.float32)
        tf.summary.audio("tone", tone.reshape(1, -1, 1), 8000, 1)
        tf.summary.write("raw", tf.constant(np.arange(6, dtype=np.int32).reshape(2, 3)), 2)
        hparams.hparams({"learning rate": 0.1, "optimizer": "adam"})
        tf.summary.trace_on(graph=True)
        network(tf.ones((1, 3)))
        tf.summary.trace_export("network", 0)
    (written,) = Path(folder).glob("*tfevents*")
    shutil.copyfile(written, HERE / "tensorflow.tfevents")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
