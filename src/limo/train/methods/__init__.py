"""Training methods, a file each; a method returns `sft.TrainResult` and is called by `limo.stages.train`."""
