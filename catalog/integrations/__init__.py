"""Callbacks for training frameworks: checkpoints that never lose their config or their run.

Each framework has a module of its own, and importing that module needs the framework:
`catalog.integrations.lightning`, `catalog.integrations.transformers`. None needs a database.
"""
