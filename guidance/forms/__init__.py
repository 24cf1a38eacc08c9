"""The forms that a layout takes: one file for each reader, and each form a pure function with its inverse.

Conventions: those of `guidance.layout` inside; what a reader counts in, in which order and from where is said at the
head of its file. A form whose reader's documents do not say all of it is experimental, and says what is missing.
"""

from guidance.forms import coco, comfy, fibo, flux3, ideogram, invoke, moss, svg
from guidance.forms.form import Form as Form

ALL = (flux3.ARGUMENTS, flux3.TEXT, moss.FORM, ideogram.FORM, fibo.FORM, comfy.FORM, invoke.FORM, coco.FORM, svg.FORM)
FORMS = {form.name: form for form in ALL}
