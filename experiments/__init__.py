"""The only folder that knows audiotoken, spatial and guidance together, and the only one that knows Hydra."""
