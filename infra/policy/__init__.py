"""The policy pack: what every stack must keep to, one rule a module of `policy.rules`.

It looks at type tokens and plain property values only, so it loads no provider's SDK and calls nobody.
"""
