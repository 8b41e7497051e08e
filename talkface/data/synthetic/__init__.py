"""The drawn speaker: a talking head with exact ground truth, from any viewpoint."""
