"""The field for a picture file, whose content goes into a request like any other; see `uploads`."""

import gradio as gr

from experiments.page.limits import LARGEST_FILE
from experiments.page.uploads import TOO_LARGE


def chooser(element: str) -> gr.HTML:
    """Makes a field for a picture file, which shows what was chosen; nothing is sent before a button is pressed.

    Args:
      element: the id of the field.
    """
    field = (
        f'<label class="chooser">Your picture<input type="file" id="{element}" accept="image/*">'
        '<img class="chosen" alt="" hidden></label>'
    )
    return gr.HTML(field, js_on_load=_SHOW_CHOSEN, apply_default_css=False)


def sending(element: str, place: int) -> str:
    """Returns JavaScript that puts the chosen file into the inputs of an event.

    Args:
      element: the id of the field.
      place: index of the input, a hidden text, that takes the file.
    """
    return f"""async (...values) => {{
      const file = document.getElementById('{element}')?.files[0];
      values[{place}] = !file ? '' : file.size > {LARGEST_FILE} ? '{TOO_LARGE}' : await new Promise((done, failed) => {{
        const reader = new FileReader();
        reader.onload = () => done(reader.result);
        reader.onerror = failed;
        reader.readAsDataURL(file);
      }});
      return values;
    }}"""


_SHOW_CHOSEN = """
element.addEventListener('change', event => {
  const file = event.target.files[0], image = element.querySelector('.chosen');
  if (image.src) URL.revokeObjectURL(image.src);
  image.hidden = !file;
  image.alt = file ? `Your picture, ${file.name}` : '';
  if (file) image.src = URL.createObjectURL(file);
});
"""
