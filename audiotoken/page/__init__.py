"""`audiotoken demo`: a page of this computer on which a recording is heard, corrected by hand and painted.

launch opens it; app is what it shows; hear, paint and panner are what its buttons do; edits and view know no Gradio.
"""
