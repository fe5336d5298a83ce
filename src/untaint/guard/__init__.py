"""At inference time: whether one input is like what the audited data were like."""
