"""The paper lab: an experiment's arms at full scale, on GPUs, nodes or Slurm."""
