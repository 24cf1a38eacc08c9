"""What is measured side by side; each benchmark is a module with a command line of its own."""
