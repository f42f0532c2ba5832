"""What goes out for a text, what comes back, and the rules about money for it."""
