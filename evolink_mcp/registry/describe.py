def describe(model: object) -> dict[str, object]: return {}
def describe_text(model: object) -> str: return ""
