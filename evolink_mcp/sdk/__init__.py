"""What leans on provisional or private parts of the MCP SDK: each file names what would make it unnecessary.

What may not live here: anything of EvoLink. Tools, texts and money are the business of ``tools``, which hands this
room functions and data.
"""
