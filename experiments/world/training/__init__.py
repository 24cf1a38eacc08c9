"""How the weights of audiotoken/mini are made."""
