"""What jobs share: Python environments and objects of DVC's, in a folder that only jobs of main and `scripts/up` write.

`environments`, `manifest` and `locked` need nothing but Python: they make what everything else runs in.
"""
