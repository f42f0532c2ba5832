"""How the server is reached: stdio here, HTTP beside it. What may not live here: tools, money, files."""
