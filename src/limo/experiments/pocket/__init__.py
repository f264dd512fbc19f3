"""Room of the pocket lab: a synthetic world, tiny models, the whole method on two cores.  Import from the modules."""
