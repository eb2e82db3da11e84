"""What the frame costs: a release against its bare effects, the command line's start, the probes, a waiting release."""
