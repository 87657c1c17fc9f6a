"""Readers of Weights & Biases run directories, without the wandb package."""
