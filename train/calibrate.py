"""``python -m train.calibrate``: class biases for a checkpoint; see `train.evaluation.biases`."""

from train.evaluation.biases import main

if __name__ == "__main__":
    main()
