"""Why a model answers as it does: the training rows behind an answer or a change of weights, the region that turns it, who sent them."""
