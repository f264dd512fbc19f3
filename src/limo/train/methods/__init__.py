"""Training methods, a file each; a method returns `train.result.TrainResult` and is called by `limo.stages.train`."""
